# The interfaces of the tests of what passes through a process with an older schema.

@0xc6a1d84f03b7e295;

using Proxy = import "/mp/proxy.capnp";

interface Post {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    send @1 (context :Proxy.Context, letter :Letter, all :List(Letter), parcel :Parcel) -> (letter :Letter, all :List(Letter), parcel :Parcel);
    # Returns the same.
}

struct Letter {
    text @0 :Text;
    urgent @1 :Bool;
    from :group {
        name @2 :Text;
        how :union { post @3 :Void; hand @4 :Float32; air @7 :UInt32; }
    }
    union { plain @5 :Void; sealed @6 :Data; cased @8 :Parcel; }

    heavy @9 :Bool;
    # In the word that `urgent` is in.

    grams @10 :UInt64;
    # In a word of its own.

    stamps @11 :List(Text);
    watcher @12 :Watcher;
    # An object of the sender's.
}

struct Parcel { union { none @0 :Void; small @1 :Text; large :group { sides @2 :List(UInt32); weight @3 :UInt16; } } }

interface Watcher { seen @0 (context :Proxy.Context, by :Text) -> (by :Text); }
