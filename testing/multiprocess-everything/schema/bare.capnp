# Structs with the layout of others, without their annotations. The tests use them to send values
# that the annotated ones refuse.

@0xf8d4616f5cdd14e2;

using Rust = import "/rust-multiprocess.capnp";
$Rust.name("unmarked");
using Types = import "types.capnp";
using Unions = import "unions.capnp";
using Foo = import "foo.capnp";

interface Cell(T) {
    # Keeps one value. The two sides can use different structs as `T`.
    set @0 (value :T) -> ();
    get @1 () -> (value :T);
}

struct BareCollections {
    hashSet @0 :List(Int32);
    btreeSet @1 :List(Int32);
    texts @2 :List(Text);
    datas @3 :List(Data);
    colors @4 :List(Types.Color);
    points @5 :List(Types.Point);
    hashMap @6 :List(Types.Amount);
    btreeMap @7 :List(Types.Amount);
    byPoint @8 :List(Types.Labelled);
    byColor @9 :List(Types.Painted);
    sections @10 :List(BareSection);
}

struct BareSection {
    name @0 :Text;
    amounts @1 :List(Types.Amount);
}

struct BareCoded {
    age @0 :Int64;
    port @1 :UInt32 = 8333;
    id @2 :Data;
    ids @3 :List(Data);
    maybe @4 :Int64;
    hasMaybe @5 :Bool;
    place @6 :Types.Point;
    kind @7 :Types.Color;
}

struct BareHolder {
    callback @0 :Foo.FooCallback;
    always @1 :Foo.FooCallback;
    shared @2 :Foo.FooCallback;
}

struct BarePartial {
    # Shows what the other one skips.
    kept @0 :Text;
    skipped @1 :Text;
}

struct BareDefaults {
    # The pointer fields of the other one, without the defaults: absent unless given.
    text @0 :Text $Rust.nullable;
    data @1 :Data $Rust.nullable;
    numbers @2 :List(Int16) $Rust.nullable;
    texts @3 :List(Text) $Rust.nullable;
    flags @4 :List(Bool) $Rust.nullable;
    point @5 :Types.Point $Rust.nullable;
}

struct BareShape {
    # A shape of a later version of the schema, with one more member.
    union {
        nothing @0 :Void;
        circle @1 :Float64;
        rectangle :group {
            width @2 :Float32;
            height @3 :Float32;
        }
        label @4 :Text;
        color @5 :Types.Color;
        point @6 :Types.Point;
        numbers @7 :List(Int32);
        maybe @8 :Types.Point;
        flag @9 :Bool;
        pair @10 :Types.Pair(Text, Types.Point);
        big @11 :UInt64;
        set @12 :List(Int32);
        id @13 :Data;
        later @14 :Text;
    }
}
