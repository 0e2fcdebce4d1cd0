//! From the schemas of a [`Builder`] to files of Rust code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use capnp::schema_capnp::code_generator_request;

use crate::error::Error;
use crate::request::read;
use crate::{Builder, compile, emit, model, parse, raw, rules, versions};

/// What the builder's options add to the generated code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether to generate the traits whose methods are futures.
    pub async_traits: bool,
    /// Whether to generate a second method for each that has codecs, without them.
    pub raw_methods: bool,
    /// Whether other crates may rely on structs and enums having no further fields and values.
    pub exhaustive: bool,
    /// Whether structs keep what the schema does not know.
    pub keep_unknown: bool,
    pub serve_older: bool,
    /// Whether the file with all modules has capnpc's modules as well.
    pub raw: bool,
    /// Whether capnpc's module of `/mp/proxy.capnp` is among them: only if a schema imports it.
    pub raw_proxy: bool,
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
            keep_unknown: self.keep_unknown,
            serve_older: self.serve_older,
            raw: self.raw,
            raw_proxy: self.raw && files.iter().any(|path| is_proxy(path)),
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
            let proxy = self.raw && is_proxy(&path);
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
            compile::schemas_below(directory, &self.older_directories()?, &mut own)?;
            let own = own.iter().map(|path| compile::canonical(path)).collect::<Result<_, _>>()?;
            sets.push(with_newer(own, &sets.concat(), &import_paths)?);
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
            compile::schemas_below(directory, &self.older_directories()?, &mut found)?;
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

    /// What is in one of them is of that version alone.
    fn older_directories(&self) -> Result<Vec<PathBuf>, Error> {
        self.older.iter().map(|(_, directory)| compile::canonical(directory)).collect()
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

/// Whether the file is the schema of threads and contexts.
fn is_proxy(path: &Path) -> bool {
    path.ends_with("mp/proxy.capnp")
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
