//! What a build script says: the schemas, and what is generated from them.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::rules::{Mark, Rule};

/// Compiles schemas to Rust; see the [crate's documentation](crate).
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is generated before `compile`"]
pub struct Builder {
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) import_paths: Vec<PathBuf>,
    pub(crate) module: Option<String>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) program: Option<PathBuf>,
    pub(crate) raw: bool,
    pub(crate) async_traits: bool,
    pub(crate) raw_methods: bool,
    pub(crate) exhaustive: bool,
    pub(crate) keep_unknown: bool,
    pub(crate) serve_older: bool,
    /// The older versions' labels and directories, from newer to older.
    pub(crate) older: Vec<(String, PathBuf)>,
    /// The newest version's label.
    pub(crate) newest: Option<String>,
    pub(crate) rules: Vec<Rule>,
    /// The paths of other crates' modules, by the ids of the files whose code is there.
    pub(crate) provided: HashMap<u64, String>,
}

impl Builder {
    /// A builder without any schemas.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all `*.capnp` files in a directory and below it, but for the directories of
    /// [older versions](Self::older_version). Relative paths are the package's.
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
    /// directory and below it, but for the directories of other versions. Call it for the newer versions first; the schemas that are given in other ways are
    /// the newest. `label` is for names and documentation, such as `30`.
    ///
    /// Files, interfaces and structs are matched by their ids, methods by their names. Fields and
    /// parameters are matched by their places and their types on the wire, so that they may have other
    /// names; where that is ambiguous, it is an error. Unchanged files need not be repeated: files of the older version may import those of newer ones.
    /// See the [`guide`](crate::guide).
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
    /// `FooClient::new_async` (or `from_arc_async`, for an `Arc`) to serve what implements it.
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

    /// Has structs keep what a peer with a newer schema has in them beyond this one, and send it on with
    /// them: for a program that passes on what others say. Without this call it is lost.
    ///
    /// Structs get a field `rest` for it ([`Rest`]), which is empty in those that are made here; so within
    /// the crate, too, they are made with setters, or with `..Default::default()`. What is kept are fields, and
    /// members of unions; in a struct that is nothing but a union, the variant `Unknown` has what its member
    /// holds. A struct that derives `Copy` and the entries of maps cannot keep anything, nor can the parameters
    /// and results of methods themselves: a parameter that this schema does not have is not passed on.
    ///
    /// [`Rest`]: https://docs.rs/multiprocess/latest/multiprocess/struct.Rest.html
    pub fn keep_unknown(mut self, keep_unknown: bool) -> Self {
        self.keep_unknown = keep_unknown;
        self
    }

    /// Has objects answer peers of the [older versions](Self::older_version), too: the same trait, whose methods are
    /// called by their older ordinals and with their older parameters. Without this call objects have the newest form
    /// only, and an older peer's call reaches what has its ordinal there.
    ///
    /// A peer is taken to have an older version if its answers have shown that, if the program says so
    /// (`PeerVersion::assume`), or if it calls with parameters whose size is that of an older version, and not that of
    /// the newest version's method of the same ordinal. That holds for all of its calls from then on.
    pub fn serve_older(mut self, serve_older: bool) -> Self {
        self.serve_older = serve_older;
        self
    }

    /// Also generates capnpc's own types, as a module `echo_capnp` beside `echo` (and `proxy_capnp`, if a schema
    /// imports `/mp/proxy.capnp`), for a program that uses the crates capnp and capnp-rpc directly as well. Names with which capnpc's code
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
}
