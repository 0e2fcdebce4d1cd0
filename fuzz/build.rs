//! Tells the target `generator` the directory of the schemas that others import.

fn main() {
    // Cargo sets it, because `multiprocess` has `links = "multiprocess"`.
    let path = std::env::var("DEP_MULTIPROCESS_SCHEMA").expect("the dependency multiprocess");
    println!("cargo::rustc-env=SCHEMA={path}");
}
