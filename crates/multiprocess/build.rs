//! Tells the build scripts of dependents where the shipped schemas are (cargo hands it on as
//! `DEP_MULTIPROCESS_SCHEMA`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(shuttle)");
    println!("cargo::metadata=schema={}/schema", env!("CARGO_MANIFEST_DIR"));
}
