# The interfaces of the tests of codecs, views, and objects that return to their own process.

@0xd9c06b21f87e43b1;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Probe {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    make @1 (context :Proxy.Context, value :Int64) -> (result :Int64 $Rust.type("crate::Fragile"));
    # That value.

    take @2 (context :Proxy.Context, value :Int64 $Rust.type("crate::Fragile")) -> (result :Int64);
    # That number.

    fail @3 (context :Proxy.Context) -> ();
    # Fails with a value that uses the connection when it is dropped.

    sort @4 (context :Proxy.Context, rows :List(Row)) -> (result :List(Text)) $Rust.borrowed;
    # The keys, sorted.

    asBase @5 (context :Proxy.Context, it :Derived $Rust.notNull) -> (result :Base $Rust.notNull);
    # The same object.

    same @6 (context :Proxy.Context, it :Base $Rust.notNull) -> (result :Base $Rust.notNull);
    # The same object.

    count @7 (rows :List(Wide)) -> (result :UInt64);
    # How many.
}

interface Base {
    # An object of the caller.

    look @0 (context :Proxy.Context, name :Text) -> (result :Text) $Rust.borrowed;
    plain @1 (context :Proxy.Context, name :Text) -> (result :Text);
    bare @2 (name :Text) -> (result :Text);
}

interface Derived extends(Base) {
    # It is returned to the caller's process as the interface that it extends.

    more @0 (context :Proxy.Context) -> (result :Text);
}

struct Row {
    key @0 :Text;
}

struct Wide {
    # Far larger in memory than in a message that leaves all of it out.

    a @0 :Text;
    b @1 :Text;
    c @2 :Text;
    d @3 :Text;
    e @4 :Text;
    f @5 :Text;
    g @6 :Text;
    h @7 :Text;
    i @8 :Text;
    j @9 :Text;
    k @10 :Text;
    l @11 :Text;
    m @12 :Text;
    n @13 :Text;
    o @14 :Text;
    p @15 :Text;
}

struct Bytes {
    # Sent by a peer in place of the parameters of `count`.

    bytes @0 :Data;
}
