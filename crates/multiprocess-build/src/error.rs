//! The errors of a build script, worded for the reader of cargo's output.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why no code was generated.
///
/// `Debug` prints the same text as `Display`, because that is what a build script's
/// `fn main() -> Result<(), Error>` shows.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The schema compiler found mistakes in a schema, or could not run.
    #[error("the schema compiler failed\n\n{output}")]
    #[non_exhaustive]
    Compiler {
        /// The compiler's messages, or where they are.
        output: String,
    },

    /// The schemas are right, but say something that has no mapping to Rust. Everything found is
    /// listed, not only the first.
    #[error("{}", list(.0))]
    Unsupported(Vec<Unsupported>),

    /// The builder was called in a way that cannot work; the text says what to do instead.
    #[error("{problem}")]
    #[non_exhaustive]
    Builder {
        /// What was wrong and what to do.
        problem: String,
    },

    /// The generator itself failed on a schema that it should have accepted or refused with
    /// [`Error::Unsupported`]: please report it.
    #[error(
        "multiprocess-build failed: {problem}. This is a defect of the generator; please report it"
    )]
    #[non_exhaustive]
    Generator {
        /// What happened.
        problem: String,
    },

    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    #[non_exhaustive]
    Io {
        /// What was done, such as `read`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// One thing in a schema that has no mapping to Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The schema file.
    pub file: String,
    /// The line that the declaration begins in, where the compiler says it.
    pub line: Option<u32>,
    /// The declaration in it, such as `interface Echo` or `struct BlockRef`. Empty where it is the
    /// file itself.
    pub declaration: String,
    /// The interface's method.
    pub method: Option<String>,
    /// The method's parameter or result, or the struct's field, such as `parameter echo`.
    pub field: Option<String>,
    /// The thing that cannot be mapped.
    pub what: String,
    /// What to write instead, where there is something.
    pub instead: Option<String>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        let mut separator = ": ";
        let method = self.method.as_ref().map(|method| format!("method {method}"));
        let declaration = Some(&self.declaration).filter(|text| !text.is_empty());
        for part in [declaration, method.as_ref(), self.field.as_ref()].into_iter().flatten() {
            write!(f, "{separator}{part}")?;
            separator = ", ";
        }
        write!(f, "\n    {}", self.what)?;
        if let Some(instead) = &self.instead {
            write!(f, "\n    instead: {instead}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A message that Cap'n Proto cannot read, or code that Rust cannot parse: a defect of the
/// generator, not of the schema.
impl From<capnp::Error> for Error {
    fn from(error: capnp::Error) -> Self {
        Error::Generator { problem: format!("the compiled schema cannot be read: {error}") }
    }
}

impl From<capnp::NotInSchema> for Error {
    fn from(error: capnp::NotInSchema) -> Self {
        Error::Generator { problem: format!("the compiled schema cannot be read: {error}") }
    }
}

impl From<std::str::Utf8Error> for Error {
    fn from(error: std::str::Utf8Error) -> Self {
        Error::Generator { problem: format!("the compiled schema cannot be read: {error}") }
    }
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Error::Io { doing, path: path.into(), source }
    }
}

fn list(problems: &[Unsupported]) -> String {
    let mut text = String::from("the schemas say what has no mapping to Rust");
    for problem in problems {
        text.push_str("\n\n  ");
        text.push_str(&problem.to_string());
    }
    text
}
