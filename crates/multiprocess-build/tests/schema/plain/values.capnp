@0xb4f1c1d7e8a90013;

enum Color { red @0; green @1; blue @2; }

struct Paint {
    # Defaults of every kind.

    color @0 :Color = blue;
    names @1 :List(Text) = ["a", "b"];
    mix @2 :List(Part) = [(share = 2), (color = green)];
    base @3 :Part = (share = 7);
    label @4 :Text = "none";
    bytes @5 :Data = 0x"01 ff";
    grid @6 :List(List(Int16)) = [[1], [], [-2, 3]];
    how :union {
        brush @7 :Void;
        spray @8 :Part = (share = 9);
    }
}

struct Part {
    color @0 :Color;
    share @1 :UInt8 = 1;
}

const answer :Int32 = 42;
const greeting :Text = "hello";
const magic :Data = 0x"f9 be b4 d9";
const primes :List(UInt8) = [2, 3, 5];
const words :List(List(Text)) = [["a"], ["b", "c"]];
const favourite :Color = green;
const mixed :Part = (color = green, share = 3);
const parts :List(Part) = [(share = 2), ()];
const nothing :Void = void;
