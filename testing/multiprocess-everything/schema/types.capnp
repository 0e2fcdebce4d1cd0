# The plain values that the interfaces in this directory pass, grouped by feature. `unions.capnp`
# has the unions and the recursive types.

@0xf6ae40769e24dc7a;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";

annotation note @0xd80906501bbba724 (struct, field, enum) :Text;
# An annotation that no generator knows.

annotation capnpcName @0xc2fe4c6d100166d0 (struct, field, enumerant) :Text;
# The annotation with which capnpc's own schemas name things in Rust.

# --- Numbers, text, enums -------------------------------------------------------------------------

struct Scalars $note("every type that is not a pointer, and the two plainest that are") {
    nothing @0 :Void;
    flag @1 :Bool;
    int8 @2 :Int8;
    int16 @3 :Int16;
    int32 @4 :Int32;
    int64 @5 :Int64;
    uint8 @6 :UInt8;
    uint16 @7 :UInt16;
    uint32 @8 :UInt32;
    uint64 @9 :UInt64;
    float32 @10 :Float32;
    float64 @11 :Float64;
    text @12 :Text;
    data @13 :Data;
    color @14 :Color;
    weather @15 :Weather;
}

enum Color {
    red @0;
    green @1;
    blue @2;
}

enum Weather {
    # Its names are used already: by the variant for unknown numbers, and by Rust.
    unknown @0;
    self @1;
    rainy @2 $capnpcName("wet");
}

struct Point $Rust.derive("Eq, Hash, PartialOrd, Ord") {
    # Stands for a struct of a user.
    x @0 :Int32;
    y @1 :Int32;
}

# --- Defaults -------------------------------------------------------------------------------------

struct Defaults {
    # Every field has a default in the schema.
    flag @0 :Bool = true;
    int8 @1 :Int8 = -128;
    int16 @2 :Int16 = -2;
    int32 @3 :Int32 = -3;
    int64 @4 :Int64 = -9223372036854775808;
    uint8 @5 :UInt8 = 255;
    uint16 @6 :UInt16 = 6;
    uint32 @7 :UInt32 = 7;
    uint64 @8 :UInt64 = 18446744073709551615;
    float32 @9 :Float32 = -1.5;
    float64 @10 :Float64 = inf;
    text @11 :Text = "a \"quoted\"\n{text}";
    data @12 :Data = 0x"00 ff 7f";
    color @13 :Color = blue;
    numbers @14 :List(Int16) = [1, -2, 3];
    texts @15 :List(Text) = ["one", "two"];
    flags @16 :List(Bool) = [true, false, true];
    point @17 :Point = (x = 17);
    points @18 :List(Point) = [(x = 1, y = 2), (y = 4)];
    nested @19 :List(List(UInt32)) = [[1], [], [2, 3]];
    inner @20 :Inner = (label = "given");
    colors @21 :List(Color) = [blue, red];

    struct Inner {
        # Has defaults of its own.
        label @0 :Text = "own";
        amount @1 :Int32 = 41;
    }
}

# --- Lists ----------------------------------------------------------------------------------------

struct Lists {
    voids @0 :List(Void);
    flags @1 :List(Bool);
    int8s @2 :List(Int8);
    int16s @3 :List(Int16);
    int32s @4 :List(Int32);
    int64s @5 :List(Int64);
    uint8s @6 :List(UInt8);
    uint16s @7 :List(UInt16);
    uint32s @8 :List(UInt32);
    uint64s @9 :List(UInt64);
    float32s @10 :List(Float32);
    float64s @11 :List(Float64);
    texts @12 :List(Text);
    datas @13 :List(Data);
    colors @14 :List(Color);
    points @15 :List(Point);
    numbers @16 :List(List(Int32));
    rows @17 :List(List(Point));
    words @18 :List(List(Text));
    deep @19 :List(List(List(Bool)));
    palettes @20 :List(List(Color));
    silences @21 :List(List(Void));
}

# --- Absent values --------------------------------------------------------------------------------

struct Nullables {
    # A null pointer is None; a value that is present and empty is not None.
    point @0 :Point $Rust.nullable;
    text @1 :Text $Rust.nullable;
    data @2 :Data $Rust.nullable;
    list @3 :List(Int32) $Rust.nullable;
    table @4 :List(Amount) $Rust.nullable $Rust.hashMap;
    id @5 :Data $Rust.nullable $Rust.type("crate::codecs::Id");
}

struct Optionals {
    # A Bool beside the value says whether it is present.
    hasNumber @0 :Bool;
    number @1 :Int32;
    flag @2 :Bool;
    hasFlag @3 :Bool;
    text @4 :Text;
    hasText @5 :Bool;
    point @6 :Point;
    hasPoint @7 :Bool;
    color @8 :Color;
    hasColor @9 :Bool;
    list @10 :List(Text);
    hasList @11 :Bool;
    group :group {
        inner @12 :UInt64;
        hasInner @13 :Bool;
    }
    hasNothing @14 :Bool;
    # A value like any other: there is no field `nothing`.
}

# --- Maps and sets --------------------------------------------------------------------------------

struct Collections {
    hashSet @0 :List(Int32) $Rust.hashSet;
    btreeSet @1 :List(Int32) $Rust.btreeSet;
    texts @2 :List(Text) $Rust.hashSet;
    datas @3 :List(Data) $Rust.btreeSet;
    colors @4 :List(Color) $Rust.btreeSet;
    points @5 :List(Point) $Rust.hashSet;
    hashMap @6 :List(Amount) $Rust.hashMap;
    btreeMap @7 :List(Amount) $Rust.btreeMap;
    byPoint @8 :List(Labelled) $Rust.hashMap;
    byColor @9 :List(Painted) $Rust.btreeMap;
    sections @10 :List(Section) $Rust.btreeMap;
    pairs @11 :List(Pair(Text, Point)) $Rust.hashMap;
    lists @12 :List(Pair(Data, List(Int32))) $Rust.btreeMap;
    plain @13 :List(Amount);
}

struct Amount {
    name @0 :Text;
    value @1 :Int32;
}

struct Labelled {
    at @0 :Point;
    label @1 :Text;
}

struct Painted {
    color @0 :Color;
    points @1 :List(Point);
}

struct Section {
    # A map of maps.
    name @0 :Text;
    amounts @1 :List(Amount) $Rust.hashMap;
}

# --- Custom Rust types ----------------------------------------------------------------------

struct Coded {
    age @0 :Int64 $Rust.type("crate::codecs::Age");
    port @1 :UInt32 = 8333 $Rust.type("std::num::NonZeroU32") $Rust.codec("multiprocess::TryConvert<u32>");
    id @2 :Data $Rust.type("crate::codecs::Id");
    ids @3 :List(Data) $Rust.type("Vec<crate::codecs::Id>") $Rust.codec("multiprocess::Each<crate::codecs::Id>");
    maybe @4 :Int64 $Rust.type("crate::codecs::Age");
    hasMaybe @5 :Bool;
    place @6 :Point $Rust.type("(i32, i32)") $Rust.codec("crate::codecs::Tuple");
    kind @7 :Color $Rust.type("char") $Rust.codec("crate::codecs::Letter");
}

struct CodedWithDefault $Rust.derive("Default") {
    # Asks for the Default that the generator cannot know about.
    age @0 :Int64 $Rust.type("crate::codecs::Age");
}

# --- Hidden fields ---------------------------------------------------------------------------

struct Partial {
    # Only one of these fields exists in Rust.
    kept @0 :Text;
    skipped @1 :Text $Proxy.skip;
    nothing @2 :Void;
    hidden @3 :Hidden;
}

struct Hidden $Proxy.count(0) {
    value @0 :Int32;
}

struct Secret {
    user @0 :Text;
    password @1 :Text $Rust.redacted;
    token :union {
        none @2 :Void;
        key @3 :Data $Rust.redacted;
    }
}

# --- Names ----------------------------------------------------------------------------------------

struct Type {
    # It and its fields have the names of keywords or of things in Rust.
    self @0 :Int32;
    type @1 :Text;
    async @2 :Bool;
    crate @3 :Text;
    dyn @4 :Int32;
    txIDs @5 :List(Text);
    old @6 :Text $Rust.name("fresh");
    cplus @7 :Text $Proxy.name("c_plus");
    both @8 :Text $Proxy.name("not_this") $Rust.name("this");
    capnpc @9 :Text $capnpcName("from_capnpc");
    option @10 :Option;
    cx @11 :Int32;
    from @12 :Int32;
    to @13 :Int32;
    value @14 :Int32;

    struct Option {
        # Nested, so its name begins with the outer one's.
        some @0 :Int32;
    }
}

struct Result {
    # Rust has a `Result` already.
    ok @0 :Text;
    vec @1 :Vec;
}

struct Vec $Rust.name("Vector") {
    x @0 :Int32;
}

# --- Generics -------------------------------------------------------------------------------------

struct Pair(First, Second) {
    first @0 :First;
    second @1 :Second;
}

struct Tagged(T) {
    tag @0 :Text;
    value @1 :T;
    pairs @2 :List(Pair(Text, T));
    twice @3 :Pair(T, T);
    inner @4 :Inner;
    chain @5 :Tagged(T);

    struct Inner {
        # Inherits the parameter.
        value @0 :T;
        count @1 :UInt32;
    }
}

struct Tags {
    # A generic struct with all kinds of arguments.
    text @0 :Tagged(Text);
    data @1 :Tagged(Data);
    point @2 :Tagged(Point);
    numbers @3 :Tagged(List(Int32));
    any @4 :Tagged(AnyPointer);
    unbound @5 :Tagged;
    nested @6 :Tagged(Pair(Text, Point));
    inner @7 :Tagged(Text).Inner;
}

# --- AnyPointer ------------------------------------------------------------------

struct Open {
    any @0 :AnyPointer;
    struct @1 :AnyStruct;
    list @2 :AnyList;
}
