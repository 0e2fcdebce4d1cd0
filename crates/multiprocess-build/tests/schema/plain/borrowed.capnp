@0xb4f1c1d7e8a90022;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Hot {
    write @0 (context :Proxy.Context, name :Text, bytes :Data, at :UInt64 = 7, part :Int32, hasPart :Bool) -> (result :UInt64) $Rust.borrowed;
    # Looks at the message itself.

    index @1 (rows :List(Row), words :List(Text), maybe :Row $Rust.nullable) -> (count :UInt32) $Rust.borrowed;
}

struct Row {
    key @0 :Text;
    # What it is found by.

    size @1 :UInt32 = 1;
    next @2 :Row;
    tags @3 :List(List(UInt8));
    color @4 :Color;
}

enum Color { red @0; blue @1; }
