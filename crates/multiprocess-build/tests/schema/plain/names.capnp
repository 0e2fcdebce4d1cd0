# Names that are taken, in Rust or in the generated code.

@0xb4f1c1d7e8a90007;

interface Names {
    type @0 (self :Text, match :UInt8) -> (result :Text);
    close @1 (params :Text, cx :Option, object :Option, results :List(Text), value :Text, hasValue :Bool, reader :Int32) -> (list :List(Text), item :List(Text), i :List(Text), decoder :Text, self :Text);
    new @2 (interface :UInt64, method :UInt16) -> (results :UInt8);

    struct Nested {
        const limit :UInt32 = 4;

        inner @0 :Inner;
        kind @1 :Kind;

        struct Inner {
            txID @0 :UInt32;
            listIDs @1 :List(UInt32);
            async @2 :Bool;
        }
        enum Kind {
            own @0 $Rename.name("itself");
            result @1;
        }
    }
    show @3 (nested :Nested) -> (result :List(Nested.Kind));
}

using Rename = import "/capnp/rust.capnp";

struct Option {
    string @0 :Text;
}

struct Taken {
    # Names that setters cannot have.

    clone @0 :Int32;
    new @1 :Text;
    default @2 :Bool;
    copy @3 :Int8 $Rename.name("clone_");
}

struct NamesCloseResults {
    vec @0 :Data;
}
