# The interfaces of the tests of versions, in the newest version.

@0xd9c06b21f87e43c2;

using Proxy = import "/mp/proxy.capnp";

interface Bank {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    erase @1 (context :Proxy.Context, account :UInt32) -> ();
    # In version 1 that is `submit`.

    waitOld @2 () -> ();
    # Reserves the ordinal that `wait` has in version 1.

    open @3 (context :Proxy.Context) -> (result :Account);
    # The same in both.

    submit @4 (context :Proxy.Context, account :UInt32) -> ();
    # In version 1 that is `audit`.

    describe @5 (context :Proxy.Context, options :Options) -> (result :Options);
    # Returns its argument. Only the struct differs.

    wait @6 (context :Proxy.Context, number :UInt32) -> (result :UInt32);
    # Version 1 has nothing at this ordinal, so a call of it reveals the version.

    tell @7 (context :Proxy.Context) -> (result :UInt32);
    # Version 1 does not have it.

    idle @8 (context :Proxy.Context) -> ();
    # Never returns.
}

interface Account {
    destroy @0 (context :Proxy.Context) -> ();
    balance @1 (context :Proxy.Context) -> (result :Int64);
    # In version 1 that is `pay`.


    pay @2 (context :Proxy.Context, amount :Int64, note :Text = "a gift")
        -> (result :Bool, why :Text = "nobody said");

    lend @3 (context :Proxy.Context, slip :Slip, rate :Int32) -> (result :Slip);
    # The last field uses the place of another field of version 1.
}

struct Slip {
    amount @0 :Int32;
    code @1 :Int32;
}

struct Options {
    limit @0 :UInt32 = 100;
    union {
        nothing @1 :Void;
        sum @2 :Int32;
        word @5 :Text;
    }
    name @3 :Text = "unnamed";
    level @4 :Level;
}

enum Level { low @0; high @1; top @2; }
