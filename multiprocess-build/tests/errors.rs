//! What cannot be mapped is an error that names the file, the interface, the method, the field,
//! and what is wrong with it. Nothing panics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error};

/// Each with a schema, and what is said of it (without the file's name).
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "union",
        "struct S { union { a @0 :Int32; b @1 :Text; } }",
        "struct S
    a union is not supported
    instead: a field each, of which all but one are absent",
    ),
    (
        "group",
        "struct S { g :group { a @0 :Int32; } }",
        "struct S, field g
    a group is not supported
    instead: a struct",
    ),
    (
        "generic_struct",
        "struct Box(T) { value @0 :T; }\ninterface I { m @0 (b :Box(Text)) -> (); }",
        "struct Box
    generic types are not supported
    instead: a type each
interface I, method m, parameter b
    generic types are not supported
    instead: a type each",
    ),
    (
        "generic_method",
        "interface I { m @0 [T] (v :T) -> (); }",
        "interface I, method m
    generic methods are not supported
    instead: a method each",
    ),
    (
        "any_pointer",
        "interface I { m @0 (v :AnyPointer) -> (); }",
        "interface I, method m, parameter v
    AnyPointer is not supported
    instead: the type itself, or Data",
    ),
    (
        "void_list",
        "struct S { v @0 :List(List(Void)); }",
        "struct S, field v
    a list of Void is not supported
    instead: a number",
    ),
    (
        "exception",
        "interface I { m @0 () -> (error :Text $Proxy.exception(\"E\"), result :Int32); }",
        "interface I, method m, result error
    a typed exception is not supported
    instead: a result that says what failed",
    ),
    (
        "want",
        "interface I { m @0 (wantHash :Bool) -> (hash :Data); }",
        "interface I, method m, parameter wantHash
    asking for an output (wantX) is not supported
    instead: the output always",
    ),
    (
        "in_out",
        "interface I { m @0 (list :List(Text)) -> (list :List(Text)); }",
        "interface I, method m, parameter list
    a parameter that is a result too (in-out) is not supported
    instead: two names",
    ),
    (
        "count",
        "interface I { m @0 (pair :Text $Proxy.count(2)) -> (); }",
        "interface I, method m, parameter pair
    one field for several arguments (count) is not supported
    instead: a field each",
    ),
    (
        "streaming",
        "interface I { m @0 (v :Int32) -> stream; }",
        "interface I, method m
    streaming methods are not supported
    instead: -> ()",
    ),
    (
        "inheritance",
        "interface A {}\ninterface I extends(A) { m @0 (); }",
        "interface I
    an interface that extends another is not supported
    instead: the methods themselves",
    ),
    (
        "list_constant",
        "const c :List(Int32) = [1, 2];",
        "const C
    a constant that is a list or struct is not supported
    instead: constants for its parts",
    ),
    (
        "struct_default",
        "struct A { v @0 :Int32; }\nstruct S { a @0 :A = (v = 1); }",
        "struct S, field a
    a default for a list or struct is not supported
    instead: defaults in the struct's own fields",
    ),
    (
        "not_null",
        "struct S { v @0 :Text $Rust.notNull; }",
        "struct S, field v
    notNull is for interfaces only",
    ),
    (
        "nullable",
        "interface I { m @0 (v :Int32 $Rust.nullable); }",
        "interface I, method m, parameter v
    nullable is for structs, lists, text and data only
    instead: a Bool beside it whose name is `has` and this name",
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
    one Context among the parameters, and one ThreadMap, is all there can be",
    ),
    (
        "context_field",
        "struct S { context @0 :Proxy.Context; }",
        "struct S, field context
    a Context or ThreadMap can be a parameter or result only",
    ),
    (
        "endless",
        "struct Tree { left @0 :Tree; right @1 :Tree $Rust.nullable; }",
        "struct Tree, field left
    a struct that always holds another of its own has no end
    instead: nullable of /rust-multiprocess.capnp",
    ),
    (
        "endless_pair",
        "struct A { b @0 :B; }\nstruct B { a @0 :A; c @1 :List(A); }",
        "struct A, field b
    a struct that always holds another of its own has no end
    instead: nullable of /rust-multiprocess.capnp
struct B, field a
    a struct that always holds another of its own has no end
    instead: nullable of /rust-multiprocess.capnp",
    ),
    (
        "same_name",
        "struct S { txID @0 :Int32; txId @1 :Int32; }",
        "struct S
    txID and txId would both be tx_id in Rust
    instead: another name for one of them",
    ),
    (
        "newer_keyword",
        "interface I { async @0 (); }",
        "interface I, method async
    capnpc cannot name this method
    instead: another name",
    ),
    (
        "foreign",
        "using S = import \"/capnp/schema.capnp\";\nstruct T { n @0 :S.CapnpVersion; }",
        "struct T, field n
    CapnpVersion is declared in capnp/schema.capnp, which is not among this crate's schemas
    instead: add the file to the Builder",
    ),
    (
        "capnpc_names",
        "using R = import \"/capnp/rust.capnp\";\n$R.parentModule(\"a\");\n\
         struct S { v @0 :Text $R.option; }",
        "
    capnpc's annotations for the place of the raw code are not supported
    instead: Builder::module
struct S, field v
    capnpc's annotation option is not supported
    instead: nullable of /rust-multiprocess.capnp",
    ),
    (
        "twice",
        "interface I { m @0 (v :AnyPointer, w :AnyPointer) -> (x :AnyPointer); }",
        "interface I, method m, parameter v
    AnyPointer is not supported
    instead: the type itself, or Data
interface I, method m, parameter w
    AnyPointer is not supported
    instead: the type itself, or Data
interface I, method m, result x
    AnyPointer is not supported
    instead: the type itself, or Data",
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
    for problem in problems {
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

#[test]
fn the_error_reads_well_and_debug_is_the_same() {
    let error = compile("text", &[("file.capnp", "interface I { m @0 (v :AnyPointer); }")]);
    let error = error.expect_err("an error");
    let text = error.to_string();
    assert_eq!(format!("{error:?}"), text, "main shows Debug");
    let (head, rest) = text.split_once("\n\n  ").expect("a list");
    assert_eq!(head, "the schemas say what has no mapping to Rust");
    let want = "file.capnp: interface I, method m, parameter v\n    \
                AnyPointer is not supported\n    instead: the type itself, or Data";
    assert!(rest.ends_with(want), "{text}");
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
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/scalars.capnp");
    let builder = Builder::new().out_dir(&out).file(schema).system_capnp("/no/capnp");
    let error = builder.compile().expect_err("an error");
    assert!(error.to_string().starts_with("cannot run /no/capnp: "), "{error}");
}

/// Compiles schemas, given as pairs of a file name and its text (without what all have).
fn compile(test: &str, files: &[(&str, &str)]) -> Result<(), Error> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("errors").join(test);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(directory.join("schema")).expect("a directory to write to");
    for (number, (name, text)) in files.iter().enumerate() {
        let text = format!(
            "@0xa93fc509624c72{number:02x};\n\
             using Proxy = import \"/mp/proxy.capnp\";\n\
             using Rust = import \"/rust-multiprocess.capnp\";\n{text}"
        );
        std::fs::write(directory.join("schema").join(name), text).expect("a schema to write");
    }
    Builder::new()
        .schema_dir(directory.join("schema"))
        .import_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema"))
        .out_dir(directory.join("out"))
        .compile()
}

fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or_default().to_owned()
}
