//! The text of errors, and builders that cannot work.

use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error};

use super::{compile, directory, write};

#[test]
fn the_error_reads_well_and_debug_is_the_same() {
    let schema = "struct S {}\n\ninterface I {\n  m @0 (v :Int32 $Rust.nullable);\n}";
    let error = compile("text", &[("file.capnp", schema)]);
    let error = error.expect_err("an error");
    let text = error.to_string();
    assert_eq!(format!("{error:?}"), text, "main shows Debug");
    let (head, rest) = text.split_once("\n\n  ").expect("a list");
    assert_eq!(head, "the schemas say what has no mapping to Rust");
    // The line is that of the declaration, because the compiler gives no lines of its members.
    let want = "file.capnp:6: interface I, method m, parameter v\n    \
                nullable is for structs, lists, text and data only\n    instead: a Bool beside it whose \
                name is `has` and this name";
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
fn raw_methods_need_names_of_their_own() {
    let text = "interface A { get @0 () -> (r :Int32 $Rust.type(\"T\")); }\n\
                interface B extends(A) { getRaw @0 (); }";
    let builder = || write("raw_methods", &[("a.capnp", text)]);
    builder().compile().expect("proxies");
    let error = builder().raw_methods(true).compile().expect_err("an error").to_string();
    assert!(error.contains("interface B, method get"), "{error}");
    assert!(error.contains("the raw form of get would be get_raw, which getRaw is"), "{error}");
}

#[test]
fn file_names_that_are_no_modules() {
    let error = compile(
        "modules",
        &[
            ("a-b.capnp", ""),
            ("a_b.capnp", ""),
            ("2.capnp", "enum E {}"),
            ("3.capnp", "annotation a @0xb34f7d2bd1f45a99 (file) :Void;"),
            ("multiprocess.capnp", ""),
        ],
    );
    let text = error.expect_err("an error").to_string();
    assert!(text.contains("two schema files would be the Rust module a_b: "), "{text}");
    assert!(text.contains("the file's name gives no name for a Rust module: \"2\""), "{text}");
    assert!(!text.contains("module: \"3\""), "it has only an annotation: {text}");
    assert!(text.contains("the file's name is that of the generated file"), "{text}");
}

#[test]
fn cap_n_protos_own_schemas_are_the_users_where_there_are_any() {
    let text = "using P = import \"/capnp/persistent.capnp\";\n\
                struct S { v @0 :P.Persistent(Text, Data).SaveParams; }";
    let builder = write("standard", &[("a.capnp", text)]);
    builder.compile().expect("proxies");
    let generated = || {
        let path = directory("standard").join("out/persistent.rs");
        std::fs::read_to_string(path).expect("a module for that file")
    };
    assert!(generated().contains("pub struct PersistentSaveParams<Owner>"));
    // In a directory that is given for imports, which this one is as well.
    let own = directory("standard").join("own");
    std::fs::create_dir_all(own.join("capnp")).expect("a directory");
    let schema = "@0xb8630836983feed7;\ninterface Persistent @0xc8cb212fcd9f5691 (SturdyRef, Owner) {\n\
                  struct SaveParams { mine @0 :Owner; } }";
    std::fs::write(own.join("capnp/persistent.capnp"), schema).expect("a schema to write");
    let builder = Builder::new().file(directory("standard").join("schema/a.capnp"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema");
    let builder = builder.file(own.join("capnp/persistent.capnp")).import_path(&own);
    let builder = builder.import_path(shipped).out_dir(directory("standard").join("out"));
    builder.compile().expect("proxies");
    assert!(generated().contains("pub mine: Owner"));
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
