//! Makes the typed proxies of `schema/`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // Where bitcoin-ipc has its schemas: its build script says so.
    let shared = std::env::var("DEP_BITCOIN_IPC_SCHEMA")?;
    multiprocess_build::Builder::new()
        // Each by its name: the directory holds the older version, too.
        .file("schema/chain.capnp")
        .file("schema/handler.capnp")
        .file("schema/init.capnp")
        .file("schema/node.capnp")
        .file("schema/wallet.capnp")
        .import_path(shared)
        // The files common, echo, mining and rpc.
        .crate_provides(
            "bitcoin_ipc::generated",
            [
                0xcd2c_6232_cb48_4a28,
                0x888b_4f7f_51e6_91f7,
                0xc77d_03df_6a41_b505,
                0x9c35_05dc_45e1_46ac,
            ],
        )
        .newest_version("2026-07")
        .keep_unknown(true)
        .serve_older(true)
        .older_version("2026-02", "schema/older/2026-02")
        .compile()?;
    Ok(())
}
