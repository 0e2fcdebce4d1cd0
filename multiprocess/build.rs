//! Generates the raw types of `schema/mp/proxy.capnp`, and tells the build scripts of dependents
//! where the shipped schemas are (cargo hands it on as `DEP_MULTIPROCESS_SCHEMA`).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    println!("cargo::metadata=schema={}", schema.display());
    multiprocess_build::Builder::new()
        .file(schema.join("mp/proxy.capnp"))
        .import_path(&schema)
        .raw_only(true)
        .compile()?;
    Ok(())
}
