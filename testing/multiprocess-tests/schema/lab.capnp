# The interfaces of the runtime's tests: one method for each thing that a call can do.

@0xe3b58c1f6a27d904;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Lab {
    # The bootstrap object of the tests.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    add @1 (context :Proxy.Context, a :Int32, b :Int32) -> (result :Int32);
    # The sum; on the caller's server thread.

    addInline @2 (a :Int32, b :Int32) -> (result :Int32);
    # The same without a context.

    fail @3 (context :Proxy.Context, message :Text) -> ();
    # Fails with the message.

    panics @4 (context :Proxy.Context) -> ();
    # Panics.

    missing @5 (context :Proxy.Context) -> ();
    # Not implemented by the server.

    threadName @6 (context :Proxy.Context) -> (result :Text);
    # The name of the thread that runs it.

    callBack @7 (context :Proxy.Context, callback :Callback $Rust.notNull, depth :Int32) -> (result :Int32);
    # Calls back, and the callback calls this again, until the depth is used up.

    callBackInline @8 (callback :Callback $Rust.notNull, depth :Int32) -> (result :Int32);
    # Calls back from a method that has no context.

    hold @9 (context :Proxy.Context, callback :Callback) -> ();
    # Keeps the callback, or drops the last one.

    poke @10 (context :Proxy.Context, value :Int32) -> (result :Int32);
    # Calls the callback that is kept.

    block @11 (context :Proxy.Context, name :Text) -> (result :Bool);
    # Waits until released by name. False when it was cancelled.

    release @12 (name :Text) -> ();
    # Releases a block.

    makeCounter @13 (context :Proxy.Context, start :Int64) -> (result :Counter $Rust.notNull);
    # A new counter.

    noCounter @14 (context :Proxy.Context) -> (result :Counter);
    # A null counter.

    readCounter @15 (context :Proxy.Context, counter :Counter $Rust.notNull) -> (result :Int64, isLocal :Bool);
    # The counter's number, and whether the counter is an object of the lab itself.

    bytes @16 (context :Proxy.Context, data :Data) -> (result :Data);
    # Returns its argument.

    text @17 (context :Proxy.Context, text :Text) -> (result :Text);
    # Returns its argument.

    login @18 (context :Proxy.Context, user :Text, password :Text $Rust.redacted, hash :Data) -> ();
    # Not implemented by the server: the log shows its arguments, but for one.
}

interface Callback {
    # Called by the lab.

    call @0 (context :Proxy.Context, lab :Lab, depth :Int32) -> (result :Int32);
}

interface Counter {
    # A number that goes up.

    destroy @0 (context :Proxy.Context) -> ();

    next @1 (context :Proxy.Context) -> (result :Int64);
    # The number, which then goes up by one.

    split @2 (context :Proxy.Context) -> (result :Counter $Rust.notNull);
    # A counter that starts where this one stands.

    hang @3 (context :Proxy.Context) -> ();
    # Waits as block does, for the name `hang`.
}
