# The interfaces of the tests of versions, in the newest version.

@0xd9c06b21f87e43c2;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

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
    # Version 1 does not have it. A build between the two has it, and `wait` as version 1 has it.

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
    # In version 1 the last parameter has another name.

    send @4 (context :Proxy.Context, cents :Int64, payee :Text, memo :Text = "none") -> (done :Bool);
    # In version 1 all have other names, and there is no `memo`.

    agree @5 (context :Proxy.Context, conditions :Conditions) -> (conditions :Conditions);
    # Returns its argument. In version 1 the struct has another name and another default.

    move @6 (context :Proxy.Context, place :Place) -> (result :Place);
    # Returns its argument. In version 1 what is in the union and in the group now was in none.

    rest @7 (context :Proxy.Context, hours :Int32, quietly :Bool = true $Rust.mayBeLost) -> (result :Int32);
    # Version 1 has no `quietly`.
}

struct Conditions @0xc4c1f5a4b6e9d203 {
    rate @0 :Int32 = 99;
    kinds :group { sort @1 :Text; }
}

struct Place {
    union {
        street @0 :Text;
        box @2 :UInt32;
    }
    at :group { number @1 :Int32; }
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
