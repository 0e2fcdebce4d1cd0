//! The text of errors, and builders that cannot work.

use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error};

use super::{compile, directory, write, write_schemas};

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

/// Each module of the root is a file beside it, in schemas with threads and in those without, such as capnp-rpc's.
#[test]
fn capnpcs_modules_are_those_of_the_schemas_that_are_read() {
    let head = "@0xa93fc509624c7280;\n";
    let import = "using Proxy = import \"/mp/proxy.capnp\";\n";
    for (test, text, proxy) in [
        ("raw_alone", format!("{head}interface I {{ m @0 (); }}"), false),
        ("raw_threads", format!("{head}{import}interface I {{ m @0 (c :Proxy.Context); }}"), true),
    ] {
        let builder = write(test, &[]).raw(true);
        let directory = directory(test);
        std::fs::write(directory.join("schema/file.capnp"), text).expect("a schema to write");
        builder.compile().expect("both kinds of code");
        let root = std::fs::read_to_string(directory.join("out/mod.rs")).expect("the root");
        let modules = root.lines().filter_map(|line| line.strip_prefix("pub mod "));
        let modules: Vec<_> = modules.map(|name| name.trim_end_matches(';')).collect();
        assert_eq!(modules.contains(&"proxy_capnp"), proxy, "{root}");
        for name in modules {
            assert!(directory.join(format!("out/{name}.rs")).exists(), "{test}: {name}");
        }
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

/// The compiler names the import; where it is looked for is said here, and nothing of it for other mistakes.
#[test]
fn an_import_that_is_not_found_is_told_where_it_is_looked_for() {
    let told = |test: &str, builder: Builder| match builder.compile() {
        Err(Error::Compiler { output, .. }) => {
            let (_, hint) = output.split_once("(what it found is printed above)").expect(test);
            hint.to_owned()
        }
        other => panic!("{test}: {other:?}"),
    };
    let with = |test, text: &str| told(test, write(test, &[("file.capnp", text)]));
    assert_eq!(with("hint_type", "struct S { v @0 :Nothing; }"), "");
    let relative = with("hint_relative", "using A = import \"common/no.capnp\";");
    assert!(relative.starts_with("\n(common/no.capnp is looked for beside /"), "{relative}");
    assert!(
        relative.contains("/schema/file.capnp, which imports it; /common/no.capnp"),
        "{relative}"
    );
    let absolute = with("hint_absolute", "using A = import \"/common/no.capnp\";");
    let want =
        "\n(/common/no.capnp is looked for in the directories that Builder::import_path names)";
    assert_eq!(absolute, want);

    // A crate without the runtime, whose schemas are not found then.
    let alone = |test, text: &str| {
        write_schemas(&directory(test).join("schema"), &[]);
        let file = directory(test).join("schema/file.capnp");
        std::fs::write(&file, format!("@0xa93fc509624c7281;\n{text}")).expect("a schema to write");
        told(test, Builder::new().file(file).out_dir(directory(test).join("out")))
    };
    let threads = alone("hint_proxy", "using Proxy = import \"/mp/proxy.capnp\";");
    let want = "\n(/mp/proxy.capnp is found where this crate has the dependency `multiprocess`; else tell the \
                Builder its directory with import_path)";
    assert_eq!(threads, want);
    assert_eq!(alone("hint_none", "struct S { v @0 :Nothing; }"), "");
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
