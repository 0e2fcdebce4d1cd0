//! Differences between versions that no Rust type can represent.

use std::collections::BTreeMap;

use multiprocess_build::Error;

use super::{directory, stem, write, write_schemas};

/// A name, a schema, an older version of it, and the error (without the file's name).
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
        // A field that was added last is allowed, but here another one moved as well.
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
