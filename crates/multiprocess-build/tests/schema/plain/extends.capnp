@0xb4f1c1d7e8a90012;

using Proxy = import "/mp/proxy.capnp";

interface Thing {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    destroy @1 (context :Proxy.Context) -> ();
    name @2 (context :Proxy.Context) -> (result :Text);
    # What it is called.
}

interface Heavy {
    weight @0 () -> (kilograms :Float64, exact :Bool);
}

interface Crate extends(Thing, Heavy) {
    # Two parents.

    open @0 () -> (result :Crate);
}

interface Box extends(Crate) {
    # Three levels.

    fold @0 ();
}
