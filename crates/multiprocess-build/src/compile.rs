//! The schema compiler, and the files it reads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// One run of the compiler.
pub(crate) struct Compile<'a> {
    /// Sorted, each once.
    pub files: &'a [PathBuf],
    pub import_paths: &'a [PathBuf],
    /// A `capnp` program to run instead of the embedded compiler.
    pub program: Option<&'a Path>,
}

impl Compile<'_> {
    /// The serialized CodeGeneratorRequest.
    pub(crate) fn run(&self) -> Result<Vec<u8>, Error> {
        match self.program {
            Some(program) => self.system(program),
            None => self.embedded(),
        }
    }

    fn embedded(&self) -> Result<Vec<u8>, Error> {
        let mut command = capnpc_embedded::CompileCommand::new();
        // The compiler would look into its own copies of Cap'n Proto's schemas first, and take a file that
        // is imported from there and named by the user for two.
        if self.import_paths.iter().any(|path| path.join("capnp/stream.capnp").exists()) {
            command.no_standard_import();
        }
        for path in self.import_paths {
            command.import_path(path);
        }
        for prefix in self.prefixes()? {
            command.src_prefix(prefix);
        }
        for file in self.files {
            command.file(file);
        }
        command.compile().map_err(|error| Error::Compiler {
            // It writes to this process's stderr, which cargo shows above what main returns.
            output: format!("{error}\n(what it found is printed above){}", self.hint()),
        })
    }

    fn system(&self, program: &Path) -> Result<Vec<u8>, Error> {
        let mut command = Command::new(program);
        // The compiler warns where PWD is not the directory that it runs in.
        command.env_remove("PWD").args(["compile", "-o-"]);
        for path in self.import_paths {
            command.arg(format!("--import-path={}", path.display()));
        }
        for prefix in self.prefixes()? {
            command.arg(format!("--src-prefix={}", prefix.display()));
        }
        let output = command
            .args(self.files)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::io("run", program, error))?;
        if !output.status.success() {
            let messages = String::from_utf8_lossy(&output.stderr);
            let (program, status) = (program.display(), output.status);
            let hint = self.hint();
            let output = format!("{}\n\n({program} ended with {status}){hint}", messages.trim());
            return Err(Error::Compiler { output });
        }
        Ok(output.stdout)
    }

    /// The prefixes that the compiler strips from the paths it reports: the import paths, the
    /// package's directory, and for files outside both their common directory. A relative import
    /// cannot refer to a file outside it.
    fn prefixes(&self) -> Result<BTreeSet<PathBuf>, Error> {
        let here = std::env::current_dir().map_err(|error| Error::io("find", ".", error))?;
        let here = canonical(&here)?;
        let root = |file: &PathBuf| self.import_paths.iter().find(|path| file.starts_with(path));
        let shipped = self.files.iter().filter_map(root).cloned();
        let elsewhere =
            self.files.iter().filter(|file| !file.starts_with(&here) && root(file).is_none());
        let directories = elsewhere.filter_map(|file| file.parent().map(Path::to_owned));
        let common = directories.reduce(|common, directory| {
            let both = common.components().zip(directory.components());
            both.take_while(|(a, b)| a == b).map(|(part, _)| part).collect()
        });
        Ok(shipped.chain(std::iter::once(here)).chain(common).collect())
    }

    /// Where the imports that are not found are looked for: the compiler does not say it.
    fn hint(&self) -> String {
        let missing = missing_imports(self.files, self.import_paths).unwrap_or_default();
        let mut hints = BTreeSet::new();
        for (file, name) in missing {
            let file = file.display();
            hints.insert(match name.strip_prefix('/') {
                Some("mp/proxy.capnp" | "rust-multiprocess.capnp") => format!(
                    "\n({name} is found where this crate has the dependency `multiprocess`; \
                     else tell the Builder its directory with import_path)"
                ),
                Some(_) => format!(
                    "\n({name} is looked for in the directories that Builder::import_path names)"
                ),
                None => format!(
                    "\n({name} is looked for beside {file}, which imports it; /{name} would be looked for in the \
                     directories that Builder::import_path names)"
                ),
            });
        }
        hints.into_iter().collect()
    }
}

/// The path that both compilers and cargo understand, wherever they run.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|error| Error::io("find", path, error))
}

/// Every `*.capnp` file below `directory`, but for those of the directories `others` within it.
pub(crate) fn schemas_below(
    directory: &Path,
    others: &[PathBuf],
    found: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let fail = |error| Error::io("read the directory", directory, error);
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            if !others.contains(&canonical(&path)?) {
                schemas_below(&path, others, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "capnp") {
            found.push(path);
        }
    }
    Ok(())
}

/// The files, and every file that they import or embed, at any depth.
pub(crate) fn read_files(
    files: &[PathBuf],
    import_paths: &[PathBuf],
) -> Result<BTreeSet<PathBuf>, Error> {
    // Missing files are left to the compiler: it reports them, or has them built in.
    Ok(follow_imports(files, import_paths)?.read)
}

/// The imports that are not found, each with the file that has it; not those that the compiler has built in.
fn missing_imports(
    files: &[PathBuf],
    import_paths: &[PathBuf],
) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut missing = follow_imports(files, import_paths)?.missing;
    missing.retain(|(_, name)| !name.starts_with("/capnp/"));
    Ok(missing)
}

/// What the files import or embed, at any depth.
#[derive(Default)]
struct Imports {
    /// The files themselves, and every file that is found.
    read: BTreeSet<PathBuf>,
    /// Each with the file that names it.
    missing: Vec<(PathBuf, String)>,
}

fn follow_imports(files: &[PathBuf], import_paths: &[PathBuf]) -> Result<Imports, Error> {
    let mut all = Imports::default();
    let mut open = files.to_vec();
    while let Some(file) = open.pop() {
        if !all.read.insert(file.clone()) || file.extension().is_none_or(|end| end != "capnp") {
            continue;
        }
        let text = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
        for name in imports(&String::from_utf8_lossy(&text)) {
            let found = match name.strip_prefix('/') {
                Some(name) => import_paths.iter().map(|path| path.join(name)).find(|p| p.exists()),
                None => file.parent().map(|parent| parent.join(&name)),
            };
            match found.and_then(|path| path.canonicalize().ok()) {
                Some(path) => open.push(path),
                None => all.missing.push((file.clone(), name)),
            }
        }
    }
    Ok(all)
}

/// Whether the file is one of Cap'n Proto's own that declares types of values.
pub(crate) fn is_standard(path: &Path, import_paths: &[PathBuf]) -> bool {
    const NAMES: [&str; 4] = ["persistent", "rpc", "rpc-twoparty", "schema"];
    import_paths.iter().filter_map(|root| path.strip_prefix(root).ok()).any(|below| {
        NAMES.iter().any(|name| below == Path::new("capnp").join(name).with_extension("capnp"))
    })
}

/// The names after `import` and `embed`.
fn imports(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines() {
        let code = line.split('#').next().unwrap_or_default();
        let mut parts = code.split('"');
        while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
            let word = before.trim_end().rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
            if matches!(word, Some("import" | "embed")) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found() {
        let text = "using A = import \"a.capnp\"; # import \"no.capnp\"\n\
                    const b :Text = embed \"/b.txt\"; const c :Text = \"c\";\n\
                    using D=import\"d.capnp\".D;";
        assert_eq!(imports(text), ["a.capnp", "/b.txt", "d.capnp"]);
    }
}
