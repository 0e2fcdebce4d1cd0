//! Checks for differences between versions of a schema that one Rust type or one call cannot
//! represent.

use std::collections::{HashMap, HashSet};

use super::{Older, Problem};
use crate::error::Unsupported;
use crate::model::{Defaults, Enum, Field, Interface, Kind, Object, Presence, Schema, Type};

/// Reports the interfaces whose construct or destroy is another in `older`.
pub(super) fn lifecycles(schema: &Schema, older: &Older) -> Vec<Unsupported> {
    let mut report = Report::new(&older.label);
    for file in &schema.files {
        for now in &file.interfaces {
            let then = older.schema.files.iter().flat_map(|file| &file.interfaces);
            let Some(then) = then.into_iter().find(|then| then.named.id == now.named.id) else {
                continue;
            };
            for kind in [Kind::Construct, Kind::Destroy] {
                if !lifecycle_alike(now, then, kind) {
                    let what = "construct or destroy is another method there";
                    report.add(&file.name, "interface", &now.schema_name, what);
                }
            }
        }
    }
    report.found
}

/// Whether a name that both versions have is another number in them. A value with another name is the
/// same value.
pub(super) fn renumbered(now: &Enum, then: &Enum) -> bool {
    let place = |item: &Enum, name: &str| item.variants.iter().position(|other| other.name == name);
    then.variants
        .iter()
        .enumerate()
        .any(|(number, variant)| place(now, &variant.name).is_some_and(|now| now != number))
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

pub(super) struct Report<'a> {
    label: &'a str,
    found: Vec<Unsupported>,
}

impl<'a> Report<'a> {
    pub(super) fn new(label: &'a str) -> Report<'a> {
        Report { label, found: Vec::new() }
    }

    pub(super) fn into_all(self) -> Vec<Unsupported> {
        self.found
    }

    pub(super) fn add(&mut self, file: &str, kind: &str, name: &str, what: &str) {
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

    pub(super) fn problem(&mut self, file: &str, problem: Problem) {
        let kind = if problem.union { "union" } else { "struct" };
        self.add(file, kind, &problem.name, &problem.what);
        if let Some(last) = self.found.last_mut() {
            last.field = problem.field.map(|field| format!("field {field}"));
        }
    }
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

/// Says which fields have a value if a version lacks them.
pub(super) struct WithDefaults(HashSet<(u64, String)>);

/// Notes the structs that have a default.
pub(super) fn with_defaults(schema: &Schema) -> WithDefaults {
    let structs = schema.files.iter().flat_map(|file| &file.structs);
    let with = structs.filter(|item| item.default != Defaults::Absent);
    WithDefaults(with.map(|item| (item.named.id, item.named.name.clone())).collect())
}

impl WithDefaults {
    pub(super) fn has(&self, field: &Field) -> bool {
        if field.presence != Presence::Always || field.default.is_some() {
            return true;
        }
        match &field.ty {
            Type::Interface(object) => object.nullable,
            Type::Capability(nullable) | Type::Descriptor(nullable) => *nullable,
            Type::As { .. } => false,
            Type::Struct(named, _) | Type::Group(named, _) => {
                self.0.contains(&(named.id, named.name.clone()))
            }
            _ => true,
        }
    }
}
