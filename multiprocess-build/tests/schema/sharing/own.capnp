@0xb4f1c1d7e8a90021;

using Shared = import "shared.capnp";

interface Guide extends(Shared.Map) {
    near @0 (place :Shared.Place) -> (places :List(Shared.Place), map :Shared.Map);
}

struct Trip { stops @0 :List(Shared.Place); by @1 :Shared.Kind; }
