@0xb4f1c1d7e8a90021;

using Lab = import "/lab.capnp";

interface Clinic extends(Lab.Counter) {
    # Extends another crate's interface, and passes its objects.

    treat @0 (counter :Lab.Counter, callbacks :List(Lab.Callback)) -> (lab :Lab.Lab);
}

struct Room { counter @0 :Lab.Counter; }
