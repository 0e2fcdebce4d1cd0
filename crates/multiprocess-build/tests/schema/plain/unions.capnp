@0xb4f1c1d7e8a90010;

struct Shape {
    # Nothing but a union: an enum.

    union {
        none @0 :Void;
        circle @1 :Float64;
        # Its radius.
        named @2 :Text;
        corners @3 :List(Point);
        inside :group {
            outer @4 :Shape;
            width @5 :UInt16;
        }
    }
}

struct Point {
    x @0 :Int32;
    y @1 :Int32;
}

struct Person {
    # Fields, a union without a name, and one with a name.

    name @0 :Text;
    union {
        child @1 :Void;
        adult @2 :UInt16 = 18;
    }
    work :union {
        none @3 :Void;
        employer @4 :Text;
        self :group {
            since @5 :UInt16;
            hasSince @6 :Bool;
        }
    }
    address :group {
        street @7 :Text;
        number :group {
            main @8 :UInt32;
            floor @9 :Int8;
        }
    }
}

interface Draw {
    draw @0 Shape -> Point;
    move @1 (shape :Shape, by :Point) -> (shape :Shape, moved :Bool);
}
