@0xb4f1c1d7e8a90005;

using Rust = import "/rust-multiprocess.capnp";

interface Optionals {
    flags @0 (height :Int32, hasHeight :Bool, name :Text, hasName :Bool) -> (result :Leaf, hasResult :Bool);
    nulls @1 (name :Text $Rust.nullable, bytes :Data $Rust.nullable, items :List(Leaf) $Rust.nullable) -> (result :Leaf $Rust.nullable);
    both @2 (hasNothing :Bool) -> (value :Int32, hasValue :Bool, note :Text $Rust.nullable);
}

struct Leaf {
    number @0 :UInt16 = 3;
    hasNumber @1 :Bool;
    name @2 :Text $Rust.nullable;
    hashes @3 :List(Data);
    hasHashes @4 :Bool;
}

struct Tree {
    # A struct that may hold one of its own is kept in a box.

    left @0 :Tree $Rust.nullable;
    right @1 :Tree;
    hasRight @2 :Bool;
    leaf @3 :Leaf;
}
