//! Checks that the proxies of `tests/schema/**` are the same as in `tests/golden/**`, with a file for
//! each feature. `compiled.rs` checks that they compile.
//!
//! `UPDATE_GOLDEN=1 cargo test -p multiprocess-build --test golden` rewrites the golden files.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use multiprocess_build::Builder;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn plain() -> Result {
    compare("plain", |builder, schema| builder.schema_dir(schema).raw_methods(true))
}

#[test]
fn async_traits() -> Result {
    compare("futures", |builder, schema| builder.schema_dir(schema).async_traits(true))
}

#[test]
fn what_is_not_known_is_kept() -> Result {
    compare("kept", |builder, schema| builder.schema_dir(schema).keep_unknown(true))
}

#[test]
fn versions() -> Result {
    compare("versions", |builder, schema| {
        let version = |name| schema.join(name);
        builder
            .schema_dir(version("newest"))
            .older_version("2", version("2"))
            .older_version("1", version("1"))
    })
}

#[test]
fn types_of_another_crate() -> Result {
    compare("sharing", |builder, schema| {
        builder
            .schema_dir(schema)
            .import_path(here().join("../../testing/multiprocess-tests/schema"))
            .crate_provides("multiprocess_tests::generated", [0xe3b5_8c1f_6a27_d904])
    })
}

/// Checked in, as a build script of the crate would be run for all of its users, for tests and examples alone.
#[test]
fn the_examples_of_the_tokio_layer() -> Result {
    let golden = here().join("../multiprocess-tokio/tests/doc/generated");
    compare_with("tokio", &golden, |builder, _| {
        let schema = here().join("../multiprocess-tokio/tests/doc/market.capnp");
        builder.file(schema).async_traits(true)
    })
}

/// The runtime's own schema: it cannot have its code made when it is built, as the generator's tests need it.
#[test]
fn the_monitor_of_the_runtime() -> Result {
    let golden = here().join("../multiprocess/src/monitor/generated");
    compare_with("monitor", &golden, |builder, _| {
        builder.file(here().join("../multiprocess/schema/monitor.capnp"))
    })
}

/// Generates the schemas in `tests/schema/NAME`, and compares with `tests/golden/NAME`.
fn compare(name: &str, describe: impl FnOnce(Builder, PathBuf) -> Builder) -> Result {
    compare_with(name, &here().join("tests/golden").join(name), describe)
}

fn compare_with(
    name: &str,
    golden: &Path,
    describe: impl FnOnce(Builder, PathBuf) -> Builder,
) -> Result {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("golden").join(name);
    let _ = fs::remove_dir_all(&out);
    let builder = Builder::new().import_path(here().join("../multiprocess/schema")).out_dir(&out);
    describe(builder, here().join("tests/schema").join(name)).compile()?;

    let made = rust_files(&out)?;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(golden)?;
        for name in rust_files(golden)? {
            fs::remove_file(golden.join(name))?;
        }
        for name in &made {
            fs::copy(out.join(name), golden.join(name))?;
        }
        return Ok(());
    }

    let mut report = String::new();
    for name in made.union(&rust_files(golden)?) {
        let read = |directory: &Path| fs::read_to_string(directory.join(name)).unwrap_or_default();
        report += &difference(name, &read(golden), &read(&out));
    }
    assert!(report.is_empty(), "{report}\nUPDATE_GOLDEN=1 takes the new text over\n");
    Ok(())
}

fn rust_files(directory: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| name.ends_with(".rs")));
    }
    Ok(names)
}

/// The lines that differ, with three lines around them, as `diff -u` shows them.
fn difference(name: &str, old: &str, new: &str) -> String {
    const AROUND: usize = 3;
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = (old.len() - head).min(new.len() - head);
    let tail = (0..rest).take_while(|i| old[old.len() - 1 - i] == new[new.len() - 1 - i]).count();
    if head == old.len() && head == new.len() {
        return String::new();
    }
    let from = head.saturating_sub(AROUND);
    let mut text = format!("\n{name}, line {}:\n", head + 1);
    let mut show = |mark, lines: &[&str]| {
        lines.iter().for_each(|line| text += &format!("{mark} {line}\n"));
    };
    show(' ', &old[from..head]);
    show('-', &old[head..old.len() - tail]);
    show('+', &new[head..new.len() - tail]);
    show(' ', &new[new.len() - tail..(new.len() - tail + AROUND).min(new.len())]);
    text
}
