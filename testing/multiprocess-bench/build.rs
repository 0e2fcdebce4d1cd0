//! Makes the typed proxies of the benches' own schema.

fn main() -> Result<(), multiprocess_build::Error> {
    multiprocess_build::Builder::new().schema_dir("schema").raw(true).exhaustive(true).compile()
}
