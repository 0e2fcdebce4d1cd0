@0xb4f1c1d7e8a90004;

enum Color {
    # What something looks like.

    red @0;
    # As blood.
    deepBlue @1;
    unknown @2;
}

enum Lone {
    only @0;
}

const favorite :Color = deepBlue;

interface Painter {
    mix @0 (color :Color, palette :List(Color)) -> (result :Color);
    palettes @1 () -> (result :List(List(Color)));
}

struct Brush {
    color @0 :Color = deepBlue;
    other @1 :Color;
    hasOther @2 :Bool;
    used @3 :List(Color);
}
