//! Where in a schema something is, and the list of what could not be mapped.

use crate::error::{Error, Unsupported};

/// Where in a schema something is, for a message.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    file: String,
    line: Option<u32>,
    declaration: String,
    method: Option<String>,
    field: Option<String>,
    /// Whether the file is another crate's: then that crate's build has reported what is wrong with
    /// it.
    outside: bool,
}

impl Place {
    pub(super) fn file(name: &str, outside: bool) -> Self {
        Self { file: name.to_owned(), outside, ..Self::default() }
    }

    pub(super) fn declaration(&self, kind: &str, name: &str, line: Option<u32>) -> Self {
        Self { declaration: format!("{kind} {name}"), line, ..self.clone() }
    }

    pub(super) fn method(&self, name: &str) -> Self {
        Self { method: Some(name.to_owned()), ..self.clone() }
    }

    /// A field, parameter, result or enumerant; a field of a group has the group's name before its
    /// own.
    pub(super) fn field(&self, kind: &str, name: &str) -> Self {
        let field = match &self.field {
            Some(group) => format!("{group}.{name}"),
            None => format!("{kind} {name}"),
        };
        Self { field: Some(field), ..self.clone() }
    }
}

/// What could not be mapped so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Unsupported>,
}

impl Report {
    pub(super) fn add(&mut self, place: &Place, what: impl Into<String>, instead: &str) {
        if place.outside {
            return;
        }
        let place = place.clone();
        let unsupported = Unsupported {
            file: place.file,
            line: place.line,
            declaration: place.declaration,
            method: place.method,
            field: place.field,
            what: what.into(),
            instead: Some(instead.to_owned()).filter(|text| !text.is_empty()),
        };
        if !self.found.contains(&unsupported) {
            self.found.push(unsupported);
        }
    }

    /// The error, if anything was found, in the order of the files and their lines.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.found.is_empty() {
            true => Ok(()),
            false => {
                let mut found = std::mem::take(&mut self.found);
                found.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
                Err(Error::Unsupported(found))
            }
        }
    }
}
