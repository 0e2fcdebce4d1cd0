//! Where in a schema something is, and the list of what could not be mapped.

use crate::error::{Error, Unsupported};

/// Where in a schema something is, for a message.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    file: String,
    declaration: String,
    method: Option<String>,
    field: Option<String>,
}

impl Place {
    pub(super) fn file(name: &str) -> Self {
        Self { file: name.to_owned(), ..Self::default() }
    }

    pub(super) fn declaration(&self, kind: &str, name: &str) -> Self {
        Self { declaration: format!("{kind} {name}"), ..self.clone() }
    }

    pub(super) fn method(&self, name: &str) -> Self {
        Self { method: Some(name.to_owned()), ..self.clone() }
    }

    pub(super) fn field(&self, kind: &str, name: &str) -> Self {
        Self { field: Some(format!("{kind} {name}")), ..self.clone() }
    }
}

/// What could not be mapped so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Unsupported>,
}

impl Report {
    pub(super) fn add(&mut self, place: &Place, what: impl Into<String>, instead: Option<&str>) {
        let place = place.clone();
        let unsupported = Unsupported {
            file: place.file,
            declaration: place.declaration,
            method: place.method,
            field: place.field,
            what: what.into(),
            instead: instead.map(str::to_owned),
        };
        if !self.found.contains(&unsupported) {
            self.found.push(unsupported);
        }
    }

    /// The error, if anything was found.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self.found.is_empty() {
            true => Ok(()),
            false => Err(Error::Unsupported(std::mem::take(&mut self.found))),
        }
    }
}
