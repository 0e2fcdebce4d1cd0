# The interface of the tests of a method that moved twice, in the newest version.

@0xd9c06b21f87e43d7;

using Proxy = import "/mp/proxy.capnp";

interface Store {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    list @1 (context :Proxy.Context) -> (result :Text);
    # At the same ordinal in version 2; in version 1 that is `put`.

    putOld @2 () -> ();
    # Reserves the ordinal that `put` has in version 2.

    put @3 (context :Proxy.Context, number :UInt32) -> (result :UInt32);
    # In each version at another ordinal.

    count @4 (context :Proxy.Context) -> (result :UInt32);
    # Only here.
}
