//! Which fields need a box, as a struct contains itself through them.
//!
//! A null pointer to a struct reads as a struct with null pointers, which read in the same way. If a
//! struct always contains itself, reading it like that would never end. So a null pointer is read as no
//! value there, and the field is an Option. A union ends such a chain with its first member, unless that
//! member is part of the chain.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::visit::{fields, fields_mut, initial, structs};
use crate::model::{Body, Field, Presence, Schema, Type};

/// Fills in `boxed` of all fields, and `presence` of those that are an Option for that reason.
pub(super) fn complete(schema: &mut Schema) {
    let held = Graph::of(schema, |body| fields(body).iter().collect());
    let always = Graph::of(schema, |body| {
        initial(body).iter().filter(|field| field.presence == Presence::Always).collect()
    });
    for file in schema.files.iter_mut().chain(&mut schema.outside) {
        for item in &mut file.structs {
            let id = item.named.id;
            let first = initial(&item.body).len();
            for (index, field) in fields_mut(&mut item.body).iter_mut().enumerate() {
                if !matches!(field.ty, Type::Struct(..)) {
                    continue;
                }
                let initial = index < first && field.presence == Presence::Always;
                if initial && always.closes(&field.ty, id) {
                    field.presence = Presence::Null;
                }
                field.boxed = held.closes(&field.ty, id);
            }
        }
    }
}

/// The structs that a struct holds in place.
#[derive(Debug, Default, Clone, PartialEq)]
struct Held {
    structs: BTreeSet<u64>,
    /// The type parameters whose arguments it holds.
    parameters: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Graph {
    held: HashMap<u64, Held>,
    /// The names of each struct's type parameters.
    parameters: HashMap<u64, Vec<String>>,
}

impl Graph {
    /// Goes through the fields that `take` returns until nothing changes, because whether a type
    /// argument is held depends on everything that its struct holds.
    fn of(schema: &Schema, take: impl Fn(&Body) -> Vec<&Field>) -> Self {
        let parameters = structs(schema).map(|item| (item.named.id, item.parameters.clone()));
        let mut graph = Graph { parameters: parameters.collect(), ..Graph::default() };
        let mut changed = true;
        while changed {
            changed = false;
            for item in structs(schema) {
                let mut held = Held::default();
                for field in take(&item.body) {
                    graph.hold(&field.ty, &mut held);
                }
                changed |= graph.held.get(&item.named.id) != Some(&held);
                graph.held.insert(item.named.id, held);
            }
        }
        graph
    }

    fn hold(&self, ty: &Type, held: &mut Held) {
        match ty {
            Type::Struct(named, arguments) | Type::Group(named, arguments) => {
                held.structs.insert(named.id);
                let Some(inner) = self.held.get(&named.id) else { return };
                let names = self.parameters.get(&named.id).into_iter().flatten();
                for (name, argument) in names.zip(arguments) {
                    if inner.parameters.contains(name) {
                        self.hold(argument, held);
                    }
                }
            }
            Type::Parameter(name) => {
                held.parameters.insert(name.clone());
            }
            _ => {}
        }
    }

    /// Whether a value of the type contains the struct `id`.
    fn closes(&self, ty: &Type, id: u64) -> bool {
        let mut held = Held::default();
        self.hold(ty, &mut held);
        let (mut open, mut seen) = (Vec::from_iter(held.structs), HashSet::new());
        while let Some(next) = open.pop() {
            if next == id {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.held.get(&next).into_iter().flat_map(|held| &held.structs));
            }
        }
        false
    }
}
