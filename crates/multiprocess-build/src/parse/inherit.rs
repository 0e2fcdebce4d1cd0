//! What an interface has from those that it extends.

use std::collections::HashMap;

use super::Report;
use super::declare::Declared;
use super::generics::{bindings, substitute};
use super::visit::files;
use crate::model::{Interface, Kind, Lifecycle, Method, Parent, Schema, Type};

/// Fills in the parents of each interface, and reports names that two of its methods share.
pub(super) fn complete(
    schema: &mut Schema,
    declared: &HashMap<u64, Declared>,
    report: &mut Report,
) {
    let mut found: HashMap<u64, Vec<Parent>> = HashMap::new();
    let all = All::of(schema);
    for interface in files(schema).flat_map(|file| &file.interfaces) {
        let parents = interface.parents.iter().map(|parent| all.parent(parent, 0)).collect();
        found.insert(interface.named.id, parents);
    }
    for file in schema.files.iter_mut().chain(&mut schema.outside) {
        for interface in &mut file.interfaces {
            interface.parents = found.remove(&interface.named.id).unwrap_or_default();
            let place = declared.get(&interface.named.id).map(|found| found.place.clone());
            let place = place.unwrap_or_default();
            for problem in shared_names(interface) {
                report.add(&place, problem, "name of /rust-multiprocess.capnp on one of them");
            }
            for name in two_ways(interface) {
                let what = format!("it extends {name} with different type arguments");
                report.add(&place, what, "the same arguments everywhere");
            }
        }
    }
}

/// The compiler refuses an interface that extends itself; this is for a request that says so.
const DEPTH: usize = 64;

/// All interfaces, by their ids.
struct All<'a>(HashMap<u64, &'a Interface>);

impl<'a> All<'a> {
    fn of(schema: &'a Schema) -> Self {
        let interfaces = files(schema).flat_map(|file| &file.interfaces);
        All(interfaces.map(|interface| (interface.named.id, interface)).collect())
    }

    /// A parent, of which only its name and arguments are known, with all that it has.
    fn parent(&self, parent: &Parent, depth: usize) -> Parent {
        let mut parent = parent.clone();
        let Some(interface) = self.0.get(&parent.named.id).filter(|_| depth < DEPTH) else {
            return parent;
        };
        let given = bindings(&interface.parameters, &parent.arguments);
        for next in &interface.parents {
            let arguments = next.arguments.iter().map(|ty| substitute(ty, &given)).collect();
            let next = self.parent(&Parent { arguments, ..next.clone() }, depth + 1);
            let inherited = next.ancestors.clone();
            for ancestor in std::iter::once(next).chain(inherited) {
                if parent.ancestors.iter().all(|known| known.named.id != ancestor.named.id) {
                    parent.ancestors.push(ancestor);
                }
            }
        }
        parent.ids = parent.ancestors.iter().map(|ancestor| ancestor.named.id).collect();
        parent.ids.push(parent.named.id);
        parent.methods = methods(interface, &given);
        for ancestor in &parent.ancestors {
            let Some(interface) = self.0.get(&ancestor.named.id) else { continue };
            let given = bindings(&interface.parameters, &ancestor.arguments);
            parent.methods.extend(methods(interface, &given));
        }
        let inherited = |get: fn(&Parent) -> &Option<Lifecycle>| {
            parent.ancestors.iter().find_map(|ancestor| get(ancestor).clone())
        };
        let destroy = lifecycle(interface, Kind::Destroy);
        let construct = lifecycle(interface, Kind::Construct);
        parent.destroy = destroy.or_else(|| inherited(|parent| &parent.destroy));
        parent.construct = construct.or_else(|| inherited(|parent| &parent.construct));
        parent
    }
}

fn lifecycle(interface: &Interface, kind: Kind) -> Option<Lifecycle> {
    let method = interface.lifecycle(kind)?;
    Some(Lifecycle {
        interface: interface.named.id,
        path: format!("{}.{}", interface.schema_name, method.schema_name),
        method: Box::new(method.clone()),
    })
}

/// The plain methods that an interface declares itself, for these arguments.
fn methods(interface: &Interface, given: &HashMap<String, Type>) -> Vec<Method> {
    let with = |method: &Method| {
        let mut method = method.clone();
        let params = method.params.fields.iter_mut();
        for field in params.chain(&mut method.results.fields).chain(&mut method.exceptions) {
            field.ty = substitute(&field.ty, given);
        }
        method
    };
    interface.plain().map(with).collect()
}

/// The ancestors of an interface by each way that leads to them.
fn ways(interface: &Interface) -> Vec<&Parent> {
    let mut all = Vec::new();
    for parent in &interface.parents {
        all.push(parent);
        all.extend(&parent.ancestors);
    }
    all
}

/// What is wrong with the names of the methods that an interface has and inherits.
fn shared_names(interface: &Interface) -> Vec<String> {
    let mut seen: HashMap<&str, (&str, &str)> = HashMap::new();
    let mut problems = Vec::new();
    let mut known: Vec<u64> = Vec::new();
    for method in interface.plain() {
        seen.insert(&method.name, (&interface.trait_name, &method.schema_name));
    }
    for parent in ways(interface) {
        if known.contains(&parent.named.id) {
            continue;
        }
        known.push(parent.named.id);
        // Its own methods come first; the others are those of its ancestors.
        let others: usize = parent.ancestors.iter().map(own).sum();
        for method in parent.methods.iter().take(parent.methods.len().saturating_sub(others)) {
            let this = (parent.trait_name.as_str(), method.schema_name.as_str());
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

/// How many methods an ancestor declares itself.
fn own(parent: &Parent) -> usize {
    let others: usize = parent.ancestors.iter().map(own).sum();
    parent.methods.len().saturating_sub(others)
}

/// The names of the interfaces that are extended several times with different type arguments.
fn two_ways(interface: &Interface) -> Vec<String> {
    let mut seen: HashMap<u64, String> = HashMap::new();
    let mut names = Vec::new();
    for parent in ways(interface) {
        let arguments = format!("{:?}", parent.arguments);
        if seen.insert(parent.named.id, arguments.clone()).is_some_and(|other| other != arguments) {
            names.push(parent.trait_name.clone());
        }
    }
    names
}
