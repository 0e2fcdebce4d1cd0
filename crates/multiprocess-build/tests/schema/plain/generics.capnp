@0xb4f1c1d7e8a90011;

struct Pair(First, Second) {
    # Two of any kind.

    first @0 :First;
    second @1 :Second;
}

struct Table(Row) {
    rows @0 :List(Entry);
    struct Entry {
        row @0 :Row;
        next @1 :Entry;
    }
}

interface Store(Item) {
    # Keeps items.

    put @0 (item :Item) -> (before :Item);
    all @1 () -> (items :Table(Item), count :UInt64);
    open @2 () -> (store :Store(Item));
}

interface Texts extends(Store(Text)) {
    join @0 (with :Pair(Text, List(Int32))) -> (text :Text);
    any @1 [T] (value :T, pair :Pair) -> (value :AnyPointer);
}

enum Color { red @0; green @1; }

struct Lists {
    # Lists of what is no type argument itself.

    colors @0 :Pair(List(Color), List(List(Color)));
    bytes @1 :Pair(List(UInt8), List(List(UInt8)));
    nothing @2 :Pair(List(Void), Text);
}
