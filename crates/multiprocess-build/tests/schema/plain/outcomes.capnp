@0xb4f1c1d7e8a90014;

using Proxy = import "/mp/proxy.capnp";

interface Outcomes {
    # Typed errors, requested outputs, in-out parameters, threads anywhere.

    pay @0 (context :Proxy.Context, amount :UInt64) -> (change :UInt64, noFunds :NoFunds $Proxy.exception("NoFunds"), why :Text $Proxy.exception("std::string"));
    look @1 (wantName :Bool, wantAge :Bool) -> (name :Text, age :UInt32);
    one @2 (wantX :Bool) -> (x :Int32);
    addInOut @3 (x :Int32, sum :Int32) -> (sum :Int32);
    swap @4 (threadMap :Proxy.ThreadMap, value :Int32) -> (threadMap :Proxy.ThreadMap);
    send @5 (chunk :Data) -> stream;
    hidden @6 (internal :NoFunds $Proxy.count(0), pair :Text $Proxy.count(2)) -> (result :Int32 = 5);
    type @7 () $Proxy.name("renamed_in_cpp");
    initThreadMap @8 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    # Only that.
}

struct NoFunds {
    # There is not enough.

    missing @0 :UInt64 $Proxy.name("lacking");
    unused @1 :Text $Proxy.skip;
}
