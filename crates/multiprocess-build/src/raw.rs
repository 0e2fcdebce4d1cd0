//! Generates capnpc's own types, if asked for.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use capnp::schema_capnp::code_generator_request;

use crate::error::Error;

/// Where capnpc writes, and under which modules.
pub(crate) struct Target<'a> {
    pub out_dir: &'a Path,
    /// The module around the files' own, from the crate's root; empty for the root.
    pub module: &'a str,
    /// The paths of other crates' modules, by the ids of the files whose code is there.
    pub provided: &'a HashMap<u64, String>,
}

/// Writes `NAME_capnp.rs` for each schema file.
pub(crate) fn generate(
    request: code_generator_request::Reader<'_>,
    target: &Target<'_>,
) -> Result<(), Error> {
    let request = flat(request)?;
    let module = target.module.split("::").filter(|part| !part.is_empty());
    // capnpc puts the `::` before a path itself.
    let path = |path: &String| path.trim_start_matches("::").to_owned();
    let crates: HashMap<u64, String> =
        target.provided.iter().map(|(id, module)| (*id, path(module))).collect();
    let mut command = capnpc::codegen::CodeGenerationCommand::new();
    command
        .output_directory(target.out_dir)
        .capnp_root("::multiprocess::rt::capnp")
        .default_parent_module(module.map(str::to_owned).collect())
        .crates_provide_map(crates);
    // capnpc panics on some schemas, such as those that use a type of a file that is imported only
    // through another.
    match catch_unwind(AssertUnwindSafe(|| command.run(request.as_slice()))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Err(_) => Err(failed("it panicked (its message is printed above)")),
    }
}

/// The request with each file's bare name, so that capnpc writes beside the proxies and never
/// beside the schemas. The names are unique: the parser checks it.
fn flat(request: code_generator_request::Reader<'_>) -> Result<Vec<u8>, Error> {
    let mut message = capnp::message::Builder::new_default();
    message.set_root(request)?;
    let root: code_generator_request::Builder<'_> = message.get_root()?;
    let mut files = root.get_requested_files()?;
    for index in 0..files.len() {
        let mut file = files.reborrow().get(index);
        let name = file.reborrow().get_filename()?.to_str()?.to_owned();
        let bare = Path::new(&name).file_name().and_then(|name| name.to_str());
        file.set_filename(bare.unwrap_or(&name));
    }
    Ok(capnp::serialize::write_message_to_words(&message))
}

fn failed(problem: &str) -> Error {
    Error::Generator { problem: format!("capnpc cannot generate its types: {problem}") }
}
