# Methods for the properties of calls other than their values: thread, order, errors, outputs, names.

@0xe5a5dde35e430a2c;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Types = import "types.capnp";

interface Calls {
    # --- Threads

    threadName @0 (context :Proxy.Context) -> (result :Text);
    # The name of the thread that runs it.

    note @1 (value :Int32) -> ();
    notes @2 () -> (result :List(Int32));
    # Notes values without a Context: in the order of the calls.

    # --- Results

    several @3 (context :Proxy.Context) -> (number :Int32, text :Text, point :Types.Point, flags :List(Bool));
    nothing @4 (context :Proxy.Context, nothing :Void, value :Int32) -> (nothing :Void);
    # Several results, and no visible one.

    maybe @5 (context :Proxy.Context, value :Int32, hasValue :Bool) -> (result :Text, hasResult :Bool);
    # The value as text, if it is present.

    maybeBoth @6 (context :Proxy.Context, value :Int32) -> (even :Int32, hasEven :Bool, odd :Types.Point, hasOdd :Bool);
    # One of the two.

    wanted @7 (context :Proxy.Context, text :Text, wantWords :Bool, wantReversed :Bool) -> (length :UInt32, words :List(Text), reversed :Text);
    # The further results only if asked for.

    wantedOne @8 (context :Proxy.Context, wantResult :Bool) -> (result :Types.Point);
    # The only result, if asked for.

    wantedMaybe @9 (context :Proxy.Context, wantResult :Bool) -> (result :Int32, hasResult :Bool);
    # The method decides whether the result is present; it is absent if not asked for.

    hidden @10 (context :Proxy.Context, hidden :Types.Hidden, secret :Int32 $Proxy.count(0), shown :Int32, two :Types.Point $Proxy.count(2)) -> (result :Int32, hidden :Types.Hidden);
    # Parameters and results that users do not see.

    # --- Errors

    fail @11 (context :Proxy.Context, message :Text) -> ();
    # Fails with the message.

    panic @12 (context :Proxy.Context) -> ();
    # Panics.

    missing @13 (context :Proxy.Context) -> (number :Int32, text :Text);
    # Not implemented by the server.

    look @14 (context :Proxy.Context, name :Text) -> (result :Text, count :Int32, notFound :NotFound $Proxy.exception("NotFound"), denied :Denied $Proxy.exception("Denied"));
    # Fails with one of two typed errors, selected by name.

    check @15 (value :Int32) -> (denied :Denied $Proxy.exception("Denied"));
    # Fails if the value is negative; without a Context.

    # --- Waiting

    chunk @16 (bytes :Data) -> stream;
    chunks @17 () -> (count :UInt32, total :UInt64);
    # Takes bytes, and returns a description of them.

    wait @18 (context :Proxy.Context, name :Text) -> (result :Bool) $Rust.longWait $Rust.interruptedBy("interrupt");
    # Waits until it is interrupted (false) or released by name (true).

    interrupt @19 () -> ();
    # Ends the waits that are under way.

    release @20 (name :Text) -> ();
    # Releases a wait, now or later.

    waiting @21 () -> (result :UInt32);
    # The number of waits.

    meet @22 (context :Proxy.Context, count :UInt32) -> (result :UInt32);
    # Answers when this many calls of it are under way.

    # --- Names

    move @23 (context :Proxy.Context, self :Int32, type :Text, async :Bool) -> (match :Int32, fn :Text, dyn :Bool);
    clone @24 (context :Proxy.Context, cx :Int32, to :Int32, from :Int32, value :Int32, object :Int32, results :Int32, call :Int32) -> (result :Int32);
    close @25 () -> (self :Text);
    # The names of things in Rust.

    oldName @26 (context :Proxy.Context, oldParam :Int32 $Rust.name("newParam")) -> (result :Int32) $Rust.name("newName");
    proxyName @27 () -> (result :Text) $Proxy.name("proxied");
    # Has another name in Rust.
}

struct NotFound {
    # A typed error.
    name @0 :Text;
    tried @1 :List(Text);
}

struct Denied $Rust.derive("Eq") {
    # Another one.
    code @0 :Int32;
    reason :union $Rust.derive("Eq") {
        none @1 :Void;
        text @2 :Text;
    }
}
