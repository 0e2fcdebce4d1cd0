# The interfaces of the tests of versions, in the old version.

@0xd9c06b21f87e43c2;

using Proxy = import "/mp/proxy.capnp";

interface Bank {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    submit @1 (context :Proxy.Context, account :UInt32) -> ();
    wait @2 (context :Proxy.Context, number :UInt32) -> (result :UInt32);
    open @3 (context :Proxy.Context) -> (result :Account);
    audit @4 (context :Proxy.Context, name :Text) -> (result :Summary);
    describe @5 (context :Proxy.Context, options :Options) -> (result :Options);
}

interface Account {
    destroy @0 (context :Proxy.Context) -> ();
    pay @1 (context :Proxy.Context, amount :Int64) -> (result :Bool);
    spare @2 () -> ();
    lend @3 (context :Proxy.Context, slip :Slip, weeks :Int32) -> (result :Slip);
    send @4 (context :Proxy.Context, amount :Int64, to :Text) -> (result :Bool);
    agree @5 (context :Proxy.Context, terms :Terms) -> (result :Terms);
    move @6 (context :Proxy.Context, place :Place) -> (result :Place);
    rest @7 (context :Proxy.Context, hours :Int32) -> (result :Int32);
}

struct Terms @0xc4c1f5a4b6e9d203 {
    rate @0 :Int32 = 7;
    group :group { kind @1 :Text; }
}

struct Place {
    street @0 :Text;
    number @1 :Int32;
}

struct Slip {
    amount @0 :Int32;
    days @1 :Int32;
}

struct Options {
    limit @0 :UInt32 = 7;
    union {
        nothing @1 :Void;
        sum @2 :Int32;
    }
    level @3 :Level;
}

enum Level { low @0; high @1; }

struct Summary {
    # Only here.

    name @0 :Text;
    total @1 :Int64 = -1;
}
