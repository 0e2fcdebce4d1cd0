# The interfaces of the tests of streaming calls.

@0xc4b81f3e6a90d275;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

interface Flow {
    # The bootstrap object.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    open @1 (context :Proxy.Context) -> (result :Sink $Rust.notNull);
    # The sink.

    openPlain @2 (context :Proxy.Context) -> (result :PlainSink $Rust.notNull);
    # The same, without a destroy method.
}

interface PlainSink {
    # Takes numbers, until the last handle on it is dropped.

    write @0 (context :Proxy.Context, number :UInt32) -> stream;
    # Takes a number.
}

interface Sink {
    # Takes numbers.

    destroy @0 (context :Proxy.Context) -> ();

    write @1 (context :Proxy.Context, number :UInt32, data :Data) -> stream;
    # Takes a number, and bytes that only make the message larger.

    note @2 (number :UInt32) -> stream;
    # The same without a context.

    done @3 (context :Proxy.Context) -> (result :List(UInt32));
    # The numbers that it took.

    count @4 () -> (result :UInt32);
    # How many it took, without a context.

    tell @5 (context :Proxy.Context, number :UInt32, listener :Listener $Rust.notNull) -> stream;
    # The same as write; the listener is called first.

    again @6 (context :Proxy.Context) -> (result :Sink $Rust.notNull);
    # The same sink.

    weigh @7 (context :Proxy.Context, data :Data) -> (result :UInt32);
    # How many bytes these are.
}

interface Listener {
    # Is called with each number.

    hear @0 (context :Proxy.Context, number :UInt32) -> ();
}
