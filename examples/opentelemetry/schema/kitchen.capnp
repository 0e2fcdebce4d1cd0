@0xd19a6c5be83f4702;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Kitchen {
    # Cooks in another process.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    cook @1 (context :Proxy.Context, dish :Text, waiter :Waiter $Rust.notNull) -> (result :Text);
    # Has the dish served by the waiter.

    spans @2 (context :Proxy.Context) -> (result :List(Text));
    # The spans that have ended in this process, a line for each.
}

interface Waiter {
    # Is called when a dish is ready.

    serve @0 (context :Proxy.Context, dish :Text) -> ();
}
