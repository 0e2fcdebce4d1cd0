# An equivalent of every method that libmultiprocess's own tests have (its interface is called
# FooInterface), in the same order and on the same wire types.

@0x932cef364b7612cc;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Types = import "types.capnp";

interface Foo {
    add @0 (a :Int32, b :Int32) -> (result :Int32);
    # The sum.

    addOut @1 (a :Int32, b :Int32) -> (ret :Int32);
    # The sum, under another name.

    addInOut @2 (x :Int32, sum :Int32) -> (sum :Int32);
    # The sum, in a parameter that is a result as well.

    mapSize @3 (map :List(Types.Pair(Text, Text)) $Rust.hashMap) -> (result :Int32);
    # The number of entries.

    pass @4 (arg :FooStruct) -> (result :FooStruct);
    # Returns its argument.

    raise @5 (arg :FooStruct) -> (error :FooStruct $Proxy.exception("FooStruct"));
    # Fails with its argument.

    initThreadMap @6 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    # Exchanges the ThreadMaps once more.

    callback @7 (context :Proxy.Context, callback :FooCallback $Rust.notNull, arg :Int32) -> (result :Int32);
    callbackUnique @8 (context :Proxy.Context, callback :FooCallback $Rust.notNull, arg :Int32) -> (result :Int32);
    callbackShared @9 (context :Proxy.Context, callback :FooCallback $Rust.notNull $Rust.shared, arg :Int32) -> (result :Int32);
    # What the callback returns for the argument. The second method drops the callback before it
    # answers.

    saveCallback @10 (context :Proxy.Context, callback :FooCallback $Rust.shared) -> ();
    # Keeps the callback, or drops the last one.

    callbackSaved @11 (context :Proxy.Context, arg :Int32) -> (result :Int32);
    # What the kept callback returns.

    callbackExtended @12 (context :Proxy.Context, callback :ExtendedCallback $Rust.notNull, arg :Int32) -> (result :Int32);
    # What the further method returns.

    passCustom @13 (arg :FooCustom $Rust.type("crate::codecs::Custom")) -> (result :FooCustom $Rust.type("crate::codecs::Custom"));
    # Returns its argument, of a type that is not generated.

    passEmpty @14 (arg :FooEmpty) -> (result :FooEmpty);
    passData @15 (arg :Data) -> (result :Data);
    # Return their argument.

    passMessage @16 (arg :FooMessage) -> (result :FooMessage);
    passMutable @17 (arg :FooMutable) -> (arg :FooMutable);
    # Append ` call`.

    passEnum @18 (arg :Int32 $Rust.type("crate::codecs::FooEnum")) -> (result :Int32 $Rust.type("crate::codecs::FooEnum"));
    # Returns its argument, a Rust enum that is sent as a number.

    passDouble @19 (arg :Float64) -> (result :Float64);
    # Returns its argument.

    passFn @20 (context :Proxy.Context, fn :FooFn $Rust.notNull) -> (result :Int32);
    # What the function returns.

    callFn @21 () -> ();
    callFnAsync @22 (context :Proxy.Context) -> ();
    callIntFnAsync @23 (context :Proxy.Context, arg :Int32) -> (result :Int32);
    # Call a function that the serving process was given by its own program.

    passDataPointers @24 (arg :List(Data) $Rust.type("Vec<crate::codecs::SharedBytes>") $Rust.codec("multiprocess::Each<crate::codecs::Bytes>"))
        -> (result :List(Data) $Rust.type("Vec<crate::codecs::SharedBytes>") $Rust.codec("multiprocess::Each<crate::codecs::Bytes>"));
    # Returns its argument, bytes that are shared without a copy.
}

interface FooCallback {
    # Called back by a Foo.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, arg :Int32) -> (result :Int32);
}

interface ExtendedCallback extends(FooCallback) {
    # A callback with a further method.

    callExtended @0 (context :Proxy.Context, arg :Int32) -> (result :Int32);
}

interface FooFn {
    # A function.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context) -> (result :Int32);
}

struct FooStruct {
    # Containers, and a value that may be absent.
    name @0 :Text;
    setInt @1 :List(Int32) $Rust.btreeSet;
    vectorBool @2 :List(Bool);
    optionalInt @3 :Int32;
    hasOptionalInt @4 :Bool;
    unorderedSetInt @5 :List(Int32) $Rust.hashSet;
    mapStringInt @6 :List(StringIntPair) $Rust.btreeMap;
}

struct FooCustom {
    v1 @0 :Text;
    v2 @1 :Int32;
}

struct FooEmpty {
}

struct FooMessage {
    message @0 :Text;
}

struct FooMutable {
    message @0 :Text;
}

struct StringIntPair {
    first @0 :Text;
    second @1 :Int32;
}
