# The interface of the tests of a method that moved twice, in version 1.

@0xd9c06b21f87e43d7;

using Proxy = import "/mp/proxy.capnp";

interface Store {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    put @1 (context :Proxy.Context, number :UInt32) -> (result :UInt32);

    erase @2 (context :Proxy.Context, number :UInt32) -> (result :UInt32);
    # Has the parameters of `put`, and must not be called in its place.
}
