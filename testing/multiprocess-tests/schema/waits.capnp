# The interfaces of the tests of methods that are futures, of long waits and of interrupts.

@0xe7a1c3d94b5f6082;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Sum {
    # Extended by another.

    add @0 (context :Proxy.Context, a :Int32, b :Int32) -> (result :Int32);
    # The sum.
}

interface Waits extends(Sum) {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    wait @1 (context :Proxy.Context, name :Text) -> (result :Bool) $Rust.longWait $Rust.interruptedBy("interrupt");
    # Waits until it is released.

    interrupt @2 () -> ();
    # Ends all waits.

    addInline @3 (a :Int32, b :Int32) -> (result :Int32);
    # The sum, without a context.

    callBack @4 (context :Proxy.Context, callback :Waits $Rust.notNull, value :Int32) -> (result :Int32);
    # Calls back.

    panics @5 (context :Proxy.Context) -> ();
    # Panics.

    asSum @6 (context :Proxy.Context) -> (result :Sum $Rust.notNull);
    # An object of this interface as one of the interface that it extends.

    makeChild @7 (context :Proxy.Context) -> (result :Child $Rust.notNull);
    # An object that can be closed.

    threadName @8 (context :Proxy.Context) -> (result :Text);
    # Not implemented by the server.
}

interface Child {
    # An object that can be closed.

    destroy @0 (context :Proxy.Context) -> ();

    hold @1 (context :Proxy.Context, name :Text) -> (result :Bool);
    # Waits until it is released or cancelled.

    closeFrom @2 (context :Proxy.Context, callback :Waits $Rust.notNull) -> (result :Int32);
    # Calls back; the callback closes this object.
}
