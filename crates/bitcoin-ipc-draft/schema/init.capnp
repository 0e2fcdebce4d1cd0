# The bootstrap object of a process that was split from another. The draft as of July 2026.

@0xf2c5cfa319406aa6;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Common = import "/common.capnp";
using Echo = import "/echo.capnp";
using Mining = import "/mining.capnp";
using Rpc = import "/rpc.capnp";
using Chain = import "chain.capnp";
using Node = import "node.capnp";
using Wallet = import "wallet.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Init @0x8838c700ba5cba65 {
    # The bootstrap object of a process. Each method makes a new object in that process, or none
    # where the process does not have the interface.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeEcho @1 (context :Proxy.Context) -> (result :Echo.Echo);
    # An object that returns its arguments.

    makeMining @3 (context :Proxy.Context) -> (result :Mining.Mining);
    # The node's block templates and tip.

    makeRpc @4 (context :Proxy.Context) -> (result :Rpc.Rpc);
    # The node's JSON-RPC methods.

    makeChain @5 (context :Proxy.Context) -> (result :Chain.Chain);
    # The node's chain.

    makeNode @6 (context :Proxy.Context) -> (result :Node.Node);
    # The node as a user interface sees it.

    makeWalletLoader @7 (context :Proxy.Context, globalArgs :Common.GlobalArgs, chain :Chain.Chain) -> (result :Wallet.WalletLoader);
    # The wallets of a wallet process, which gets the node's settings and chain. Reading
    # `globalArgs` sets up the process: the network, the data directory.

    makeMiningOld2 @2 () -> ();
    # The ordinal of makeMining in Bitcoin Core 30. Newer nodes answer with an error.
}
