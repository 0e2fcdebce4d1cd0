# The interfaces of the tests of methods that borrow their parameters.

@0xd9c06b21f87e43a5;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Shelf {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    describe @1 (context :Proxy.Context, name :Text, bytes :Data, at :UInt64 = 7, part :Int32, hasPart :Bool) -> (result :Text) $Rust.borrowed;
    # Returns its arguments as text.

    index @2 (rows :List(Row), words :List(Text), maybe :Row $Rust.nullable) -> (result :Text) $Rust.borrowed;
    # The same for structs and lists, without a context.

    again @3 (context :Proxy.Context) -> (result :Shelf $Rust.notNull);
    # The same shelf.
}

struct Row {
    key @0 :Text;
    size @1 :UInt32 = 1;
    next @2 :Row;
    tags @3 :List(List(UInt8));
    color @4 :Color;
}

enum Color { red @0; blue @1; }
