//! The first pass: every declared type gets its Rust name, so that any file can refer to it.

use std::collections::HashSet;
use std::path::Path;

use capnp::schema_capnp::node;

use super::{Parser, Place, find, id};
use crate::error::Error;
use crate::model::{Module, Named};
use crate::names;

/// What a node declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Const,
    Enum,
    Struct,
    Interface,
}

/// A declared type (or constant).
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub kind: Kind,
    /// Of an interface, with the handle's name.
    pub named: Named,
    /// The name of an interface's trait; else the type's own.
    pub own_name: String,
    pub schema_name: String,
    pub place: Place,
}

/// A file and what it declares, in its order.
pub(super) struct Scope {
    pub id: u64,
    pub name: String,
    pub stem: String,
    pub module: Module,
    pub place: Place,
    pub nodes: Vec<(u64, Kind)>,
    /// The names taken in the file's Rust module.
    pub names: HashSet<String>,
}

impl Scope {
    /// `name`, or `name` with as many underscores as it takes to be the only one.
    pub(super) fn claim(&mut self, mut name: String) -> String {
        while !self.names.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

impl Parser<'_> {
    /// Declares all of a file; nothing where the file itself cannot be mapped.
    pub(super) fn declare_file(&mut self, id: u64, filename: &str) -> Result<Option<Scope>, Error> {
        let place = Place::file(filename);
        let path = Path::new(filename);
        let text = |part: Option<&std::ffi::OsStr>| {
            part.and_then(|part| part.to_str()).unwrap_or_default().to_owned()
        };
        let (name, stem) = (text(path.file_name()), text(path.file_stem()));
        let module = Module { ours: names::module(&stem), raw: names::raw_file(&stem) };
        if !names::is_identifier(&module.ours) {
            let what = format!("the file's name gives no name for a Rust module: {stem:?}");
            self.report.add(&place, what, Some("letters, digits, - and _, a letter first"));
            return Ok(None);
        }
        if module.ours == "multiprocess" {
            let what = "the file's name is that of the generated file with all modules in it";
            self.report.add(&place, what, Some("another name"));
            return Ok(None);
        }
        for taken in [&module.ours, &module.raw] {
            if let Some(other) = self.modules.insert(taken.clone(), filename.to_owned()) {
                let what =
                    format!("two schema files would be the Rust module {taken}: {other} too");
                self.report.add(&place, what, Some("another name for one of them"));
                return Ok(None);
            }
        }
        let Some(&node) = self.nodes.get(&id) else { return Ok(None) };
        for refused in [id::RAW_PARENT_MODULE, id::RAW_NAME] {
            if find(node.get_annotations()?, refused).is_some() {
                let what = "capnpc's annotations for the place of the raw code are not supported";
                self.report.add(&place, what, Some("Builder::module"));
            }
        }
        let (nodes, names) = (Vec::new(), HashSet::new());
        let mut scope = Scope { id, name, stem, module, place, nodes, names };
        self.declare_nested(&mut scope, node, "", &[])?;
        self.name_handles(&mut scope);
        Ok(Some(scope))
    }

    /// Declares what is nested in `node`. `prefix` and `raw` are the names of the scopes around
    /// it: Rust's names run them together, capnpc nests modules.
    fn declare_nested(
        &mut self,
        scope: &mut Scope,
        node: node::Reader<'_>,
        prefix: &str,
        raw: &[String],
    ) -> Result<(), Error> {
        for nested in node.get_nested_nodes()? {
            let id = nested.get_id();
            let Some(&node) = self.nodes.get(&id) else { continue };
            let schema_name = nested.get_name()?.to_str()?;
            let renamed = self.renamed(node.get_annotations()?)?;
            let name = renamed.as_deref().unwrap_or(schema_name);
            let (kind, word) = match node.which()? {
                node::Struct(_) => (Kind::Struct, "struct"),
                node::Enum(_) => (Kind::Enum, "enum"),
                node::Interface(_) => (Kind::Interface, "interface"),
                node::Const(_) => (Kind::Const, "const"),
                node::File(()) | node::Annotation(_) => continue,
            };
            let full = format!("{prefix}{}", names::camel(name));
            let place = scope.place.declaration(word, &full);
            if !node.get_parameters()?.is_empty() {
                self.report.add(&place, "generic types are not supported", Some("a type each"));
                continue;
            }
            let last = match kind {
                Kind::Enum => name.to_owned(),
                _ => names::raw_module(name),
            };
            if kind != Kind::Const && names::breaks_capnpc(name) {
                self.report.add(&place, "capnpc cannot name this type", Some("another name"));
            }
            let raw: Vec<String> = raw.iter().cloned().chain([last]).collect();
            let own_name = match kind {
                Kind::Const => names::constant(&full),
                _ => names::type_name(&full),
            };
            let own_name = scope.claim(own_name);
            let named = Named {
                id,
                module: scope.module.clone(),
                name: own_name.clone(),
                raw: raw.clone(),
            };
            let schema_name = schema_name.to_owned();
            self.declared.insert(id, Declared { kind, named, own_name, schema_name, place });
            scope.nodes.push((id, kind));
            self.declare_nested(scope, node, &full, &raw)?;
        }
        Ok(())
    }

    /// Names the handle of each interface `FooClient`, or `FooHandle` where the schema itself
    /// declares a FooClient. This comes after all types, whose names stay as the schema has them.
    fn name_handles(&mut self, scope: &mut Scope) {
        for (id, kind) in scope.nodes.clone() {
            if kind != Kind::Interface {
                continue;
            }
            let Some(declared) = self.declared.get_mut(&id) else { continue };
            let client = format!("{}Client", declared.own_name);
            let name = match scope.names.contains(&client) {
                false => client,
                true => format!("{}Handle", declared.own_name),
            };
            declared.named.name = scope.claim(name);
        }
    }
}
