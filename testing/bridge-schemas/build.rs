//! Makes both kinds of code of the schemas: handles, and capnpc's clients.

fn main() -> Result<(), multiprocess_build::Error> {
    let builder = multiprocess_build::Builder::new().schema_dir("schema").module("");
    builder.raw(true).exhaustive(true).async_traits(true).compile()
}
