# What ends a subscription.

@0xebd8f46e2f369076;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Handler @0xea08728d34263f55 {
    # A subscription to notifications. It ends with `disconnect`, and when the last handle is
    # dropped.

    destroy @0 (context :Proxy.Context) -> ();

    disconnect @1 (context :Proxy.Context) -> ();
    # Ends it: nothing is told from now on.
}
