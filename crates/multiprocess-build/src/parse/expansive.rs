//! Types without end: `struct Rec(T) { next @0 :Rec(Rec(T)); }`. Cap'n Proto can write such a struct, but Rust
//! makes code for each type, and there would be one more at each level.
//!
//! That is so where a type parameter is given to another in a way that makes it larger, and comes back to
//! where it began. (Kennedy and Pierce call a graph of parameters with such a cycle expansive.)

use std::collections::{HashMap, HashSet};

use super::Report;
use super::declare::Declared;
use super::visit::{fields, files};
use crate::model::{Interface, Schema, Type};

/// A type parameter: the declaration, by its id and name, and the parameter's name.
type Node = (u64, String, String);

/// Reports each declaration that is the beginning of types without end. Returns whether there are any.
pub(super) fn check(
    schema: &Schema,
    declared: &HashMap<u64, Declared>,
    report: &mut Report,
) -> bool {
    let graph = Graph::of(schema);
    let mut any = false;
    for (from, to) in &graph.growing {
        if graph.leads(to, from) {
            any = true;
            let place = declared.get(&from.0).map(|found| found.place.clone()).unwrap_or_default();
            let what = format!(
                "with {} it contains types without end: each level has a larger type argument",
                from.2
            );
            report.add(&place, what, "the parameter itself as the argument, or a type of its own");
        }
    }
    any
}

#[derive(Default)]
struct Graph {
    /// The parameters of each declaration. A union without a name has its struct's id, and a name of
    /// its own.
    parameters: HashMap<(u64, String), Vec<String>>,
    edges: HashMap<Node, HashSet<Node>>,
    /// The edges along which the argument becomes larger.
    growing: Vec<(Node, Node)>,
}

impl Graph {
    fn of(schema: &Schema) -> Graph {
        let mut graph = Graph::default();
        let key = |named: &crate::model::Named| (named.id, named.name.clone());
        for file in files(schema) {
            for item in &file.structs {
                graph.parameters.insert(key(&item.named), item.parameters.clone());
            }
            for item in &file.interfaces {
                graph.parameters.insert(key(&item.named), item.parameters.clone());
            }
        }
        for file in files(schema) {
            for item in &file.structs {
                let owner = key(&item.named);
                fields(&item.body).iter().for_each(|field| graph.add(&owner, &field.ty));
            }
            for item in &file.interfaces {
                let owner = key(&item.named);
                types_of(item).for_each(|ty| graph.add(&owner, ty));
            }
        }
        graph.growing.sort();
        graph
    }

    /// Adds what a type in a declaration gives to the parameters of others.
    fn add(&mut self, owner: &(u64, String), ty: &Type) {
        let (named, arguments) = match ty {
            Type::Struct(named, arguments) | Type::Group(named, arguments) => (named, arguments),
            Type::Interface(object) => (&object.named, &object.arguments),
            Type::List(item) | Type::Set(_, item) => return self.add(owner, item),
            Type::Map(_, parts) => return self.add(owner, &parts.0),
            Type::As { wire, .. } => return self.add(owner, wire),
            _ => return,
        };
        let names = self.parameters.get(&(named.id, named.name.clone())).cloned();
        for (name, argument) in names.unwrap_or_default().into_iter().zip(arguments) {
            let to = (named.id, named.name.clone(), name);
            let mut found = Vec::new();
            parameters_in(argument, &mut found);
            for parameter in found {
                let from = (owner.0, owner.1.clone(), parameter.to_owned());
                if !matches!(argument, Type::Parameter(_)) {
                    self.growing.push((from.clone(), to.clone()));
                }
                self.edges.entry(from).or_default().insert(to.clone());
            }
            self.add(owner, argument);
        }
    }

    fn leads(&self, from: &Node, to: &Node) -> bool {
        let (mut open, mut seen) = (vec![from], HashSet::new());
        while let Some(next) = open.pop() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.edges.get(next).into_iter().flatten());
            }
        }
        false
    }
}

/// The types that the handle of an interface names.
fn types_of(interface: &Interface) -> impl Iterator<Item = &Type> {
    let methods = interface.methods.iter().flat_map(|method| {
        let results = method.results.fields.iter().chain(&method.exceptions);
        method.params.fields.iter().chain(results)
    });
    methods.map(|field| &field.ty)
}

fn parameters_in<'t>(ty: &'t Type, found: &mut Vec<&'t str>) {
    match ty {
        Type::Parameter(name) => found.push(name),
        Type::Struct(_, arguments) | Type::Group(_, arguments) => {
            arguments.iter().for_each(|ty| parameters_in(ty, found));
        }
        Type::Interface(object) => {
            object.arguments.iter().for_each(|ty| parameters_in(ty, found));
        }
        Type::List(item) | Type::Set(_, item) => parameters_in(item, found),
        Type::Map(_, parts) => parameters_in(&parts.0, found),
        Type::As { wire, .. } => parameters_in(wire, found),
        _ => {}
    }
}
