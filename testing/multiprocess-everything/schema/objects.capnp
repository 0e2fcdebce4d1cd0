# Methods that pass objects: callbacks, functions, interfaces that extend others, generic
# interfaces, and objects that return further ones.

@0x9317cf8de89b61ae;

using Proxy = import "/mp/proxy.capnp";
using Rust = import "/rust-multiprocess.capnp";
using Types = import "types.capnp";
using Foo = import "foo.capnp";
using Calls = import "calls.capnp";

interface Objects {
    # Hands objects out and takes some.

    passCallback @0 (context :Proxy.Context, callback :Foo.FooCallback) -> (result :Foo.FooCallback);
    # Returns its argument, which may be null.

    passShared @1 (context :Proxy.Context, callback :Foo.FooCallback $Rust.shared) -> (result :Foo.FooCallback $Rust.shared);
    # The same as an `Arc` of the trait.

    notNull @2 (context :Proxy.Context, callback :Foo.FooCallback $Rust.notNull) -> (result :Foo.FooCallback $Rust.notNull);
    # The same, never null.

    callEach @3 (context :Proxy.Context, callbacks :List(Foo.FooCallback), arg :Int32) -> (results :List(Int32), callbacks :List(Foo.FooCallback));
    # What each returns, -1 for a null, and the callbacks once more.

    passHolder @4 (context :Proxy.Context, holder :Holder) -> (result :Holder);
    # Returns its argument, a struct with objects in it.

    callNone @5 (context :Proxy.Context, fn :FnNone $Rust.notNull) -> ();
    callOne @6 (context :Proxy.Context, fn :FnOne $Rust.notNull, a :Int32) -> (result :Int32);
    callTwo @7 (context :Proxy.Context, fn :FnTwo $Rust.notNull, a :Text, b :Types.Point) -> (result :Text);
    callThree @8 (context :Proxy.Context, fn :FnThree $Rust.notNull, a :Int32, b :Int64, c :List(Int32)) -> (sum :Int64, count :UInt32);
    # Call a function, and return what it returns.

    makeWhole @9 (context :Proxy.Context, name :Text) -> (result :Whole $Rust.notNull);
    # An object of an interface that extends others.

    nameOf @10 (context :Proxy.Context, named :Named $Rust.notNull) -> (result :Text);
    # The name that the object returns.

    describe @11 (context :Proxy.Context, whole :Whole $Rust.notNull) -> (result :Text);
    # Everything that the object returns.

    makeTexts @12 (context :Proxy.Context) -> (result :Store(Text) $Rust.notNull);
    makePoints @13 (context :Proxy.Context) -> (result :Store(Types.Point) $Rust.notNull);
    makeLists @14 (context :Proxy.Context) -> (result :Store(List(Int32)) $Rust.notNull);
    makeOpen @15 (context :Proxy.Context) -> (result :Store $Rust.notNull);
    makeCallbacks @16 (context :Proxy.Context) -> (result :Store(Foo.FooCallback) $Rust.notNull);
    makeCounted @17 (context :Proxy.Context) -> (result :CountedStore $Rust.notNull);
    # Empty stores.

    longest @18 (context :Proxy.Context, store :Store(Text) $Rust.notNull) -> (result :Text);
    # The longest text in it.

    root @19 (context :Proxy.Context) -> (result :Folder $Rust.notNull);
    # A folder in which every name opens another one, three levels deep.

    makeCounter @20 (context :Proxy.Context) -> (result :Counter $Rust.notNull);
    # A new counter.

    counters @21 () -> (result :UInt32);
    # The number of counters that exist.

    makeUpload @22 (context :Proxy.Context) -> (result :Upload $Rust.notNull);
    # A new upload.
}

struct Holder {
    # Objects in fields of each kind.
    callback @0 :Foo.FooCallback;
    always @1 :Foo.FooCallback $Rust.notNull;
    shared @2 :Foo.FooCallback $Rust.shared;
    list @3 :List(Foo.FooCallback);
    choice :union {
        none @4 :Void;
        one @5 :Foo.FooCallback;
        sure @6 :Foo.FooCallback $Rust.notNull;
    }
    pair @7 :Types.Pair(Text, Foo.FooCallback);
}

# --- Functions: interfaces with one method --------------------------------------------------------

interface FnNone {
    call @0 (context :Proxy.Context) -> ();
}

interface FnOne {
    call @0 (context :Proxy.Context, a :Int32) -> (result :Int32);
}

interface FnTwo {
    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, a :Text, b :Types.Point) -> (result :Text);
}

interface FnThree {
    call @0 (context :Proxy.Context, a :Int32, b :Int64, c :List(Int32)) -> (sum :Int64, count :UInt32);
}

# --- Interfaces that extend others ----------------------------------------------------------------

interface Named {
    destroy @0 (context :Proxy.Context) -> ();
    name @1 (context :Proxy.Context) -> (result :Text);
}

interface Sized {
    size @0 () -> (result :UInt32);
}

interface Part extends(Named) {
    index @0 (context :Proxy.Context) -> (result :Int32);
}

interface Tinted extends(Named) {
    color @0 (context :Proxy.Context) -> (result :Types.Color);
}

interface Whole extends(Part, Sized, Tinted) {
    # Several parents, two of which extend the same one themselves.

    parts @0 (context :Proxy.Context) -> (result :List(Part));
    rename @1 (context :Proxy.Context, name :Text) -> (old :Text);
}

# --- Generic interfaces ---------------------------------------------------------------------------

interface Store(T) {
    # Keeps values by name.

    put @0 (context :Proxy.Context, name :Text, value :T) -> (count :UInt32);
    get @1 (context :Proxy.Context, name :Text) -> (value :T, found :Bool);
    all @2 (context :Proxy.Context) -> (result :List(Entry));
    each @3 (context :Proxy.Context, visitor :Visitor $Rust.notNull) -> ();

    struct Entry {
        name @0 :Text;
        value @1 :T;
    }

    interface Visitor {
        # Inherits the parameter.
        visit @0 (context :Proxy.Context, name :Text, value :T) -> ();
    }
}

interface CountedStore extends(Store(Types.Point)) {
    # A store of points, which counts.
    puts @0 (context :Proxy.Context) -> (result :UInt32);
}

# --- Objects that return further ones ------------------------------------------------------------

interface Folder {
    path @0 (context :Proxy.Context) -> (result :Text);
    open @1 (context :Proxy.Context, name :Text) -> (result :Folder $Rust.notNull);
    # Fails if it is too deep.

    find @2 (context :Proxy.Context, name :Text) -> (result :Folder);
    # None if it is too deep.

    openInline @3 (name :Text) -> (result :Folder $Rust.notNull);
    pathInline @4 () -> (result :Text);
    # The same without a Context.

    visit @5 (context :Proxy.Context, name :Text) -> (notFound :Calls.NotFound $Proxy.exception("NotFound"), result :Folder $Rust.notNull);
    # Like `open`, with a typed error for `nowhere`, so that the result is not the first pointer.
}

interface Upload {
    write @0 (context :Proxy.Context, bytes :Data) -> stream;
    # Takes more bytes; fails if there are none.

    done @1 (context :Proxy.Context) -> (bytes :Data, count :UInt32);
    # All bytes that were written, and the number of calls.
}

interface Counter {
    destroy @0 (context :Proxy.Context) -> ();
    next @1 (context :Proxy.Context) -> (result :Int64);
}
