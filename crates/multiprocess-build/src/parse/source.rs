//! The line and the comments of a declaration, as the compiler gives them.

use std::path::PathBuf;

use capnp::traits::IntoInternalStructReader;

use super::Parser;
use crate::error::Error;

/// The offset of `startByte` in the compiler's `Node.SourceInfo`, in units of its size. It is
/// needed because capnp's reader of that struct is generated from an older schema, without the
/// field.
const START_BYTE: usize = 2;

impl Parser<'_> {
    /// The line that a declaration begins in. The compiler gives none of members, groups and
    /// methods, and older ones none at all.
    pub(super) fn line(&self, id: u64, source: &[u8]) -> Option<u32> {
        let info = self.infos.get(&id)?.into_internal_struct_reader();
        let start = usize::try_from(info.get_data_field::<u32>(START_BYTE)).ok()?;
        let before = source.get(..start).filter(|before| !before.is_empty())?;
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        u32::try_from(breaks + 1).ok()
    }

    /// The comment on a declaration.
    pub(super) fn docs(&self, id: u64) -> Result<String, Error> {
        match self.infos.get(&id) {
            Some(info) => Ok(info.get_doc_comment()?.to_str()?.trim_end().to_owned()),
            None => Ok(String::new()),
        }
    }

    /// The comment on a field, enumerant or method.
    pub(super) fn member_docs(&self, id: u64, index: usize) -> Result<String, Error> {
        let Some(info) = self.infos.get(&id) else { return Ok(String::new()) };
        match info.get_members()?.iter().nth(index) {
            Some(member) => Ok(member.get_doc_comment()?.to_str()?.trim_end().to_owned()),
            None => Ok(String::new()),
        }
    }
}

/// The comment that a file begins with, unless it is about the licence. The compiler leaves it out.
pub(super) fn leading_comment(source: &[u8]) -> String {
    let text = String::from_utf8_lossy(source);
    let lines = text.lines().map_while(|line| line.strip_prefix('#'));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let comment = lines.join("\n");
    let legal = comment.contains("Copyright") || comment.contains("License");
    if legal { String::new() } else { comment.trim().to_owned() }
}

/// The schema file that the compiler calls `filename`.
pub(super) fn file_of<'p>(sources: &'p [PathBuf], filename: &str) -> Option<&'p PathBuf> {
    sources.iter().find(|path| path.ends_with(filename))
}
