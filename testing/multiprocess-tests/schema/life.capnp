# The interfaces of the tests of the lives of objects: objects that a raw peer gives, with and
# without a `destroy` method.

@0xb1c74d0e96a8f352;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface House {
    # The bootstrap object that is served to the raw peer.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    take @1 (context :Proxy.Context, guest :Guest $Rust.notNull) -> (result :Int32);
    # Takes a guest in.

    takeInline @2 (guest :Guest $Rust.notNull) -> (result :Int32);
    # The same without a context.

    takePlain @3 (context :Proxy.Context, plain :Plain $Rust.notNull) -> (result :Int32);
    # The same of the other interface.

    fetch @4 (context :Proxy.Context) -> (result :Guest $Rust.notNull);
    # A guest that is an object of the house.

    fetchPlain @5 (context :Proxy.Context) -> (result :Plain $Rust.notNull);
    # The same of the other interface.
}

interface Guest {
    # An object with a `destroy` method.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, number :Int32) -> (result :Int32);
    # That number.

    callInline @2 (number :Int32) -> (result :Int32);
    # The same without a context.

    wait @3 (context :Proxy.Context) -> (result :Bool) $Rust.longWait $Rust.interruptedBy("interrupt");
    # Waits until it is interrupted.

    interrupt @4 () -> ();
    # Ends a wait.

    again @5 (context :Proxy.Context) -> (result :Guest $Rust.notNull);
    # Another one.
}

interface Plain {
    # An object without a `destroy` method. Also the bootstrap object of the raw peer.

    call @0 (context :Proxy.Context, number :Int32) -> (result :Int32);
    # That number.

    give @1 (context :Proxy.Context, guest :Guest $Rust.notNull) -> ();
    # Gets a guest.

    givePlain @2 (context :Proxy.Context, plain :Plain $Rust.notNull) -> ();
    # The same of this interface.
}
