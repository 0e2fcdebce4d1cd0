# The bootstrap object of a Bitcoin process, from which every other object is made.

@0xf2c5cfa319406aa6;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Echo = import "echo.capnp";
using Mining = import "mining.capnp";
using Rpc = import "rpc.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Init {
    # The bootstrap object of a process. Each method makes a new object in that process, or none
    # where the process does not have the interface.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeEcho @1 (context :Proxy.Context) -> (result :Echo.Echo);
    # An object that returns its arguments.

    makeMining @3 (context :Proxy.Context) -> (result :Mining.Mining);
    # The node's block templates and tip.

    makeRpc @4 (context :Proxy.Context) -> (result :Rpc.Rpc);
    # The node's JSON-RPC methods (Bitcoin Core 32 and newer).

    makeMiningOld2 @2 () -> ();
    # The ordinal of makeMining in Bitcoin Core 30. Newer nodes answer with an error.
}
