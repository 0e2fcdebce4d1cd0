//! Makes the typed proxies of `schema/`.

fn main() -> Result<(), multiprocess_build::Error> {
    multiprocess_build::Builder::new().schema_dir("schema").compile()
}
