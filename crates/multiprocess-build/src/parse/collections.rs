//! Lists that are maps or sets in Rust.

use std::collections::{BTreeSet, HashMap};

use super::declare::Declared;
use super::substitute::{MOST_TYPES, spend};
use super::visit::{Shapes, each_field, shapes};
use super::{Place, Report};
use crate::model::{Order, Presence, Schema, Type};

/// Fills in the key and value of each map, marks the entries, and reports lists that cannot be a
/// map or set.
pub(super) fn complete(
    schema: &mut Schema,
    declared: &HashMap<u64, Declared>,
    report: &mut Report,
) {
    let mut pass = Pass { shapes: &shapes(schema), report, entries: BTreeSet::new(), left: 0 };
    each_field(schema, declared, |place, _, field| {
        pass.left = MOST_TYPES;
        pass.fill(&mut field.ty, place, &mut Vec::new());
    });
    let entries = pass.entries;
    for item in schema.files.iter_mut().flat_map(|file| &mut file.structs) {
        item.entry = entries.contains(&item.named.id);
    }
}

struct Pass<'a> {
    shapes: &'a Shapes,
    report: &'a mut Report,
    entries: BTreeSet<u64>,
    /// How many more types the field's type may be made of. Rust's map types are written out, so
    /// where both the key and the value of an entry are maps, the type doubles with every level.
    left: usize,
}

impl Pass<'_> {
    /// `around` are the entries of the maps that this type is in.
    fn fill(&mut self, ty: &mut Type, place: &Place, around: &mut Vec<u64>) {
        match ty {
            Type::Map(order, map) => {
                let (entry, key, value) = &mut **map;
                let Some((made_key, made_value)) = self.entry(entry, place, around) else { return };
                (*key, *value) = (made_key, made_value);
                self.unique(key, *order, "a map's key", place);
            }
            Type::Set(order, item) => {
                self.fill(item, place, around);
                self.unique(item, *order, "a set's item", place);
            }
            Type::List(item) => self.fill(item, place, around),
            Type::As { wire, .. } => self.fill(wire, place, around),
            _ => {}
        }
    }

    /// The key and value of a map with these entries.
    fn entry(
        &mut self,
        entry: &Type,
        place: &Place,
        around: &mut Vec<u64>,
    ) -> Option<(Type, Type)> {
        let Type::Struct(named, arguments) = entry else { return None };
        let shape = self.shapes.get(&named.id)?;
        let name = &named.name;
        let fields = shape.fields_with(arguments).filter(|fields| {
            let types = fields.iter().map(|field| &field.ty);
            types.into_iter().all(|ty| spend(ty, &HashMap::new(), &mut self.left))
        });
        let Some(fields) = fields else {
            self.left = 0;
            let what = format!("maps in maps make a type of more than {MOST_TYPES} types");
            self.report.add(place, what, "a list in place of one of them");
            return None;
        };
        let [key, value] = fields.as_slice() else {
            let what = format!("{name} is no entry of a map: it does not have two fields");
            self.report.add(place, what, "a struct with two fields, key and value");
            return None;
        };
        let always = |presence: &Presence| *presence == Presence::Always;
        let (what, instead) = if shape.outside {
            ("it is another crate's", "a struct of this crate")
        } else if shape.tag.is_some() {
            ("it is a union", "a struct with two fields, key and value")
        } else if around.contains(&named.id) {
            ("its maps have no end", "a list of it, or a struct around the map")
        } else if !always(&key.presence) || !always(&value.presence) || key.boxed || value.boxed {
            ("its key or value can be absent", "a struct that has what is absent, as the value")
        } else {
            self.entries.insert(named.id);
            let (mut key, mut value) = (key.ty.clone(), value.ty.clone());
            around.push(named.id);
            self.fill(&mut key, place, around);
            self.fill(&mut value, place, around);
            around.pop();
            return Some((key, value));
        };
        self.report.add(place, format!("{name} is no entry of a map: {what}"), instead);
        None
    }

    /// Reports a type whose values cannot be compared for equality, or for order where `order`
    /// needs it.
    fn unique(&mut self, ty: &Type, order: Order, word: &str, place: &Place) {
        let Err(what) = self.ordered(ty, order) else { return };
        let what = format!("{what} cannot be {word}");
        let traits = match order {
            Order::Hashed => "Eq, Hash",
            Order::Ordered => "Eq, PartialOrd, Ord",
        };
        let instead = match ty {
            Type::Struct(..) => {
                format!("derive of /rust-multiprocess.capnp on it, with {traits}; or a list")
            }
            _ => "a list".to_owned(),
        };
        self.report.add(place, what, &instead);
    }

    fn ordered(&self, ty: &Type, order: Order) -> Result<(), String> {
        match ty {
            Type::Float32 | Type::Float64 => Err("a floating point number".to_owned()),
            Type::Interface(_) | Type::Capability(_) => Err("an interface".to_owned()),
            Type::Descriptor(_) => Err("a file descriptor".to_owned()),
            Type::Parameter(_) => Err("a type parameter".to_owned()),
            Type::AnyPointer if order == Order::Ordered => Err("an AnyPointer".to_owned()),
            Type::Set(Order::Hashed, _) | Type::Map(Order::Hashed, _) => {
                Err("what is hashed".to_owned())
            }
            Type::List(item) | Type::Set(Order::Ordered, item) => self.ordered(item, order),
            Type::Map(Order::Ordered, map) => {
                self.ordered(&map.1, order)?;
                self.ordered(&map.2, order)
            }
            Type::Struct(named, arguments) | Type::Group(named, arguments) => {
                let needed: &[&str] = match order {
                    Order::Hashed => &["Eq", "Hash"],
                    Order::Ordered => &["Eq", "PartialOrd", "Ord"],
                };
                let derives = self.shapes.get(&named.id).map(|shape| shape.derives.as_slice());
                let derives = derives.unwrap_or_default();
                for name in needed {
                    if !derives.iter().any(|derived| derived == name) {
                        return Err(format!("{}, which does not derive {name},", named.name));
                    }
                }
                arguments.iter().try_for_each(|argument| self.ordered(argument, order))
            }
            Type::Void
            | Type::Bool
            | Type::Int(_)
            | Type::Text
            | Type::Data
            | Type::AnyPointer
            | Type::Enum(_)
            | Type::As { .. } => Ok(()),
        }
    }
}
