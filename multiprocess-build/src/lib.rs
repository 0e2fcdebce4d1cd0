//! Generates typed proxies for the `multiprocess` crate from Cap'n Proto schemas, in a build
//! script.
//!
//! # Use
//!
//! The crate that has the schemas depends on `multiprocess`, and its build script on this crate:
//!
//! ```toml
//! [dependencies]
//! multiprocess = "0.1"
//!
//! [build-dependencies]
//! multiprocess-build = "0.1"
//! ```
//!
//! `build.rs` says where they are:
//!
//! ```no_run
//! fn main() -> Result<(), multiprocess_build::Error> {
//!     multiprocess_build::Builder::new().schema_dir("schema").compile()
//! }
//! ```
//!
//! and the crate includes what is generated in a module of that name:
//!
//! ```ignore
//! // src/generated.rs
//! multiprocess::include_generated!();
//! ```
//!
//! No `capnp` program is needed: the compiler comes along, as WebAssembly.
//! [`Builder::system_capnp`] uses an installed one, which is faster.
//!
//! # What comes out
//!
//! For `schema/echo.capnp`,
//!
//! ```capnp
//! interface Echo {
//!     destroy @0 (context :Proxy.Context) -> ();
//!     echo @1 (context :Proxy.Context, echo :Text) -> (result :Text);
//! }
//! ```
//!
//! the module `generated::echo` has
//!
//! * the trait `Echo`, which a program implements to serve such objects:
//!   `fn echo(&self, echo: String) -> multiprocess::Result<String>`;
//! * `EchoClient` (as the file is named after the interface, also `Client`), a handle on an object
//!   here or in another process: `fn echo(&self, echo: impl Into<String>) ->
//!   multiprocess::Call<String>`.
//!
//! | schema | Rust |
//! |---|---|
//! | `interface Foo` | trait `Foo`, handle `FooClient` (`FooHandle` where the schema has a FooClient) |
//! | `method (context :Proxy.Context, ..)` | `fn method(&self, ..)`; neither Context nor ThreadMap shows |
//! | `construct`, `destroy` | the runtime calls them, see below |
//! | no result, one, several | `()`, the value, a struct `FooMethodResults` |
//! | `Text`, `Data`, `List(T)` | `String`, `Vec<u8>`, `Vec<T>` |
//! | struct | struct with `Clone`, `Debug`, `PartialEq`, `Default` (the schema's defaults) |
//! | enum | enum with a variant for unknown numbers |
//! | interface as a value | `Option<FooClient>`; `FooClient` with `$Rust.notNull` |
//! | struct, Text, Data, List with `$Rust.nullable` | `Option<T>` |
//! | `x` beside `hasX :Bool` | `Option<T>`, no `has_x` |
//! | `Void` | nothing |
//! | const | const |
//!
//! (`Rust` being `import "/rust-multiprocess.capnp"`.) Names become Rust's: `getTxID` is
//! `get_tx_id`, a type nested in another `OuterInner`, a keyword gets an underscore.
//!
//! An interface that is bootstrapped and whose methods, or whose objects' methods, have a Context
//! needs `construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap)`: with it the two
//! sides give each other threads to run calls on. Without it such calls fail with `no thread
//! specified and no pool configured`. Calls of a method with a Context run on a thread of the
//! server's that is the caller's own, in order; calls without one share one lane of a connection. An
//! interface with `destroy @0 (context :Proxy.Context) -> ()` can be closed and awaited; the objects
//! of others end some time after their last handle has gone.
//!
//! Unions, groups, generics, AnyPointer, typed exceptions, `wantX`, in-out parameters, streaming,
//! inheritance, and constants or defaults that are lists or structs are refused with an
//! [`Error::Unsupported`] that names each place.
//!
//! # How it works
//!
//! ```text
//! *.capnp -> compile -> CodeGeneratorRequest -> capnpc           -> echo_capnp.rs
//!                                            -> parse -> model
//!                                                 -> emit        -> echo.rs
//!                                                                -> multiprocess.rs (all modules)
//! ```

#![deny(unsafe_code)]

mod compile;
mod emit;
mod error;
mod model;
mod names;
mod parse;
mod raw;

use std::path::{Path, PathBuf};

use capnp::message::ReaderOptions;
use capnp::schema_capnp::code_generator_request;

pub use error::{Error, Unsupported};

/// Compiles schemas to Rust; see the [crate's documentation](crate).
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is generated before `compile`"]
pub struct Builder {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    import_paths: Vec<PathBuf>,
    module: Option<String>,
    out_dir: Option<PathBuf>,
    program: Option<PathBuf>,
    raw_only: bool,
}

impl Builder {
    /// A builder without any schemas.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all `*.capnp` files in a directory and below it. Relative paths are the package's.
    pub fn schema_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.directories.push(path.into());
        self
    }

    /// Adds one schema file.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Adds a directory in which imports that begin with `/` are looked for. That of
    /// `/mp/proxy.capnp` and `/rust-multiprocess.capnp` is known where the package has the
    /// dependency `multiprocess`.
    pub fn import_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.import_paths.push(path.into());
        self
    }

    /// The path in the crate of the module that includes the generated code, without `crate::`.
    /// Without this call it is `generated`.
    pub fn module(mut self, path: impl Into<String>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// The directory to write to, instead of cargo's `OUT_DIR`.
    pub fn out_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(path.into());
        self
    }

    /// Runs this `capnp` program (a path, or a name to look up in `PATH`) instead of the compiler
    /// that comes along.
    pub fn system_capnp(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Generates only capnpc's own types, against the crate `capnp` itself, and for the crate's
    /// root unless [`module`](Self::module) says otherwise. The runtime uses it for its own schema.
    pub fn raw_only(mut self, raw_only: bool) -> Self {
        self.raw_only = raw_only;
        self
    }

    /// Compiles the schemas, and tells cargo which files they came from.
    ///
    /// # Errors
    ///
    /// [`Error::Compiler`] for mistakes in a schema, [`Error::Unsupported`] for what cannot be
    /// mapped, [`Error::Builder`] where there are no schemas or no directory to write to, and
    /// [`Error::Io`].
    pub fn compile(self) -> Result<(), Error> {
        let out_dir = self.output()?;
        let files = self.schemas()?;
        let import_paths = self.imports()?;
        for directory in &self.directories {
            // A file that is added to it is a schema, too.
            println!("cargo::rerun-if-changed={}", directory.display());
        }
        for path in compile::read_files(&files, &import_paths)? {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        let program = self.program.as_deref();
        let compile = compile::Compile { files: &files, import_paths: &import_paths, program };
        let request = compile.run()?;

        let options = ReaderOptions { traversal_limit_in_words: None, ..ReaderOptions::new() };
        let message = capnp::serialize::read_message(request.as_slice(), options)?;
        let root: code_generator_request::Reader<'_> = message.get_root()?;
        if self.raw_only {
            return raw::generate(root, &self.target(&out_dir, ""));
        }
        let schema = parse::parse(root, &files)?;
        raw::generate(root, &self.target(&out_dir, "generated"))?;
        for file in &schema.files {
            let name = format!("{}.rs", file.module.ours);
            write(&out_dir.join(name), &emit::file(&schema, file)?)?;
        }
        write(&out_dir.join("multiprocess.rs"), &emit::root(&schema))
    }

    fn output(&self) -> Result<PathBuf, Error> {
        let directory = match &self.out_dir {
            Some(directory) => directory.clone(),
            None => PathBuf::from(std::env::var_os("OUT_DIR").ok_or_else(|| {
                Error::Builder {
                    problem: "OUT_DIR is not set: call this from a build script, or set \
                          Builder::out_dir"
                        .to_owned(),
                }
            })?),
        };
        std::fs::create_dir_all(&directory).map_err(|e| Error::io("create", &directory, e))?;
        Ok(directory)
    }

    /// All schema files, sorted, each once.
    fn schemas(&self) -> Result<Vec<PathBuf>, Error> {
        let mut found = self.files.clone();
        for directory in &self.directories {
            compile::schemas_below(directory, &mut found)?;
        }
        let mut files: Vec<PathBuf> =
            found.iter().map(|path| compile::canonical(path)).collect::<Result<_, _>>()?;
        files.sort();
        files.dedup();
        if files.is_empty() {
            let problem = "there is no schema: give Builder::schema_dir a directory that has \
                           *.capnp files, or call Builder::file";
            return Err(Error::Builder { problem: problem.to_owned() });
        }
        Ok(files)
    }

    fn imports(&self) -> Result<Vec<PathBuf>, Error> {
        // Cargo sets it, because the runtime has `links = "multiprocess"`.
        let shipped = std::env::var_os("DEP_MULTIPROCESS_SCHEMA").map(PathBuf::from);
        let paths = self.import_paths.iter().cloned().chain(shipped);
        paths.map(|path| compile::canonical(&path)).collect()
    }

    fn target<'a>(&'a self, out_dir: &'a Path, default_module: &'a str) -> raw::Target<'a> {
        raw::Target {
            out_dir,
            module: self.module.as_deref().unwrap_or(default_module),
            capnp: if self.raw_only { "::capnp" } else { "::multiprocess::rt::capnp" },
        }
    }
}

/// Writes a file, unless it says the same already.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    if std::fs::read(path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| Error::io("write", path, error))
}
