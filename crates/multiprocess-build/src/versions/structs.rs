//! Compares a struct with its form in an older version.
//!
//! What counts is where the fields lie, and with which types: that is what a peer reads. Names count
//! nothing, nor does the group or union in which a field is declared, as long as it lies where it lay. So a
//! struct is taken apart into its leaves: the fields in it and in its groups and unions.

use std::collections::HashMap;

use super::Problem;
use super::wire::{bits, same_type, wire};
use crate::model::{Body, Field, Presence, Struct, Type};

/// The structs, groups and unions of one version, by id and name.
pub(super) struct Items<'a>(HashMap<(u64, &'a str), &'a Struct>);

impl<'a> Items<'a> {
    pub(super) fn new(structs: impl Iterator<Item = &'a Struct>) -> Items<'a> {
        Items(structs.map(|item| ((item.named.id, item.named.name.as_str()), item)).collect())
    }

    /// The structs that are declared for themselves, not as a group or union in another.
    pub(super) fn roots(&self) -> HashMap<u64, &'a Struct> {
        let bodies = self.0.values().flat_map(|item| fields_of(item));
        let inner: Vec<_> = bodies.filter_map(|field| group(&field.ty)).collect();
        let all = self.0.iter().filter(|(key, _)| !inner.contains(key));
        all.map(|((id, _), item)| (*id, *item)).collect()
    }
}

fn fields_of(item: &Struct) -> &[Field] {
    match &item.body {
        Body::Fields(fields) => fields,
        Body::Union(union) => &union.members,
    }
}

fn group(ty: &Type) -> Option<(u64, &str)> {
    match ty {
        Type::Group(named, _) => Some((named.id, named.name.as_str())),
        _ => None,
    }
}

/// What an older version has of one struct, group or union.
pub(super) struct Older {
    /// The id and Rust name of the newest form.
    pub id: u64,
    pub name: String,
    /// For each field or member: that of the older version, if it is there.
    pub fields: Vec<Option<Field>>,
    /// Whether a field has another default there, so that its bits are others.
    pub recoded: bool,
}

/// Compares a struct with its older form: gives each of its parts (itself, its groups and unions).
pub(super) fn compare(
    (now, now_items): (&Struct, &Items<'_>),
    (then, then_items): (&Struct, &Items<'_>),
) -> Result<Vec<Older>, Problem> {
    let (now, then) = (Flat::new(now, now_items), Flat::new(then, then_items));
    for union in &then.unions {
        if now.unions.iter().all(|now| now.tag != union.tag) {
            return Err(Problem::of(union.item, "its members lie otherwise"));
        }
    }
    // For each leaf of the newest, the index of its partner.
    let partners: Vec<Option<usize>> = now
        .leaves
        .iter()
        .map(|leaf| {
            let unions = then.known(&leaf.unions)?;
            then.leaves.iter().position(|then| then.unions == unions && lie_alike(leaf, then))
        })
        .collect();
    names_agree(&now, &then, &partners)?;
    for (index, leaf) in then.leaves.iter().enumerate() {
        if !partners.contains(&Some(index)) {
            is_dropped(leaf, &now, &then, &partners)?;
        }
    }
    parts(&now, &then, &partners)
}

/// The parts of the newest form, with what the older one has of each.
fn parts(
    now: &Flat<'_>,
    then: &Flat<'_>,
    partners: &[Option<usize>],
) -> Result<Vec<Older>, Problem> {
    let mut parts = Vec::new();
    for item in &now.items {
        let (id, name) = (item.named.id, item.named.name.clone());
        let mut part = Older { id, name, fields: Vec::new(), recoded: false };
        let union = now.unions.iter().find(|union| std::ptr::eq(union.item, *item));
        for (number, field) in (0..).zip(fields_of(item)) {
            let at = now.leaves.iter().position(|leaf| std::ptr::eq(leaf.field, field));
            let partner = at.and_then(|at| partners[at]).map(|at| then.leaves[at].field);
            // A group is there, as far as its fields are. A member of a union is there if its number is.
            let there = match union {
                Some(union) => then.has(union, number),
                None => group(&field.ty).is_some() || is_void(field) || partner.is_some(),
            };
            let older =
                partner.map_or_else(|| field.clone(), |partner| counterpart(field, partner));
            if format!("{:?}", older.default) != format!("{:?}", field.default) {
                if union.is_some() {
                    return Err(Problem::of(item, "its members lie otherwise"));
                }
                part.recoded = true;
            }
            part.fields.push(there.then_some(older));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// The older form of a field. Properties of the Rust side (a codec, a map, whether it may be null) are
/// taken from the present schema.
pub(super) fn counterpart(now: &Field, then: &Field) -> Field {
    let presence = match (&now.presence, &then.presence) {
        (Presence::Flag(_), Presence::Flag(flag)) => Presence::Flag(*flag),
        (presence, _) => presence.clone(),
    };
    Field { slot: then.slot, presence, default: then.default.clone(), ..now.clone() }
}

/// A field of the older version that the newest does not have must not be there under another guise.
fn is_dropped(
    leaf: &Leaf<'_>,
    now: &Flat<'_>,
    then: &Flat<'_>,
    partners: &[Option<usize>],
) -> Result<(), Problem> {
    let gone = |(tag, number): &(u32, u16)| {
        now.unions.iter().any(|union| union.tag == *tag && *number >= union.members)
    };
    if leaf.unions.iter().any(gone) {
        return Ok(()); // A union that has lost its last members.
    }
    if matches!(leaf.item.body, Body::Union(_)) {
        return Err(Problem::of(leaf.item, "its members lie otherwise"));
    }
    let name = &leaf.field.schema_name;
    if elsewhere(name, now, then, partners) {
        return Err(Problem::field(leaf.item, name, "it has another type or place in the newest"));
    }
    let taken = now.leaves.iter().any(|now| now.overlaps(leaf))
        || now.unions.iter().any(|union| union.overlaps(leaf));
    if taken {
        return Err(Problem::field(leaf.item, name, "its place is another field's in the newest"));
    }
    Ok(())
}

/// Whether the newest form has a field of this name that is not the one of the older form.
fn elsewhere(name: &str, now: &Flat<'_>, then: &Flat<'_>, partners: &[Option<usize>]) -> bool {
    now.leaves.iter().zip(partners).any(|(other, partner)| {
        let partner = partner.map(|at| then.leaves[at].field.schema_name.as_str());
        other.field.schema_name == name && partner != Some(name)
    })
}

/// A field whose name is elsewhere in the other version may be renamed or moved: nobody can tell.
fn names_agree(now: &Flat<'_>, then: &Flat<'_>, partners: &[Option<usize>]) -> Result<(), Problem> {
    for (leaf, partner) in now.leaves.iter().zip(partners) {
        let Some(partner) = partner else { continue };
        let (own, theirs) = (&leaf.field.schema_name, &then.leaves[*partner].field.schema_name);
        if own != theirs && elsewhere(theirs, now, then, partners) {
            let what = format!("{own} lies where {theirs} was, and {theirs} is elsewhere now");
            return Err(Problem::field(leaf.item, own, &what));
        }
    }
    Ok(())
}

/// A struct taken apart.
struct Flat<'a> {
    /// The struct, its groups and its unions.
    items: Vec<&'a Struct>,
    leaves: Vec<Leaf<'a>>,
    unions: Vec<Union<'a>>,
}

struct Leaf<'a> {
    field: &'a Field,
    /// Where it is declared.
    item: &'a Struct,
    /// The unions around it: where the tag lies, and the tag with which the field is set.
    unions: Vec<(u32, u16)>,
    place: Place,
}

struct Union<'a> {
    item: &'a Struct,
    tag: u32,
    /// The unions around it.
    unions: Vec<(u32, u16)>,
    members: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The first bit, and how many.
    Data(u32, u32),
    Pointer(u32),
    None,
}

impl Place {
    fn overlaps(self, other: Place) -> bool {
        match (self, other) {
            (Place::Data(a, long), Place::Data(b, other)) => a < b + other && b < a + long,
            (Place::Pointer(a), Place::Pointer(b)) => a == b,
            _ => false,
        }
    }
}

impl<'a> Flat<'a> {
    fn new(root: &'a Struct, items: &Items<'a>) -> Flat<'a> {
        let mut flat = Flat { items: Vec::new(), leaves: Vec::new(), unions: Vec::new() };
        flat.add(root, items, &[]);
        flat
    }

    fn add(&mut self, item: &'a Struct, items: &Items<'a>, unions: &[(u32, u16)]) {
        self.items.push(item);
        let tag = match &item.body {
            Body::Fields(_) => None,
            Body::Union(union) => Some(union.tag),
        };
        let fields = fields_of(item);
        if let Some(tag) = tag {
            let members = u16::try_from(fields.len()).unwrap_or(u16::MAX);
            self.unions.push(Union { item, tag, unions: unions.to_vec(), members });
        }
        for (number, field) in (0..).zip(fields) {
            let mut unions = unions.to_vec();
            unions.extend(tag.map(|tag| (tag, number)));
            // A field is a leaf, and so is the Bool that says whether a group is present.
            if group(&field.ty).is_none() || place(field) != Place::None {
                let unions = unions.clone();
                self.leaves.push(Leaf { field, item, unions, place: place(field) });
            }
            if let Some(inner) = group(&field.ty).and_then(|key| items.0.get(&key)) {
                self.add(inner, items, &unions);
            }
        }
    }

    /// The unions around a field of the newest form, without those that this version does not have: what
    /// was in no union may be their first member now. None if this version does not have the field.
    fn known(&self, unions: &[(u32, u16)]) -> Option<Vec<(u32, u16)>> {
        let has = |tag: u32| self.unions.iter().any(|union| union.tag == tag);
        let news = unions.iter().any(|(tag, number)| !has(*tag) && *number != 0);
        (!news).then(|| unions.iter().copied().filter(|(tag, _)| has(*tag)).collect())
    }

    /// Whether this version has a member of a union of the newest.
    fn has(&self, union: &Union<'_>, number: u16) -> bool {
        match self.unions.iter().find(|own| own.tag == union.tag) {
            Some(own) => number < own.members,
            None => number == 0,
        }
    }
}

impl Leaf<'_> {
    fn overlaps(&self, other: &Leaf<'_>) -> bool {
        together(&self.unions, &other.unions) && self.place.overlaps(other.place)
    }
}

impl Union<'_> {
    fn overlaps(&self, leaf: &Leaf<'_>) -> bool {
        together(&self.unions, &leaf.unions) && Place::Data(self.tag * 16, 16).overlaps(leaf.place)
    }
}

/// Whether both can be set in the same value.
fn together(a: &[(u32, u16)], b: &[(u32, u16)]) -> bool {
    a.iter().all(|(tag, number)| b.iter().all(|(other, set)| tag != other || number == set))
}

fn is_void(field: &Field) -> bool {
    matches!(field.ty, Type::Void)
}

fn place(field: &Field) -> Place {
    match (&field.ty, &field.presence) {
        (Type::Group(..), Presence::Flag(flag)) => Place::Data(*flag, 1),
        (Type::Group(..) | Type::Void, _) => Place::None,
        (ty, _) => match bits(ty) {
            Some(bits) => Place::Data(field.slot * bits, bits),
            None => Place::Pointer(field.slot),
        },
    }
}

/// Whether both lie in the same place with the same type, and so do the Bools that say whether they are
/// present.
fn lie_alike(now: &Leaf<'_>, then: &Leaf<'_>) -> bool {
    let flag = |leaf: &Leaf<'_>| match leaf.field.presence {
        Presence::Flag(flag) => Some(flag),
        _ => None,
    };
    let types = match (&now.field.ty, &then.field.ty) {
        (Type::Group(..), Type::Group(..)) => true,
        (now, then) => same_type(wire(now), wire(then)),
    };
    now.place == then.place && flag(now) == flag(then) && types
}
