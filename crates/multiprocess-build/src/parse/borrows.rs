//! Methods that borrow their parameters from the message: which structs need a view for that, and which
//! types cannot be borrowed.

use std::collections::{HashMap, HashSet};

use super::declare::Declared;
use super::visit::structs;
use super::{Place, Report};
use crate::model::{Body, Field, Module, Presence, Schema, Type};

/// Finds the structs that borrowing methods take, and reports what cannot be borrowed.
pub(super) fn complete(
    schema: &mut Schema,
    declared: &HashMap<u64, Declared>,
    report: &mut Report,
) {
    let mut viewed = HashSet::new();
    for interface in schema.files.iter().flat_map(|file| &file.interfaces) {
        let place = declared.get(&interface.named.id).map(|declared| declared.place.clone());
        let place = place.unwrap_or_default();
        for method in interface.methods.iter().filter(|method| method.borrowed) {
            for field in &method.params.fields {
                if let Err(what) = check_field(schema, field, &mut viewed) {
                    let place = place.method(&method.schema_name);
                    let place: Place = place.field("parameter", &field.schema_name);
                    let what = format!("a method cannot borrow {what}");
                    report.add(&place, what, "the method without borrowed");
                }
            }
        }
    }
    for file in &mut schema.files {
        let taken: HashSet<String> = file
            .structs
            .iter()
            .map(|item| &item.named.name)
            .chain(file.enums.iter().map(|item| &item.named.name))
            .chain(file.interfaces.iter().map(|item| &item.trait_name))
            .cloned()
            .collect();
        for item in file.structs.iter_mut().filter(|item| viewed.contains(&item.named.id)) {
            let mut name = format!("{}View", crate::names::stem(&item.named.name));
            while taken.contains(&name) {
                name.push('_');
            }
            item.view = Some(name);
        }
    }
}

/// Checks that a field can be borrowed, and adds the structs in it to `viewed`. The error says why it
/// cannot.
fn check_field(
    schema: &Schema,
    field: &Field,
    viewed: &mut HashSet<u64>,
) -> Result<(), &'static str> {
    if field.default.is_some() && (field.ty.is_pointer() || field.presence != Presence::Always) {
        return Err("a list, struct, text or data that has a default");
    }
    check_type(schema, &field.ty, viewed)
}

fn check_type(schema: &Schema, ty: &Type, viewed: &mut HashSet<u64>) -> Result<(), &'static str> {
    match ty {
        Type::Bool
        | Type::Int(_)
        | Type::Float32
        | Type::Float64
        | Type::Text
        | Type::Data
        | Type::Enum(_) => Ok(()),
        Type::List(item) => check_type(schema, item, viewed),
        Type::Struct(named, arguments) => {
            let own = |module: &Module| module.outside.is_none();
            let found = structs(schema).find(|item| item.named.id == named.id);
            let fields = match found.map(|item| &item.body) {
                Some(Body::Fields(fields)) if arguments.is_empty() && own(&named.module) => fields,
                _ => return Err("a union, a generic struct, or another crate's struct"),
            };
            if !viewed.insert(named.id) {
                return Ok(());
            }
            fields.iter().try_for_each(|field| check_field(schema, field, viewed))
        }
        Type::Void => Err("a list of Void"),
        Type::Group(..) => Err("a group or union"),
        Type::Interface(_) | Type::Capability(_) => Err("an interface"),
        Type::Descriptor(_) => Err("a file descriptor"),
        Type::Set(..) | Type::Map(..) => Err("a map or set"),
        Type::As { .. } => Err("a Rust type of its own"),
        Type::AnyPointer | Type::Parameter(_) => Err("what has no type"),
    }
}
