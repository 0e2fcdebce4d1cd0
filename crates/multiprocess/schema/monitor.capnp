# What a process of this runtime tells of itself to one that asks: for `bitcoin-ipc top`, and programs like it.
#
# A server that has it answers it on its bootstrap object, beside the object's own interface. None of its methods
# has a Context, so a client need not exchange ThreadMaps.

@0xf7556b820f0b04c9;

using Rust = import "/rust-multiprocess.capnp";

interface Monitor @0xe1e80ae206b2b94f {
    # Tells what a process is doing.

    snapshot @0 () -> (result :Snapshot);
    # What it is doing at this moment.
}

struct Snapshot {
    # What a process was doing at one moment.

    pid @0 :UInt32;
    # The process.

    program @1 :Text;
    # Its program's name.

    countedFor @2 :UInt64;
    # For how many nanoseconds the calls of `methods` have been counted; 0: they are not.

    busy @3 :Bool;
    # The connections or the threads could not be looked at, and are not all here.

    connections @4 :List(ConnectionNow);
    # Its connections by their numbers.

    threads @5 :List(ThreadNow);
    # The threads of the runtime, and those of the program that call or serve.

    limits @6 :List(LimitMet);
    # The limits that were met since the process began.

    methods @7 :List(MethodCounts);
    # The calls that have ended, by methods.
}

struct ConnectionNow {
    # One connection.

    number @0 :UInt64;
    # Its number in the process.

    peer @1 :Text;
    # The peer's name, or that of its process; empty where it is not known.

    hasCredentials @2 :Bool;
    # The socket tells who the peer is.

    pid @3 :UInt32;
    # The peer's process; 0 where it is not known.

    uid @4 :UInt32;
    # The peer's user.

    age @5 :UInt64;
    # How many nanoseconds it has existed.

    ended @6 :Text;
    # Why it has ended; empty if it has not.

    unsent @7 :UInt64;
    # Bytes that are not written, because the peer does not read them.

    busy @8 :Bool;
    # What follows could not be looked at.

    objects @9 :UInt64;
    # Objects of the process that the peer can call.

    held @10 :UInt64;
    # Objects and threads of the peer's that the process has.

    heldBytes @11 :UInt64;
    # Bytes of the peer's calls that the process holds.

    calls @12 :List(CallNow);
    # The process's calls of the peer.

    serves @13 :List(CallNow);
    # The peer's calls of the process.
}

struct CallNow {
    # A call that is under way.

    method @0 :Text;
    # `Interface.method`.

    age @1 :UInt64;
    # How many nanoseconds ago it was sent or arrived.

    thread @2 :Text;
    # The thread that made or runs it; empty if there is none.

    state @3 :Text;
    # What it waits for, or who waits for it.
}

struct ThreadNow {
    # One thread.

    name @0 :Text;
    # Its name, with its number in the process.

    own @1 :Bool;
    # The runtime has started it.

    runs @2 :Text;
    # The method that it runs; empty if there is none.

    waits @3 :Text;
    # The method whose answer it waits for; empty if there is none.
}

struct LimitMet {
    # A limit that was met.

    limit @0 :Text;
    # Its name.

    times @1 :UInt64;
    # How often.
}

struct MethodCounts {
    # The calls of one method that have ended, on one side.

    method @0 :Text;
    # `Interface.method`.

    served @1 :Bool;
    # Peers made the calls; else the process did.

    answered @2 :UInt64;
    # Calls that returned results.

    failed @3 :UInt64;
    # Calls that returned an error.

    cancelled @4 :UInt64;
    # Calls that their caller let go.

    timedOut @5 :UInt64;
    # Calls whose deadline passed.

    lost @6 :UInt64;
    # Calls that ended because the connection did.

    parameterBytes @7 :UInt64;
    # Bytes of the messages with their parameters.

    resultBytes @8 :UInt64;
    # Bytes of the messages with their results.

    time @9 :UInt64;
    # How many nanoseconds they took together.

    longest @10 :UInt64;
    # How many nanoseconds the longest took.

    buckets @11 :List(UInt64);
    # The numbers of calls by their time: bucket 0 has those of less than a microsecond, bucket n those of less than 2^n
    # microseconds, and the last one all longer ones.
}
