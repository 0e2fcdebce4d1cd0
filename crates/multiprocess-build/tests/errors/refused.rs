//! Declarations that cannot be mapped, and the places that the errors name.

use std::collections::BTreeMap;

use multiprocess_build::Error;

use super::{compile, stem};

/// A name, a schema, and its error (without the file's name).
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "exception",
        "interface I { m @0 (e :Text $Proxy.exception(\"E\")) -> (f :Int32 $Proxy.exception(\"E\")); }",
        "interface I, method m, parameter e
    a typed exception can be a result only
    instead: no annotation exception
interface I, method m, result f
    a typed exception of this type is not supported
    instead: a struct",
    ),
    (
        "fd",
        "interface I { m @0 (a :I $Rust.fd, b :Text $Rust.fd, c :Capability $Rust.fd $Rust.hashSet); \
         n @1 (d :Capability $Rust.fd) $Rust.borrowed; e @2 () -> (e :Capability $Rust.fd $Proxy.exception(\"E\")); }",
        "interface I, method m, parameter a
    fd (Mark::fd) is for the type Capability only
    instead: Capability, or the same without it
interface I, method m, parameter b
    fd (Mark::fd) is for the type Capability only
    instead: Capability, or the same without it
interface I, method m, parameter c
    hashSet (Mark::hash_set) is for lists only
    instead: a list
interface I, method e, result e
    a typed exception of this type is not supported
    instead: a struct
interface I, method n, parameter d
    a method cannot borrow a file descriptor
    instead: the method without borrowed",
    ),
    (
        "type_of_results",
        "interface I { a @0 () $Rust.type(\"A\"); b @1 () -> stream $Rust.type(\"B\");\n\
         c @2 (wantX :Bool) -> (x :Text) $Rust.type(\"C\"); d @3 () -> (r :Int32) $Rust.codec(\"D\"); }",
        "interface I, method a
    type on a method is for its results, and this one has none
    instead: no type
interface I, method b
    type on a method is for its results, and this one has none
    instead: no type
interface I, method c
    a result that the caller asks for has no place in another type
    instead: no type
interface I, method d
    a codec is for a Rust type, and there is none
    instead: $Rust.type(\"T\") of /rust-multiprocess.capnp beside it, or Mark::rust_type(\"T\") at the same path",
    ),
    (
        "inherited_names",
        "interface A { m @0 (); }\ninterface B { m @0 (); }\ninterface I extends(A, B) {}\n\
         interface J extends(A) { m @0 (); }\ninterface K extends(A) {}\ninterface L extends(A, K) {}",
        "interface I
    the methods m of A and m of B would both be m in Rust
    instead: name of /rust-multiprocess.capnp on one of them
interface J
    the methods m of J and m of A would both be m in Rust
    instead: name of /rust-multiprocess.capnp on one of them",
    ),
    (
        "inherited_arguments",
        "interface A(T) {}\ninterface B extends(A(Data)) {}\ninterface I extends(A(Text), B) {}",
        "interface I
    it extends A with different type arguments
    instead: the same arguments everywhere",
    ),
    (
        "constant",
        "const c :AnyPointer = .d;\nconst d :S = (v = 1);\nstruct S { v @0 :Int32; any @1 :AnyPointer; }\n\
         const e :S = (any = .d);",
        "const C
    a constant that is an AnyPointer is not supported
    instead: a type that says what it is, or Data
const E
    a value of an AnyPointer is not supported
    instead: a type that says what it is, or Data",
    ),
    (
        "constant_without_default",
        "interface I {}\nstruct S { v @0 :Int32; w @1 :Int32; i @2 :I $Rust.notNull; }\n\
         const c :S = (v = 1);\nstruct T { s @0 :S = (v = 1); }",
        "const C
    a value of S, which has no default, is not supported
    instead: on that struct $Rust.derive(\"Default\") (of /rust-multiprocess.capnp) where a type \
is annotated, and no notNull
struct T, field s
    a value of S, which has no default, is not supported
    instead: on that struct $Rust.derive(\"Default\") (of /rust-multiprocess.capnp) where a type \
is annotated, and no notNull",
    ),
    (
        "constant_of_a_type",
        "struct S $Rust.derive(\"Default\") { v @0 :Int32 $Rust.type(\"crate::V\"); w @1 :Int32; }\n\
         const c :S = (v = 1);\nconst d :S = (w = 1);",
        "const C
    a value of a type of the annotation type is not supported within others
    instead: no value for that field",
    ),
    (
        "not_null",
        "struct S { v @0 :Text $Rust.notNull; w @1 :Text $Rust.shared; x @2 :Capability $Rust.shared; }",
        "struct S, field v
    notNull (Mark::not_null) is for interfaces only
    instead: the same without it
struct S, field w
    shared (Mark::shared) is for interfaces only
    instead: the same without it
struct S, field x
    shared (Mark::shared) is for interfaces only
    instead: the same without it",
    ),
    (
        "nullable",
        "interface I { m @0 (v :Int32 $Rust.nullable, w :Text = \"x\" $Rust.nullable); }",
        "interface I, method m, parameter v
    nullable is for structs, lists, text and data only
    instead: a Bool beside it whose name is `has` and this name
interface I, method m, parameter w
    a field with a default is never absent
    instead: either nullable or the default",
    ),
    (
        "flag",
        "struct S { v @0 :Int32; hasV @1 :Bool = true; }",
        "struct S, field hasV
    a default of true for what says whether another is there
    instead: no default",
    ),
    (
        "types",
        "struct S { a @0 :Data $Rust.type(\"bitcoin:Hash\"); b @1 :Data $Rust.codec(\"C\");\n\
         c @2 :List(Text) $Rust.type(\"C\") $Rust.hashSet; d @3 :Data $Rust.type(\"D\") $Rust.codec(\"1\"); }",
        "struct S, field a
    \"bitcoin:Hash\" is no Rust type
    instead: a path such as crate::Age
struct S, field b
    a codec is for a Rust type, and there is none
    instead: $Rust.type(\"T\") of /rust-multiprocess.capnp beside it, or Mark::rust_type(\"T\") at the same path
struct S, field c
    of type, hashMap, btreeMap, hashSet and btreeSet a field can have one
    instead: the one that it is to be
struct S, field d
    \"1\" is no Rust type
    instead: a path such as crate::Age",
    ),
    (
        "maps",
        "struct Three { a @0 :Int32; b @1 :Int32; c @2 :Int32; }\n\
         struct Floats { key @0 :Float64; value @1 :Int32; }\n\
         struct Maybe { key @0 :Text; value @1 :Text $Rust.nullable; }\n\
         struct Either { union { key @0 :Text; value @1 :Text; } }\n\
         struct Endless { key @0 :Text; value @1 :List(Endless) $Rust.hashMap; }\n\
         struct S { a @0 :List(Three) $Rust.hashMap; b @1 :List(Floats) $Rust.btreeMap;\n\
         c @2 :List(Maybe) $Rust.hashMap; d @3 :List(Either) $Rust.hashMap;\n\
         e @4 :List(Text) $Rust.hashMap; f @5 :Text $Rust.hashSet; g @6 :List(Three) $Rust.btreeSet; }",
        "struct Endless, field value
    Endless is no entry of a map: its maps have no end
    instead: a list of it, or a struct around the map
struct S, field e
    hashMap (Mark::hash_map) is for lists of structs only
    instead: a list of structs with two fields, key and value
struct S, field f
    hashSet (Mark::hash_set) is for lists only
    instead: a list
struct S, field a
    Three is no entry of a map: it does not have two fields
    instead: a struct with two fields, key and value
struct S, field b
    a floating point number cannot be a map's key
    instead: a list
struct S, field c
    Maybe is no entry of a map: its key or value can be absent
    instead: a struct that has what is absent, as the value
struct S, field d
    Either is no entry of a map: it is a union
    instead: a struct with two fields, key and value
struct S, field g
    Three, which does not derive Eq, cannot be a set's item
    instead: derive of /rust-multiprocess.capnp on it, with Eq, PartialOrd, Ord; or a list",
    ),
    (
        "interrupt",
        "interface I { m @0 () $Rust.interruptedBy(\"n\"); n @1 (v :Int32); \
         o @2 () $Rust.interruptedBy(\"p\"); }",
        "interface I, method m
    n has parameters, so that it cannot end other calls
    instead: the name, as in the schema, of one that has no parameters
interface I, method o
    p is no method of this interface
    instead: the name, as in the schema, of one that has no parameters",
    ),
    (
        "names",
        "struct S $Rust.name(\"A B\") { v @0 :Text $Rust.name(\"\"); } \
         enum E $Rust.derive(\"Eq;Hash\") { a @0; }",
        "struct S
    \"A B\" is no name in Rust
    instead: letters, digits and _, a letter first
struct S, field v
    \"\" is no name in Rust
    instead: letters, digits and _, a letter first
enum E
    \"Eq;Hash\" is nothing that can be derived
    instead: paths with commas between them, such as Eq, Hash",
    ),
    (
        "group",
        "struct S { g :group $Rust.name(\"h\") { v @0 :Text $Rust.notNull; w @1 :Text; } }",
        "struct S, field g.v
    notNull (Mark::not_null) is for interfaces only
    instead: the same without it",
    ),
    (
        "thread",
        "interface I { m @0 (thread :Proxy.Thread) -> (); }",
        "interface I, method m, parameter thread
    Thread, ThreadMap and Context of /mp/proxy.capnp are no values of a program
    instead: no parameter: the runtime sends them itself",
    ),
    (
        "context_result",
        "interface I { m @0 () -> (context :Proxy.Context); }",
        "interface I, method m, result context
    one Context among the parameters, and one ThreadMap, is all there can be
    instead: no further one",
    ),
    (
        "context_field",
        "struct S { context @0 :Proxy.Context; }",
        "struct S, field context
    a Context or ThreadMap can be a parameter or result only
    instead: no field: the runtime sends them itself",
    ),
    (
        "endless",
        "struct Tree { v @0 :Int32; left @1 :Tree = (v = 1); }",
        "struct Tree, field left
    a struct that by default contains another of its own has no end
    instead: no default",
    ),
    (
        "same_name",
        "struct S { txID @0 :Int32; txId @1 :Int32; union { a @2 :Int32; b @3 :Int32 $Rust.name(\"A\"); } }",
        "struct S
    txID and txId would both be tx_id in Rust
    instead: another name for one of them
struct S
    a and b would both be A in Rust
    instead: another name for one of them",
    ),
    (
        "foreign",
        "using S = import \"/capnp/stream.capnp\";\nstruct T { n @0 :S.StreamResult; }",
        "struct T, field n
    StreamResult is declared in capnp/stream.capnp, which is not among this crate's schemas
    instead: add the file to the Builder, or name its crate with Builder::crate_provides",
    ),
    (
        "capnpc_option",
        "using R = import \"/capnp/rust.capnp\";\nstruct S { v @0 :Text $R.option; }",
        "struct S, field v
    capnpc's annotation option is not supported
    instead: nullable of /rust-multiprocess.capnp",
    ),
    (
        "twice",
        "interface I { m @0 (v :Text $Rust.notNull, w :Text $Rust.notNull) -> (x :Text $Rust.notNull); }",
        "interface I, method m, parameter v
    notNull (Mark::not_null) is for interfaces only
    instead: the same without it
interface I, method m, parameter w
    notNull (Mark::not_null) is for interfaces only
    instead: the same without it
interface I, method m, result x
    notNull (Mark::not_null) is for interfaces only
    instead: the same without it",
    ),
];

#[test]
fn what_cannot_be_mapped_is_all_reported_with_its_place() {
    let files: Vec<(String, &str)> =
        REFUSED.iter().map(|(name, schema, _)| (format!("{name}.capnp"), *schema)).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let Err(Error::Unsupported(problems)) = compile("refused", &files) else {
        panic!("the schemas are mapped");
    };
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for mut problem in problems {
        assert!(problem.line.take().is_some_and(|line| line > 3), "{problem}");
        let text = problem.to_string().replace(problem.file.as_str(), "");
        let said = said.entry(stem(&problem.file)).or_default();
        *said += text.strip_prefix(": ").unwrap_or(&text);
        *said += "\n";
    }
    for (name, _, want) in REFUSED {
        let text = said.remove(*name).unwrap_or_default();
        assert_eq!(text.trim_end(), *want, "{name}");
    }
    assert!(said.is_empty(), "{said:?}");
}

/// Each alone, because nothing is looked at after them.
#[test]
fn types_without_end_are_refused() {
    let refused = |name: &str, schema: &str| {
        let name = format!("endless_{name}");
        compile(&name, &[("file.capnp", schema)]).map_err(|error| error.to_string())
    };
    for (name, schema, want) in [
        ("struct", "struct Rec(T) { v @0 :T; next @1 :Rec(Rec(T)); }", "struct Rec\n    with T it"),
        (
            "list",
            "struct Rec(T) { v @1 :T; next @0 :List(Rec(P(T))); }\nstruct P(X) { x @0 :X; }",
            "struct Rec\n    with T it",
        ),
        (
            "two",
            "struct A(T) { b @0 :B(T); t @1 :T; }\nstruct B(U) { a @0 :A(P(U, Text)); }\n\
             struct P(X, Y) { x @0 :X; y @1 :Y; }",
            "struct B\n    with U it",
        ),
        (
            "object",
            "interface I(T) { m @0 (t :T) -> (i :I(P(T))); }\nstruct P(X) { x @0 :X; }",
            "interface I\n    with T it",
        ),
        (
            "union",
            "struct Rec(T) { union { none @0 :Void; more @1 :Rec(Rec(T)); last @2 :T; } }",
            "struct Rec\n    with T it",
        ),
    ] {
        let error = refused(name, schema).expect_err(name);
        assert!(error.contains(want), "{name}: {error}");
        assert!(error.contains("contains types without end"), "{name}: {error}");
    }
    for (name, schema) in [
        ("same", "struct Rec(T) { v @0 :T; next @1 :Rec(T); }"),
        ("swapped", "struct Rec(T, U) { t @0 :T; u @1 :U; next @2 :Rec(U, T); }"),
        ("fixed", "struct Rec(T) { v @0 :T; next @1 :Rec(List(Text)); }"),
        // It has no parameter in Rust, where nothing is of its type.
        ("unused", "struct Rec(T) { next @0 :Rec(Rec(T)); }"),
        ("once", "struct A(T) { b @0 :B(B(T)); }\nstruct B(U) { u @0 :U; }"),
    ] {
        refused(name, schema).expect(name);
    }
}
