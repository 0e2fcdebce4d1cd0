//! Makes the typed proxies of `schema/`.

fn main() -> Result<(), multiprocess_build::Error> {
    multiprocess_build::Builder::new()
        .schema_dir("schema")
        .older_version("31", "versions/31")
        .older_version("30", "versions/30")
        .compile()
}
