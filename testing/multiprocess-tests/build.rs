//! Makes the typed proxies of the tests' own schemas.

use std::path::PathBuf;

use multiprocess_build::{Builder, Error};

fn main() -> Result<(), Error> {
    schemas("schema").raw(true).async_traits(true).compile()?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let newest = schemas("versions/newest").older_version("1", "versions/1");
    newest.newest_version("2").out_dir(out.join("newest")).compile()?;
    for (version, keeps) in [("new", false), ("old", true)] {
        let kept = schemas(&format!("kept/{version}")).keep_unknown(keeps);
        kept.out_dir(out.join(format!("kept_{version}"))).compile()?;
    }
    schemas("kept/old").out_dir(out.join("kept_lost")).compile()?;
    let versions = schemas("kept/old").keep_unknown(true).older_version("1", "kept/older");
    versions.newest_version("2").out_dir(out.join("kept_versions")).compile()?;
    let serving = schemas("versions/newest").older_version("1", "versions/1");
    let serving = serving.newest_version("2").serve_older(true).async_traits(true);
    serving.out_dir(out.join("serving")).compile()?;
    schemas("open").async_traits(true).out_dir(out.join("open")).compile()?;
    schemas("versions/between").out_dir(out.join("between")).compile()?;
    schemas("versions/1").out_dir(out.join("old")).compile()?;
    let moved = schemas("versions/moved/newest");
    let moved = moved.older_version("2", "versions/moved/2").older_version("1", "versions/moved/1");
    moved.out_dir(out.join("moved")).compile()?;
    for version in ["1", "2"] {
        let alone = schemas(&format!("versions/moved/{version}"));
        alone.out_dir(out.join(format!("moved{version}"))).compile()?;
    }
    Ok(())
}

/// The tests are built together with this crate.
fn schemas(directory: &str) -> Builder {
    Builder::new().schema_dir(directory).exhaustive(true)
}
