//! Makes proxies of each older version on its own.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::var("OUT_DIR")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for version in ["30", "31"] {
        multiprocess_build::Builder::new()
            .schema_dir(root.join("schema/older").join(version))
            .file(root.join("schema/common.capnp"))
            .file(root.join("schema/echo.capnp"))
            .file(root.join("schema/rpc.capnp"))
            // The tests are built together with it.
            .exhaustive(true)
            .out_dir(Path::new(&out).join(version))
            .compile()?;
    }
    Ok(())
}
