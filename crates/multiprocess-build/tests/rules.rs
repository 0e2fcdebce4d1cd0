//! Rules of the builder do what the schema's own annotations do, and one that finds no place is an error.

use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error, Mark};

/// A schema with a mark after each `%NAME%`; without them it says nothing of Rust.
const SCHEMA: &str = "@0xa93fc509624c7310;
using Proxy = import \"/mp/proxy.capnp\";
using Rust = import \"/rust-multiprocess.capnp\";

interface Shop {
    open @0 (on :Listener%shared%, sure :Listener%notNull%) -> (result :Listener%resultNotNull%)%longWait%;
    sell @1 (goods :List(Line)%btreeMap%, seen :List(Text)%hashSet%, args :Args%visible%) -> (result :Line%nullable%)%interruptedBy%;
    stop @2 ();
    look @3 (text :Text%redacted%, times :List(Line)%hashMap%, ids :List(UInt8)%btreeSet%)%borrowedNot%;
    hash @4 (block :Data%type%%codec%) -> (result :Data%resultType%, error :Trouble%exception%)%methodName%;
    peek @5 (line :Line) -> (line :Line)%borrowed%;
    judge @6 () -> (a :Int32, b :Int32)%methodType%%methodCodec%;
}
interface Listener { heard @0 (what :Text); }
struct Args $Proxy.count(0) { dir @0 :Text; }
struct Line %derive%%attribute%{
    name @0 :Text%fieldName%;
    count @1 :UInt32;
}
struct Trouble {
    what @0 :Text;
    spare @1 :Int32%skip%;
    how :group %groupDerive%{ loud @2 :Bool; }
    union { none @3 :Void; some @4 :Int64; }
}
enum Level %enumDerive%{ low @0%enumerant%; high @1; }
const most :Int32 = 5%constName%;
";

/// Each mark: its name in the schema, its text there, and the same as a rule.
fn marks() -> Vec<(&'static str, &'static str, &'static str, Mark)> {
    vec![
        ("shared", "$Rust.shared", "Shop.open$Params.on", Mark::shared()),
        ("notNull", "$Rust.notNull", "Shop.open$Params.sure", Mark::not_null()),
        ("resultNotNull", "$Rust.notNull", "Shop.open$Results.result", Mark::not_null()),
        ("longWait", "$Rust.longWait", "Shop.open", Mark::long_wait()),
        ("btreeMap", "$Rust.btreeMap", "Shop.sell$Params.goods", Mark::btree_map()),
        ("hashSet", "$Rust.hashSet", "Shop.sell$Params.seen", Mark::hash_set()),
        ("visible", "$Rust.visible", "Shop.sell$Params.args", Mark::visible()),
        ("nullable", "$Rust.nullable", "Shop.sell$Results.result", Mark::nullable()),
        (
            "interruptedBy",
            "$Rust.interruptedBy(\"stop\")",
            "Shop.sell",
            Mark::interrupted_by("stop"),
        ),
        ("redacted", "$Rust.redacted", "Shop.look$Params.text", Mark::redacted()),
        ("hashMap", "$Rust.hashMap", "Shop.look$Params.times", Mark::hash_map()),
        ("btreeSet", "$Rust.btreeSet", "Shop.look$Params.ids", Mark::btree_set()),
        (
            "type",
            "$Rust.type(\"crate::Hash\")",
            "Shop.hash$Params.block",
            Mark::rust_type("crate::Hash"),
        ),
        ("codec", "$Rust.codec(\"crate::C\")", "Shop.hash$Params.block", Mark::codec("crate::C")),
        ("resultType", "$Rust.type(\"Hash\")", "Shop.hash$Results.result", Mark::rust_type("Hash")),
        ("exception", "$Proxy.exception(\"E\")", "Shop.hash$Results.error", Mark::exception("E")),
        ("methodName", "$Rust.name(\"digest\")", "Shop.hash", Mark::name_from("digest")),
        ("borrowed", "$Rust.borrowed", "Shop.peek", Mark::borrowed()),
        ("methodType", "$Rust.type(\"V\")", "Shop.judge", Mark::rust_type("V")),
        ("methodCodec", "$Rust.codec(\"C\")", "Shop.judge", Mark::codec("C")),
        ("derive", "$Rust.derive(\"Eq, Hash\")", "Line", Mark::derive("Eq, Hash")),
        (
            "attribute",
            "$Rust.attribute(\"#[must_use] #[repr(C)]\")",
            "Line",
            Mark::attribute("#[must_use]"),
        ),
        ("", "", "Line", Mark::attribute("#[repr(C)]")),
        ("fieldName", "$Rust.name(\"title\")", "Line.name", Mark::name_from("title")),
        ("skip", "$Proxy.skip", "Trouble.spare", Mark::skip()),
        ("groupDerive", "$Rust.derive(\"Copy\")", "Trouble.how", Mark::derive("Copy")),
        ("enumDerive", "$Rust.derive(\"Trait\")", "Level", Mark::derive("Trait")),
        ("enumerant", "$Rust.name(\"least\")", "Level.low", Mark::name_from("least")),
        ("constName", "$Rust.name(\"limit\")", "most", Mark::name_from("limit")),
    ]
}

fn directory(test: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rules").join(test)
}

/// A builder for these files, with paths in which folders may be.
fn write(test: &str, files: &[(&str, &str)]) -> Builder {
    let directory = directory(test);
    let _ = std::fs::remove_dir_all(&directory);
    for (name, text) in files {
        let path = directory.join("schema").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a directory");
        std::fs::write(path, text).expect("a schema to write");
    }
    Builder::new()
        .schema_dir(directory.join("schema"))
        .import_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema"))
        .out_dir(directory.join("out"))
}

fn read(test: &str, file: &str) -> String {
    std::fs::read_to_string(directory(test).join("out").join(file)).expect("what was generated")
}

/// The schema with the marks of these names.
fn schema(marked: &dyn Fn(&str) -> bool) -> String {
    let marks = marks();
    let mut parts = SCHEMA.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let (Some(name), Some(rest)) = (parts.next(), parts.next()) {
        let mark = marks.iter().find(|(other, ..)| *other == name);
        if let Some((_, mark, ..)) = mark.filter(|_| marked(name)) {
            text += &format!(" {mark} ");
        }
        text += rest;
    }
    text
}

#[test]
fn a_rule_does_what_the_annotation_does() {
    write("annotated", &[("shop.capnp", &schema(&|_| true))]).compile().expect("the annotations");
    let plain = schema(&|_| false);
    let builder = || write("ruled", &[("shop.capnp", &plain)]);
    let rules = marks().into_iter().map(|(_, _, path, mark)| (format!("shop.capnp:{path}"), mark));
    let rules: Vec<_> = rules.collect();
    let with = |rules: &[(String, Mark)]| {
        let marked =
            rules.iter().fold(builder(), |builder, (path, mark)| builder.mark(path, mark.clone()));
        marked.compile().map(|()| read("ruled", "shop.rs"))
    };
    let annotated = read("annotated", "shop.rs");
    assert_eq!(with(&rules).expect("the rules"), annotated);
    // And each of them matters.
    for index in 0..rules.len() {
        let mut others = rules.clone();
        let (path, mark) = others.remove(index);
        assert!(with(&others).ok().as_ref() != Some(&annotated), "{path}: {mark:?}");
    }
}

#[test]
fn a_rule_replaces_the_annotation() {
    let text = schema(&|name| name == "derive" || name == "methodName");
    let builder = write("replaced", &[("shop.capnp", &text)]);
    let builder = builder.mark("shop.capnp:Line", Mark::derive("Ord, PartialOrd, Eq"));
    builder.mark("shop.capnp:Shop.hash", Mark::name_from("sum")).compile().expect("proxies");
    let text = read("replaced", "shop.rs");
    assert!(
        text.contains(
            "Default, PartialEq, Ord, PartialOrd, Eq)]\n#[non_exhaustive]\npub struct Line"
        )
    );
    assert!(text.contains("fn sum(") && !text.contains("fn digest(") && !text.contains("fn hash("));
}

#[test]
fn names_that_meet_are_told_apart_by_a_rule() {
    let files = [
        ("a/types.capnp", "@0xa93fc509624c7320; struct A { v @0 :Int32; }"),
        (
            "b/types.capnp",
            "@0xa93fc509624c7321; using A = import \"/a/types.capnp\"; struct B { a @0 :A.A; }",
        ),
        (
            "meet.capnp",
            "@0xa93fc509624c7322; interface Base { close @0 (); m @1 (); } interface J extends(Base) { m @0 (); }",
        ),
    ];
    let builder = || write("meet", &files).import_path(directory("meet").join("schema"));
    let error = builder().compile().expect_err("an error").to_string();
    assert!(error.contains("would both be m in Rust"), "{error}");
    let error =
        builder().mark("meet.capnp:J.m", Mark::name_from("mine")).compile().expect_err("an error");
    assert!(error.to_string().contains("Builder::mark"), "{error}");
    let error =
        builder().mark("types.capnp", Mark::name_from("x")).compile().expect_err("an error");
    let error = error.to_string();
    assert!(error.starts_with("the rule name_from for \"types.capnp\" is ambiguous: "), "{error}");
    assert!(error.contains("a/types.capnp") && error.contains("b/types.capnp"), "{error}");
    let builder = builder().mark("meet.capnp:J.m", Mark::name_from("mine"));
    builder.mark("b/types.capnp", Mark::name_from("bTypes")).compile().expect("proxies");
    assert!(read("meet", "b_types.rs").contains("pub a: super::types::A,"));
    assert!(read("meet", "meet.rs").contains("fn mine(&self)"));
}

#[test]
fn a_rule_without_a_place_names_what_is_near() {
    let plain = schema(&|_| false);
    let text = |path: &str, mark: Mark| {
        let error = write("wrong", &[("shop.capnp", &plain)]).mark(path, mark).compile();
        assert!(matches!(error, Err(Error::Builder { .. })), "{error:?}");
        error.expect_err("an error").to_string()
    };
    let error = text("shop.capnp:Shop.sel$Params.goods", Mark::btree_map());
    let start = "the rule btree_map for \"shop.capnp:Shop.sel$Params.goods\": that file has no \
                 \"Shop.sel$Params.goods\"; near it are ";
    assert!(error.starts_with(start), "{error}");
    assert!(error[start.len()..].contains("shop.capnp:Shop.sell$Params.goods, "), "{error}");
    let error = text("shap.capnp:Shop", Mark::shared());
    assert!(error.contains("there is no file \"shap.capnp\" among "), "{error}");
    assert!(error.contains("among shop.capnp, "), "{error}");
    // The end of a name is no file.
    let error = text("hop.capnp:Shop", Mark::shared());
    assert!(error.contains("there is no file \"hop.capnp\" among "), "{error}");
    let error = text("shop.capnp:Line", Mark::hash_map());
    let want = "the rule hash_map for \"shop.capnp:Line\" is for a field, parameter or result, and that is a \
                struct; mark each place that has this type, such as shop.capnp:Shop.sell$Params.goods";
    assert_eq!(error, want);
    let error =
        write("wrong", &[("shop.capnp", &plain)]).type_attribute("shop.capnp:Line", "derive(Eq)");
    let error = error.compile().expect_err("an error").to_string();
    assert!(error.contains("\"derive(Eq)\" is no attribute"), "{error}");
}

#[test]
fn older_versions_get_the_marks_of_the_places_that_they_have() {
    let files = [
        (
            "new/f.capnp",
            "@0xa93fc509624c7330; interface I { m @0 (x :List(UInt32)); n @1 (y :List(UInt32)); }",
        ),
        (
            "old/f.capnp",
            "@0xa93fc509624c7330; interface I { m @0 (x :List(UInt32)); p @1 (z :List(UInt32)); }",
        ),
    ];
    let builder = || {
        let _ = write("older", &files);
        let schema = directory("older").join("schema");
        let builder =
            Builder::new().schema_dir(schema.join("new")).older_version("1", schema.join("old"));
        builder.out_dir(directory("older").join("out"))
    };
    let marked = |path: &str| builder().mark(path, Mark::hash_set()).compile();
    marked("f.capnp:I.m$Params.x").expect("both have it");
    assert!(read("older", "f.rs").contains("HashSetOf"));
    marked("f.capnp:I.n$Params.y").expect("the newest has it");
    marked("f.capnp:I.p$Params.z").expect("the older one has it");
    assert!(read("older", "f.rs").contains("HashSetOf"), "the method that only version 1 has");
    let error = marked("f.capnp:I.q").expect_err("an error").to_string();
    assert!(error.ends_with("; near it are f.capnp:I.m, f.capnp:I.n, f.capnp:I"), "{error}");
}

/// Attributes of a rule follow the schema's own.
#[test]
fn attributes_add_up() {
    let schema = r##"
        @0xd1a7c3e59b20f468;
        using Rust = import "/rust-multiprocess.capnp";
        struct Line $Rust.attribute("#[serde(rename_all = \"camelCase\")]") { text @0 :Text; }
    "##;
    let rules = write("attributes", &[("line.capnp", schema)]);
    rules.type_attribute("line.capnp:Line", "#[derive(serde::Serialize)]").compile().unwrap();
    let line = read("attributes", "line.rs");
    let places = ["#[serde(rename_all = \"camelCase\")]", "#[derive(serde::Serialize)]"];
    let places = places.map(|text| line.find(text).unwrap_or_else(|| panic!("no {text}: {line}")));
    assert!(places[0] < places[1]);
}

/// As where somebody keeps the older versions below the newest, and another set of schemas is newer than those.
#[test]
fn a_version_is_not_what_lies_in_the_directories_of_others() {
    let part = "@0xa93fc509624c7331; struct S { x @0 :UInt32; }";
    let files = [
        ("s.capnp", part),
        (
            "f.capnp",
            "@0xa93fc509624c7330; using S = import \"s.capnp\"; interface I { m @0 (s :S.S); n @1 (); }",
        ),
        ("older/2/s.capnp", part),
        (
            "older/2/f.capnp",
            "@0xa93fc509624c7330; using S = import \"s.capnp\"; interface I { m @0 (s :S.S); }",
        ),
        // It imports a file of version 2.
        (
            "older/2/older/1/f.capnp",
            "@0xa93fc509624c7330; using S = import \"../../s.capnp\"; interface I { m @0 (); k @1 (s :S.S); }",
        ),
    ];
    let builder = write("nested", &files);
    let second = directory("nested").join("schema/older/2");
    let builder = builder.older_version("2", &second).older_version("1", second.join("older/1"));
    builder.compile().expect("three versions");
    let generated = read("nested", "f.rs");
    assert!(generated.contains("pub fn n(") && generated.contains("pub fn k("), "{generated}");
}
