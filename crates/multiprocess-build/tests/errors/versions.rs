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
        "struct S, field v
    in version 1: it has another type or place in the newest
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
        "struct S, field b
    in version 1: it has another type or place in the newest",
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
    in version 1: it has another type or place in the newest
union TU
    in version 1: its members lie otherwise",
    ),
    (
        // A name that is elsewhere may be a field that was renamed, or one that moved.
        "swapped_names",
        "interface I { m @0 (b :Int32, a :Int32); n @1 () -> (fee :Int64, sum :Int64); }\n\
         struct S { b @0 :Text; a @1 :Text; }\nstruct T { u :group { b @0 :Int8; a @1 :Int8; } }",
        "interface I { m @0 (a :Int32, b :Int32); n @1 () -> (sum :Int64); }\n\
         struct S { a @0 :Text; b @1 :Text; }\nstruct T { u :group { a @0 :Int8; b @1 :Int8; } }",
        "struct S, field b
    in version 1: b lies where a was, and a is elsewhere now
struct TU, field b
    in version 1: b lies where a was, and a is elsewhere now
interface I
    in version 1: m: b lies where a was, and a is elsewhere now
interface I
    in version 1: n: fee lies where sum was, and sum is elsewhere now",
    ),
    (
        "two_ways",
        "interface I { m @0 (x :Text, a :Bool, b :Bool); }",
        "interface I { m @0 (r :Bool); }",
        "interface I
    in version 1: m: the types of its parameters or results allow more than one pairing",
    ),
    (
        // A peer of that version would read the new field as the old one.
        "place_taken",
        "struct S { new @0 :Float32; }\nstruct T { wide @0 :Int64; }\n\
         struct U { union { a @0 :Void; b @1 :Int16; } }",
        "struct S { old @0 :Int32; }\nstruct T { low @0 :Int32; high @1 :Int32; }\n\
         struct U { tag @0 :Int16; value @1 :Int16; }",
        "struct S, field old
    in version 1: its place is another field's in the newest
struct T, field low
    in version 1: its place is another field's in the newest
struct U, field tag
    in version 1: its place is another field's in the newest",
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
