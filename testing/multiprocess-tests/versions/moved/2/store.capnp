# The interface of the tests of a method that moved twice, in version 2.

@0xd9c06b21f87e43d7;

using Proxy = import "/mp/proxy.capnp";

interface Store {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    list @1 (context :Proxy.Context) -> (result :Text);
    put @2 (context :Proxy.Context, number :UInt32) -> (result :UInt32);
}
