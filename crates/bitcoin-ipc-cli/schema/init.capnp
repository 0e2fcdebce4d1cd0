# The relay's bootstrap object: Init for clients of every version of Bitcoin Core. Its ordinals are theirs: that of
# makeMining was another one in 30, and so were those of Mining itself.

@0xf2c5cfa319406aa6;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Init {
    # The bootstrap object of a process.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeEcho @1 (context :Proxy.Context) -> (result :Capability $Rust.notNull);
    # The newest Echo.

    makeMining30 @2 (context :Proxy.Context) -> (result :Capability $Rust.notNull);
    # Mining as clients of 30 know it.

    makeMining @3 (context :Proxy.Context) -> (result :Capability $Rust.notNull);
    # The newest Mining, which clients of 31 know as well.

    makeRpc @4 (context :Proxy.Context) -> (result :Capability $Rust.notNull);
    # The newest Rpc.
}
