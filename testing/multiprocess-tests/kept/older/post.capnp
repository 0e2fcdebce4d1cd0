# An older version of `kept/old`: a default of Letter is another, Parcel is the same.

@0xc6a1d84f03b7e295;

using Proxy = import "/mp/proxy.capnp";

interface Post {
    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    send @1 (context :Proxy.Context, letter :Letter, all :List(Letter), parcel :Parcel) -> (letter :Letter, all :List(Letter), parcel :Parcel);
    # Returns the same.
}

struct Letter {
    text @0 :Text;
    urgent @1 :Bool = true;
    from :group {
        name @2 :Text;
        how :union { post @3 :Void; hand @4 :Float32; }
    }
    union { plain @5 :Void; sealed @6 :Data; }
}

struct Parcel { union { none @0 :Void; small @1 :Text; } }
