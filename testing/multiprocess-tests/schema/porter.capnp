# The interface of the tests of file descriptors that are passed with calls.

@0xa9c0e3d85f17b246;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Porter {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    read @1 (context :Proxy.Context, file :Capability $Rust.fd $Rust.notNull) -> (text :Text);
    # What is in the file, to its end.

    open @2 (context :Proxy.Context, text :Text) -> (file :Capability $Rust.fd $Rust.notNull);
    # A file from which this text is read.

    echo @3 (context :Proxy.Context, file :Capability $Rust.fd) -> (file :Capability $Rust.fd);
    # The same, or none.

    pack @4 (context :Proxy.Context, bag :Bag, more :List(Bag)) -> (bags :List(Bag), count :Int32);
    # All the bags, and how many files are in them.

    hold @5 (context :Proxy.Context, file :Capability $Rust.fd $Rust.notNull) -> ();
    # Has the file until it is let go.

    readInline @6 (file :Capability $Rust.fd $Rust.notNull) -> (text :Text);
    openInline @7 (text :Text) -> (file :Capability $Rust.fd $Rust.notNull);
    # As above, on any thread.

    call @8 (porter :Porter, text :Text) -> (text :Text);
    # Has the caller's porter read a file with this text.

    readAny @9 (object :Capability) -> (text :Text);
    # What is in the file that came with the object.
}

struct Bag {
    name @0 :Text;
    first @1 :Capability $Rust.fd;
    second @2 :Capability $Rust.fd;
}
