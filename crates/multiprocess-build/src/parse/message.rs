//! The fields of structs, parameters and results.

use capnp::schema_capnp::{brand, field, node, type_, value};

use super::declare::{Kind, has_union};
use super::generics::union_of;
use super::marks::{Marks, find};
use super::substitute::{bindings, substitute};
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::{Field, Message, Presence, Type};
use crate::names;

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Context,
    ThreadMap,
    /// A field that is neither an argument nor written or read.
    Hidden,
    Value,
}

/// The parameters or results of a method, and the results that are typed exceptions.
pub(super) struct Parsed {
    pub message: Message,
    pub exceptions: Vec<Field>,
}

impl<'a> Parser<'a> {
    /// The parameters (`word` parameter) or results (result) of a method.
    pub(super) fn message(
        &mut self,
        id: u64,
        brand: brand::Reader<'a>,
        word: &str,
        place: &Place,
    ) -> Result<Option<Parsed>, Error> {
        let empty = Message { size: (0, 0), context: None, thread_map: None, fields: Vec::new() };
        let mut parsed = Parsed { message: empty, exceptions: Vec::new() };
        if id == id::STREAM_RESULT {
            return Ok(Some(parsed));
        }
        let Some(&node) = self.nodes.get(&id) else { return Ok(None) };
        let node::Struct(body) = node.which()? else { return Ok(None) };
        let in_place = node.get_scope_id() == 0;
        if !in_place && self.declared(id, Kind::Struct, place)?.is_none() {
            return Ok(None);
        }
        parsed.message.size = (body.get_data_word_count(), body.get_pointer_count());
        for field in body.get_fields()? {
            let field::Slot(slot) = field.which()? else { continue };
            let message = &mut parsed.message;
            let place = place.field(word, field.get_name()?.to_str()?);
            match self.role(field)? {
                Role::Context if message.context.is_none() && word == "parameter" => {
                    message.context = Some(slot.get_offset());
                }
                Role::ThreadMap if message.thread_map.is_none() => {
                    message.thread_map = Some(slot.get_offset());
                }
                Role::Context | Role::ThreadMap => {
                    let what =
                        "one Context among the parameters, and one ThreadMap, is all there can be";
                    self.report.add(&place, what, "no further one");
                }
                Role::Hidden | Role::Value => {}
            }
        }
        let mut fields = self.fields(id, body, word, place)?;
        // Parameters declared in place already use the type parameters of the scope. Those of a
        // named struct are replaced by the arguments that are given.
        if !in_place {
            let bindings = bindings(&self.parameters(id), &self.arguments(id, brand, place)?);
            for (field, _) in &mut fields {
                field.ty = substitute(&field.ty, &bindings);
            }
        }
        for (field, exception) in fields {
            match exception {
                true => parsed.exceptions.push(field),
                false => parsed.message.fields.push(field),
            }
        }
        let fields = parsed.message.fields.iter();
        self.same_names(place, fields.map(|f| (f.name.as_str(), f.schema_name.as_str())));
        Ok(Some(parsed))
    }

    /// The fields of a struct that users see, each with whether it is a typed exception. An unnamed
    /// union comes last.
    pub(super) fn fields(
        &mut self,
        owner: u64,
        body: node::struct_::Reader<'a>,
        word: &str,
        place: &Place,
    ) -> Result<Vec<(Field, bool)>, Error> {
        let mut mapped = Vec::new();
        for (index, field) in body.get_fields()?.iter().enumerate() {
            let member = field.get_discriminant_value() != field::NO_DISCRIMINANT;
            if member || self.role(field)? != Role::Value {
                continue;
            }
            let place = place.field(word, field.get_name()?.to_str()?);
            let marks = self.marks(field.get_annotations()?, &place)?;
            if let Some(made) = self.field(owner, index, field, &marks, &place)? {
                if marks.exception {
                    self.exception(&made, word, &place);
                }
                mapped.push((field.get_code_order(), (made, marks.exception)));
            }
        }
        mapped.sort_by_key(|(order, _)| *order);
        let fields: Vec<(Field, bool)> = mapped.into_iter().map(|(_, field)| field).collect();
        let mut fields = self.fold_flags(fields, body, word, place)?;
        if has_union(body)?.0 {
            let mut name = "which".to_owned();
            while fields.iter().any(|(field, _)| field.name == name) {
                name.push('_');
            }
            fields.extend(self.unnamed_union(owner, body, name)?.map(|field| (field, false)));
        }
        Ok(fields)
    }

    /// The field that stands for the unnamed union among the fields beside it.
    fn unnamed_union(
        &mut self,
        owner: u64,
        body: node::struct_::Reader<'_>,
        name: String,
    ) -> Result<Option<Field>, Error> {
        let Some(id) = union_of(owner, body)? else { return Ok(None) };
        let Some(declared) = self.declared.get(&id) else { return Ok(None) };
        let ty = Type::Group(declared.named.clone(), self.own_arguments(id));
        Ok(Some(Field {
            schema_name: "which".to_owned(),
            name,
            docs: String::new(),
            ty,
            slot: 0,
            presence: Presence::Always,
            default: None,
            boxed: false,
            redacted: false,
            may_be_lost: false,
            required: false,
        }))
    }

    fn exception(&mut self, field: &Field, word: &str, place: &Place) {
        if word != "result" {
            let what = "a typed exception can be a result only";
            self.report.add(place, what, "no annotation exception");
        } else if !field.ty.is_pointer()
            || matches!(field.ty, Type::Interface(_) | Type::Capability(_) | Type::Descriptor(_))
        {
            let what = "a typed exception of this type is not supported";
            self.report.add(place, what, "a struct");
        }
    }

    /// Whether users see the field.
    pub(super) fn is_value(&self, field: field::Reader<'_>) -> Result<bool, Error> {
        Ok(self.role(field)? == Role::Value)
    }

    pub(super) fn role(&self, field: field::Reader<'_>) -> Result<Role, Error> {
        let annotations = field.get_annotations()?;
        let mut visible = find(annotations, id::VISIBLE).is_some();
        if find(annotations, id::SKIP).is_some() && !visible {
            return Ok(Role::Hidden);
        }
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
            visible |= find(node.get_annotations()?, id::VISIBLE).is_some();
        }
        let Some(count) = count else { return Ok(Role::Value) };
        match count.get_value()?.which()? {
            value::Int32(0) if !visible => Ok(Role::Hidden),
            _ => Ok(Role::Value),
        }
    }

    /// One field, parameter, result or member of a union.
    pub(super) fn field(
        &mut self,
        owner: u64,
        index: usize,
        field: field::Reader<'a>,
        marks: &Marks,
        place: &Place,
    ) -> Result<Option<Field>, Error> {
        let schema_name = field.get_name()?.to_str()?;
        let name = self.name(field.get_annotations()?, schema_name, place)?;
        let mut made = Field {
            schema_name: schema_name.to_owned(),
            name: names::value(&name),
            docs: self.member_docs(owner, index)?,
            ty: Type::Void,
            slot: 0,
            presence: Presence::Always,
            default: None,
            boxed: false,
            redacted: marks.redacted,
            may_be_lost: marks.may_be_lost,
            required: false,
        };
        match field.which()? {
            field::Group(group) => {
                let id = group.get_type_id();
                let Some(declared) = self.declared.get(&id) else { return Ok(None) };
                made.ty = Type::Group(declared.named.clone(), self.own_arguments(id));
                let plain = !(marks.nullable || marks.not_null || marks.shared || marks.exception);
                if !plain || marks.rust.is_some() || marks.collection.is_some() {
                    let what =
                        "of these annotations a group or union has name, derive and redacted";
                    self.report.add(place, what, "a struct");
                }
            }
            field::Slot(slot) => {
                let Some(ty) = self.field_type(slot.get_type()?, marks, place)? else {
                    return Ok(None);
                };
                (made.ty, made.slot) = (ty, slot.get_offset());
                if slot.get_had_explicit_default() {
                    made.default = self.default(&made.ty, slot.get_default_value()?)?;
                }
                self.nullable(&mut made, marks, slot.get_had_explicit_default(), place);
            }
        }
        Ok(Some(made))
    }

    fn nullable(&mut self, field: &mut Field, marks: &Marks, default: bool, place: &Place) {
        if !marks.nullable {
            return;
        }
        let mut wire = &field.ty;
        while let Type::As { wire: inner, .. } = wire {
            wire = inner;
        }
        let object = matches!(wire, Type::Interface(_) | Type::Capability(_) | Type::Descriptor(_));
        if object || matches!(wire, Type::AnyPointer | Type::Parameter(_)) || !wire.is_pointer() {
            let instead = "a Bool beside it whose name is `has` and this name";
            let what = "nullable is for structs, lists, text and data only";
            self.report.add(place, what, instead);
        } else if default {
            let what = "a field with a default is never absent";
            self.report.add(place, what, "either nullable or the default");
        } else {
            field.presence = Presence::Null;
        }
    }

    /// Makes `x` beside `hasX :Bool` an optional `x`.
    fn fold_flags(
        &mut self,
        mut fields: Vec<(Field, bool)>,
        body: node::struct_::Reader<'_>,
        word: &str,
        place: &Place,
    ) -> Result<Vec<(Field, bool)>, Error> {
        let mut flags: Vec<(String, u32)> = Vec::new();
        for field in body.get_fields()? {
            let member = field.get_discriminant_value() != field::NO_DISCRIMINANT;
            let field::Slot(slot) = field.which()? else { continue };
            if !member
                && self.is_value(field)?
                && matches!(slot.get_type()?.which()?, type_::Bool(_))
            {
                flags.push((field.get_name()?.to_str()?.to_owned(), slot.get_offset()));
            }
        }
        let mut folded = Vec::new();
        for (field, exception) in &mut fields {
            let flag = format!("has{}", names::camel(&field.schema_name));
            let found = flags.iter().find(|(name, _)| *name == flag);
            let Some((_, slot)) = found.filter(|_| !*exception) else { continue };
            if matches!(field.ty, Type::Group(..)) {
                continue;
            }
            field.presence = Presence::Flag(*slot);
            // The flag alone says whether it is absent, so the handle in the Option cannot be null
            // as well.
            match &mut field.ty {
                Type::Interface(object) => object.nullable = false,
                Type::Capability(nullable) | Type::Descriptor(nullable) => *nullable = false,
                _ => {}
            }
            folded.push(flag);
        }
        for (field, _) in &fields {
            if folded.contains(&field.schema_name) && field.default.is_some() {
                let what = "a default of true for what says whether another is there";
                self.report.add(&place.field(word, &field.schema_name), what, "no default");
            }
        }
        fields.retain(|(field, _)| !folded.contains(&field.schema_name));
        Ok(fields)
    }
}
