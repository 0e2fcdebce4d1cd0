//! What an interface inherits from the interfaces that it extends.
//!
//! Each interface is visited once, after its parents, and gets its ancestors from their lists. Following
//! every path to an ancestor instead would double the work with each level of `interface L2 extends(A,
//! B)` where both extend L1. For the same reason the ancestors in a list have no lists of their own.
//!
//! The generated code still grows with the square of the depth, which is acceptable: each handle has the
//! methods of all interfaces that its own extends, and implements their traits.

use std::collections::{HashMap, HashSet};

use super::Report;
use super::declare::Declared;
use super::substitute::{MOST_TYPES, bindings, substitute, substitute_all};
use super::visit::files;
use crate::model::{Ancestor, Extended, Interface, Kind, Method, Schema, Type};

/// Fills in the ancestors of each interface, and reports conflicts between two of them.
pub(super) fn complete(
    schema: &mut Schema,
    declared: &HashMap<u64, Declared>,
    raw: bool,
    report: &mut Report,
) {
    let all = All::of(schema);
    let lines = all.lines(schema);
    let mut found: HashMap<u64, Vec<Ancestor>> = HashMap::new();
    for interface in files(schema).flat_map(|file| &file.interfaces) {
        let Some(line) = lines.get(&interface.named.id) else { continue };
        let ancestors = line.ancestors.iter().map(|extended| all.ancestor(extended));
        let ancestors: Vec<Ancestor> = ancestors.collect();
        let place = declared.get(&interface.named.id).map(|found| found.place.clone());
        let place = place.unwrap_or_default();
        for problem in shared_names(interface, &ancestors) {
            report.add(&place, problem, "name of /rust-multiprocess.capnp on one of them");
        }
        for name in &line.two_ways {
            let what = format!("it extends {name} with different type arguments");
            report.add(&place, what, "the same arguments everywhere");
        }
        for name in &line.large {
            let what = format!("it gives {name} a type argument of more than {MOST_TYPES} types");
            report.add(&place, what, "smaller arguments: they grow from level to level");
        }
        if raw && line.ways > MOST_WAYS {
            let what = format!(
                "capnpc's own code for it has a part for each way to what it extends: more than \
                 {MOST_WAYS}"
            );
            report.add(&place, what, "fewer interfaces that extend the same; or no raw code");
        }
        found.insert(interface.named.id, ancestors);
    }
    for file in schema.files.iter_mut().chain(&mut schema.outside) {
        for interface in &mut file.interfaces {
            interface.ancestors = found.remove(&interface.named.id).unwrap_or_default();
        }
    }
}

/// How many paths may lead from an interface to those that it extends, if capnpc's code is generated as
/// well: the size of that code grows with the number of paths.
const MOST_WAYS: usize = 1000;

/// All interfaces, by their ids.
pub(super) struct All<'a>(HashMap<u64, &'a Interface>);

/// What an interface extends.
#[derive(Default)]
pub(super) struct Line {
    /// Each once, by the first path that leads to it.
    pub ancestors: Vec<Extended>,
    /// How many paths there are to them, those to its own parents included.
    ways: usize,
    /// How many ancestors were looked at to find these.
    pub looked_at: usize,
    /// Ancestors to which another path gives other type arguments.
    two_ways: Vec<String>,
    /// Ancestors whose type arguments are too large.
    large: Vec<String>,
}

impl<'a> All<'a> {
    pub(super) fn of(schema: &'a Schema) -> Self {
        let interfaces = files(schema).flat_map(|file| &file.interfaces);
        All(interfaces.map(|interface| (interface.named.id, interface)).collect())
    }

    /// What each interface extends.
    pub(super) fn lines(&self, schema: &'a Schema) -> HashMap<u64, Line> {
        let mut lines: HashMap<u64, Line> = HashMap::new();
        for interface in self.parents_first(schema) {
            let line = self.line(interface, &lines);
            lines.insert(interface.named.id, line);
        }
        lines
    }

    /// The interfaces, each once and after those that it extends. The compiler refuses an interface
    /// that extends itself; if a request has one nevertheless, it comes after some of them.
    pub(super) fn parents_first(&self, schema: &'a Schema) -> Vec<&'a Interface> {
        let (mut order, mut seen) = (Vec::new(), HashSet::new());
        let roots = files(schema).flat_map(|file| &file.interfaces);
        // Not recursive: a chain of interfaces may be too long for the stack.
        let mut open: Vec<(&Interface, bool)> = roots.map(|root| (root, false)).collect();
        open.reverse();
        while let Some((interface, parents_done)) = open.pop() {
            if parents_done {
                order.push(interface);
            } else if seen.insert(interface.named.id) {
                open.push((interface, true));
                let parents = interface.parents.iter();
                let parents = parents.filter_map(|parent| self.0.get(&parent.named.id));
                open.extend(parents.map(|parent| (*parent, false)));
            }
        }
        order
    }

    /// What an interface extends, from its parents' lists.
    fn line(&self, interface: &Interface, lines: &HashMap<u64, Line>) -> Line {
        let mut line = Line::default();
        let mut seen: HashMap<u64, usize> = HashMap::new();
        for parent in &interface.parents {
            let names = self.0.get(&parent.named.id).map(|found| found.parameters.as_slice());
            let given = bindings(names.unwrap_or_default(), &parent.arguments);
            line.add(parent.clone(), &mut seen);
            let further = lines.get(&parent.named.id);
            let ways = further.map_or(0, |further| further.ways);
            line.ways = line.ways.saturating_add(1).saturating_add(ways);
            for ancestor in further.into_iter().flat_map(|further| &further.ancestors) {
                let arguments = substitute_all(&ancestor.arguments, &given);
                if arguments.is_none() {
                    line.large.push(ancestor.trait_name.clone());
                }
                // Where they are too large, the model is not used.
                let arguments = arguments.unwrap_or_default();
                line.add(Extended { arguments, ..ancestor.clone() }, &mut seen);
            }
        }
        line
    }

    /// An ancestor with the methods that it declares.
    fn ancestor(&self, extended: &Extended) -> Ancestor {
        let found = self.0.get(&extended.named.id);
        let names = found.map(|found| found.parameters.as_slice()).unwrap_or_default();
        let given = bindings(names, &extended.arguments);
        let methods = found.into_iter().flat_map(|found| &found.methods);
        Ancestor {
            extended: extended.clone(),
            schema_name: found.map(|found| found.schema_name.clone()).unwrap_or_default(),
            methods: methods.map(|method| with(method, &given)).collect(),
        }
    }
}

impl Line {
    fn add(&mut self, extended: Extended, seen: &mut HashMap<u64, usize>) {
        self.looked_at += 1;
        match seen.get(&extended.named.id).and_then(|index| self.ancestors.get(*index)) {
            Some(known) if known.arguments == extended.arguments => {}
            Some(_) => self.two_ways.push(extended.trait_name),
            None => {
                seen.insert(extended.named.id, self.ancestors.len());
                self.ancestors.push(extended);
            }
        }
    }
}

/// The method with these type arguments filled in.
fn with(method: &Method, given: &HashMap<String, Type>) -> Method {
    let mut method = method.clone();
    let params = method.params.fields.iter_mut();
    for field in params.chain(&mut method.results.fields).chain(&mut method.exceptions) {
        field.ty = substitute(&field.ty, given);
    }
    method
}

/// Conflicts between the names of the methods that an interface has and inherits.
fn shared_names(interface: &Interface, ancestors: &[Ancestor]) -> Vec<String> {
    let mut seen: HashMap<&str, (&str, &str)> = HashMap::new();
    let mut problems = Vec::new();
    for method in interface.plain() {
        seen.insert(&method.name, (&interface.trait_name, &method.schema_name));
    }
    for ancestor in ancestors {
        for method in ancestor.methods.iter().filter(|method| method.kind == Kind::Plain) {
            let this = (ancestor.extended.trait_name.as_str(), method.schema_name.as_str());
            if let Some(other) = seen.insert(&method.name, this) {
                problems.push(format!(
                    "the methods {} of {} and {} of {} would both be {} in Rust",
                    other.1, other.0, this.1, this.0, method.name
                ));
            }
        }
    }
    problems
}
