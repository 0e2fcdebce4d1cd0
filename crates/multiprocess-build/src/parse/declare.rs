//! The first pass: every declared type gets its Rust name, so that any file can refer to it.

use std::collections::HashSet;
use std::path::Path;

use capnp::schema_capnp::{field, node};

use super::marks::{self, find};
use super::{Parser, Place, id, source};
use crate::error::Error;
use crate::model::{Module, Named};
use crate::names;

/// What a node declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Const,
    Enum,
    Struct,
    /// A group or union in a struct.
    Group,
    Interface,
}

/// A declared type (or constant).
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub kind: Kind,
    /// For an interface, with the handle's name.
    pub named: Named,
    /// The name of an interface's trait; for other types, the type's own.
    pub own_name: String,
    /// The name of an interface's trait of futures.
    pub async_name: String,
    pub schema_name: String,
    pub place: Place,
    /// Whether it is nested in nothing but its file.
    pub top: bool,
}

/// A file and what it declares, in its order.
pub(super) struct Scope {
    pub id: u64,
    pub name: String,
    pub stem: String,
    pub module: Module,
    pub place: Place,
    /// All but groups and unions, which are found through their structs.
    pub nodes: Vec<(u64, Kind)>,
    /// The names taken in the file's Rust module.
    pub names: HashSet<String>,
    /// The text of the schema file, if it could be read.
    pub source: Vec<u8>,
}

impl Scope {
    /// `name`, with as many underscores added as make it unique.
    pub(super) fn claim(&mut self, mut name: String) -> String {
        while !self.names.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// An id for the unnamed union in a struct or group, which has none in the schema. It cannot be one
/// of Cap'n Proto's ids, because those have the highest bit set.
pub(super) fn union_id(owner: u64) -> u64 {
    owner & !(1 << 63)
}

/// The id of the node that declares a struct, group or union.
pub(super) fn node_id(id: u64) -> u64 {
    id | (1 << 63)
}

/// Whether a struct or group has an unnamed union, and whether it has fields beside it.
pub(super) fn has_union(body: node::struct_::Reader<'_>) -> Result<(bool, bool), Error> {
    let plain = |field: field::Reader<'_>| field.get_discriminant_value() == field::NO_DISCRIMINANT;
    Ok((body.get_discriminant_count() != 0, body.get_fields()?.iter().any(plain)))
}

impl Parser<'_> {
    /// Declares everything in a file. Returns nothing if the file itself cannot be mapped.
    /// `filename` is the compiler's name for it; `outside` is the path of the module with the
    /// file's types, if they are in another crate.
    pub(super) fn declare_file(
        &mut self,
        id: u64,
        filename: &str,
        outside: Option<String>,
    ) -> Result<Option<Scope>, Error> {
        let place = Place::file(filename, outside.is_some());
        let path = Path::new(filename);
        let part = |part: Option<&std::ffi::OsStr>| {
            part.and_then(|part| part.to_str()).unwrap_or_default().to_owned()
        };
        let (name, stem) = (part(path.file_name()), part(path.file_stem()));
        let Some(&node) = self.nodes.get(&id) else { return Ok(None) };
        let renamed = marks::text(node.get_annotations()?, id::NAME)?;
        let module = names::module(renamed.unwrap_or(&stem));
        if !names::is_identifier(&module) {
            if !self.has_types(node)? {
                return Ok(None); // `c++.capnp`, in a directory that has other schemas, too.
            }
            let what = format!("the file's name gives no name for a Rust module: {stem:?}");
            self.report.add(&place, what, "letters, digits, - and _, a letter first");
            return Ok(None);
        }
        if outside.is_none() {
            if module == "multiprocess" {
                let what = "the file's name is that of the generated file with all modules in it";
                self.report.add(&place, what, "another name");
                return Ok(None);
            }
            let raw = self.options.raw.then(|| names::raw_file(&stem));
            for taken in [Some(module.clone()), raw].into_iter().flatten() {
                if let Some(other) = self.modules.insert(taken.clone(), filename.to_owned()) {
                    let what =
                        format!("two schema files would be the Rust module {taken}: {other} too");
                    self.report.add(&place, what, "another name for one of them: the file's, or one of Builder::mark and Mark::name_from");
                    return Ok(None);
                }
            }
        }
        for refused in [id::RAW_PARENT_MODULE, id::RAW_NAME] {
            if self.options.raw && find(node.get_annotations()?, refused).is_some() {
                let what = "capnpc's annotations for the place of the raw code are not supported";
                self.report.add(&place, what, "Builder::module");
            }
        }
        let source = match source::file_of(self.options.sources, filename) {
            Some(path) => std::fs::read(path).map_err(|error| Error::io("read", path, error))?,
            None => Vec::new(),
        };
        let module = Module { name: module, outside };
        let (nodes, names) = (Vec::new(), HashSet::new());
        let mut scope = Scope { id, name, stem, module, place, nodes, names, source };
        self.declare_nested(&mut scope, node, "")?;
        self.name_handles(&mut scope);
        self.declare_groups(&mut scope)?;
        Ok(Some(scope))
    }

    /// Whether a file declares more than annotations.
    fn has_types(&self, file: node::Reader<'_>) -> Result<bool, Error> {
        for nested in file.get_nested_nodes()? {
            let node = self.nodes.get(&nested.get_id());
            if !matches!(node.map(|node| node.which()).transpose()?, Some(node::Annotation(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Declares the types that are nested in `node`. `prefix` is made of the names of the scopes
    /// around them; their Rust names begin with it.
    fn declare_nested(
        &mut self,
        scope: &mut Scope,
        node: node::Reader<'_>,
        prefix: &str,
    ) -> Result<(), Error> {
        for nested in node.get_nested_nodes()? {
            let id = nested.get_id();
            let schema_name = nested.get_name()?.to_str()?;
            let Some(&node) = self.nodes.get(&id) else {
                // For a file of another crate, the request has only the types that are used. The
                // names of its other types are reserved as well.
                if schema_name.starts_with(|first: char| first.is_ascii_uppercase()) {
                    scope.claim(names::type_name(&format!("{prefix}{schema_name}")));
                }
                continue;
            };
            let (kind, word) = match node.which()? {
                node::Struct(_) => (Kind::Struct, "struct"),
                node::Enum(_) => (Kind::Enum, "enum"),
                node::Interface(_) => (Kind::Interface, "interface"),
                node::Const(_) => (Kind::Const, "const"),
                node::File(()) | node::Annotation(_) => continue,
            };
            let line = self.line(id, &scope.source);
            let place = format!("{prefix}{}", names::camel(schema_name));
            let place = scope.place.declaration(word, &place, line);
            let name = self.name(node.get_annotations()?, schema_name, &place)?;
            let full = format!("{prefix}{}", names::camel(&name));
            if self.options.raw && kind != Kind::Const {
                let raw = marks::text(node.get_annotations()?, id::RAW_NAME)?;
                if names::breaks_capnpc(raw.unwrap_or(schema_name)) {
                    self.report.add(&place, "capnpc cannot name this type", "another name");
                }
            }
            let own_name = match kind {
                Kind::Const => names::constant(&full),
                _ => names::type_name(&full),
            };
            let own_name = scope.claim(own_name);
            let declared = declared(scope, id, kind, own_name, schema_name, place);
            self.declared.insert(id, Declared { top: prefix.is_empty(), ..declared });
            scope.nodes.push((id, kind));
            self.declare_nested(scope, node, &full)?;
        }
        Ok(())
    }

    /// Names the handle of each interface `FooClient`, or `FooHandle` where the schema itself
    /// declares a FooClient. This is done after all types, so that types keep the names of the
    /// schema.
    fn name_handles(&mut self, scope: &mut Scope) {
        let interfaces = scope.nodes.iter().filter(|(_, kind)| *kind == Kind::Interface);
        let interfaces: Vec<u64> = interfaces.map(|(id, _)| *id).collect();
        for id in &interfaces {
            let Some(declared) = self.declared.get_mut(id) else { continue };
            let client = format!("{}Client", names::stem(&declared.own_name));
            let name = match scope.names.contains(&client) {
                false => client,
                true => format!("{}Handle", names::stem(&declared.own_name)),
            };
            declared.named.name = scope.claim(name);
        }
        for id in &interfaces {
            let Some(declared) = self.declared.get_mut(id) else { continue };
            declared.async_name = scope.claim(format!("{}Async", names::stem(&declared.own_name)));
        }
    }

    /// Names the groups and unions of each struct: `FooG`, `FooWhich`.
    fn declare_groups(&mut self, scope: &mut Scope) -> Result<(), Error> {
        for (id, kind) in scope.nodes.clone() {
            let (Kind::Struct, Some(declared)) = (kind, self.declared.get(&id)) else { continue };
            let (name, place) = (declared.own_name.clone(), declared.place.clone());
            self.groups_of(scope, id, &name, &place)?;
        }
        Ok(())
    }

    fn groups_of(
        &mut self,
        scope: &mut Scope,
        id: u64,
        prefix: &str,
        place: &Place,
    ) -> Result<(), Error> {
        let Some(&node) = self.nodes.get(&id) else { return Ok(()) };
        let node::Struct(body) = node.which()? else { return Ok(()) };
        if has_union(body)? == (true, true) {
            let name = scope.claim(format!("{}Which", names::stem(prefix)));
            let id = union_id(id);
            let declared = declared(scope, id, Kind::Group, name, "which", place.clone());
            self.declared.insert(id, declared);
        }
        for field in body.get_fields()? {
            let field::Group(group) = field.which()? else { continue };
            let schema_name = field.get_name()?.to_str()?;
            let place = place.field("field", schema_name);
            let name = self.name(field.get_annotations()?, schema_name, &place)?;
            let name = scope.claim(format!("{}{}", names::stem(prefix), names::camel(&name)));
            let id = group.get_type_id();
            let declared =
                declared(scope, id, Kind::Group, name.clone(), schema_name, place.clone());
            self.declared.insert(id, declared);
            self.groups_of(scope, id, &name, &place)?;
        }
        Ok(())
    }
}

fn declared(
    scope: &Scope,
    id: u64,
    kind: Kind,
    own_name: String,
    schema_name: &str,
    place: Place,
) -> Declared {
    Declared {
        kind,
        named: Named { id, module: scope.module.clone(), name: own_name.clone() },
        own_name,
        async_name: String::new(),
        schema_name: schema_name.to_owned(),
        place,
        top: false,
    }
}
