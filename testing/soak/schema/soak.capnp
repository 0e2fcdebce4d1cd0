# The interfaces of the soak: what is called by the million.

@0xb7d25e90c14fa386;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Mill {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    echo @1 (context :Proxy.Context, data :Data) -> (result :Data);
    # Returns its argument.

    echoInline @2 (data :Data) -> (result :Data);
    # The same without a context.

    block @3 (context :Proxy.Context, ticket :UInt64) -> ();
    # Waits until it is cancelled.

    makeItem @4 (context :Proxy.Context, number :UInt64) -> (result :Item $Rust.notNull);
    # A new object.

    callBack @5 (context :Proxy.Context, callback :Callback $Rust.notNull, number :UInt64) -> (result :UInt64);
    # What the callback returns for the number.
}

interface Item {
    # An object that is made for one use.

    destroy @0 (context :Proxy.Context) -> ();

    number @1 (context :Proxy.Context) -> (result :UInt64);
    # Its number.
}

interface Callback {
    # Called by the mill.

    destroy @0 (context :Proxy.Context) -> ();

    call @1 (context :Proxy.Context, number :UInt64) -> (result :UInt64);
}
