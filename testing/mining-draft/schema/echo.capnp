# The smallest interface, which returns its argument. For trying a connection.

@0x888b4f7f51e691f7;

using Cxx = import "/capnp/c++.capnp";
using Proxy = import "/mp/proxy.capnp";
$Cxx.namespace("ipc::capnp::messages");

interface Echo {
    # Returns texts that it gets.

    destroy @0 (context :Proxy.Context) -> ();

    echo @1 (context :Proxy.Context, echo :Text) -> (result :Text);
    # Returns its argument.
}
