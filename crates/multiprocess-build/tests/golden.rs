//! Checks that the proxies of `tests/schema/**` are the same as in `tests/golden/**`, with a file for
//! each feature. `compiled.rs` checks that they compile.
//!
//! `UPDATE_GOLDEN=1 cargo test -p multiprocess-build --test golden` rewrites the golden files.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use multiprocess_build::Builder;
use snapbox::assert::Action;
use snapbox::data::DataFormat;
use snapbox::report::Palette;
use snapbox::{Assert, Data};

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

    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        fs::create_dir_all(golden)?;
    }
    let made = rust_files(&out)?;
    let written = rust_files(golden)?;
    let assert = Assert::new()
        .action(if update { Action::Overwrite } else { Action::Verify })
        .palette(Palette::plain());
    let mut report = String::new();
    for name in &made {
        // Raw: nothing in it is a pattern, not even `[..]`.
        let expected = Data::read_from(&golden.join(name), Some(DataFormat::Text)).raw();
        let actual = Data::text(fs::read_to_string(out.join(name))?);
        if let Err(error) = assert.try_eq(Some(name), actual, expected) {
            report += &error.to_string();
        }
    }
    for name in written.difference(&made) {
        if update {
            fs::remove_file(golden.join(name))?;
        } else {
            report += &format!("{} is not made any more\n", golden.join(name).display());
        }
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
