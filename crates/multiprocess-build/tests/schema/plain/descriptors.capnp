@0xb4f1c1d7e8a90017;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Porter {
    # File descriptors as parameters, as results and in structs.

    carry @0 (context :Proxy.Context, sure :Capability $Rust.fd $Rust.notNull, maybe :Capability $Rust.fd, hasMore :Bool, more :Capability $Rust.fd) -> (result :Capability $Rust.fd $Rust.notNull);
    pack @1 (context :Proxy.Context, all :List(Capability) $Rust.fd $Rust.notNull) -> (bag :Bag, label :Label);
}

struct Bag {
    # Not Clone, and without an equality.

    content @0 :Capability $Rust.fd;
}

struct Label {
    # The same, for what it holds.

    bags @0 :List(Bag);
}
