//! Whether each struct has an equality, a `Clone` and a default, which depends on the types of all values in it, at
//! any depth; and which fields have none.

use std::collections::HashMap;

use super::declare::Declared;
use super::visit::{each_field, fields, fields_mut, initial, structs};
use super::{Place, Report};
use crate::model::{Body, Defaults, Field, Presence, Schema, Struct, Type, Value};

/// Fills in whether each struct has an equality, a `Clone` and a default, and whether each field needs a value.
pub(super) fn complete(schema: &mut Schema) {
    let all = facts(schema);
    for file in schema.files.iter_mut().chain(&mut schema.outside) {
        for item in &mut file.structs {
            let facts = all.get(&item.named.id).copied().unwrap_or_default();
            item.comparable = !facts.holds_handle && !facts.holds_descriptor;
            item.cloneable = !facts.holds_descriptor;
            item.default = match (facts.no_default, &item.body) {
                (true, _) => Defaults::Absent,
                (false, Body::Union(_)) => Defaults::Written,
                // A field that can be absent is absent by default.
                (false, Body::Fields(fields))
                    if fields
                        .iter()
                        .any(|f| f.default.is_some() && f.presence == Presence::Always) =>
                {
                    Defaults::Written
                }
                (false, Body::Fields(_)) => Defaults::Derived,
            };
            let promised = is_promised(item);
            for field in fields_mut(&mut item.body) {
                field.required = lacks_default(field, promised, &all) || depends(field);
            }
            // `facts` has read the mark, and `default` says how the struct gets its default.
            item.derives.retain(|name| name != "Default");
        }
        for method in file.interfaces.iter_mut().flat_map(|interface| &mut interface.methods) {
            for field in &mut method.results.fields {
                field.required = lacks_default(field, false, &all) || depends(field);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Facts {
    holds_handle: bool,
    holds_descriptor: bool,
    no_default: bool,
}

impl Facts {
    fn and(self, other: Facts) -> Facts {
        Facts {
            holds_handle: self.holds_handle || other.holds_handle,
            holds_descriptor: self.holds_descriptor || other.holds_descriptor,
            no_default: self.no_default || other.no_default,
        }
    }
}

/// Passes these facts on from structs to those that contain them, until nothing changes.
fn facts(schema: &Schema) -> HashMap<u64, Facts> {
    let mut all: HashMap<u64, Facts> = HashMap::new();
    loop {
        let mut changed = false;
        for item in structs(schema) {
            let facts = of_struct(item, &all);
            changed |= all.insert(item.named.id, facts) != Some(facts);
        }
        if !changed {
            return all;
        }
    }
}

fn of_struct(item: &Struct, all: &HashMap<u64, Facts>) -> Facts {
    let held = fields(&item.body).iter().map(|field| of_type(&field.ty, all));
    let held = held.fold(Facts::default(), Facts::and);
    let promised = is_promised(item);
    let mut first = initial(&item.body).iter();
    Facts { no_default: first.any(|field| lacks_default(field, promised, all)), ..held }
}

/// Whether the schema's author says that the Rust types of the struct's fields have a default.
fn is_promised(item: &Struct) -> bool {
    item.derives.iter().any(|name| name == "Default")
}

fn lacks_default(field: &Field, promised: bool, all: &HashMap<u64, Facts>) -> bool {
    // The schema's default goes through the codec, the type's own has to be promised.
    let known = promised || field.default.is_some();
    let named = matches!(field.ty, Type::As { .. });
    let made = field.presence == Presence::Always && !(named && known);
    made && of_type(&field.ty, all).no_default
}

/// Whether it depends on a type argument whether the field has a default.
fn depends(field: &Field) -> bool {
    fn open(ty: &Type) -> bool {
        match ty {
            Type::Parameter(_) => true,
            Type::Struct(_, arguments) | Type::Group(_, arguments) => arguments.iter().any(open),
            _ => false,
        }
    }
    field.presence == Presence::Always && open(&field.ty)
}

fn of_type(ty: &Type, all: &HashMap<u64, Facts>) -> Facts {
    match ty {
        Type::Capability(nullable) => Facts { no_default: !nullable, ..Facts::default() },
        Type::Descriptor(nullable) => {
            Facts { holds_descriptor: true, no_default: !nullable, ..Facts::default() }
        }
        Type::Interface(object) => {
            Facts { holds_handle: true, no_default: !object.nullable, ..Facts::default() }
        }
        Type::Struct(named, arguments) | Type::Group(named, arguments) => {
            let own = all.get(&named.id).copied().unwrap_or_default();
            arguments.iter().fold(own, |facts, argument| facts.and(of_type(argument, all)))
        }
        Type::List(item) | Type::Set(_, item) => Facts { no_default: false, ..of_type(item, all) },
        Type::Map(_, entry) => {
            let (_, key, value) = &**entry;
            Facts { no_default: false, ..of_type(key, all).and(of_type(value, all)) }
        }
        // The schema does not say whether the type has an equality; it is assumed to have one.
        Type::As { .. } => Facts { no_default: true, ..Facts::default() },
        _ => Facts::default(),
    }
}

/// Reports values that would need a default of a struct that has none.
pub(super) fn check_values(
    schema: &mut Schema,
    declared: &HashMap<u64, Declared>,
    report: &mut Report,
) {
    let known = structs(schema)
        .map(|item| (item.named.id, (item.default == Defaults::Absent, fields(&item.body).len())));
    let known: HashMap<u64, (bool, usize)> = known.collect();
    let mut check = |value: &Value, place: &Place| {
        if let Some(name) = made_of_default(value, &known) {
            let what = format!("a value of {name}, which has no default, is not supported");
            let instead = "on that struct $Rust.derive(\"Default\") (of /rust-multiprocess.capnp) where a \
                           type is annotated, and no notNull";
            report.add(place, what, instead);
        }
    };
    each_field(schema, declared, |place, _, field| {
        field.default.iter().for_each(|value| check(value, place));
    });
    for file in &schema.files {
        for item in &file.consts {
            let named = |found: &&Declared| {
                found.named.module == file.module && found.named.name == item.name
            };
            if let Some(found) = declared.values().find(named) {
                check(&item.value, &found.place);
            }
        }
    }
}

/// The struct in a value that has no default, although the value does not give all of its fields.
fn made_of_default<'v>(value: &'v Value, known: &HashMap<u64, (bool, usize)>) -> Option<&'v str> {
    match value {
        Value::Struct(named, fields) => {
            let (absent, count) = known.get(&named.id).copied().unwrap_or_default();
            if absent && fields.len() < count {
                return Some(&named.name);
            }
            fields.iter().find_map(|(_, value)| made_of_default(value, known))
        }
        Value::List(items) => items.iter().find_map(|value| made_of_default(value, known)),
        Value::Union(_, _, value) | Value::Some(value) | Value::Boxed(value) => {
            made_of_default(value, known)
        }
        _ => None,
    }
}
