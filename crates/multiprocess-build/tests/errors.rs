//! What cannot be mapped is an error that names the file, the interface, the method, the field,
//! and what is wrong with it. Nothing panics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error};

/// Each with a schema, and what is said of it (without the file's name).
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "capability",
        "interface I { m @0 (v :Capability) -> (); }",
        "interface I, method m, parameter v
    Capability is not supported
    instead: an interface",
    ),
    (
        "argument",
        "struct Box(T) { value @0 :T; }\nenum E { a @0; }\n\
         interface I { m @0 (a :Box(List(E)), b :Box(List(Void)), c :Box(List(List(UInt8)))); }",
        "interface I, method m, parameter a
    a list of enums as a type argument is not supported
    instead: a list of UInt16, or a struct
interface I, method m, parameter b
    a list of Void as a type argument is not supported
    instead: a list of numbers, or a struct
interface I, method m, parameter c
    a list of UInt8 as a type argument is not supported
    instead: Data",
    ),
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
        "struct S { v @0 :Text $Rust.notNull; w @1 :Text $Rust.shared; }",
        "struct S, field v
    notNull is for interfaces only
    instead: it without the annotation
struct S, field w
    shared is for interfaces only
    instead: it without the annotation",
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
    instead: type of /rust-multiprocess.capnp beside it
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
    hashMap and btreeMap are for lists of structs only
    instead: a list of structs with two fields, key and value
struct S, field f
    hashSet and btreeSet are for lists only
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
    notNull is for interfaces only
    instead: it without the annotation",
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
        "using S = import \"/capnp/schema.capnp\";\nstruct T { n @0 :S.CapnpVersion; }",
        "struct T, field n
    CapnpVersion is declared in capnp/schema.capnp, which is not among this crate's schemas
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
        "interface I { m @0 (v :Capability, w :Capability) -> (x :Capability); }",
        "interface I, method m, parameter v
    Capability is not supported
    instead: an interface
interface I, method m, parameter w
    Capability is not supported
    instead: an interface
interface I, method m, result x
    Capability is not supported
    instead: an interface",
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

/// Each with a schema, an older version of it, and what is said of the two (without the file's name).
const VERSIONS_REFUSED: &[(&str, &str, &str, &str)] = &[
    (
        "destroy_moved",
        "interface I { destroy @0 (context :Proxy.Context) -> (); m @1 (); }",
        "interface I { m @0 (); destroy @1 (context :Proxy.Context) -> (); }",
        "interface I
    in version 1: construct or destroy is another method there",
    ),
    (
        "destroy_is_another_method",
        "interface I { destroy @0 (context :Proxy.Context) -> (); }\n\
         interface J { m @0 (); }\ninterface K { m @0 (); }",
        "interface I { m @0 (); }\ninterface J { destroy @0 (); }\n\
         interface K { m @0 (); destroy @1 (); }",
        "interface I
    in version 1: construct or destroy is another method there
interface J
    in version 1: construct or destroy is another method there",
    ),
    (
        "destroy_without_context",
        "interface I { destroy @0 (context :Proxy.Context) -> (); }",
        "interface I { destroy @0 () -> (); }",
        "interface I
    in version 1: construct or destroy is another method there",
    ),
    (
        "construct_moved",
        "interface I { construct @0 (m :Proxy.ThreadMap) -> (m :Proxy.ThreadMap); m @1 (); }",
        "interface I { m @0 (); construct @1 (m :Proxy.ThreadMap) -> (m :Proxy.ThreadMap); }",
        "interface I
    in version 1: construct or destroy is another method there",
    ),
    (
        "enum_renumbered",
        "enum E { red @0; green @1; }\nenum F { red @0; green @1; }\nenum G { red @0; }",
        "enum E { green @0; red @1; }\nenum F { red @0; }\nenum G { red @0; green @1; }",
        "enum E
    in version 1: the numbers of its values differ",
    ),
    (
        "union_tag_moved",
        "struct S { union { a @0 :Void; b @1 :Void; } v @2 :Int32; }",
        "struct S { v @0 :Int32; union { a @1 :Void; b @2 :Void; } }",
        "union SWhich
    in version 1: its members lie otherwise",
    ),
    (
        "union_members_moved",
        "struct S { union { a @0 :Int32; b @1 :Text; } v @2 :Text; }\n\
         struct T { union { a @0 :Int32; b @1 :Text; } }\n\
         struct U { union { a @0 :Int32; b @1 :Text; } }\n\
         struct V { union { a @0 :Int32; b @1 :Int32 = 5; } }\n\
         struct W { union { a @0 :Int32; b @1 :Int32; c @2 :Void; } }",
        "struct S { v @0 :Text; union { a @1 :Int32; b @2 :Text; } }\n\
         struct T { union { a @0 :Int32; b @1 :Data; } }\n\
         struct U { union { b @1 :Text; a @0 :Float32; } }\n\
         struct V { union { a @0 :Int32; b @1 :Int32; } }\n\
         struct W { union { a @0 :Int32; b @1 :Int32; } }",
        "union SWhich
    in version 1: its members lie otherwise
union T
    in version 1: its members lie otherwise
union U
    in version 1: its members lie otherwise
union V
    in version 1: its members lie otherwise",
    ),
    (
        "union_or_struct",
        "struct S { union { a @0 :Int32; b @1 :Text; } }",
        "struct S { a @0 :Int32; b @1 :Text; }",
        "union S
    in version 1: its members lie otherwise",
    ),
    (
        "only_in_the_older",
        "interface I { n @0 (); }\nstruct T @0x9a3fc509624c7299 { v @0 :Int32; }",
        "interface I { n @0 (); m @1 (v :List(J)) -> (); o @2 () -> (t :T); p @3 () -> (u :U); }\n\
         interface J {}\nstruct T @0x9a3fc509624c7298 { v @0 :Int32; }\nstruct U { v @0 :Int32; }",
        "interface I
    in version 1: m has a type that the newest lacks
interface I
    in version 1: o has a type that the newest lacks",
    ),
    (
        // What came last is no matter, but here something moved as well.
        "no_default",
        "interface J {}\nstruct S { a @0 :Int32 = 2; o @1 :J $Rust.notNull; p @2 :J; }\n\
         interface I { n @0 (); \
         m @1 (a :Int32, o :J $Rust.notNull, p :J) -> (a :Int32, r :J $Rust.notNull); }",
        "struct S { a @0 :Int32; }\ninterface I { m @0 (a :Int32) -> (a :Int32); }",
        "struct S
    in version 1: o: it is lacking, and has no default
interface I
    in version 1: m, r: it is lacking, and has no default",
    ),
    (
        "another_type",
        "struct S { a @0 :Int32; }\nstruct T { u :union { a @0 :Void; b @1 :Void; } v @2 :Int32; }",
        "struct S { a @0 :Text; }\nstruct T { v @0 :Int32; u :union { a @1 :Void; b @2 :Void; } }",
        "struct S, field a
    the field has another type in an older version
struct T, field u
    the field has another type in an older version",
    ),
];

#[test]
fn what_no_type_can_stand_for_in_all_versions_is_reported() {
    let own: Vec<String> =
        VERSIONS_REFUSED.iter().map(|(name, ..)| format!("{name}.capnp")).collect();
    let set = |text: fn(&(&str, &'static str, &'static str, &str)) -> &'static str| {
        let texts = VERSIONS_REFUSED.iter().map(text);
        own.iter().map(String::as_str).zip(texts).collect::<Vec<_>>()
    };
    let builder = write("versions", &set(|(_, newest, ..)| newest));
    let older = directory("versions").join("older");
    write_schemas(&older, &set(|(_, _, older, _)| older));
    let Err(Error::Unsupported(problems)) = builder.older_version("1", older).compile() else {
        panic!("the versions are mapped");
    };
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for mut problem in problems {
        assert!(problem.instead.take().is_some(), "{problem}");
        let text = problem.to_string().replace(problem.file.as_str(), "");
        let said = said.entry(stem(&problem.file)).or_default();
        *said += text.strip_prefix(": ").unwrap_or(&text);
        *said += "\n";
    }
    for (name, _, _, want) in VERSIONS_REFUSED {
        let text = said.remove(*name).unwrap_or_default();
        assert_eq!(text.trim_end(), *want, "{name}");
    }
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn there_can_be_31_versions_in_all() {
    let mut builder = write("many_versions", &[("file.capnp", "interface I { m @0 (); }")]);
    let older = directory("many_versions").join("schema");
    for version in 0..31 {
        builder = builder.older_version(version.to_string(), &older);
    }
    let error = builder.compile().expect_err("an error").to_string();
    assert_eq!(error, "there can be 30 older versions at most");
}

#[test]
fn the_error_reads_well_and_debug_is_the_same() {
    let schema = "struct S {}\n\ninterface I {\n  m @0 (v :Capability);\n}";
    let error = compile("text", &[("file.capnp", schema)]);
    let error = error.expect_err("an error");
    let text = error.to_string();
    assert_eq!(format!("{error:?}"), text, "main shows Debug");
    let (head, rest) = text.split_once("\n\n  ").expect("a list");
    assert_eq!(head, "the schemas say what has no mapping to Rust");
    // The line is that of the declaration: the compiler gives none of what is in it.
    let want = "file.capnp:6: interface I, method m, parameter v\n    \
                Capability is not supported\n    instead: an interface";
    assert!(rest.ends_with(want), "{text}");
}

#[test]
fn what_only_capnpc_cannot_do_is_refused_only_with_it() {
    let schema = "using R = import \"/capnp/rust.capnp\";\n$R.parentModule(\"a\");\n\
                  interface I { async @0 (); }\nstruct Dyn {}\nenum E { self @0; }";
    let files = [("file.capnp", schema)];
    compile("without_raw", &files).expect("proxies alone");
    let error = write("with_raw", &files).raw(true).compile().expect_err("an error");
    let text = error.to_string();
    for part in [
        "capnp\n    capnpc's annotations for the place of the raw code are not supported\n    instead: \
         Builder::module",
        ":6: interface I, method async\n    capnpc cannot name this method\n    instead: another \
         name",
        ":7: struct Dyn\n    capnpc cannot name this type\n    instead: another name",
        ":8: enum E, enumerant self\n    capnpc cannot name this enumerant\n    instead: another \
         name",
    ] {
        assert!(text.contains(part), "{part}\n\n{text}");
    }
}

#[test]
fn another_crates_types_are_used_and_not_generated() {
    let other = "interface Other {}\nstruct Record { v @0 :Int32; }";
    let own = "using O = import \"a.capnp\";\nstruct S { r @0 :O.Record; o @1 :O.Other; }\n\
               interface I extends(O.Other) {}";
    let builder = write("provided", &[("a.capnp", other), ("b.capnp", own)]);
    let builder = builder.crate_provides("other::generated", [0xa93fc509624c7200]);
    builder.compile().expect("proxies");
    let out = directory("provided").join("out");
    assert!(out.join("b.rs").exists() && !out.join("a.rs").exists());
    let error = write("provided", &[("a.capnp", other)]).crate_provides("no path", [1]);
    let error = error.compile().expect_err("an error").to_string();
    assert!(error.starts_with("\"::no path\" is no path of a module"), "{error}");
}

#[test]
fn file_names_that_are_no_modules() {
    let error = compile(
        "modules",
        &[("a-b.capnp", ""), ("a_b.capnp", ""), ("2.capnp", ""), ("multiprocess.capnp", "")],
    );
    let text = error.expect_err("an error").to_string();
    assert!(text.contains("two schema files would be the Rust module a_b: "), "{text}");
    assert!(text.contains("the file's name gives no name for a Rust module: \"2\""), "{text}");
    assert!(text.contains("the file's name is that of the generated file"), "{text}");
}

#[test]
fn mistakes_in_a_schema_are_the_compilers() {
    let error = compile("syntax", &[("file.capnp", "struct {")]);
    assert!(matches!(error, Err(Error::Compiler { .. })), "{error:?}");
    let error = compile("import", &[("file.capnp", "using A = import \"no.capnp\";")]);
    assert!(matches!(error, Err(Error::Compiler { .. })), "{error:?}");
}

#[test]
fn a_builder_that_cannot_work_says_why() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("errors/builder");
    let error = Builder::new().out_dir(&out).compile().expect_err("an error");
    assert!(error.to_string().starts_with("there is no schema"), "{error}");
    let error = Builder::new().out_dir(&out).schema_dir("no/such").compile().expect_err("an error");
    assert!(error.to_string().starts_with("cannot read the directory no/such: "), "{error}");
    let error = Builder::new().out_dir(&out).file("no.capnp").compile().expect_err("an error");
    assert!(error.to_string().starts_with("cannot find no.capnp: "), "{error}");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/plain/scalars.capnp");
    let builder = Builder::new().out_dir(&out).file(schema).system_capnp("/no/capnp");
    let error = builder.compile().expect_err("an error");
    assert!(error.to_string().starts_with("cannot run /no/capnp: "), "{error}");
}

/// Compiles schemas, given as pairs of a file name and its text (without what all have).
fn compile(test: &str, files: &[(&str, &str)]) -> Result<(), Error> {
    write(test, files).compile()
}

/// Writes the schemas to a directory of the test's own.
fn write(test: &str, files: &[(&str, &str)]) -> Builder {
    let directory = directory(test);
    let _ = std::fs::remove_dir_all(&directory);
    write_schemas(&directory.join("schema"), files);
    Builder::new()
        .schema_dir(directory.join("schema"))
        .import_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema"))
        .out_dir(directory.join("out"))
}

/// Files of the same place have the same id.
fn write_schemas(directory: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(directory).expect("a directory to write to");
    for (number, (name, text)) in files.iter().enumerate() {
        let text = format!(
            "@0xa93fc509624c72{number:02x};\n\
             using Proxy = import \"/mp/proxy.capnp\";\n\
             using Rust = import \"/rust-multiprocess.capnp\";\n{text}"
        );
        std::fs::write(directory.join(name), text).expect("a schema to write");
    }
}

fn directory(test: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("errors").join(test)
}

fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or_default().to_owned()
}
