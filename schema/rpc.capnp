# A node's JSON-RPC methods over this connection (Bitcoin Core 32 and newer).

@0x9c3505dc45e146ac;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Rpc {
    # Runs JSON-RPC requests.

    executeRpc @0 (context :Proxy.Context, request :Text $Rust.redacted, uri :Text, user :Text) -> (result :Text);
    # Runs `request`, the text of a JSON-RPC request, and returns the text of its response.
    # `uri` is the path of the endpoint ("/" or "/wallet/NAME"); `user` is the name that the node
    # logs and checks its whitelist for. The log of calls does not show `request`: it can have a passphrase.
}
