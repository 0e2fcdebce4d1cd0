//! Makes the typed proxies of `schema/`, and tells the build scripts of crates that use this one where that is, as
//! `DEP_BITCOIN_IPC_SCHEMA`.

fn main() -> Result<(), multiprocess_build::Error> {
    println!("cargo::metadata=schema={}/schema", env!("CARGO_MANIFEST_DIR"));
    // Each by its name: the directory holds the older versions, too.
    multiprocess_build::Builder::new()
        .file("schema/common.capnp")
        .file("schema/echo.capnp")
        .file("schema/init.capnp")
        .file("schema/mining.capnp")
        .file("schema/rpc.capnp")
        .newest_version("32")
        .raw_methods(true)
        .keep_unknown(true)
        .older_version("31", "schema/older/31")
        .older_version("30", "schema/older/30")
        .compile()
}
