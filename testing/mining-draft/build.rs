//! Follows a draft: its schemas are the newest version, and those of the releases are older ones.

use std::path::PathBuf;

fn main() -> Result<(), multiprocess_build::Error> {
    // bitcoin-ipc tells it to the build scripts of crates that depend on it.
    let releases = std::env::var_os("DEP_BITCOIN_IPC_SCHEMA").map(PathBuf::from);
    let releases = releases.expect("the directory of bitcoin-ipc's schemas");
    multiprocess_build::Builder::new()
        .schema_dir("schema")
        .newest_version("draft")
        .older_version("32", &releases)
        .older_version("31", releases.join("older/31"))
        .older_version("30", releases.join("older/30"))
        .compile()
}
