//! The last pass: what follows for a struct from all that it holds, at any depth.

use std::collections::{HashMap, HashSet};

use super::{Place, Report};
use crate::model::{Defaults, Field, Optional, Schema, Struct, Type};

/// Fills in what each struct has (equality, a default) and which of its fields need a box.
pub(super) fn complete(schema: &mut Schema, report: &mut Report) {
    let held = holdings(schema, |_| true);
    let always = holdings(schema, |field| field.optional == Optional::No);
    let inner: HashMap<u64, Facts> = facts(schema);
    for file in &mut schema.files {
        for item in &mut file.structs {
            let id = item.named.id;
            let facts = inner.get(&id).copied().unwrap_or_default();
            item.comparable = !facts.holds_handle;
            item.default = match (facts.no_default, item.fields.iter().any(|f| f.default.is_some()))
            {
                (true, _) => Defaults::Absent,
                (false, true) => Defaults::Written,
                (false, false) => Defaults::Derived,
            };
            for field in &mut item.fields {
                let Some(target) = field.ty.held_struct() else { continue };
                if field.optional == Optional::No {
                    if reaches(&always, target.id, id) {
                        let place = Place::file(&file.name)
                            .declaration("struct", &item.named.name)
                            .field("field", &field.schema_name);
                        let what = "a struct that always holds another of its own has no end";
                        report.add(&place, what, Some("nullable of /rust-multiprocess.capnp"));
                    }
                } else {
                    field.boxed = reaches(&held, target.id, id);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Facts {
    holds_handle: bool,
    no_default: bool,
}

type Graph = HashMap<u64, Vec<u64>>;

/// Which structs each struct holds in place, through the fields that `take` accepts.
fn holdings(schema: &Schema, take: impl Fn(&Field) -> bool) -> Graph {
    let target = |field: &Field| field.ty.held_struct().map(|named| named.id);
    let of = |item: &Struct| {
        item.fields.iter().filter(|field| take(field)).filter_map(target).collect::<Vec<_>>()
    };
    structs(schema).map(|item| (item.named.id, of(item))).collect()
}

fn reaches(graph: &Graph, from: u64, to: u64) -> bool {
    let (mut open, mut seen) = (vec![from], HashSet::new());
    while let Some(id) = open.pop() {
        if id == to {
            return true;
        }
        if seen.insert(id) {
            open.extend(graph.get(&id).into_iter().flatten());
        }
    }
    false
}

/// Carries the facts from the structs inside to those around them until nothing changes.
fn facts(schema: &Schema) -> HashMap<u64, Facts> {
    let mut all: HashMap<u64, Facts> = HashMap::new();
    loop {
        let mut changed = false;
        for item in structs(schema) {
            let mut facts = Facts::default();
            for field in &item.fields {
                let inner = match field.ty.innermost() {
                    Type::Interface { nullable, .. } => {
                        Facts { holds_handle: true, no_default: !nullable }
                    }
                    Type::Struct(named) => all.get(&named.id).copied().unwrap_or_default(),
                    _ => Facts::default(),
                };
                facts.holds_handle |= inner.holds_handle;
                let in_place = !matches!(field.ty, Type::List(_));
                facts.no_default |= inner.no_default && in_place && field.optional == Optional::No;
            }
            changed |= all.insert(item.named.id, facts) != Some(facts);
        }
        if !changed {
            return all;
        }
    }
}

fn structs(schema: &Schema) -> impl Iterator<Item = &Struct> {
    schema.files.iter().flat_map(|file| &file.structs)
}
