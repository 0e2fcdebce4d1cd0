//! One Rust interface for several versions of a schema.
//!
//! The newest schema gives the traits, handles and types. [`merge`] compares each older schema with
//! it and records where the older one is encoded differently: another ordinal, another default, a
//! parameter more or less. Methods that only older versions have are added.
//!
//! Declarations are compared by their ids, methods by their names, because their ordinals are what
//! moves. Fields are compared by their places and types on the wire, never by their names (`structs`,
//! `pair`). What could be meant in two ways is an error.
//!
//! A version may lack parameters, results and fields. What it lacks has its default when it arrives
//! from there; another value for it is an error when it is sent there.

mod changed;
mod check;
mod pair;
mod structs;
mod wire;

use std::collections::{HashMap, HashSet};

use crate::error::Unsupported;
use crate::model::{
    Body, Enum, Field, Interface, Kind, Message, Method, OlderMessage, OlderMethod, OlderStruct,
    Schema, Struct,
};
use crate::names;
use changed::Changed;
use check::Report;
use pair::Paired;
use structs::{Items, counterpart};

/// An older schema.
pub(crate) struct Older {
    pub label: String,
    pub schema: Schema,
}

/// Why a declaration cannot have the same Rust form in two versions.
struct Problem {
    /// A struct's or union's name, and whether it is a union.
    name: String,
    union: bool,
    field: Option<String>,
    what: String,
}

impl Problem {
    fn of(item: &Struct, what: &str) -> Problem {
        let union = matches!(item.body, Body::Union(_));
        Problem { name: item.named.name.clone(), union, field: None, what: what.to_owned() }
    }

    fn field(item: &Struct, field: &str, what: &str) -> Problem {
        Problem { field: Some(field.to_owned()), ..Problem::of(item, what) }
    }
}

/// Merges the older schemas, given from newer to older, into `schema`.
pub(crate) fn merge(schema: &mut Schema, older: Vec<Older>) -> Vec<Unsupported> {
    let mut report = Vec::new();
    for older in &older {
        report.extend(check::lifecycles(schema, older));
    }
    schema.older = older.iter().map(|older| older.label.clone()).collect();
    let all = (1_u32 << (older.len() + 1)) - 1;
    for interface in schema.files.iter_mut().flat_map(|file| &mut file.interfaces) {
        interface.methods.iter_mut().for_each(|method| method.versions = all);
    }
    for (version, older) in (1_u8..).zip(&older) {
        adopt(schema, &older.schema, &older.label);
        let mut found = Report::new(&older.label);
        enums(schema, &older.schema, version, &mut found);
        compare_structs(schema, &older.schema, version, &mut found);
        report.extend(found.into_all());
    }
    let changed = Changed::new(schema, older.len());
    for (version, older) in (1_u8..).zip(&older) {
        let mut found = Report::new(&older.label);
        interfaces(schema, older, version, &changed, &mut found);
        report.extend(found.into_all());
    }
    for interface in schema.files.iter_mut().flat_map(|file| &mut file.interfaces) {
        collisions(interface);
        for method in &mut interface.methods {
            let loses = |(field, lacks): (&Field, &u32)| *lacks != 0 && !field.may_be_lost;
            method.checked = method.params.fields.iter().zip(&method.lacks).any(loses)
                || changed.loses(&method.params.fields);
        }
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
                    attributes: item.attributes.clone(),
                    lacks: Vec::new(),
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
        attributes: item.attributes.clone(),
        group: item.group,
        comparable: item.comparable,
        cloneable: item.cloneable,
        default: item.default,
        entry: item.entry,
        view: item.view.clone(),
        older: Vec::new(),
        lacks: Vec::new(),
    }
}

fn only_in(docs: &str, label: &str) -> String {
    format!("{docs}\n\nOnly version {label} has it.").trim_start().to_owned()
}

/// Notes which values of enums the older version lacks.
fn enums(schema: &mut Schema, older: &Schema, version: u8, report: &mut Report<'_>) {
    let old: HashMap<u64, &Enum> =
        older.files.iter().flat_map(|file| &file.enums).map(|item| (item.named.id, item)).collect();
    for file in &mut schema.files {
        for item in &mut file.enums {
            let Some(old) = old.get(&item.named.id) else { continue };
            if check::renumbered(item, old) {
                report.add(
                    &file.name,
                    "enum",
                    &item.named.name,
                    "the numbers of its values differ",
                );
            }
            item.lacks.resize(item.variants.len(), 0);
            item.lacks.iter_mut().skip(old.variants.len()).for_each(|lacks| *lacks |= 1 << version);
        }
    }
}

/// Compares the structs, with the groups and unions in them.
fn compare_structs(schema: &mut Schema, older: &Schema, version: u8, report: &mut Report<'_>) {
    let mut compared = HashMap::new();
    {
        let now_items = Items::new(schema.files.iter().flat_map(|file| &file.structs));
        let then_items = Items::new(older.files.iter().flat_map(|file| &file.structs));
        let old = then_items.roots();
        let roots = now_items.roots();
        for file in &schema.files {
            for item in &file.structs {
                let key = item.named.id;
                let root = roots.get(&key).filter(|root| std::ptr::eq(**root, item));
                let (Some(now), Some(then)) = (root, old.get(&key)) else { continue };
                match structs::compare((now, &now_items), (then, &then_items)) {
                    Ok(parts) => compared
                        .extend(parts.into_iter().map(|part| ((part.id, part.name.clone()), part))),
                    Err(problem) => report.problem(&file.name, problem),
                }
            }
        }
    }
    let defaults = check::with_defaults(schema);
    for file in &mut schema.files {
        for item in &mut file.structs {
            let key = (item.named.id, item.named.name.clone());
            let Some(part) = compared.remove(&key) else { continue };
            if let Body::Fields(now) = &item.body {
                let lacking = now.iter().zip(&part.fields).filter(|(_, then)| then.is_none());
                for (field, _) in lacking.filter(|(now, _)| !defaults.has(now)) {
                    let what = format!("{}: it is lacking, and has no default", field.schema_name);
                    report.add(&file.name, "struct", &item.named.name, &what);
                }
            }
            note_struct(item, part, version);
        }
    }
}

fn note_struct(item: &mut Struct, part: structs::Older, version: u8) {
    item.lacks.resize(part.fields.len(), 0);
    for (lacks, field) in item.lacks.iter_mut().zip(&part.fields) {
        *lacks |= u32::from(field.is_none()) << version;
    }
    if !part.recoded {
        return;
    }
    match item.older.last_mut() {
        Some(last) if last.oldest + 1 == version && alike(&last.fields, &part.fields) => {
            last.oldest = version;
        }
        _ => {
            let fields = part.fields;
            item.older.push(OlderStruct { newest: version, oldest: version, fields });
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

fn lies_alike(a: &Field, b: &Field) -> bool {
    a.slot == b.slot
        && a.presence == b.presence
        && format!("{:?}", a.default) == format!("{:?}", b.default)
}

/// Compares the interfaces' methods with those of one older version.
fn interfaces(
    schema: &mut Schema,
    older: &Older,
    version: u8,
    changed: &Changed,
    report: &mut Report<'_>,
) {
    let defaults = check::with_defaults(schema);
    let old: HashMap<u64, &Interface> = older
        .schema
        .files
        .iter()
        .flat_map(|file| &file.interfaces)
        .map(|item| (item.named.id, item))
        .collect();
    let files = schema.files.iter_mut();
    let all = files.flat_map(|file| {
        let name = &file.name;
        file.interfaces.iter_mut().map(move |interface| (name, interface))
    });
    for (file, interface) in all {
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
        // Those of the present methods that the older version has.
        let mut there = HashSet::new();
        for then in old.plain() {
            let mut then = then.clone();
            match find(&interface.methods, &then) {
                Ok(Some((index, paired))) => {
                    there.insert(index);
                    let now = &mut interface.methods[index];
                    // The method that interrupts its calls is found in that version by its name.
                    then.interrupt = now.interrupt.and_then(|now| interrupts.get(&now).copied()?);
                    let results = now.results.fields.iter().zip(&paired.results);
                    let lacking =
                        results.filter(|(now, pair)| pair.is_none() && !defaults.has(now));
                    for (field, _) in lacking {
                        let (method, name) = (&then.schema_name, &field.schema_name);
                        let what = format!("{method}, {name}: it is lacking, and has no default");
                        report.add(file, "interface", &interface.schema_name, &what);
                    }
                    note(now, &then, &paired, version, changed);
                }
                Ok(None) => {
                    there.insert(interface.methods.len());
                    interface.methods.push(add(&then, &interface.methods, version, &older.label))
                }
                Err(why) => {
                    let what = format!("{}: {why}", then.schema_name);
                    report.add(file, "interface", &interface.schema_name, &what);
                }
            }
        }
        for (index, now) in interface.methods.iter_mut().enumerate() {
            let lifecycle = now.kind != Kind::Plain && old.lifecycle(now.kind).is_some();
            if !lifecycle && !there.contains(&index) {
                now.versions &= !(1 << version);
            }
        }
    }
}

/// The present method that is the older one: it has the same name, and its fields pair.
fn find(present: &[Method], then: &Method) -> Result<Option<(usize, Paired)>, String> {
    let named = |now: &Method| now.kind == Kind::Plain && now.schema_name == then.schema_name;
    let mut why = None;
    for (index, now) in present.iter().enumerate().filter(|(_, now)| named(now)) {
        match pair::methods(now, then) {
            Ok(Some(paired)) => return Ok(Some((index, paired))),
            Ok(None) => {}
            Err(ambiguous) => why = Some(ambiguous),
        }
    }
    why.map_or(Ok(None), Err)
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

/// Notes how `version` has a method that the present schema has.
fn note(now: &mut Method, then: &Method, paired: &Paired, version: u8, changed: &Changed) {
    let form = older_form(now, then, paired, version);
    let present = older_form(now, now, &Paired::same(now), 0);
    let inner = |version| {
        (changed.form(&now.params.fields, version), changed.form(&now.results.fields, version))
    };
    let kept = paired.params.iter().flatten().count() == then.params.fields.len()
        && paired.results.iter().flatten().count() == then.results.fields.len();
    if now.versions & 1 == 1 && kept && grows(&form, &present) && inner(version) == inner(0) {
        // Its bit is set already.
        now.lacks.resize(paired.params.len(), 0);
        for (lacks, pair) in now.lacks.iter_mut().zip(&paired.params) {
            *lacks |= u32::from(pair.is_none()) << version;
        }
        return;
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

fn older_form(now: &Method, then: &Method, paired: &Paired, version: u8) -> OlderMethod {
    let message = |now: &Message, then: &Message, pairs: &[Option<usize>]| OlderMessage {
        size: then.size,
        context: then.context,
        thread_map: then.thread_map,
        fields: now
            .fields
            .iter()
            .zip(pairs)
            .map(|(now, pair)| Some(counterpart(now, then.fields.get((*pair)?)?)))
            .collect(),
    };
    OlderMethod {
        versions: 1 << version,
        version,
        collides: 0,
        ordinal: then.ordinal,
        params: message(&now.params, &then.params, &paired.params),
        results: message(&now.results, &then.results, &paired.results),
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
    method.older = vec![older_form(&method, then, &Paired::same(then), version)];
    method
}
