# Calls of every shape: what comes and goes, and what the runtime alone sees.
#
# A second paragraph.

@0xb4f1c1d7e8a90001;

using Proxy = import "/mp/proxy.capnp";

interface Errand {
    # Runs errands.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    destroy @1 (context :Proxy.Context) -> ();

    plain @2 () -> ();
    # Neither takes nor gives anything, and runs on no thread of the caller's.

    one @3 (context :Proxy.Context, name :Text) -> (result :Text);
    several @4 (context :Proxy.Context, bytes :Data, count :UInt32) -> (reason :Text, size :UInt64, result :Bool);
    # Gives several results.

    silent @5 (context :Proxy.Context, threads :Proxy.ThreadMap, nothing :Void, value :Bool) -> (threads :Proxy.ThreadMap, result :Bool);
    hidden @6 (context :Proxy.Context, args :Args, more :Int32 $Proxy.count(0), value :Int8) -> (result :Int8);
    structs @7 Request -> Reply;
    getTxIDs @8 (context :Proxy.Context) -> (result :List(UInt64));
}

struct Args $Proxy.count(0) {
    # Stands for no argument.
    unused @0 :Int32;
}

struct Request {
    text @0 :Text;
}

struct Reply {
    answer @0 :Text;
}
