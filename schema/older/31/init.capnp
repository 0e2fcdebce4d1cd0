# The bootstrap object of a process of Bitcoin Core 31.

@0xf2c5cfa319406aa6;

using Proxy = import "/mp/proxy.capnp";
using Echo = import "../../echo.capnp";
using Mining = import "mining.capnp";
using Rpc = import "../../rpc.capnp";

interface Init {
    # The bootstrap object of a process. (Core 31 has no makeRpc; builds between 31 and 32 do.)

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeEcho @1 (context :Proxy.Context) -> (result :Echo.Echo);
    # An object that returns its arguments.

    makeMining @3 (context :Proxy.Context) -> (result :Mining.Mining);
    # The node's block templates and tip.

    makeRpc @4 (context :Proxy.Context) -> (result :Rpc.Rpc);
    # The node's JSON-RPC methods.

    makeMiningOld2 @2 () -> ();
    # The ordinal of makeMining in Bitcoin Core 30.
}
