//! One Rust interface for several versions of a schema.
//!
//! The newest schema gives the traits, handles and types. [`merge`] compares each older schema with
//! it, by the ids of declarations and the names of methods and fields, and records where the older
//! one is encoded differently: another ordinal, another slot, another default, a parameter more or
//! less. Methods that only older versions have are added.
//!
//! A version may lack parameters and results without an error: its calls leave the parameter out,
//! and the result has its default.

mod check;

use std::collections::HashMap;

use crate::error::Unsupported;
use crate::model::{
    Body, Enum, Field, Interface, Kind, Message, Method, Object, OlderMessage, OlderMethod,
    OlderStruct, Schema, Struct, Type,
};
use crate::names;

/// An older schema.
pub(crate) struct Older {
    pub label: String,
    pub schema: Schema,
}

/// Merges the older schemas, given from newer to older, into `schema`.
pub(crate) fn merge(schema: &mut Schema, older: Vec<Older>) -> Vec<Unsupported> {
    let mut report = Vec::new();
    for older in &older {
        report.extend(check::differences(schema, older));
    }
    schema.older = older.iter().map(|older| older.label.clone()).collect();
    let all = (1_u32 << (older.len() + 1)) - 1;
    for interface in schema.files.iter_mut().flat_map(|file| &mut file.interfaces) {
        interface.methods.iter_mut().for_each(|method| method.versions = all);
    }
    for (version, older) in (1_u8..).zip(&older) {
        adopt(schema, &older.schema, &older.label);
        structs(schema, &older.schema, version, &mut report);
    }
    let changed = Changed::new(schema, older.len());
    for (version, older) in (1_u8..).zip(&older) {
        interfaces(schema, older, version, &changed);
    }
    for interface in schema.files.iter_mut().flat_map(|file| &mut file.interfaces) {
        collisions(interface);
    }
    let label = schema.older.join(" or ");
    report.extend(check::gaps(schema, &label));
    report
}

/// Adds the types that only the older schema has.
fn adopt(schema: &mut Schema, older: &Schema, label: &str) {
    let known: Vec<u64> = schema.files.iter().flat_map(declared).collect();
    for file in &older.files {
        let Some(own) = schema.files.iter_mut().find(|own| own.module == file.module) else {
            continue;
        };
        let taken = |name: &str, own: &crate::model::File| {
            own.structs.iter().any(|item| item.named.name == name)
                || own.enums.iter().any(|item| item.named.name == name)
                || own.interfaces.iter().any(|item| item.named.name == name)
        };
        for item in &file.structs {
            // Groups are compared by name, which contains their struct's: their ids do not identify
            // them.
            if !known.contains(&item.named.id) && !taken(&item.named.name, own) {
                own.structs.push(copy(item, label));
            }
        }
        for item in &file.enums {
            if !known.contains(&item.named.id) && !taken(&item.named.name, own) {
                own.enums.push(Enum {
                    named: item.named.clone(),
                    docs: only_in(&item.docs, label),
                    variants: item
                        .variants
                        .iter()
                        .map(|variant| crate::model::Variant {
                            name: variant.name.clone(),
                            docs: variant.docs.clone(),
                        })
                        .collect(),
                    unknown: item.unknown.clone(),
                    derives: item.derives.clone(),
                });
            }
        }
    }
}

fn declared(file: &crate::model::File) -> Vec<u64> {
    let structs = file.structs.iter().map(|item| item.named.id);
    let enums = file.enums.iter().map(|item| item.named.id);
    structs.chain(enums).chain(file.interfaces.iter().map(|item| item.named.id)).collect()
}

fn copy(item: &Struct, label: &str) -> Struct {
    Struct {
        named: item.named.clone(),
        docs: only_in(&item.docs, label),
        parameters: item.parameters.clone(),
        size: item.size,
        body: match &item.body {
            Body::Fields(fields) => Body::Fields(fields.clone()),
            Body::Union(union) => Body::Union(crate::model::Union {
                tag: union.tag,
                members: union.members.clone(),
                unknown: union.unknown.clone(),
            }),
        },
        derives: item.derives.clone(),
        comparable: item.comparable,
        default: item.default,
        entry: item.entry,
        view: item.view.clone(),
        older: Vec::new(),
    }
}

fn only_in(docs: &str, label: &str) -> String {
    format!("{docs}\n\nOnly version {label} has it.").trim_start().to_owned()
}

/// Compares the structs' fields.
fn structs(schema: &mut Schema, older: &Schema, version: u8, report: &mut Vec<Unsupported>) {
    // A union without a name has the id of the struct around it.
    let old: HashMap<(u64, &str), &Struct> = older
        .files
        .iter()
        .flat_map(|file| &file.structs)
        .map(|item| ((item.named.id, item.named.name.as_str()), item))
        .collect();
    for file in &mut schema.files {
        let name = file.name.clone();
        for item in &mut file.structs {
            let key = (item.named.id, item.named.name.as_str());
            let Some(old) = old.get(&key) else { continue };
            let (Body::Fields(now), Body::Fields(then)) = (&item.body, &old.body) else { continue };
            let fields: Vec<_> = now.iter().map(|field| counterpart(field, then)).collect();
            for field in then.iter().filter(|then| now.iter().all(|now| !matches(now, then))) {
                if now.iter().any(|now| now.schema_name == field.schema_name) {
                    report.push(Unsupported {
                        file: name.clone(),
                        line: None,
                        declaration: format!("struct {}", item.named.name),
                        method: None,
                        field: Some(format!("field {}", field.schema_name)),
                        what: "the field has another type in an older version".to_owned(),
                        instead: Some("another name in one of them".to_owned()),
                    });
                }
            }
            // A field that was added later has its default in older messages, and older peers do
            // not read it.
            let same = all_kept(now, then)
                && now
                    .iter()
                    .zip(&fields)
                    .all(|(now, then)| then.as_ref().is_none_or(|then| lies_alike(now, then)));
            if same {
                continue;
            }
            match item.older.last_mut() {
                Some(last) if last.oldest + 1 == version && alike(&last.fields, &fields) => {
                    last.oldest = version;
                }
                _ => item.older.push(OlderStruct { newest: version, oldest: version, fields }),
            }
        }
    }
}

fn alike(a: &[Option<Field>], b: &[Option<Field>]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => lies_alike(a, b),
            (None, None) => true,
            _ => false,
        })
}

/// The older form of a field, if there is one that the same Rust type can represent. Properties of
/// the Rust side (a codec, a map, whether it may be null) are taken from the present schema.
fn counterpart(now: &Field, then: &[Field]) -> Option<Field> {
    let found = then.iter().find(|then| matches(now, then))?;
    Some(Field {
        slot: found.slot,
        presence: match (&now.presence, &found.presence) {
            // Optional now; in the older version always present.
            (crate::model::Presence::Flag(_), crate::model::Presence::Flag(flag)) => {
                crate::model::Presence::Flag(*flag)
            }
            (presence, _) => presence.clone(),
        },
        default: found.default.clone(),
        ..now.clone()
    })
}

/// Whether all fields of the older form still exist, with the same types. If one does not, a later field
/// may use its place.
fn all_kept(now: &[Field], then: &[Field]) -> bool {
    then.iter().all(|then| now.iter().any(|now| matches(now, then)))
}

fn matches(now: &Field, then: &Field) -> bool {
    let flagged = |field: &Field| matches!(field.presence, crate::model::Presence::Flag(_));
    now.schema_name == then.schema_name
        && flagged(now) == flagged(then)
        && same_type(wire(&now.ty), wire(&then.ty))
}

fn lies_alike(a: &Field, b: &Field) -> bool {
    a.slot == b.slot
        && a.presence == b.presence
        && format!("{:?}", a.default) == format!("{:?}", b.default)
}

/// The type as it is encoded, without the properties of the Rust side.
fn wire(ty: &Type) -> &Type {
    match ty {
        Type::As { wire: inner, .. } => wire(inner),
        other => other,
    }
}

fn same_type(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Int(a), Type::Int(b)) => a == b,
        (Type::Enum(a), Type::Enum(b))
        | (Type::Struct(a, _), Type::Struct(b, _))
        | (Type::Group(a, _), Type::Group(b, _)) => a.id == b.id,
        (Type::Interface(Object { named: a, .. }), Type::Interface(Object { named: b, .. })) => {
            a.id == b.id
        }
        (Type::List(a) | Type::Set(_, a), Type::List(b) | Type::Set(_, b)) => {
            same_type(wire(a), wire(b))
        }
        (Type::Map(_, a), Type::Map(_, b)) => same_type(&a.0, &b.0),
        (Type::Map(_, a), Type::List(b)) | (Type::List(b), Type::Map(_, a)) => same_type(&a.0, b),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// The structs that some versions have in another form than the present one.
struct Changed {
    /// By the struct's id: for each version, the newest version with the same form.
    forms: HashMap<u64, Vec<u8>>,
    /// The structs inside each struct.
    holds: HashMap<u64, Vec<u64>>,
}

impl Changed {
    fn new(schema: &Schema, versions: usize) -> Self {
        let (mut forms, mut holds) = (HashMap::new(), HashMap::new());
        for item in schema.files.iter().flat_map(|file| &file.structs) {
            let mut form = vec![0; versions + 1];
            for older in &item.older {
                for version in older.newest..=older.oldest {
                    form[usize::from(version)] = older.newest;
                }
            }
            forms.insert(item.named.id, form);
            let fields = match &item.body {
                Body::Fields(fields) => fields,
                Body::Union(union) => &union.members,
            };
            let mut inside = Vec::new();
            fields.iter().for_each(|field| held(&field.ty, &mut inside));
            holds.insert(item.named.id, inside);
        }
        Changed { forms, holds }
    }

    /// The forms in which `version` has the structs of these fields, as a value to compare.
    fn form(&self, fields: &[Field], version: u8) -> Vec<(u64, u8)> {
        let (mut open, mut form) = (Vec::new(), Vec::new());
        fields.iter().for_each(|field| held(&field.ty, &mut open));
        while let Some(id) = open.pop() {
            if form.iter().any(|(known, _)| *known == id) {
                continue;
            }
            let forms = self.forms.get(&id).and_then(|forms| forms.get(usize::from(version)));
            form.push((id, forms.copied().unwrap_or(0)));
            open.extend(self.holds.get(&id).into_iter().flatten());
        }
        form.sort_unstable();
        form
    }
}

/// The structs that a value of this type has inside.
fn held(ty: &Type, found: &mut Vec<u64>) {
    match ty {
        Type::Struct(named, arguments) | Type::Group(named, arguments) => {
            found.push(named.id);
            arguments.iter().for_each(|argument| held(argument, found));
        }
        Type::List(item) | Type::Set(_, item) => held(item, found),
        Type::Map(_, parts) => held(&parts.0, found),
        Type::As { wire, .. } => held(wire, found),
        _ => {}
    }
}

/// Compares the interfaces' methods with those of one older version.
fn interfaces(schema: &mut Schema, older: &Older, version: u8, changed: &Changed) {
    let old: HashMap<u64, &Interface> = older
        .schema
        .files
        .iter()
        .flat_map(|file| &file.interfaces)
        .map(|item| (item.named.id, item))
        .collect();
    for interface in schema.files.iter_mut().flat_map(|file| &mut file.interfaces) {
        let Some(old) = old.get(&interface.named.id) else {
            // The older version does not have the interface.
            for method in &mut interface.methods {
                method.versions &= !(1 << version);
            }
            continue;
        };
        let named = |ordinal: u16| interface.methods.iter().find(|now| now.ordinal == ordinal);
        let interrupts: HashMap<u16, Option<u16>> = interface
            .methods
            .iter()
            .filter_map(|now| {
                let name = &named(now.interrupt?)?.schema_name;
                let then = old.methods.iter().find(|then| then.schema_name == *name);
                Some((now.interrupt?, then.map(|then| then.ordinal)))
            })
            .collect();
        for then in old.methods.iter().filter(|method| method.kind == Kind::Plain) {
            let mut then = then.clone();
            let now = interface
                .methods
                .iter_mut()
                .find(|now| now.schema_name == then.schema_name && fits(now, &then));
            match now {
                Some(now) => {
                    // The method that interrupts its calls is found in that version by its name.
                    then.interrupt = now.interrupt.and_then(|now| interrupts.get(&now).copied()?);
                    note(now, &then, version, changed);
                }
                None => {
                    interface.methods.push(add(&then, &interface.methods, version, &older.label))
                }
            }
        }
        for now in &mut interface.methods {
            let there = old.methods.iter().any(|then| {
                then.kind == now.kind
                    && (now.kind != Kind::Plain
                        || then.schema_name == now.schema_name && fits(now, then))
            });
            if !there {
                now.versions &= !(1 << version);
            }
        }
    }
}

/// Notes for each form of a method the versions in which its ordinal is another method.
fn collisions(interface: &mut Interface) {
    let mut taken: HashMap<u16, u32> = HashMap::new();
    for method in &interface.methods {
        *taken.entry(method.ordinal).or_default() |= method.versions;
        for older in &method.older {
            *taken.entry(older.ordinal).or_default() |= older.versions;
        }
    }
    let others = |ordinal: u16, own: u32| taken.get(&ordinal).map_or(0, |taken| taken & !own);
    for method in &mut interface.methods {
        method.collides = others(method.ordinal, method.versions);
        for older in &mut method.older {
            older.collides = others(older.ordinal, older.versions);
        }
    }
}

/// Whether the older form can be called through the present one: fields of the same name have the
/// same type.
fn fits(now: &Method, then: &Method) -> bool {
    let fit = |now: &Message, then: &Message| {
        now.fields.iter().all(|now| {
            let named = then.fields.iter().find(|then| then.schema_name == now.schema_name);
            named.is_none_or(|then| matches(now, then))
        })
    };
    now.kind == then.kind
        && now.kind == Kind::Plain
        && fit(&now.params, &then.params)
        && fit(&now.results, &then.results)
}

/// Notes how `version` has a method that the present schema has.
fn note(now: &mut Method, then: &Method, version: u8, changed: &Changed) {
    let form = older_form(now, then, version);
    let present = older_form(now, now, 0);
    let inner = |version| {
        (changed.form(&now.params.fields, version), changed.form(&now.results.fields, version))
    };
    let kept = all_kept(&now.params.fields, &then.params.fields)
        && all_kept(&now.results.fields, &then.results.fields);
    if now.versions & 1 == 1 && kept && grows(&form, &present) && inner(version) == inner(0) {
        return; // Its bit is set already.
    }
    now.versions &= !(1 << version);
    match now.older.last() {
        Some(last) if same_form(last, &form) && inner(last.version) == inner(version) => {
            if let Some(last) = now.older.last_mut() {
                last.versions |= 1 << version;
            }
        }
        _ => now.older.push(form),
    }
}

fn older_form(now: &Method, then: &Method, version: u8) -> OlderMethod {
    let message = |now: &Message, then: &Message| OlderMessage {
        size: then.size,
        context: then.context,
        thread_map: then.thread_map,
        fields: now.fields.iter().map(|field| counterpart(field, &then.fields)).collect(),
    };
    OlderMethod {
        versions: 1 << version,
        version,
        collides: 0,
        ordinal: then.ordinal,
        params: message(&now.params, &then.params),
        results: message(&now.results, &then.results),
        exceptions: then.exceptions.clone(),
        pipeline: then.pipeline,
        long: now.long || then.long,
        interrupt: then.interrupt,
    }
}

fn same_form(a: &OlderMethod, b: &OlderMethod) -> bool {
    let message = |a: &OlderMessage, b: &OlderMessage| {
        (a.context, a.thread_map) == (b.context, b.thread_map) && alike(&a.fields, &b.fields)
    };
    (a.ordinal, a.pipeline, a.interrupt) == (b.ordinal, b.pipeline, b.interrupt)
        && message(&a.params, &b.params)
        && message(&a.results, &b.results)
}

/// Whether a peer sees no difference between `then` and `now`, except for parameters or results
/// that were added later.
fn grows(then: &OlderMethod, now: &OlderMethod) -> bool {
    let message = |then: &OlderMessage, now: &OlderMessage| {
        let fields = then.fields.iter().zip(&now.fields);
        (then.context, then.thread_map) == (now.context, now.thread_map)
            && fields.into_iter().all(|(then, now)| match (then, now) {
                (Some(then), Some(now)) => lies_alike(then, now),
                (None, _) => true,
                (Some(_), None) => false,
            })
    };
    (then.ordinal, then.pipeline, then.interrupt) == (now.ordinal, now.pipeline, now.interrupt)
        && message(&then.params, &now.params)
        && message(&then.results, &now.results)
}

/// A method that only older versions have, or have with other types.
fn add(then: &Method, present: &[Method], version: u8, label: &str) -> Method {
    let mut method = then.clone();
    if present.iter().any(|method| method.name == then.name) {
        let suffix = names::part(label);
        method.name = format!("{}_v{suffix}", then.name);
        method.results_name = format!("{}V{suffix}", then.results_name);
    }
    method.docs = only_in(&then.docs, label);
    method.versions = 0;
    method.older = vec![older_form(&method, then, version)];
    method
}
