//! Writes the measured tables into docs/PERFORMANCE.md, and leaves the other text as it is.

use std::path::{Path, PathBuf};

use multiprocess_bench::Failure;

/// The folder of the plots; created if it does not exist.
///
/// # Errors
/// It cannot be made.
pub(crate) fn plots() -> Result<PathBuf, Failure> {
    let folder = docs().join("performance");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Puts a table between `<!-- begin NAME -->` and `<!-- end NAME -->`.
///
/// # Errors
/// The file cannot be written, or has no such marks.
pub(crate) fn write(name: &str, table: &str) -> Result<(), Failure> {
    let file = docs().join("PERFORMANCE.md");
    let text = std::fs::read_to_string(&file)?;
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let marks = || format!("{} has no {begin:?} and {end:?}", file.display());
    let (before, rest) = text.split_once(&begin).ok_or_else(marks)?;
    let (_, after) = rest.split_once(&end).ok_or_else(marks)?;
    std::fs::write(&file, format!("{before}{begin}```text\n{table}```\n{end}{after}"))?;
    Ok(())
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}
