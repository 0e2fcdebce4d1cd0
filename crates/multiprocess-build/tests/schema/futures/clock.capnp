@0xb4f1c1d7e8a90016;

using Proxy = import "/mp/proxy.capnp";

interface Clock {
    # Tells the time.

    now @0 (context :Proxy.Context) -> (seconds :UInt64);
    # Since 1970.
}

interface Alarm extends(Clock) {
    ring @0 (context :Proxy.Context, at :UInt64, text :Text) -> ();
}
