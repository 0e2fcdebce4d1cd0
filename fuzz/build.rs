//! Tells the target `generator` where the schemas are that others import.

fn main() {
    // Cargo sets it, because `multiprocess` says that it links something of that name.
    let path = std::env::var("DEP_MULTIPROCESS_SCHEMA").expect("the dependency multiprocess");
    println!("cargo::rustc-env=SCHEMA={path}");
}
