# The Init of Bitcoin Core 30: makeMining at its old ordinal, and nothing after it.

@0xe94b7d02c6a5f183;

using Proxy = import "/mp/proxy.capnp";
using Echo = import "/echo.capnp";

interface Mining @0xf9c68436df3af39e {
    isTestChain @0 (context :Proxy.Context) -> (result :Bool);
}

interface Init @0x8838c700ba5cba65 {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    makeEcho @1 (context :Proxy.Context) -> (result :Echo.Echo);
    makeMining @2 (context :Proxy.Context) -> (result :Mining);
}
