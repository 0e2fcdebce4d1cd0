//! Checks for differences between versions of a schema that one Rust type or one call cannot
//! represent.

use std::collections::HashMap;

use super::{Older, same_type, wire};
use crate::error::Unsupported;
use crate::model::{
    Body, Defaults, Enum, Field, Interface, Kind, Object, Presence, Schema, Struct, Type, Union,
};

/// Reports what `older` has in a form that the present schema cannot represent.
pub(super) fn differences(schema: &Schema, older: &Older) -> Vec<Unsupported> {
    let mut report = Report { label: &older.label, found: Vec::new() };
    let then = &older.schema;
    for file in &schema.files {
        for now in &file.enums {
            let same = enums(then).find(|then| then.named.id == now.named.id);
            if same.is_some_and(|then| !begins_alike(now, then)) {
                report.add(&file.name, "enum", &now.named.name, "the numbers of its values differ");
            }
        }
        for now in &file.structs {
            let same = structs(then)
                .find(|then| then.named.id == now.named.id && then.named.name == now.named.name);
            let alike = same.is_none_or(|then| match (&now.body, &then.body) {
                (Body::Union(now), Body::Union(then)) => unions_alike(now, then),
                (Body::Fields(_), Body::Fields(_)) => true,
                _ => false,
            });
            if !alike {
                report.add(&file.name, "union", &now.named.name, "its members lie otherwise");
            }
            if let (Body::Fields(fields), Some(Body::Fields(then))) =
                (&now.body, same.map(|then| &then.body))
            {
                for field in lacking(schema, fields, then) {
                    let what = format!("{field}: it is lacking, and has no default");
                    report.add(&file.name, "struct", &now.named.name, &what);
                }
            }
        }
        for now in &file.interfaces {
            let same = interfaces(then).find(|then| then.named.id == now.named.id);
            for kind in [Kind::Construct, Kind::Destroy] {
                if same.is_some_and(|then| !lifecycle_alike(now, then, kind)) {
                    let what = "construct or destroy is another method there";
                    report.add(&file.name, "interface", &now.schema_name, what);
                }
            }
            for method in now.plain() {
                let then = same.and_then(|then| {
                    then.plain().find(|then| then.schema_name == method.schema_name)
                });
                let Some(then) = then else { continue };
                for field in lacking(schema, &method.results.fields, &then.results.fields) {
                    let what = format!(
                        "{}, {field}: it is lacking, and has no default",
                        method.schema_name
                    );
                    report.add(&file.name, "interface", &now.schema_name, &what);
                }
            }
        }
    }
    report.found
}

/// Reports what the merged schema still lacks: types that only an older version has.
pub(super) fn gaps(schema: &Schema, label: &str) -> Vec<Unsupported> {
    let mut report = Report { label, found: Vec::new() };
    let known = known(schema);
    for file in &schema.files {
        for interface in &file.interfaces {
            for method in interface.methods.iter().filter(|method| method.versions == 0) {
                let fields = method.params.fields.iter().chain(&method.results.fields);
                if fields.chain(&method.exceptions).any(|field| !is_known(&field.ty, &known)) {
                    let what = format!("{} has a type that the newest lacks", method.schema_name);
                    report.add(&file.name, "interface", &interface.schema_name, &what);
                }
            }
        }
    }
    report.found
}

struct Report<'a> {
    label: &'a str,
    found: Vec<Unsupported>,
}

impl Report<'_> {
    fn add(&mut self, file: &str, kind: &str, name: &str, what: &str) {
        self.found.push(Unsupported {
            file: file.to_owned(),
            line: None,
            declaration: format!("{kind} {name}"),
            method: None,
            field: None,
            what: format!("in version {}: {what}", self.label),
            instead: Some("the same in all versions, or another name and id for one".to_owned()),
        });
    }
}

fn structs(schema: &Schema) -> impl Iterator<Item = &Struct> {
    schema.files.iter().flat_map(|file| &file.structs)
}

fn enums(schema: &Schema) -> impl Iterator<Item = &Enum> {
    schema.files.iter().flat_map(|file| &file.enums)
}

fn interfaces(schema: &Schema) -> impl Iterator<Item = &Interface> {
    schema.files.iter().flat_map(|file| &file.interfaces)
}

/// Whether one list of names is the beginning of the other.
fn begins_alike(now: &Enum, then: &Enum) -> bool {
    now.variants.iter().zip(&then.variants).all(|(now, then)| now.name == then.name)
}

fn unions_alike(now: &Union, then: &Union) -> bool {
    let alike = |(now, then): (&Field, &Field)| {
        now.schema_name == then.schema_name
            && now.slot == then.slot
            && same_type(wire(&now.ty), wire(&then.ty))
            && format!("{:?}", now.default) == format!("{:?}", then.default)
    };
    now.tag == then.tag && now.members.iter().zip(&then.members).all(alike)
}

/// Whether the older version has the same construct or destroy method, or none.
fn lifecycle_alike(now: &Interface, then: &Interface, kind: Kind) -> bool {
    let taken = |interface: &Interface, ordinal| {
        interface.methods.iter().any(|method| method.ordinal == ordinal)
    };
    match (now.lifecycle(kind), then.lifecycle(kind)) {
        (None, None) => true,
        (Some(method), None) => !taken(then, method.ordinal),
        (None, Some(method)) => !taken(now, method.ordinal),
        (Some(a), Some(b)) => {
            a.ordinal == b.ordinal
                && (a.params.context, a.params.thread_map, a.results.thread_map)
                    == (b.params.context, b.params.thread_map, b.results.thread_map)
        }
    }
}

/// The ids of all types, each with its name.
fn known(schema: &Schema) -> HashMap<u64, ()> {
    let files = || schema.files.iter().chain(&schema.outside);
    let structs = files().flat_map(|file| &file.structs).map(|item| item.named.id);
    let enums = files().flat_map(|file| &file.enums).map(|item| item.named.id);
    let interfaces = files().flat_map(|file| &file.interfaces).map(|item| item.named.id);
    structs.chain(enums).chain(interfaces).map(|id| (id, ())).collect()
}

fn is_known(ty: &Type, known: &HashMap<u64, ()>) -> bool {
    let all = |types: &[Type]| types.iter().all(|ty| is_known(ty, known));
    match ty {
        Type::Enum(named) => known.contains_key(&named.id),
        Type::Struct(named, arguments) | Type::Group(named, arguments) => {
            known.contains_key(&named.id) && all(arguments)
        }
        Type::Interface(Object { named, arguments, .. }) => {
            known.contains_key(&named.id) && all(arguments)
        }
        Type::List(item) | Type::Set(_, item) => is_known(item, known),
        Type::Map(_, parts) => is_known(&parts.0, known),
        Type::As { wire, .. } => is_known(wire, known),
        _ => true,
    }
}

/// The fields that `then` lacks and that have no default.
fn lacking<'a>(schema: &Schema, now: &'a [Field], then: &[Field]) -> impl Iterator<Item = &'a str> {
    let lacks = |now: &&Field| then.iter().all(|then| then.schema_name != now.schema_name);
    let without = now.iter().filter(lacks).filter(|now| !has_default(schema, now));
    without.map(|field| field.schema_name.as_str()).collect::<Vec<_>>().into_iter()
}

/// Whether a field has a value if a version lacks it.
fn has_default(schema: &Schema, field: &Field) -> bool {
    if field.presence != Presence::Always || field.default.is_some() {
        return true;
    }
    match &field.ty {
        Type::Interface(object) => object.nullable,
        Type::As { .. } => false,
        Type::Struct(named, _) | Type::Group(named, _) => structs(schema)
            .find(|item| item.named.id == named.id && item.named.name == named.name)
            .is_some_and(|item| item.default != Defaults::Absent),
        _ => true,
    }
}
