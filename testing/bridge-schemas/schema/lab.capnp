# What a call can do.

@0xd2a7c41f8e63b905;

using Proxy = import "/mp/proxy.capnp";

interface Init {
    # As libmultiprocess has it: the caller names the thread that runs the call.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeLab @1 (context :Proxy.Context) -> (lab :Lab);

    threadName @2 (context :Proxy.Context) -> (name :Text);
    # The name of the thread that runs this.
}

interface Lab {
    echo @0 (text :Text) -> (text :Text);

    counter @1 (start :Int64) -> (counter :Counter);
    # A new object, which is this caller's.

    callBack @2 (callback :Callback, times :UInt32) -> (texts :List(Text));
    # Calls `callback` so often, before it returns what that has returned.

    next @3 (counter :Counter) -> (value :Int64, counter :Counter);
    # Counts on an object of the caller's or of its own, and returns the object as well.

    never @4 () -> ();
    # Does not return.

    fail @5 (kind :Kind, text :Text) -> ();
    # Fails in this way.

    unserved @6 () -> ();
    # No server has this method.

    sink @7 () -> (sink :Sink);
}

enum Kind {
    failed @0;
    overloaded @1;
    disconnected @2;
    unimplemented @3;
}

interface Counter {
    next @0 () -> (value :Int64);
}

interface Callback {
    call @0 (number :UInt32) -> (text :Text);
}

interface Sink {
    write @0 (data :Data) -> stream;
    # An empty one fails.

    done @1 () -> (bytes :UInt64);
}
