//! Makes proxies of the older version on its own.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/bitcoin-ipc-draft/schema");
    multiprocess_build::Builder::new()
        .schema_dir(schema.join("older/2026-02"))
        .file(schema.join("handler.capnp"))
        .import_path(std::env::var("DEP_BITCOIN_IPC_SCHEMA")?)
        .crate_provides(
            "bitcoin_ipc::generated",
            [0xcd2c_6232_cb48_4a28, 0x888b_4f7f_51e6_91f7, 0xc77d_03df_6a41_b505],
        )
        // The tests are built together with it.
        .exhaustive(true)
        .compile()?;
    Ok(())
}
