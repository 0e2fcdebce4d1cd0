//! Makes the typed proxies of the tests' own schema.

fn main() -> Result<(), multiprocess_build::Error> {
    multiprocess_build::Builder::new().schema_dir("schema").raw(true).async_traits(true).compile()
}
