# The bootstrap object of a process of Bitcoin Core 30.

@0xf2c5cfa319406aa6;

using Proxy = import "/mp/proxy.capnp";
using Echo = import "../../echo.capnp";
using Mining = import "mining.capnp";

interface Init {
    # The bootstrap object of a process.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeEcho @1 (context :Proxy.Context) -> (result :Echo.Echo);
    # An object that returns its arguments.

    makeMining @2 (context :Proxy.Context) -> (result :Mining.Mining);
    # The node's block templates and tip.
}
