# Methods that return their argument: one for each struct of `types.capnp` and `unions.capnp`, and
# for types that are not structs.

@0xbd37a98048c126e2;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Types = import "types.capnp";
using Unions = import "unions.capnp";
using Color = Types.Color;
using Point = Types.Point;

interface Values {
    # Each returns its argument. Some have a Context and some have none.

    scalars @0 (context :Proxy.Context, arg :Types.Scalars) -> (result :Types.Scalars);
    defaults @1 (context :Proxy.Context, arg :Types.Defaults) -> (result :Types.Defaults);
    lists @2 (context :Proxy.Context, arg :Types.Lists) -> (result :Types.Lists);
    nullables @3 (arg :Types.Nullables) -> (result :Types.Nullables);
    optionals @4 (arg :Types.Optionals) -> (result :Types.Optionals);
    collections @5 (context :Proxy.Context, arg :Types.Collections) -> (result :Types.Collections);
    coded @6 (context :Proxy.Context, arg :Types.Coded) -> (result :Types.Coded);
    codedWithDefault @7 (arg :Types.CodedWithDefault) -> (result :Types.CodedWithDefault);
    partial @8 (arg :Types.Partial) -> (result :Types.Partial);
    secret @9 (arg :Types.Secret) -> (result :Types.Secret);
    keywords @10 (arg :Types.Type) -> (result :Types.Type);
    results @11 (arg :Types.Result) -> (result :Types.Result);
    tags @12 (context :Proxy.Context, arg :Types.Tags) -> (result :Types.Tags);
    open @13 (context :Proxy.Context, arg :Types.Open) -> (result :Types.Open);

    shape @14 (context :Proxy.Context, arg :Unions.Shape) -> (result :Unions.Shape);
    event @15 (arg :Unions.Event) -> (result :Unions.Event);
    account @16 (arg :Unions.Account) -> (result :Unions.Account);
    chosen @17 (arg :Unions.Chosen) -> (result :Unions.Chosen);
    grouped @18 (arg :Unions.Grouped) -> (result :Unions.Grouped);
    tree @19 (context :Proxy.Context, arg :Unions.Tree) -> (result :Unions.Tree);
    expr @20 (context :Proxy.Context, arg :Unions.Expr) -> (result :Unions.Expr);
    ping @21 (arg :Unions.Ping) -> (result :Unions.Ping);
    link @22 (arg :Unions.Link) -> (result :Unions.Link);
    eithers @23 (context :Proxy.Context, arg :Unions.Eithers) -> (result :Unions.Eithers);

    direct @24 (context :Proxy.Context, flag :Bool, int8 :Int8, int64 :Int64, uint16 :UInt16,
            float32 :Float32, float64 :Float64, text :Text, data :Data, color :Color,
            points :List(Point))
        -> (flag :Bool, int8 :Int8, int64 :Int64, uint16 :UInt16, float32 :Float32,
            float64 :Float64, text :Text, data :Data, color :Color, points :List(Point));
    # The same without a struct.

    withDefaults @25 (context :Proxy.Context, number :Int32 = 7, text :Text = "seven",
            point :Point = (x = 7), numbers :List(Int16) = [7, 7], color :Color = blue)
        -> (number :Int32 = -7, text :Text = "minus seven", point :Point = (x = -7),
            numbers :List(Int16) = [-7], color :Color = green);
    # Parameters and results that have defaults.

    sets @26 (words :List(Text) $Rust.btreeSet, amounts :List(Types.Amount) $Rust.hashMap)
        -> (words :List(Text) $Rust.btreeSet, amounts :List(Types.Amount) $Rust.hashMap);
    # A set and a map without a struct.

    nullable @27 (context :Proxy.Context, text :Text $Rust.nullable, point :Point $Rust.nullable)
        -> (text :Text $Rust.nullable, point :Point $Rust.nullable);
    # Values that may be null pointers.

    age @28 (age :Int64 $Rust.type("crate::codecs::Age")) -> (age :Int64 $Rust.type("crate::codecs::Age"));
    # A custom Rust type.

    any @29 (any :AnyPointer) -> (any :AnyPointer);
    # An AnyPointer.

    generic @30 [T] (value :T) -> (value :T);
    # A type parameter of the method, which is an AnyPointer as well.

    point @31 Point -> Point;
    # A struct in place of the parameters: its fields are the arguments.

    eventFields @32 Unions.Event -> Unions.Event;
    # The same with a union among the fields.

    shapeFields @33 Unions.Shape -> Unions.Shape;
    # The same with nothing but a union.

    sum @34 (values :List(List(Int64))) -> (result :Int64);
    # The sum of all, which wraps.

    wraps @35 (context :Proxy.Context, arg :Unions.Wraps) -> (result :Unions.Wraps);
    # Each returns its argument, like the first ones.

    borrowed @36 (context :Proxy.Context, number :Int64, text :Text, data :Data, color :Color,
            point :Point, points :List(Point), texts :List(Text), numbers :List(List(Int32)),
            tree :Unions.Tree, absent :Text $Rust.nullable, maybe :Text, hasMaybe :Bool)
        -> (result :Text, bytes :UInt64) $Rust.borrowed;
    # The arguments as one text, and the sum of the data's bytes; the served object reads them from
    # the message.

    borrowedInline @37 (texts :List(Text)) -> (result :UInt32) $Rust.borrowed;
    # The number of texts, without a Context.
}
