# What the second part of the guide is about.

@0xd1f3a86b2c5e9047;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Shop {
    # What the shop's process offers first.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    openTill @1 (context :Proxy.Context, onSale :Listener) -> (result :Till $Rust.notNull);
    # A till, which tells `onSale` of what it sells.
}

interface Till {
    # Where a customer pays.

    sell @0 (
        context :Proxy.Context,
        goods :List(Line) $Rust.btreeMap,
        discount :UInt32,
        hasDiscount :Bool
    ) -> (total :UInt32, error :SoldOut $Proxy.exception("SoldOut"));
    # Sells goods, by name and count, at one coin a piece. Returns the coins to pay.
}

interface Listener {
    # Wants to know of sales.

    sold @0 (context :Proxy.Context, total :UInt32) -> ();
    # There was a sale.
}

struct Line {
    name @0 :Text;
    count @1 :UInt32;
}

struct SoldOut {
    # There is not that much of something.

    name @0 :Text;
    left @1 :UInt32;
}
