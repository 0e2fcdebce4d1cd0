# The interface that the benches call. `multiprocess` and plain capnp-rpc both serve it.

@0xd2f7f0a51c3b9e64;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Bench {
    # The bootstrap object of a bench server.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    echo @1 (context :Proxy.Context, text :Text) -> (result :Text);
    # Returns its argument; a mapped call, which runs on the caller's own server thread.

    echoInline @2 (text :Text) -> (result :Text);
    # The same without a context.

    bytes @3 (context :Proxy.Context, data :Data) -> (result :Data);
    # Returns its argument, which is long.

    callBack @4 (context :Proxy.Context, callback :Callback $Rust.notNull, text :Text) -> (result :Text);
    # Returns what the callback returns for the text.

    makeObject @5 (context :Proxy.Context) -> (result :Callback $Rust.notNull);
    # A new object of the server's, to hold a handle on.
}

interface Callback {
    # An object of the calling process.

    echo @0 (context :Proxy.Context, text :Text) -> (result :Text);
    # Returns its argument.
}
