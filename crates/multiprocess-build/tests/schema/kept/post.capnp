@0xb4f1c1d7e8a90041;

using Rust = import "/rust-multiprocess.capnp";

interface Post {
    # What it passes on it does not have to know.

    send @0 (letter :Letter) -> (letter :Letter);
}

struct Letter {
    rest @0 :Text;
    # A field of the name that the runtime's would have.

    urgent @1 :Bool = true;
    weight @2 :UInt16 $Rust.redacted;
    stamps @3 :List(Stamp);
    from :group {
        name @4 :Text;
        how :union { post @5 :Void; hand @6 :Float32; }
    }
    union { plain @7 :Void; sealed @8 :Data; }
}

struct Stamp $Rust.derive("Copy, Eq") { value @0 :UInt32; }

struct Parcel { union { none @0 :Void; box @1 :List(Parcel); } }

struct Nothing {}
