# The smallest interface: what is said comes back. For trying a connection.

@0x888b4f7f51e691f7;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Echo {
    # Says back what it is told.

    destroy @0 (context :Proxy.Context) -> ();

    echo @1 (context :Proxy.Context, echo :Text) -> (result :Text);
    # Returns its argument.
}
