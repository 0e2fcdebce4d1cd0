# Unions of each kind, groups, and types that contain themselves.

@0xcea1c434f3bae27c;

using Rust = import "/rust-multiprocess.capnp";
using Types = import "types.capnp";
using Color = Types.Color;
using Point = Types.Point;

# --- Unions ---------------------------------------------------------------------------------------

struct Shape {
    # Nothing but an unnamed union: an enum.
    union {
        nothing @0 :Void;
        circle @1 :Float64;
        rectangle :group {
            width @2 :Float32;
            height @3 :Float32;
        }
        label @4 :Text;
        color @5 :Color;
        point @6 :Point;
        numbers @7 :List(Int32);
        maybe @8 :Point $Rust.nullable;
        flag @9 :Bool;
        pair @10 :Types.Pair(Text, Point);
        big @11 :UInt64;
        set @12 :List(Int32) $Rust.btreeSet;
        id @13 :Data $Rust.type("crate::codecs::Id");
    }
}

struct Event $Rust.derive("Eq") {
    # Fields, and an unnamed union.
    id @0 :UInt64;
    which @1 :Text;
    # Has the name that the union's type would have.
    union {
        started @2 :Void;
        moved @3 :Point;
        failed @4 :Text = "for no reason";
        unknown @5 :Int32;
        # Has the name of the variant for unknown numbers.
    }
}

struct Account {
    # Two named unions; one of them in a group of the other.
    owner @0 :Text;
    state :union {
        open @1 :Void;
        frozen @2 :Text;
        closed :group {
            by @3 :Text;
            reason :union {
                asked @4 :Void;
                code @5 :Int32 = -1;
            }
        }
    }
    kind :union $Rust.derive("Eq, Hash") {
        # The members are not in the order of their ordinals.
        private @7 :Int32;
        company @6 :Text;
    }
}

struct Chosen {
    # Unions with a default in the schema.
    shape @0 :Shape = (label = "chosen");
    event @1 :Event = (id = 7, moved = (x = 1, y = 2));
    shapes @2 :List(Shape) = [(circle = 0.5), (nothing = void), (rectangle = (width = 1, height = 2))];
}

# --- Groups ---------------------------------------------------------------------------------------

struct Grouped {
    name @0 :Text;
    position :group {
        x @1 :Int32 = 3;
        y @2 :Int32;
        limits :group {
            low @3 :Float64;
            high @4 :Float64 = 1.5;
            names @5 :List(Text);
        }
    }
    trailer :group {
        x @6 :Int32;
    }
}

# --- Types that contain themselves ----------------------------------------------------------------

struct Tree {
    value @0 :Int32;
    left @1 :Tree;
    right @2 :Tree;
    children @3 :List(Tree);
}

struct Expr {
    # Through a union and its groups.
    union {
        number @0 :Int64;
        name @1 :Text;
        negate @2 :Expr;
        sum :group {
            left @3 :Expr;
            right @4 :Expr;
        }
        call :group {
            function @5 :Text;
            arguments @6 :List(Expr);
        }
    }
}

struct Ping {
    # Through another struct.
    depth @0 :UInt32;
    pong @1 :Pong;
}

struct Pong {
    text @0 :Text;
    ping @1 :Ping;
}

struct Link {
    # Through a group.
    label @0 :Text;
    rest :group {
        count @1 :UInt32;
        next @2 :Link;
    }
}

struct Either(Left, Right) {
    # A generic union.
    union {
        left @0 :Left;
        right @1 :Right;
        neither @2 :Void;
    }
}

struct Wrapped(T) {
    # Groups and unions of a generic struct are generic as well.
    inner :group {
        value @0 :T;
        count @1 :UInt32;
    }
    choice :union {
        none @2 :Void;
        one @3 :T;
        more @4 :List(Wrapped(T));
    }
}

struct Wraps {
    text @0 :Wrapped(Text);
    point @1 :Wrapped(Point);
}

struct Eithers {
    text @0 :Either(Text, Point);
    shapes @1 :List(Either(Shape, Data));
}
