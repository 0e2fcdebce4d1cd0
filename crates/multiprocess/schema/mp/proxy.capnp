# The common part of all schemas: threads to which calls are sent, and annotations for the
# generators. Ids and names are fixed by the peers (libmultiprocess and Bitcoin Core); a schema
# imports this file as "/mp/proxy.capnp".

@0xcc316e3f71a040fb;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("mp");

annotation include @0xb899f3c154fdb458 (file) :Text;
# A C++ header that declares the wrapped types. Not used in Rust.

annotation includeTypes @0xbcec15648e8a0cf1 (file) :Text;
# A C++ header with the conversions of the wrapped types. Not used in Rust.

annotation wrap @0xe6f46079b7b1405e (interface, struct) :Text;
# The C++ type that the interface or struct stands for. Not used in Rust.

annotation count @0xd02682b319f69b38 (param, struct, interface) :Int32;
# How many arguments of the user's method a parameter stands for. 0: none, users do not see it.

annotation exception @0x996a183200992f88 (param) :Text;
# A result that is a typed error rather than a value.

annotation name @0xb594888f63f4dbb9 (field, method) :Text;
# The name in C++ where it is not the schema's.

annotation skip @0x824c08b82695d8dd (field) :Void;
# A field that C++ neither reads nor writes.

interface ThreadMap @0xee5e37179ad9dc9d $count(0) {
    # Makes threads in the serving process on which the calling process wants its calls to run.

    makeThread @0 (name :Text) -> (result :Thread);
    # Starts a thread. It ends when the last reference to the result is released.

    makePool @1 (count :UInt32) -> ();
    # Starts threads for the calls whose context names no thread.
}

interface Thread @0x81c1e2600d0b56c5 {
    # One thread of the serving process.

    getName @0 () -> (result :Text);
    # The name of the thread in a debugger or log.
}

struct Context $count(0) {
    # Where a call runs, and where the calls that it makes back to the caller run.

    thread @0 :Thread;
    # A thread of the serving process, from its makeThread.

    callbackThread @1 :Thread;
    # The calling thread: it serves callbacks while it waits for this call.
}
