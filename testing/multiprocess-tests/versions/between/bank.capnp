# The interface of a build between the two versions.

@0xd9c06b21f87e43c2;

using Proxy = import "/mp/proxy.capnp";

interface Bank {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    submit @1 (context :Proxy.Context, account :UInt32) -> ();
    wait @2 (context :Proxy.Context, number :UInt32) -> (result :UInt32);
    reserved3 @3 () -> ();
    reserved4 @4 () -> ();
    reserved5 @5 () -> ();
    reserved6 @6 () -> ();
    tell @7 (context :Proxy.Context) -> (result :UInt32);
}
