//! The places of a compiled schema by their paths: `mining.capnp:Mining.getTip$Results.result`.
//!
//! They are the compiler's own names. Of the file as much of its path is given as makes it the only one.

use std::collections::HashMap;

use capnp::schema_capnp::{code_generator_request, field, node, type_};

use super::mark::{Kind, Mark};
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
    /// The id of the declared type that it is, or that a field has, of a list that of its items.
    type_id: Option<u64>,
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
                type_id: member.is_none().then(|| node.get_id()),
            };
            match node.which()? {
                node::File(()) => places.push(place(Kind::File, None)),
                node::Struct(body) => {
                    // A group's own marks are those of its field; the parameters of a method have none.
                    if !body.get_is_group() && node.get_scope_id() != 0 {
                        places.push(place(Kind::Struct, None));
                    }
                    for (index, field) in (0..).zip(body.get_fields()?) {
                        let (kind, type_id) = match field.which()? {
                            field::Slot(slot) => (Kind::Field, declared(slot.get_type()?)?),
                            field::Group(_) => (Kind::Group, None),
                        };
                        let name = field.get_name()?.to_str()?;
                        places.push(Place { type_id, ..place(kind, Some((index, name))) });
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

    /// Where a mark for fields belongs that was given to their type: the end of a sentence, or nothing.
    pub(super) fn where_used(&self, place: &Place, mark: &Mark) -> String {
        let used = |other: &&Place| other.kind == Kind::Field && other.type_id == place.type_id;
        let example = self.0.iter().find(used).filter(|_| place.type_id.is_some());
        match example.filter(|_| mark.fits(Kind::Field)) {
            Some(example) => {
                format!("; mark each place that has this type, such as {}", example.path())
            }
            None => String::new(),
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

/// The id of a struct, enum or interface, also in lists.
fn declared(mut ty: type_::Reader<'_>) -> Result<Option<u64>, Error> {
    loop {
        return Ok(match ty.which()? {
            type_::Struct(ty) => Some(ty.get_type_id()),
            type_::Enum(ty) => Some(ty.get_type_id()),
            type_::Interface(ty) => Some(ty.get_type_id()),
            type_::List(list) => {
                ty = list.get_element_type()?;
                continue;
            }
            _ => None,
        });
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
