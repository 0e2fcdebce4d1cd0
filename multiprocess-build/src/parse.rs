//! From the schema compiler's output to the [`model`](crate::model).
//!
//! ```text
//! CodeGeneratorRequest -> declare: every declared type gets its Rust name
//!                      -> file by file: constants, enums, structs, interfaces
//!                           message: a struct's, call's or answer's fields
//!                           types:   a field's type and default
//!                      -> facts: what follows from the whole (equality, defaults, boxes)
//! ```
//!
//! Whatever has no mapping is written down with its [`Place`] and left out, so that one run
//! reports all of it; the model is used only if nothing was written down.

mod declare;
mod facts;
mod interface;
mod message;
mod report;
mod types;

use std::collections::HashMap;
use std::path::PathBuf;

use capnp::schema_capnp::node;
use capnp::schema_capnp::{annotation, code_generator_request, value};
use capnp::struct_list;

use crate::error::Error;
use crate::model::{Const, Enum, File, Schema, Struct, Variant};
use crate::names;
use declare::{Declared, Kind, Scope};
use report::{Place, Report};

/// The ids of what the generator knows by itself.
mod id {
    /// `/mp/proxy.capnp`; the runtime crate has its raw code.
    pub(crate) const PROXY_FILE: u64 = 0xcc31_6e3f_71a0_40fb;
    pub(super) const THREAD_MAP: u64 = 0xee5e_3717_9ad9_dc9d;
    pub(super) const THREAD: u64 = 0x81c1_e260_0d0b_56c5;
    pub(super) const STREAM_RESULT: u64 = 0x995f_9a33_77c0_b16e;

    // Annotations of proxy.capnp. `name` and `skip` say what C++ does and change nothing here.
    pub(super) const COUNT: u64 = 0xd026_82b3_19f6_9b38;
    pub(super) const EXCEPTION: u64 = 0x996a_1832_0099_2f88;
    // Annotations of rust-multiprocess.capnp.
    pub(super) const NOT_NULL: u64 = 0xd5e1_b8c0_734f_a926;
    pub(super) const NULLABLE: u64 = 0xa7c9_3e5d_10f4_8b62;
    // Annotations of capnpc's rust.capnp.
    pub(super) const RAW_NAME: u64 = 0xc2fe_4c6d_1001_66d0;
    pub(super) const RAW_PARENT_MODULE: u64 = 0xabee_386c_d145_0364;
    pub(super) const RAW_OPTION: u64 = 0xabfe_f22c_4ee1_964e;
}
pub(crate) use id::PROXY_FILE;

/// Reads a request. `sources` are the schema files it was made from; a file's leading comment is
/// taken from there, as the compiler leaves it out.
pub(crate) fn parse(
    request: code_generator_request::Reader<'_>,
    sources: &[PathBuf],
) -> Result<Schema, Error> {
    let mut parser = Parser::new(request)?;
    let mut scopes: Vec<Scope> = Vec::new();
    for requested in request.get_requested_files()? {
        let filename = requested.get_filename()?.to_str()?;
        scopes.extend(parser.declare_file(requested.get_id(), filename)?);
    }
    let mut schema = Schema::default();
    for scope in &mut scopes {
        let source = sources.iter().find(|path| path.ends_with(&scope.name));
        let mut file = parser.file(scope)?;
        if let (true, Some(path)) = (file.docs.is_empty(), source) {
            file.docs = leading_comment(path)?;
        }
        schema.files.push(file);
    }
    schema.files.sort_by(|a, b| a.module.ours.cmp(&b.module.ours));
    facts::complete(&mut schema, &mut parser.report);
    parser.report.finish()?;
    Ok(schema)
}

type Annotations<'a> = struct_list::Reader<'a, annotation::Owned>;

struct Parser<'a> {
    nodes: HashMap<u64, node::Reader<'a>>,
    infos: HashMap<u64, node::source_info::Reader<'a>>,
    declared: HashMap<u64, Declared>,
    /// The id of proxy.capnp's struct Context, where a schema uses it.
    context: Option<u64>,
    /// The modules taken, with the file that each belongs to.
    modules: HashMap<String, String>,
    report: Report,
}

impl<'a> Parser<'a> {
    fn new(request: code_generator_request::Reader<'a>) -> Result<Self, Error> {
        let mut nodes = HashMap::new();
        let mut context = None;
        for node in request.get_nodes()? {
            nodes.insert(node.get_id(), node);
            if node.get_scope_id() == PROXY_FILE && short_name(node)? == "Context" {
                context = Some(node.get_id());
            }
        }
        let infos = request.get_source_info()?.iter().map(|info| (info.get_id(), info)).collect();
        let (declared, modules, report) = (HashMap::new(), HashMap::new(), Report::default());
        Ok(Self { nodes, infos, declared, context, modules, report })
    }

    fn file(&mut self, scope: &mut Scope) -> Result<File, Error> {
        let mut file = File {
            name: scope.name.clone(),
            module: scope.module.clone(),
            docs: self.docs(scope.id)?,
            consts: Vec::new(),
            enums: Vec::new(),
            structs: Vec::new(),
            interfaces: Vec::new(),
        };
        for (id, kind) in scope.nodes.clone() {
            let (Some(&node), Some(declared)) = (self.nodes.get(&id), self.declared.get(&id))
            else {
                continue;
            };
            let place = declared.place.clone();
            let declared = declared.clone();
            match (kind, node.which()?) {
                (Kind::Const, node::Const(constant)) => {
                    let value = constant.get_value()?;
                    if let Some(value) = self.constant(constant.get_type()?, value, &place)? {
                        let docs = self.docs(id)?;
                        file.consts.push(Const { name: declared.named.name, docs, value });
                    }
                }
                (Kind::Enum, node::Enum(body)) => {
                    file.enums.push(self.enumeration(declared, body)?)
                }
                (Kind::Struct, node::Struct(body)) => {
                    let docs = self.docs(id)?;
                    let fields = self.struct_fields(id, body, &place)?;
                    file.structs.push(Struct {
                        named: declared.named,
                        docs,
                        fields,
                        comparable: true,
                        default: crate::model::Defaults::Derived,
                    });
                }
                (Kind::Interface, node::Interface(body)) => {
                    file.interfaces.push(self.interface(scope, declared, body)?);
                }
                _ => {}
            }
        }
        Ok(file)
    }

    fn enumeration(
        &mut self,
        declared: Declared,
        body: node::enum_::Reader<'_>,
    ) -> Result<Enum, Error> {
        let docs = self.docs(declared.named.id)?;
        let mut variants: Vec<Variant> = Vec::new();
        for (index, enumerant) in body.get_enumerants()?.iter().enumerate() {
            let renamed = self.renamed(enumerant.get_annotations()?)?;
            let schema_name = enumerant.get_name()?.to_str()?;
            let raw = names::camel(renamed.as_deref().unwrap_or(schema_name));
            if raw == "Self" {
                let place = declared.place.field("enumerant", schema_name);
                self.report.add(&place, "capnpc cannot name this enumerant", Some("another name"));
            }
            let docs = self.member_docs(declared.named.id, index)?;
            variants.push(Variant { name: names::variant(&raw), docs });
        }
        let taken = |name: &str| variants.iter().any(|variant| variant.name == name);
        let unknown = ["Unknown", "UnknownValue", "Unknown_"].into_iter().find(|name| !taken(name));
        let unknown = unknown.unwrap_or("UnknownValue_").to_owned();
        Ok(Enum { named: declared.named, docs, variants, unknown })
    }

    /// The name that capnpc's `$Rust.name` gives. It refuses other characters itself.
    fn renamed(&self, annotations: Annotations<'_>) -> Result<Option<String>, Error> {
        match find(annotations, id::RAW_NAME) {
            Some(found) => match found.get_value()?.which()? {
                value::Text(text) => {
                    let name = text?.to_str()?;
                    Ok(names::is_identifier(name).then(|| name.to_owned()))
                }
                _ => Ok(None),
            },
            None => Ok(None),
        }
    }

    fn docs(&self, id: u64) -> Result<String, Error> {
        match self.infos.get(&id) {
            Some(info) => Ok(info.get_doc_comment()?.to_str()?.trim_end().to_owned()),
            None => Ok(String::new()),
        }
    }

    fn member_docs(&self, id: u64, index: usize) -> Result<String, Error> {
        let Some(info) = self.infos.get(&id) else { return Ok(String::new()) };
        match info.get_members()?.iter().nth(index) {
            Some(member) => Ok(member.get_doc_comment()?.to_str()?.trim_end().to_owned()),
            None => Ok(String::new()),
        }
    }
}

fn find<'a>(annotations: Annotations<'a>, id: u64) -> Option<annotation::Reader<'a>> {
    annotations.iter().find(|annotation| annotation.get_id() == id)
}

/// A node's name without the file and scopes around it.
fn short_name<'a>(node: node::Reader<'a>) -> Result<&'a str, Error> {
    let name = node.get_display_name()?.to_str()?;
    Ok(name.get(node.get_display_name_prefix_length() as usize..).unwrap_or(name))
}

/// The comment that a file begins with, unless it is about the licence.
fn leading_comment(path: &PathBuf) -> Result<String, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    let lines = text.lines().map_while(|line| line.strip_prefix('#'));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let comment = lines.join("\n");
    let legal = comment.contains("Copyright") || comment.contains("License");
    Ok(if legal { String::new() } else { comment.trim().to_owned() })
}
