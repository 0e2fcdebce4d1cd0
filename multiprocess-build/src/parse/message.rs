//! The fields of a struct, of a call and of an answer.

use capnp::schema_capnp::{field, node, type_, value};

use super::declare::Declared;
use super::{Parser, Place, find, id};
use crate::error::Error;
use crate::model::{Field, Message, Optional, Type};
use crate::names;

/// What a field is for.
enum Role {
    Context,
    ThreadMap,
    /// Stands for no argument: it neither shows nor is written or read.
    Hidden,
    Value,
}

impl Parser<'_> {
    /// The fields of a declared struct.
    pub(super) fn struct_fields(
        &mut self,
        id: u64,
        body: node::struct_::Reader<'_>,
        place: &Place,
    ) -> Result<Vec<Field>, Error> {
        if body.get_discriminant_count() != 0 {
            let what = "a union is not supported";
            self.report.add(place, what, Some("a field each, of which all but one are absent"));
        }
        let mut mapped = Vec::new();
        for (index, field) in body.get_fields()?.iter().enumerate() {
            let name = field.get_name()?.to_str()?;
            let place = place.field("field", name);
            match self.role(field)? {
                Role::Value => {
                    if let Some(made) = self.field(id, index, field, &place)? {
                        mapped.push((field.get_code_order(), made));
                    }
                }
                Role::Hidden => {}
                Role::Context | Role::ThreadMap => {
                    let what = "a Context or ThreadMap can be a parameter or result only";
                    self.report.add(&place, what, None);
                }
            }
        }
        mapped.sort_by_key(|(order, _)| *order);
        let fields = fold_flags(mapped.into_iter().map(|(_, field)| field).collect());
        self.same_names(place, fields.iter().map(|field| (&field.name, &field.schema_name)));
        Ok(fields)
    }

    /// The parameters (`suffix` Params) or results (Results) of a method.
    pub(super) fn message(
        &mut self,
        interface: &Declared,
        suffix: &str,
        word: &str,
        id: u64,
        place: &Place,
        method: &str,
    ) -> Result<Option<Message>, Error> {
        let Some(&node) = self.nodes.get(&id) else { return Ok(None) };
        let node::Struct(body) = node.which()? else { return Ok(None) };
        let (module, raw) = if node.get_scope_id() == 0 {
            // Written in place: capnpc puts it in the interface's module.
            let own = names::raw_module(&format!("{method}{suffix}"));
            let raw = interface.named.raw.iter().cloned().chain([own]).collect();
            (interface.named.module.clone(), raw)
        } else {
            let Some(declared) = self.declared.get(&id) else {
                self.foreign(id, place)?;
                return Ok(None);
            };
            (declared.named.module.clone(), declared.named.raw.clone())
        };
        if body.get_discriminant_count() != 0 {
            self.report.add(place, "a union of parameters or results is not supported", None);
            return Ok(None);
        }
        let mut message =
            Message { module, raw, context: None, thread_map: None, fields: Vec::new() };
        for (index, field) in body.get_fields()?.iter().enumerate() {
            let name = field.get_name()?.to_str()?;
            let place = place.field(word, name);
            if find(field.get_annotations()?, id::EXCEPTION).is_some() {
                let what = "a typed exception is not supported";
                self.report.add(&place, what, Some("a result that says what failed"));
                continue;
            }
            let renamed = self.renamed(field.get_annotations()?)?;
            let raw = || names::raw_accessor(renamed.as_deref().unwrap_or(name));
            match self.role(field)? {
                Role::Context if message.context.is_none() && word == "parameter" => {
                    message.context = Some(raw());
                }
                Role::ThreadMap if message.thread_map.is_none() => message.thread_map = Some(raw()),
                Role::Context | Role::ThreadMap => {
                    let what =
                        "one Context among the parameters, and one ThreadMap, is all there can be";
                    self.report.add(&place, what, None);
                }
                Role::Hidden => {}
                Role::Value => message.fields.extend(self.field(id, index, field, &place)?),
            }
        }
        message.fields = fold_flags(message.fields);
        self.same_names(place, message.fields.iter().map(|f| (&f.name, &f.schema_name)));
        Ok(Some(message))
    }

    fn role(&mut self, field: field::Reader<'_>) -> Result<Role, Error> {
        let field::Slot(slot) = field.which()? else { return Ok(Role::Value) };
        let type_id = match slot.get_type()?.which()? {
            type_::Void(()) => return Ok(Role::Hidden),
            type_::Interface(ty) if ty.get_type_id() == id::THREAD_MAP => {
                return Ok(Role::ThreadMap);
            }
            type_::Struct(ty) if Some(ty.get_type_id()) == self.context => {
                return Ok(Role::Context);
            }
            type_::Interface(ty) => Some(ty.get_type_id()),
            type_::Struct(ty) => Some(ty.get_type_id()),
            _ => None,
        };
        let mut count = find(field.get_annotations()?, id::COUNT);
        if let (None, Some(node)) = (count, type_id.and_then(|id| self.nodes.get(&id))) {
            count = find(node.get_annotations()?, id::COUNT);
        }
        let Some(count) = count else { return Ok(Role::Value) };
        match count.get_value()?.which()? {
            value::Int32(0) => Ok(Role::Hidden),
            _ => Ok(Role::Value),
        }
    }

    fn field(
        &mut self,
        owner: u64,
        index: usize,
        field: field::Reader<'_>,
        place: &Place,
    ) -> Result<Option<Field>, Error> {
        let annotations = field.get_annotations()?;
        let schema_name = field.get_name()?.to_str()?.to_owned();
        let field::Slot(slot) = field.which()? else {
            self.report.add(place, "a group is not supported", Some("a struct"));
            return Ok(None);
        };
        if field.get_discriminant_value() != field::NO_DISCRIMINANT {
            return Ok(None); // The union around it is reported.
        }
        if let Some(count) = find(annotations, id::COUNT)
            && !matches!(count.get_value()?.which()?, value::Int32(1))
        {
            let what = "one field for several arguments (count) is not supported";
            self.report.add(place, what, Some("a field each"));
        }
        if find(annotations, id::RAW_OPTION).is_some() {
            let what = "capnpc's annotation option is not supported";
            self.report.add(place, what, Some("nullable of /rust-multiprocess.capnp"));
        }
        let not_null = find(annotations, id::NOT_NULL).is_some();
        let nullable = find(annotations, id::NULLABLE).is_some();
        let Some(ty) = self.map_type(slot.get_type()?, not_null, place)? else { return Ok(None) };
        if not_null && !matches!(ty.innermost(), Type::Interface { .. }) {
            self.report.add(place, "notNull is for interfaces only", None);
        }
        let pointer = matches!(ty, Type::Text | Type::Data | Type::Struct(_) | Type::List(_));
        if nullable && !pointer {
            let instead = "a Bool beside it whose name is `has` and this name";
            let what = "nullable is for structs, lists, text and data only";
            self.report.add(place, what, Some(instead));
        }
        let optional = if nullable { Optional::Null } else { Optional::No };
        let default = match slot.get_had_explicit_default() {
            true => self.default(&ty, slot.get_default_value()?, place)?,
            false => None,
        };
        let renamed = self.renamed(annotations)?;
        let name = renamed.as_deref().unwrap_or(&schema_name);
        Ok(Some(Field {
            name: names::value(name),
            raw: names::raw_accessor(name),
            docs: self.member_docs(owner, index)?,
            schema_name,
            ty,
            optional,
            default,
            boxed: false,
        }))
    }

    /// The index in the pointer section of the field with this raw name.
    pub(super) fn pointer_of(&self, id: u64, raw: &str) -> Result<u16, Error> {
        let Some(&node) = self.nodes.get(&id) else { return Ok(0) };
        let node::Struct(body) = node.which()? else { return Ok(0) };
        for field in body.get_fields()? {
            let renamed = self.renamed(field.get_annotations()?)?;
            let name = field.get_name()?.to_str()?;
            if names::raw_accessor(renamed.as_deref().unwrap_or(name)) == raw
                && let field::Slot(slot) = field.which()?
            {
                return Ok(u16::try_from(slot.get_offset()).unwrap_or(0));
            }
        }
        Ok(0)
    }
}

/// Makes `x` beside `hasX :Bool` an optional `x`.
fn fold_flags(fields: Vec<Field>) -> Vec<Field> {
    let flag_of = |field: &Field| {
        let flag = format!("has{}", names::camel(&field.schema_name));
        let found = fields.iter().find(|other| other.schema_name == flag);
        found.filter(|other| matches!(other.ty, Type::Bool)).map(|other| other.raw.clone())
    };
    let flags: Vec<Option<String>> = fields.iter().map(flag_of).collect();
    let folded: Vec<String> = flags.iter().flatten().cloned().collect();
    let fields = fields.into_iter().zip(flags).map(|(mut field, flag)| {
        if let Some(flag) = flag {
            field.optional = Optional::Flag(flag);
            field.default = None;
            // Absence is the flag's alone; a handle in the Option is no second one.
            if let Type::Interface { nullable, .. } = &mut field.ty {
                *nullable = false;
            }
        }
        field
    });
    fields.filter(|field| !folded.contains(&field.raw)).collect()
}
