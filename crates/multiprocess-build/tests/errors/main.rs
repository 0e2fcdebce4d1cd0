//! Declarations that cannot be mapped are errors that name the file, the interface, the method, the
//! field, and what is wrong with it. Nothing panics.

mod builder;
mod refused;
mod versions;

use std::path::{Path, PathBuf};

use multiprocess_build::{Builder, Error};

/// Compiles schemas, given as pairs of a file name and its text (without the common beginning).
fn compile(test: &str, files: &[(&str, &str)]) -> Result<(), Error> {
    write(test, files).compile()
}

/// Writes the schemas to a directory of the test's own.
fn write(test: &str, files: &[(&str, &str)]) -> Builder {
    let directory = directory(test);
    let _ = std::fs::remove_dir_all(&directory);
    write_schemas(&directory.join("schema"), files);
    Builder::new()
        .schema_dir(directory.join("schema"))
        .import_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema"))
        .out_dir(directory.join("out"))
}

/// Files at the same position have the same id.
fn write_schemas(directory: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(directory).expect("a directory to write to");
    for (number, (name, text)) in files.iter().enumerate() {
        let text = format!(
            "@0xa93fc509624c72{number:02x};\n\
             using Proxy = import \"/mp/proxy.capnp\";\n\
             using Rust = import \"/rust-multiprocess.capnp\";\n{text}"
        );
        std::fs::write(directory.join(name), text).expect("a schema to write");
    }
}

fn directory(test: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("errors").join(test)
}

fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or_default().to_owned()
}
