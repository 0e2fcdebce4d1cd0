//! The schemas against what is known of the draft (`table.txt`): ids, ordinals, names, types, defaults and typed
//! errors, of everything that travels.

use std::collections::HashMap;
use std::path::Path;

use capnp::schema_capnp::{brand, code_generator_request, field, node, type_, value};
use capnp::{Result, message, serialize};

/// `exception` of `/mp/proxy.capnp`.
const EXCEPTION: u64 = 0x996a_1832_0099_2f88;

/// An interface with its methods, or a struct, as the table writes it.
type Blocks = Vec<String>;

#[test]
fn the_schemas_are_the_draft_of_july() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (own, shared) = (here.join("schema"), here.join("../../schema"));
    let compiled = {
        let mut command = capnpc_embedded::CompileCommand::new();
        command.no_standard_import().src_prefix(&own).src_prefix(&shared).import_path(&shared);
        command.import_path(here.join("../multiprocess/schema"));
        for name in ["chain", "handler", "init", "node", "wallet"] {
            command.file(own.join(name).with_extension("capnp"));
        }
        command.file(shared.join("common.capnp"));
        command.compile().unwrap()
    };
    let message = serialize::read_message(
        &mut &compiled[..],
        message::ReaderOptions { traversal_limit_in_words: None, nesting_limit: 64 },
    );
    let message = message.unwrap();
    let request = message.get_root::<code_generator_request::Reader<'_>>().unwrap();
    let found = Schema::new(request).unwrap().blocks(request).unwrap();
    let known = table();
    assert_eq!(known.len(), 70, "blocks of the table");
    for block in &known {
        let head = block.split([':', '\n']).next().unwrap();
        let same = |other: &&String| other.split([':', '\n']).next() == Some(head);
        let found = found.iter().find(same).unwrap_or_else(|| panic!("there is no {head}"));
        assert_eq!(found, block);
    }
    assert_eq!(found.len(), known.len(), "what the table does not have: {found:#?}");
}

/// The table's blocks, each with the file in front.
fn table() -> Blocks {
    let (mut blocks, mut file) = (Blocks::new(), "");
    for line in include_str!("table.txt").lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("file "), blocks.last_mut()) {
            (Some(name), _) => file = name,
            (None, Some(last)) if line.starts_with(' ') => *last += &format!("\n{line}"),
            (None, _) => blocks.push(format!("{file} {line}")),
        }
    }
    blocks
}

struct Schema<'a>(HashMap<u64, node::Reader<'a>>);

impl<'a> Schema<'a> {
    fn new(request: code_generator_request::Reader<'a>) -> Result<Schema<'a>> {
        Ok(Schema(request.get_nodes()?.iter().map(|node| (node.get_id(), node)).collect()))
    }

    fn name(&self, id: u64) -> Result<&'a str> {
        let name = self.0[&id].get_display_name()?.to_str()?;
        Ok(name.rsplit([':', '.']).next().unwrap_or(name))
    }

    fn blocks(&self, request: code_generator_request::Reader<'_>) -> Result<Blocks> {
        let mut blocks = Blocks::new();
        for file in request.get_requested_files()? {
            let name = file.get_filename()?.to_str()?;
            let name = name.rsplit('/').next().unwrap_or(name);
            for nested in self.0[&file.get_id()].get_nested_nodes()? {
                let block = self.block(nested.get_id())?;
                blocks.push(format!("{name} {:#x} {block}", file.get_id()));
            }
        }
        Ok(blocks)
    }

    fn block(&self, id: u64) -> Result<String> {
        let head = format!("{} {id:#x}", self.name(id)?);
        Ok(match self.0[&id].which()? {
            node::Interface(interface) => {
                let mut text = format!("interface {head}");
                for base in interface.get_superclasses()? {
                    text += &format!(" extends {}", self.name(base.get_id())?);
                }
                for (ordinal, method) in interface.get_methods()?.iter().enumerate() {
                    let name = method.get_name()?.to_str()?;
                    let params = self.fields(method.get_param_struct_type(), " :", ", ")?;
                    let results = self.fields(method.get_result_struct_type(), " :", ", ")?;
                    text += &format!("\n    {name} @{ordinal} ({params}) -> ({results})");
                }
                text
            }
            _ => format!("struct {head}: {}", self.fields(id, "@ :", "; ")?),
        })
    }

    /// The fields of a struct by their ordinals. `sign` is between name and type, with `@` for the ordinal.
    fn fields(&self, id: u64, sign: &str, between: &str) -> Result<String> {
        let node::Struct(body) = self.0[&id].which()? else { panic!("{id:#x} is no struct") };
        let fields = body.get_fields()?.iter().enumerate();
        let fields = fields.map(|(at, field)| {
            let field::Slot(slot) = field.which()? else { panic!("a group") };
            let name = field.get_name()?.to_str()?;
            let sign = sign.replace('@', &format!("@{at}"));
            let mut text = format!("{name}{sign}{}", self.ty(slot.get_type()?)?);
            if slot.get_had_explicit_default() {
                text += &match slot.get_default_value()?.which()? {
                    value::Bool(value) => format!(" = {value}"),
                    value::Int32(value) => format!(" = {value}"),
                    value::Uint32(value) => format!(" = {value}"),
                    _ => " = ?".to_owned(),
                };
            }
            for annotation in field.get_annotations()? {
                if annotation.get_id() == EXCEPTION {
                    let value::Text(value) = annotation.get_value()?.which()? else { panic!() };
                    text += &format!(" [exception {}]", value?.to_str()?);
                }
            }
            Ok(text)
        });
        Ok(fields.collect::<Result<Vec<_>>>()?.join(between))
    }

    fn ty(&self, ty: type_::Reader<'_>) -> Result<String> {
        let plain = |name: &str| Ok(name.to_owned());
        match ty.which()? {
            type_::Void(()) => plain("Void"),
            type_::Bool(()) => plain("Bool"),
            type_::Int32(()) => plain("Int32"),
            type_::Int64(()) => plain("Int64"),
            type_::Uint8(()) => plain("UInt8"),
            type_::Uint16(()) => plain("UInt16"),
            type_::Uint32(()) => plain("UInt32"),
            type_::Uint64(()) => plain("UInt64"),
            type_::Float64(()) => plain("Float64"),
            type_::Text(()) => plain("Text"),
            type_::Data(()) => plain("Data"),
            type_::List(list) => Ok(format!("List({})", self.ty(list.get_element_type()?)?)),
            type_::Struct(of) => self.applied(of.get_type_id(), of.get_brand()?),
            type_::Interface(of) => self.applied(of.get_type_id(), of.get_brand()?),
            type_::AnyPointer(any) => match any.which()? {
                type_::any_pointer::Parameter(of) => {
                    let scope = self.0[&of.get_scope_id()].get_parameters()?;
                    let parameter = scope.get(of.get_parameter_index().into());
                    Ok(parameter.get_name()?.to_str()?.to_owned())
                }
                _ => plain("AnyPointer"),
            },
            _ => plain("?"),
        }
    }

    /// A type with its arguments.
    fn applied(&self, id: u64, brand: brand::Reader<'_>) -> Result<String> {
        let mut arguments = Vec::new();
        for scope in brand.get_scopes()?.iter().filter(|scope| scope.get_scope_id() == id) {
            let brand::scope::Bind(bindings) = scope.which()? else { continue };
            for binding in bindings? {
                let brand::binding::Type(ty) = binding.which()? else { continue };
                arguments.push(self.ty(ty?)?);
            }
        }
        let name = self.name(id)?;
        Ok(match arguments.as_slice() {
            [] => name.to_owned(),
            _ => format!("{name}({})", arguments.join(", ")),
        })
    }
}
