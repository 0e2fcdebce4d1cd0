//! Rules: what a schema would say in annotations, said by the builder about a schema that cannot be edited.
//!
//! A rule names a place by its path and has a mark for it. The marks are put into the compiled schema as
//! annotations, so that everything after it, the comparison of versions included, takes them as the
//! schema's own.
//!
//! ```text
//! mark      what a rule says: the annotation, and where it may stand
//! paths     the places of a compiled schema by their paths, and the near names of a wrong one
//! annotate  writes the annotations
//! ```

mod annotate;
mod mark;
mod paths;

use std::collections::HashSet;

use capnp::schema_capnp::code_generator_request;

use crate::error::Error;
use annotate::annotate;
use paths::{Found, Paths};

pub use mark::Mark;

/// A mark for what has this path.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub path: String,
    pub mark: Mark,
}

/// Which rules have found their places, in whichever version of the schemas.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    found: HashSet<usize>,
    /// The problems of those that have not, in the newest version.
    missing: Vec<(usize, String)>,
}

impl Applied {
    /// Puts the rules' marks into a compiled schema. An older version need not have all places. `newest`
    /// is the one whose names are shown where a place is found in none.
    pub(crate) fn apply(
        &mut self,
        rules: &[Rule],
        request: code_generator_request::Reader<'_>,
        newest: bool,
    ) -> Result<Vec<u8>, Error> {
        let paths = Paths::of(request)?;
        let mut marks = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            match paths.find(&rule.path) {
                Found::One(place) => {
                    if !rule.mark.fits(place.kind) {
                        return Err(problem(format!(
                            "the rule {} for {:?} is for {}, and that is {}{}",
                            rule.mark.name(),
                            rule.path,
                            rule.mark.targets(),
                            place.kind.words(),
                            paths.where_used(place, &rule.mark),
                        )));
                    }
                    self.found.insert(index);
                    marks.push((place, &rule.mark));
                }
                Found::Several(names) => {
                    return Err(problem(format!(
                        "the rule {} for {:?} is ambiguous: say which of {} it is for",
                        rule.mark.name(),
                        rule.path,
                        names.join(", "),
                    )));
                }
                Found::None(near) if newest => self.missing.push((index, near)),
                Found::None(_) => {}
            }
        }
        annotate(request, &marks)
    }

    /// # Errors
    /// [`Error::Builder`] for rules whose place no version has.
    pub(crate) fn finish(self, rules: &[Rule]) -> Result<(), Error> {
        let missing = self.missing.iter().filter(|(index, _)| !self.found.contains(index));
        let lines: Vec<String> = missing
            .filter_map(|(index, near)| {
                let rule = rules.get(*index)?;
                Some(format!("the rule {} for {:?}: {near}", rule.mark.name(), rule.path))
            })
            .collect();
        if lines.is_empty() { Ok(()) } else { Err(problem(lines.join("\n"))) }
    }
}

fn problem(problem: String) -> Error {
    Error::Builder { problem }
}
