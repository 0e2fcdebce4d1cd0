//! Makes the typed proxies of `schema/`.

fn main() -> Result<(), multiprocess_build::Error> {
    // The tests are built together with it.
    let builder = multiprocess_build::Builder::new().schema_dir("schema").exhaustive(true);
    builder.async_traits(true).compile()
}
