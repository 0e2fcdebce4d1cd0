//! How the generated code grows with the depth of a schema: by counts, from shallow schemas to deep
//! ones. If something doubles with every level, the shallow schemas show it before the deep ones use
//! up the memory.

use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error};

type Result<T = ()> = std::result::Result<T, Box<dyn StdError>>;

const HEAD: &str = "@0xa93fc509624c7300;\nusing Rust = import \"/rust-multiprocess.capnp\";\n\
                    struct Pair(A, B) { a @0 :A; b @1 :B; }\n";

/// A chain, and diamonds: two paths from each level to the one before.
const INHERITED: &[(&str, &str)] = &[
    ("chain", "interface L{n} extends(L{before}) { m{n} @0 (); }\n"),
    (
        "diamonds",
        "interface A{n} extends(L{before}) { a{n} @0 (); }
         interface B{n} extends(L{before}) { b{n} @0 (); }
         interface L{n} extends(A{n}, B{n}) { m{n} @0 (); }\n",
    ),
];

/// Schemas whose Rust types double with every level: a name, the first level, the others, the text
/// after them, and the error for the deepest.
const DOUBLING: &[(&str, &str, &str, &str, &str)] = &[
    (
        "arguments",
        "interface L0(T) { m0 @0 (t :T); }\n",
        "interface L{n}(T) extends(L{before}(Pair(T, T))) { m{n} @0 (t :T); }\n",
        "",
        "it gives L0 a type argument of more than 1000 types",
    ),
    (
        "maps",
        "struct E0 { key @0 :Text; value @1 :Text; }\n",
        "struct E{n} { key @0 :List(E{before}) $Rust.btreeMap; \
         value @1 :List(E{before}) $Rust.btreeMap; }\n",
        "struct S { all @0 :List(E{n}) $Rust.btreeMap; }",
        "maps in maps make a type of more than 1000 types",
    ),
    (
        "map_arguments",
        "struct E0(T) { key @0 :Text; value @1 :T; }\n",
        "struct E{n}(T) { key @0 :Text; \
         value @1 :List(E{before}(Pair(T, T))) $Rust.btreeMap; }\n",
        "struct S { all @0 :List(E{n}(Text)) $Rust.btreeMap; }",
        "maps in maps make a type of more than 1000 types",
    ),
    (
        "constant",
        "struct S0(T) { t @0 :T; n @1 :Int32; }\n",
        "struct S{n}(T) { a @0 :S{before}(Pair(T, T)); n @1 :Int32; }\n",
        "const c :S{n}(Text) = {open}(n = 1){close};",
        "a value with a type of more than 1000 types",
    ),
];

/// Each handle has the methods of all interfaces that its own extends, and implements their traits.
/// At depth n there are n of them, so the code is a polynomial of the second degree without
/// negative coefficients: if the depth doubles it becomes at most four times as large.
#[test]
fn the_code_grows_no_faster_than_the_square_of_the_depth() -> Result {
    for (name, level) in INHERITED {
        let mut sizes: Vec<(usize, usize)> = Vec::new();
        for depth in [3, 6, 12, 24] {
            let text = schema("interface L0 { m0 @0 (); }\n", level, "", depth);
            let code = generate(name, &text, |builder| builder.async_traits(true))?;
            let last = format!("impl L0 for L{depth}Client");
            assert_eq!(code.matches(&last).count(), 1, "{name}, {depth} levels");
            if let Some((before, few)) = sizes.last() {
                let many = code.len();
                assert!(many <= 4 * few, "{name}: {few} of {before} levels, {many} of {depth}");
            }
            sizes.push((depth, code.len()));
        }
    }
    Ok(())
}

/// Rust types are written out in full, so types that double have to be refused. There are no more
/// errors than levels, either.
#[test]
fn types_that_double_with_each_level_are_refused() -> Result {
    for (name, first, level, last, what) in DOUBLING {
        generate(name, &schema(first, level, last, 4), |builder| builder)?;
        for depth in [12, 24, 48] {
            let error = generate(name, &schema(first, level, last, depth), |builder| builder);
            let error = error.err().ok_or_else(|| format!("{name}, {depth} levels: no error"))?;
            let Some(Error::Unsupported(found)) = error.downcast_ref() else { return Err(error) };
            assert!(found.iter().any(|found| found.what == *what), "{name}, {depth}: {error}");
            assert!(found.len() <= 2 * depth, "{name}, {depth}: {} errors", found.len());
        }
    }
    Ok(())
}

/// capnpc's own code has a part for each path to an interface, and diamonds double the paths.
#[test]
fn raw_code_that_doubles_with_each_level_is_refused() -> Result {
    let [(_, chain), (_, diamonds)] = INHERITED else { return Err("two kinds".into()) };
    let first = "interface L0 { m0 @0 (); }\n";
    generate("raw", &schema(first, chain, "", 24), |builder| builder.raw(true))?;
    generate("raw", &schema(first, diamonds, "", 4), |builder| builder.raw(true))?;
    for depth in [9, 24] {
        let text = schema(first, diamonds, "", depth);
        let error = generate("raw", &text, |builder| builder.raw(true)).err();
        let error = error.ok_or("no error")?.to_string();
        assert!(error.contains("for each way to what it extends: more than 1000"), "{error}");
    }
    Ok(())
}

/// The levels up to `depth`, with their numbers filled in.
fn schema(first: &str, level: &str, last: &str, depth: usize) -> String {
    let with = |text: &str, n: usize| {
        let text = text.replace("{n}", &n.to_string());
        text.replace("{before}", &n.saturating_sub(1).to_string())
    };
    let levels: String = (1..=depth).map(|n| with(level, n)).collect();
    let last =
        last.replace("{open}", &"(a = ".repeat(depth)).replace("{close}", &")".repeat(depth));
    format!("{HEAD}{first}{levels}{}", with(&last, depth))
}

/// The generated code of one file.
fn generate(name: &str, text: &str, describe: impl FnOnce(Builder) -> Builder) -> Result<String> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("depth").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)?;
    let file = directory.join("file.capnp");
    fs::write(&file, text)?;
    let import = Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema");
    let builder = Builder::new().file(file).import_path(import).out_dir(directory.join("out"));
    describe(builder).compile()?;
    Ok(fs::read_to_string(directory.join("out/file.rs"))?)
}
