@0xb4f1c1d7e8a90016;

using Proxy = import "/mp/proxy.capnp";

interface Clock {
    # Tells the time.

    now @0 (context :Proxy.Context) -> (seconds :UInt64);
    # Since 1970.
}

interface Alarm extends(Clock) {
    ring @0 (context :Proxy.Context, at :UInt64, text :Text) -> ();
    shareThreads @1 (threads :Proxy.ThreadMap) -> (threads :Proxy.ThreadMap);
}

interface Copier {
    # Names that a method call would find on the pointer to the object first.

    cloneInto @0 (to :Text);
    cloneFrom @1 (from :Text);
    borrowMut @2 ();
}
