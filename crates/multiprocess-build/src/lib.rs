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
//! `build.rs` says where the schemas are:
//!
//! ```no_run
//! fn main() -> Result<(), multiprocess_build::Error> {
//!     multiprocess_build::Builder::new().schema_dir("schema").compile()
//! }
//! ```
//!
//! and the crate includes the generated code in a module called `generated`:
//!
//! ```ignore
//! // src/generated.rs
//! multiprocess::include_generated!();
//! ```
//!
//! No `capnp` program is needed: the compiler is part of this crate, as WebAssembly.
//! [`Builder::system_capnp`] uses an installed one, which is faster.
//!
//! # What is generated
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
//! [`guide`] goes on from there, to callbacks, maps, typed errors, several versions of an interface;
//! [`mapping`] lists the Rust form of everything in a schema.
//!
//! An interface that is bootstrapped and whose methods, or whose objects' methods, have a Context
//! needs `construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap)`: with it the two
//! sides give each other threads to run calls on. Without it such calls fail with `no thread
//! specified and no pool configured`. The server has one thread for each calling thread, which runs
//! the calls of methods with a Context in order. Calls of methods without one run one after the
//! other, for each connection. An interface with `destroy @0 (context :Proxy.Context) -> ()` can be
//! closed and awaited; the objects of others end some time after their last handle has gone.
//!
//! Declarations that have no mapping are refused with an [`Error::Unsupported`] that names each
//! place and says what to write instead.
//!
//! # How it works
//!
//! ```text
//! *.capnp -> compile -> CodeGeneratorRequest -> parse -> model
//!                                                 -> emit        -> echo.rs
//!                                                                -> multiprocess.rs (all modules)
//!                                            -> capnpc           -> echo_capnp.rs (if asked for)
//! ```

#![deny(unsafe_code)]

mod compile;
mod emit;
mod error;
mod model;
mod names;
mod parse;
mod raw;
mod rules;
mod versions;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use capnp::message::ReaderOptions;
use capnp::schema_capnp::code_generator_request;
use capnp::serialize::OwnedSegments;

use rules::Rule;

pub use error::{Error, Unsupported};
pub use rules::Mark;

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = include_str!("../docs/mapping.md")]
pub mod mapping {}

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
    raw: bool,
    async_traits: bool,
    raw_methods: bool,
    exhaustive: bool,
    /// The older versions' labels and directories, from newer to older.
    older: Vec<(String, PathBuf)>,
    /// The newest version's label.
    newest: Option<String>,
    rules: Vec<Rule>,
    /// The paths of other crates' modules, by the ids of the files whose code is there.
    provided: HashMap<u64, String>,
}

/// What the builder's options add to the generated code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether to generate the traits whose methods are futures.
    pub async_traits: bool,
    /// Whether to generate a second method for each that has codecs, without them.
    pub raw_methods: bool,
    /// Whether other crates may rely on structs and enums having no further fields and values.
    pub exhaustive: bool,
    /// Whether the file with all modules has capnpc's modules as well.
    pub raw: bool,
    /// The directory below `OUT_DIR`, empty or beginning with `/`. None for code that is kept with
    /// the sources, because it cannot refer to `OUT_DIR`.
    pub below_out_dir: Option<String>,
}

/// A set of schema files that are compiled together.
struct Set {
    /// Sorted, each once.
    files: Vec<PathBuf>,
    /// The serialized CodeGeneratorRequest.
    request: Vec<u8>,
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

    /// Adds a directory in which imports that begin with `/` are looked for. The directory of
    /// `/mp/proxy.capnp` and `/rust-multiprocess.capnp` is known if the package depends on
    /// `multiprocess`.
    pub fn import_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.import_paths.push(path.into());
        self
    }

    /// The path in the crate of the module that includes the generated code, without `crate::`.
    /// Without this call it is `generated`. It matters to [`raw`](Self::raw) only.
    pub fn module(mut self, path: impl Into<String>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// The name of the newest version, for messages and [`PeerVersion`], where there are
    /// [older ones](Self::older_version). Without this call it is `newest`.
    ///
    /// [`PeerVersion`]: https://docs.rs/multiprocess/latest/multiprocess/struct.PeerVersion.html
    pub fn newest_version(mut self, label: impl Into<String>) -> Self {
        self.newest = Some(label.into());
        self
    }

    /// Adds an older version of the same interfaces, which some peers have: all `*.capnp` files in a
    /// directory. Call it for the newer versions first; the schemas that are given in other ways are
    /// the newest. `label` is for names and documentation, such as `30`.
    ///
    /// Files, interfaces and structs are matched by their ids, methods by their names. Fields and
    /// parameters are matched by their places and their types on the wire, so that they may have other
    /// names; where that is ambiguous, it is an error. Unchanged files need not be repeated: files of the older version may import the newer ones.
    /// See the [`guide`].
    pub fn older_version(mut self, label: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.older.push((label.into(), path.into()));
        self
    }

    /// The directory to write to, instead of cargo's `OUT_DIR`: for code that is kept with the
    /// sources, so that the crate is built without this one. The file with all modules is `mod.rs`
    /// there; the crate declares the directory as a module of its own, such as `mod generated;` for
    /// `src/generated`.
    ///
    /// In a directory below `OUT_DIR` that file is `multiprocess.rs` as usual, for a crate that has
    /// several sets of schemas: `multiprocess::include_generated!("name")` includes that of
    /// `OUT_DIR/name`.
    pub fn out_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(path.into());
        self
    }

    /// Says that another crate has the generated code of the schema files with these ids (the
    /// number after `@` at the top of the file). Their types are taken from its module `path`, such
    /// as `bitcoin_ipc::generated`, and nothing is generated for them. Its code has to be generated
    /// from the same files, by the same version of this crate.
    pub fn crate_provides(
        mut self,
        path: impl Into<String>,
        files: impl IntoIterator<Item = u64>,
    ) -> Self {
        let path = path.into();
        let path = format!("::{}", path.trim_start_matches("::"));
        self.provided.extend(files.into_iter().map(|id| (id, path.clone())));
        self
    }

    /// Also generates a trait `FooAsync` for each interface `Foo`, whose methods are futures, and
    /// `FooClient::new_async` to serve what implements it.
    pub fn async_traits(mut self, async_traits: bool) -> Self {
        self.async_traits = async_traits;
        self
    }

    /// Also generates for each method with Rust types of the schema author's choice (`$Rust.type`) a second
    /// one on the handle, `get_block_raw` beside `get_block`, which takes and returns the values as they
    /// travel, such as `Vec<u8>`: for a program that only passes them on, or decodes them elsewhere. Nothing
    /// changes on the wire, nor for who serves the object. Codecs of fields of structs are used as ever.
    pub fn raw_methods(mut self, raw_methods: bool) -> Self {
        self.raw_methods = raw_methods;
        self
    }

    /// Says about a place in a schema what an annotation would say in it: for schemas that cannot be
    /// edited. It takes the place of an annotation of the same kind that the schema has.
    ///
    /// The path is the file's name, a colon, and the names of what is around the place, as the schema
    /// compiler writes it:
    ///
    /// | path | place |
    /// |---|---|
    /// | `mining.capnp` | a file |
    /// | `mining.capnp:Mining` | an interface, struct, enum or constant; `Outer.Inner` for one within another |
    /// | `mining.capnp:Mining.getTip` | a method |
    /// | `mining.capnp:Mining.getTip$Params.context` | its parameter |
    /// | `mining.capnp:Mining.getTip$Results.result` | its result |
    /// | `mining.capnp:BlockRef.hash` | a field, a group or union, a member of a union, a value of an enum |
    ///
    /// Where several files have the name, as much of the path before it is given as tells them apart
    /// (`wallet/types.capnp`). Older versions get the mark as well where they have the place.
    ///
    /// ```no_run
    /// use multiprocess_build::{Builder, Mark};
    ///
    /// # fn main() -> Result<(), multiprocess_build::Error> {
    /// Builder::new()
    ///     .schema_dir("vendor")
    ///     .mark("mining.capnp:Mining.getTip$Results.result", Mark::nullable())
    ///     .mark("mining.capnp:BlockRef.hash", Mark::rust_type("crate::BlockHash"))
    ///     .mark("wallet/types.capnp", Mark::name_from("walletTypes"))
    ///     .compile()
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`compile`](Self::compile) refuses a path that leads nowhere, and names what is near it, and a
    /// mark that cannot stand at its place.
    pub fn mark(mut self, path: impl Into<String>, mark: Mark) -> Self {
        self.rules.push(Rule { path: path.into(), mark });
        self
    }

    /// Puts an attribute on the Rust type of a struct, enum, group or union with this
    /// [path](Self::mark), such as `#[derive(serde::Serialize)]`. Several add up. A union without a name
    /// has those of its struct; groups and named unions have paths of their own.
    pub fn type_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.mark(path, Mark::attribute(attribute))
    }

    /// Lets other crates rely on structs and enums as they are now: without `#[non_exhaustive]`, so that a
    /// struct can be written with all its fields and a `match` with all values, and without setters.
    /// For code that is always compiled together with those who use it. Without this call a field, a
    /// value or a member of a union can be added to the schema without breaking another crate's build;
    /// within the crate itself there is no difference but the setters.
    pub fn exhaustive(mut self, exhaustive: bool) -> Self {
        self.exhaustive = exhaustive;
        self
    }

    /// Also generates capnpc's own types, as a module `echo_capnp` beside `echo` (and `proxy_capnp`), for a
    /// program that uses the crates capnp and capnp-rpc directly as well. Names with which capnpc's code
    /// would not compile are then refused.
    pub fn raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }

    /// Runs this `capnp` program (a path, or a name to look up in `PATH`) instead of the embedded
    /// compiler.
    pub fn system_capnp(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Compiles the schemas, and tells cargo which files they came from.
    ///
    /// # Errors
    ///
    /// [`Error::Compiler`] for mistakes in a schema, [`Error::Unsupported`] for what cannot be
    /// mapped, [`Error::Builder`] where there are no schemas, no directory to write to, or an
    /// invalid path, and [`Error::Io`].
    pub fn compile(self) -> Result<(), Error> {
        self.check_paths()?;
        let out_dir = self.output()?;
        let mut sets = self.sets()?;
        self.apply_rules(&mut sets)?;
        let older = sets.split_off(1);
        let Some(Set { files, request }) = sets.pop() else { return Ok(()) };

        let message = read(&request)?;
        let root: code_generator_request::Reader<'_> = message.get_root()?;
        let mut schema = self.parse(root, &files)?;
        let ids = root.get_requested_files()?.iter().map(|file| file.get_id());
        schema.family = ids.fold(0, |family, id| family.rotate_left(1) ^ id);
        schema.newest = self.newest.clone().unwrap_or_else(|| "newest".to_owned());
        self.merge(&mut schema, &older)?;
        if self.raw {
            raw::generate(root, &self.target(&out_dir))?;
        }
        let taken = if self.raw_methods { emit::taken(&schema) } else { Vec::new() };
        if !taken.is_empty() {
            return Err(Error::Unsupported(taken));
        }
        let options = Options {
            async_traits: self.async_traits,
            raw_methods: self.raw_methods,
            exhaustive: self.exhaustive,
            raw: self.raw,
            below_out_dir: below_out_dir(&out_dir),
        };
        for file in &schema.files {
            let name = format!("{}.rs", file.module.name);
            write(&out_dir.join(name), &emit::file(&schema, file, &options)?)?;
        }
        let name = if options.below_out_dir.is_some() { "multiprocess.rs" } else { "mod.rs" };
        write(&out_dir.join(name), &emit::root(&schema, &options))
    }

    /// Compiles the schemas, and each older version, at the same time.
    fn sets(&self) -> Result<Vec<Set>, Error> {
        let import_paths = self.imports()?;
        let mut directories = self.directories.clone();
        let mut newest = self.schemas()?;
        for path in compile::read_files(&newest, &import_paths)? {
            // capnpc's types of a schema refer to those of what it imports. Cap'n Proto's own schemas are
            // nobody's to add.
            let proxy = self.raw && path.ends_with("mp/proxy.capnp");
            let standard = compile::is_standard(&path, &import_paths) && !newest.contains(&path);
            if proxy || standard {
                newest.push(path);
            }
        }
        newest.sort();
        let mut sets = vec![newest];
        for (_, directory) in &self.older {
            directories.push(directory.clone());
            let mut own = Vec::new();
            compile::schemas_below(directory, &mut own)?;
            let own = own.iter().map(|path| compile::canonical(path)).collect::<Result<_, _>>()?;
            sets.push(with_newer(own, &sets[0], &import_paths)?);
        }
        for directory in &directories {
            // A file that is added to the directory later is a schema, too.
            println!("cargo::rerun-if-changed={}", directory.display());
        }
        let mut read = BTreeSet::new();
        for files in &sets {
            read.extend(compile::read_files(files, &import_paths)?);
        }
        for path in read {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        let (program, import_paths) = (self.program.as_deref(), &import_paths);
        let run = |files: Vec<PathBuf>| {
            let request = compile::Compile { files: &files, import_paths, program }.run()?;
            Ok(Set { files, request })
        };
        std::thread::scope(|scope| {
            let running: Vec<_> =
                sets.into_iter().map(|files| scope.spawn(|| run(files))).collect();
            running.into_iter().map(|set| set.join().unwrap_or_else(|_| Err(panicked()))).collect()
        })
    }

    /// Puts the marks of the rules into the compiled schemas.
    fn apply_rules(&self, sets: &mut [Set]) -> Result<(), Error> {
        if self.rules.is_empty() {
            return Ok(());
        }
        let mut applied = rules::Applied::default();
        for (index, set) in sets.iter_mut().enumerate() {
            let message = read(&set.request)?;
            let marked = applied.apply(&self.rules, message.get_root()?, index == 0)?;
            set.request = marked;
        }
        applied.finish(&self.rules)
    }

    fn parse(
        &self,
        root: code_generator_request::Reader<'_>,
        files: &[PathBuf],
    ) -> Result<model::Schema, Error> {
        let parsing = parse::Options { sources: files, outside: &self.provided, raw: self.raw };
        parse::parse(root, parsing)
    }

    fn merge(&self, schema: &mut model::Schema, older: &[Set]) -> Result<(), Error> {
        let mut versions = Vec::new();
        for ((label, _), set) in self.older.iter().zip(older) {
            let message = read(&set.request)?;
            let schema = self.parse(message.get_root()?, &set.files)?;
            versions.push(versions::Older { label: label.clone(), schema });
        }
        if versions.is_empty() {
            return Ok(());
        }
        match versions::merge(schema, versions) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(Error::Unsupported(problems)),
        }
    }

    fn check_paths(&self) -> Result<(), Error> {
        if self.older.len() > 30 {
            let problem = "there can be 30 older versions at most".to_owned();
            return Err(Error::Builder { problem });
        }
        let module = self.module.as_deref().filter(|module| !module.is_empty());
        for path in self.provided.values().map(String::as_str).chain(module) {
            if syn::parse_str::<syn::Path>(path).is_err() {
                let problem =
                    format!("{path:?} is no path of a module, such as a_crate::generated");
                return Err(Error::Builder { problem });
            }
        }
        Ok(())
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

    fn target<'a>(&'a self, out_dir: &'a Path) -> raw::Target<'a> {
        let module = self.module.as_deref().unwrap_or("generated");
        raw::Target { out_dir, module, provided: &self.provided }
    }
}

/// What the schema compiler said. Its size is that of its bytes: a request whose segments are to be
/// longer than it is, or that has the same part many times over, is refused.
fn read(request: &[u8]) -> Result<capnp::message::Reader<OwnedSegments>, Error> {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(2 * request.len() / 8 + 1024));
    let mut bytes = request;
    let message = capnp::serialize::read_message(&mut bytes, options)?;
    message.get_root::<code_generator_request::Reader<'_>>()?.total_size()?;
    // Each part is read many times by what follows. But a list of nothing takes no bytes, however long.
    options.traversal_limit_in_words(Some(10_000 * (request.len() / 8 + 1)));
    Ok(capnp::message::Reader::new(message.into_segments(), options))
}

fn panicked() -> Error {
    Error::Generator { problem: "the schema compiler panicked".to_owned() }
}

/// The files of an older version, with those of the newer schemas that they import.
fn with_newer(
    own: Vec<PathBuf>,
    newer: &[PathBuf],
    import_paths: &[PathBuf],
) -> Result<Vec<PathBuf>, Error> {
    let mut files: BTreeSet<PathBuf> = own.iter().cloned().collect();
    let read = compile::read_files(&own, import_paths)?;
    files.extend(read.into_iter().filter(|path| newer.contains(path)));
    Ok(files.into_iter().collect())
}

/// Where below cargo's `OUT_DIR` the directory is: empty for `OUT_DIR` itself, none elsewhere.
fn below_out_dir(directory: &Path) -> Option<String> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR")?);
    let below = directory.strip_prefix(out_dir).ok()?;
    let parts = below.components().map(|part| part.as_os_str().to_str());
    parts.map(|part| Some(format!("/{}", part?))).collect()
}

/// Writes a file, unless it says the same already.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    if std::fs::read(path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| Error::io("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::{code_generator_request, read};

    fn framed(words: &[u64]) -> Vec<u8> {
        let table = (words.len() as u64) << 32;
        std::iter::once(&table).chain(words).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A pointer: its kind, how far it leads, and its upper half.
    fn pointer(kind: u64, offset: usize, upper: u64) -> u64 {
        kind | (offset as u64) << 2 | upper << 32
    }

    /// A request for nodes that all have the same long text as their name.
    fn names(nodes: usize, text: usize) -> Vec<u8> {
        let mut words = vec![pointer(0, 0, 4 << 16), pointer(1, 3, 7 | (6 * nodes as u64) << 3)];
        words.extend([0, 0, 0, pointer(0, nodes, 6 << 16)]);
        for node in 0..nodes {
            words.extend([pointer(1, 6 * (nodes - node) - 1, 2 | (8 * text as u64) << 3)]);
            words.extend([0; 5]);
        }
        words.extend(vec![0; text]);
        framed(&words)
    }

    #[test]
    fn what_becomes_more_than_was_sent_is_refused() {
        assert!(read(&names(1, 1000)).is_ok());
        assert!(read(&names(500, 1000)).is_err(), "a text for all nodes");
        let mut nothing = vec![pointer(0, 0, 4 << 16), pointer(1, 3, 7), 0, 0, 0];
        nothing.push(pointer(0, (1 << 29) - 1, 0));
        let nothing = read(&framed(&nothing)).unwrap();
        let request = nothing.get_root::<code_generator_request::Reader<'_>>().unwrap();
        assert!(request.get_nodes().is_err(), "half a billion nodes of nothing");
        let mut long = framed(&[0]);
        long[4..8].copy_from_slice(&(200_000_000_u32).to_le_bytes());
        let error = read(&long).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}
