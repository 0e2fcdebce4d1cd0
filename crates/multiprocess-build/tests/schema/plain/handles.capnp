@0xb4f1c1d7e8a90006;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Errand = import "errand.capnp".Errand;

interface Node {
    # The interface ChainClient takes the name that Chain's handle would have.

    makeChain @0 (context :Proxy.Context) -> (result :Chain);
    attach @1 (context :Proxy.Context, maybe :Chain, sure :Chain $Rust.notNull, errand :Errand) -> (chain :Chain $Rust.notNull, result :ChainClient);
    many @2 (context :Proxy.Context, clients :List(ChainClient), sure :List(List(Chain)) $Rust.notNull) -> (result :List(Chain));
    hold @3 (context :Proxy.Context, holder :Holder) -> (holders :List(Holder), second :Int32);
    maybe @4 () -> (chain :Chain, hasChain :Bool);
    any @5 (object :Capability, sure :Capability $Rust.notNull, hasMore :Bool, more :Capability) -> (objects :List(Capability));
}

interface Chain {
    destroy @0 (context :Proxy.Context) -> ();
}

interface ChainClient {
    nothing @0 () -> ();
}

struct Holder {
    # Handles have no equality, so that this has none either.

    chain @0 :Chain;
    all @1 :List(Chain);
}

struct Owner {
    # A handle that is never null has no default.

    chain @0 :Chain $Rust.notNull;
}

struct Outer {
    owner @0 :Owner;
    holders @1 :List(Holder);
}

struct Open {
    # Objects of any interface are equal where they are the same.

    object @0 :Capability;
    all @1 :List(Capability);
}
