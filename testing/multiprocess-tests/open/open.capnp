# The interfaces of the tests of values that the schema leaves open: objects of any interface, pointers to
# anything, type parameters.

@0xd2c35f1a7b8e9046;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Persistent = import "/capnp/persistent.capnp".Persistent;

interface Keeper {
    # Keeps what it is given.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    keep @1 (context :Proxy.Context, object :Capability) -> (before :Capability);
    # Returns what was kept before.

    echo @2 (context :Proxy.Context, any :AnyPointer) -> (any :AnyPointer);
    # The same.

    all @3 (context :Proxy.Context, objects :List(Capability), sure :Capability $Rust.notNull) -> (objects :List(Capability));
    # The objects, then the sure one.

    lists @4 (context :Proxy.Context, box :Box(List(Color)), bytes :Box(List(UInt8)), nothing :Box(List(Void))) -> (colors :List(Color), bytes :List(UInt8), nothing :List(Void));
    # What is in the boxes.

    lend @5 (context :Proxy.Context) -> (tool :Tool $Rust.notNull);
    # A new tool of the keeper's.

    tools @6 (context :Proxy.Context) -> (count :Int32);
    # How many of its tools there are.

    save @7 (context :Proxy.Context, params :Persistent(Text, Text).SaveParams) -> (results :Persistent(Text, Text).SaveResults);
    # Types of a schema of Cap'n Proto's own.

    fail @8 (context :Proxy.Context, how :Text) -> (denied :Trouble $Proxy.exception("Denied"), locked :Trouble $Proxy.exception("Locked"), text :Text $Proxy.exception("Text"));
    # Two exceptions of one type, and one of another.
}

struct Trouble { what @0 :Text; }

struct Box(T) { value @0 :T; }

enum Color { red @0; green @1; }

interface Named {
    name @0 (context :Proxy.Context) -> (name :Text);
}

interface Tool extends(Named) {
    # An object with a destroy method.

    destroy @0 (context :Proxy.Context) -> ();
    use @1 (context :Proxy.Context, number :Int32) -> (number :Int32);
}
