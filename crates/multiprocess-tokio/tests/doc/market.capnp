# The interfaces of the examples and tests of multiprocess-tokio. market.rs is made from it.

@0xf3a96d0c5b7e2148;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Market {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    price @1 (context :Proxy.Context, goods :Text) -> (result :UInt32);
    # What one of these costs.

    watch @2 (context :Proxy.Context, onSale :Listener $Rust.notNull) -> ();
    # Tells the listener of each sale.

    order @3 (context :Proxy.Context) -> (result :Order $Rust.notNull);
    # A new order.

    pack @4 (context :Proxy.Context, bytes :Data) -> (result :Data);
    # Returns its argument.

    hang @5 (context :Proxy.Context, bell :Bell $Rust.notNull) -> ();
    # Rings the bell, later.

    sign @6 (context :Proxy.Context, paper :Capability $Rust.fd $Rust.notNull) -> ();
    # Writes something into this file.
}

interface Listener {
    # Is told of sales.

    sold @0 (context :Proxy.Context, total :UInt32) -> ();
    # Something was sold for this.
}

interface Bell {
    # Is rung. Without a context its calls are in order.

    ring @0 (time :UInt32) -> ();
    # It is this time.
}

interface Order {
    # Takes goods.

    add @0 (context :Proxy.Context, goods :Text) -> stream;
    # One more of these.

    total @1 (context :Proxy.Context) -> (result :UInt32);
    # What all of it costs.
}
