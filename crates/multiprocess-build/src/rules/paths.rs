//! The places of a compiled schema by their paths: `mining.capnp:Mining.getTip$Results.result`.
//!
//! They are the compiler's own names. Of the file as much of its path is given as makes it the only one.

use std::collections::HashMap;

use capnp::schema_capnp::{code_generator_request, field, node};

use super::mark::Kind;
use crate::error::Error;

/// One place.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The file, as the compiler names it.
    file: String,
    /// The rest of the path; empty for the file itself.
    name: String,
    pub(super) kind: Kind,
    /// The index of the node, and in it that of the field, enumerant or method.
    pub(super) node: u32,
    pub(super) member: Option<u32>,
}

/// All places, but those of Cap'n Proto's own annotations.
pub(super) struct Paths(Vec<Place>);

/// What a path leads to.
pub(super) enum Found<'a> {
    One(&'a Place),
    /// The full paths.
    Several(Vec<String>),
    /// What is near, as a sentence.
    None(String),
}

impl Paths {
    pub(super) fn of(request: code_generator_request::Reader<'_>) -> Result<Paths, Error> {
        let mut places = Vec::new();
        let mut groups: HashMap<u64, bool> = HashMap::new();
        for node in request.get_nodes()? {
            if let node::Struct(body) = node.which()? {
                groups.insert(node.get_id(), body.get_is_group());
            }
        }
        for (index, node) in (0..).zip(request.get_nodes()?) {
            let display = node.get_display_name()?.to_str()?;
            let (file, name) = display.split_once(':').unwrap_or((display, ""));
            let place = |kind, member: Option<(u32, &str)>| Place {
                file: file.to_owned(),
                name: match member {
                    Some((_, member)) => format!("{name}.{member}"),
                    None => name.to_owned(),
                },
                kind,
                node: index,
                member: member.map(|(index, _)| index),
            };
            match node.which()? {
                node::File(()) => places.push(place(Kind::File, None)),
                node::Struct(body) => {
                    // A group's own marks are those of its field; the parameters of a method have none.
                    if !body.get_is_group() && node.get_scope_id() != 0 {
                        places.push(place(Kind::Struct, None));
                    }
                    for (index, field) in (0..).zip(body.get_fields()?) {
                        let kind = match field.which()? {
                            field::Slot(_) => Kind::Field,
                            field::Group(_) => Kind::Group,
                        };
                        let name = field.get_name()?.to_str()?;
                        places.push(place(kind, Some((index, name))));
                    }
                }
                node::Enum(body) => {
                    places.push(place(Kind::Enum, None));
                    for (index, enumerant) in (0..).zip(body.get_enumerants()?) {
                        let name = enumerant.get_name()?.to_str()?;
                        places.push(place(Kind::Enumerant, Some((index, name))));
                    }
                }
                node::Interface(body) => {
                    places.push(place(Kind::Interface, None));
                    for (index, method) in (0..).zip(body.get_methods()?) {
                        let name = method.get_name()?.to_str()?;
                        places.push(place(Kind::Method, Some((index, name))));
                    }
                }
                node::Const(_) => places.push(place(Kind::Const, None)),
                node::Annotation(_) => {}
            }
        }
        Ok(Paths(places))
    }

    pub(super) fn find(&self, path: &str) -> Found<'_> {
        let (file, name) = path.split_once(':').unwrap_or((path, ""));
        let named = self.0.iter().filter(|place| place.name == name && place.is_in(file));
        match named.collect::<Vec<_>>().as_slice() {
            [one] => Found::One(one),
            [] => Found::None(self.near(file, name)),
            several => Found::Several(several.iter().map(|place| place.path()).collect()),
        }
    }

    /// A sentence that says what is wrong with a path.
    fn near(&self, file: &str, name: &str) -> String {
        let here = || self.0.iter().filter(|place| place.is_in(file));
        if here().next().is_none() {
            let files = self.0.iter().filter(|place| place.kind == Kind::File);
            let files: Vec<_> = files.map(|place| place.file.as_str()).collect();
            return format!(
                "there is no file {file:?} among {}; a path is as in \
                 file.capnp:Interface.method$Params.parameter",
                files.join(", "),
            );
        }
        let mut near: Vec<(usize, &Place)> =
            here().map(|place| (distance(&place.name, name), place)).collect();
        near.sort_by_key(|(distance, place)| (*distance, place.name.len()));
        let near: Vec<_> = near.iter().take(3).map(|(_, place)| place.path()).collect();
        format!("that file has no {name:?}; near it are {}", near.join(", "))
    }
}

impl Place {
    /// Whether `file` is the end of its file's path.
    fn is_in(&self, file: &str) -> bool {
        let before = self.file.strip_suffix(file);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    }

    fn path(&self) -> String {
        match self.name.is_empty() {
            true => self.file.clone(),
            false => format!("{}:{}", self.file, self.name),
        }
    }
}

/// How many letters have to be changed, added or left out to get from one name to the other. Names that
/// end in the same word are nearer than others.
fn distance(a: &str, b: &str) -> usize {
    let last = |name: &str| name.rsplit(['.', '$']).next().unwrap_or_default().to_owned();
    let (a_chars, b_chars): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b_chars.len()).collect();
    for (i, x) in a_chars.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b_chars.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = changed.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    let distance = row.last().copied().unwrap_or_default();
    if last(a) == last(b) { distance / 2 } else { distance }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("getBlok", "getBlock"), 1);
        assert_eq!(distance("A.getTip", "B.getTip"), 0, "the same word in another place is near");
    }
}
