//! From the schema compiler's output to the [`model`](crate::model).
//!
//! ```text
//! CodeGeneratorRequest -> declare:  every declared type gets its Rust name
//!                      -> generics: and its type parameters
//!                      -> file by file: enums, structs, interfaces
//!                           message: a struct's, call's or answer's fields
//!                           types:   a field's type
//!                           marks:   its annotations
//!                      -> what follows from the whole:
//!                           boxes, facts: how structs contain each other, equality, defaults
//!                           collections:  maps and sets
//!                           values:       constants and defaults
//!                           inherit:      what interfaces extend
//!                      -> wherever types have arguments:
//!                           substitute:   types in place of parameters, and how large that may get
//! ```
//!
//! A declaration that has no mapping is reported with its [`Place`] and left out, so that one run
//! reports all of them. The model is used only if nothing was reported.

mod borrows;
mod boxes;
mod collections;
mod declare;
mod expansive;
mod facts;
mod generics;
#[cfg(test)]
mod growth;
mod inherit;
mod interface;
mod literals;
mod marks;
mod message;
mod report;
mod source;
mod structure;
mod substitute;
#[cfg(test)]
mod tests;
mod types;
mod values;
mod visit;

use std::collections::HashMap;
use std::path::PathBuf;

use capnp::schema_capnp::{code_generator_request, node};

use crate::error::Error;
use crate::model::{File, Schema};
use declare::{Declared, Kind, Scope};
use generics::Generics;
use report::{Place, Report};

/// The ids of files, types and annotations that the generator knows.
pub(crate) mod id {
    /// `/mp/proxy.capnp`; the runtime crate has its raw code.
    pub(crate) const PROXY_FILE: u64 = 0xcc31_6e3f_71a0_40fb;
    pub(crate) const THREAD_MAP: u64 = 0xee5e_3717_9ad9_dc9d;
    pub(crate) const THREAD: u64 = 0x81c1_e260_0d0b_56c5;
    pub(crate) const STREAM_RESULT: u64 = 0x995f_9a33_77c0_b16e;

    // Annotations of proxy.capnp.
    pub(crate) const COUNT: u64 = 0xd026_82b3_19f6_9b38;
    pub(crate) const EXCEPTION: u64 = 0x996a_1832_0099_2f88;
    pub(crate) const PROXY_NAME: u64 = 0xb594_888f_63f4_dbb9;
    pub(crate) const SKIP: u64 = 0x824c_08b8_2695_d8dd;
    // Annotations of rust-multiprocess.capnp.
    pub(crate) const NOT_NULL: u64 = 0xd5e1_b8c0_734f_a926;
    pub(crate) const NULLABLE: u64 = 0xa7c9_3e5d_10f4_8b62;
    pub(crate) const FD: u64 = 0xb3d7_4f16_92ce_805a;
    pub(crate) const SHARED: u64 = 0xc41f_86d9_b3a2_507e;
    pub(crate) const TYPE: u64 = 0x9e7d_25b4_c60f_1a83;
    pub(crate) const CODEC: u64 = 0xe308_6c1f_d57b_94a2;
    pub(crate) const HASH_MAP: u64 = 0xf1b2_59e4_870d_c36a;
    pub(crate) const BTREE_MAP: u64 = 0xb90c_4e67_d213_5f8a;
    pub(crate) const HASH_SET: u64 = 0xd83a_7f01_c59e_264b;
    pub(crate) const BTREE_SET: u64 = 0x86f5_d0a9_13c7_be42;
    pub(crate) const REDACTED: u64 = 0xa25e_9b78_30d6_c4f1;
    pub(crate) const MAY_BE_LOST: u64 = 0xd64b_0f93_a7e1_582c;
    pub(crate) const DERIVE: u64 = 0xcb61_74f2_8e05_d39a;
    pub(crate) const NAME: u64 = 0x97d3_c8f0_5a41_e26b;
    pub(crate) const ATTRIBUTE: u64 = 0xf4a8_c1d0_7be3_925d;
    pub(crate) const VISIBLE: u64 = 0xdc27_50f6_a918_e34b;
    pub(crate) const BORROWED: u64 = 0x8d2f_61b7_e94c_03a5;
    pub(crate) const LONG_WAIT: u64 = 0xba40_e1f9_6c82_d573;
    pub(crate) const INTERRUPTED_BY: u64 = 0xec59_72a3_d810_6fb4;
    // Annotations of capnpc's rust.capnp.
    pub(crate) const RAW_NAME: u64 = 0xc2fe_4c6d_1001_66d0;
    pub(crate) const RAW_PARENT_MODULE: u64 = 0xabee_386c_d145_0364;
    pub(crate) const RAW_OPTION: u64 = 0xabfe_f22c_4ee1_964e;
}
pub(crate) use id::PROXY_FILE;

/// What the parser is told besides the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// The schema files that the request was made from.
    pub sources: &'a [PathBuf],
    /// The files whose code another crate has, and the path of its module with the code.
    pub outside: &'a HashMap<u64, String>,
    /// Whether capnpc is to generate its types as well, which not every name allows.
    pub raw: bool,
}

/// Reads a request.
pub(crate) fn parse(
    request: code_generator_request::Reader<'_>,
    options: Options<'_>,
) -> Result<Schema, Error> {
    let mut parser = Parser::new(request, options)?;
    let mut scopes: Vec<Scope> = Vec::new();
    for requested in request.get_requested_files()? {
        let filename = requested.get_filename()?.to_str()?;
        let provided = options.outside.contains_key(&requested.get_id());
        if !provided && requested.get_id() != PROXY_FILE {
            scopes.extend(parser.declare_file(requested.get_id(), filename, None)?);
        }
    }
    let mut others: Vec<(&u64, &String)> = options.outside.iter().collect();
    others.sort();
    for (id, path) in others {
        if let Some(node) = parser.nodes.get(id) {
            let filename = node.get_display_name()?.to_str()?;
            scopes.extend(parser.declare_file(*id, filename, Some(path.clone()))?);
        }
    }
    parser.find_parameters(&scopes)?;
    let mut schema = Schema::default();
    for scope in &mut scopes {
        let file = parser.file(scope)?;
        match scope.module.outside {
            None => schema.files.push(file),
            Some(_) => schema.outside.push(file),
        }
    }
    schema.files.sort_by(|a, b| a.module.name.cmp(&b.module.name));
    if expansive::check(&schema, &parser.declared, &mut parser.report) {
        // What follows may not end for such types.
        parser.report.finish()?;
    }
    boxes::complete(&mut schema);
    collections::complete(&mut schema, &parser.declared, &mut parser.report);
    parser.complete_values(&mut schema, &scopes)?;
    borrows::complete(&mut schema, &parser.declared, &mut parser.report);
    facts::complete(&mut schema);
    facts::check_values(&mut schema, &parser.declared, &mut parser.report);
    inherit::complete(&mut schema, &parser.declared, options.raw, &mut parser.report);
    parser.report.finish()?;
    Ok(schema)
}

struct Parser<'a> {
    options: Options<'a>,
    nodes: HashMap<u64, node::Reader<'a>>,
    infos: HashMap<u64, node::source_info::Reader<'a>>,
    declared: HashMap<u64, Declared>,
    generics: Generics,
    /// The id of proxy.capnp's struct Context, where a schema uses it.
    context: Option<u64>,
    /// The modules taken, with the file that each belongs to.
    modules: HashMap<String, String>,
    report: Report,
}

impl<'a> Parser<'a> {
    fn new(
        request: code_generator_request::Reader<'a>,
        options: Options<'a>,
    ) -> Result<Self, Error> {
        let mut nodes = HashMap::new();
        let mut context = None;
        for node in request.get_nodes()? {
            nodes.insert(node.get_id(), node);
            if node.get_scope_id() == PROXY_FILE && short_name(node)? == "Context" {
                context = Some(node.get_id());
            }
        }
        let infos = request.get_source_info()?.iter().map(|info| (info.get_id(), info)).collect();
        Ok(Self {
            options,
            nodes,
            infos,
            declared: HashMap::new(),
            generics: Generics::default(),
            context,
            modules: HashMap::new(),
            report: Report::default(),
        })
    }

    /// A file's enums, structs and interfaces. The constants follow when all structs are known.
    fn file(&mut self, scope: &mut Scope) -> Result<File, Error> {
        let mut docs = self.docs(scope.id)?;
        if docs.is_empty() {
            docs = source::leading_comment(&scope.source);
        }
        let mut file = File {
            name: scope.name.clone(),
            module: scope.module.clone(),
            docs,
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
            let declared = declared.clone();
            match (kind, node.which()?) {
                (Kind::Enum, node::Enum(body)) => {
                    let annotations = node.get_annotations()?;
                    file.enums.push(self.enumeration(declared, annotations, body)?);
                }
                (Kind::Struct, node::Struct(_)) => {
                    self.structure(declared, node, &mut file.structs)?;
                }
                (Kind::Interface, node::Interface(body)) => {
                    file.interfaces.push(self.interface(scope, declared, body)?);
                }
                _ => {}
            }
        }
        Ok(file)
    }
}

/// A node's name without the file and scopes around it.
fn short_name<'a>(node: node::Reader<'a>) -> Result<&'a str, Error> {
    let name = node.get_display_name()?.to_str()?;
    Ok(name.get(node.get_display_name_prefix_length() as usize..).unwrap_or(name))
}
