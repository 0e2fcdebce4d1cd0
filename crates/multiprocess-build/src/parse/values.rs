//! The values of defaults and constants. Lists and structs are read in `literals`, when all structs
//! are known.

use capnp::schema_capnp::{field, node, value};

use super::declare::{Kind, Scope, node_id};
use super::literals::{Literals, Pointer};
use super::visit::{Owner, Shapes, each_field, shapes};
use super::{Parser, Place};
use crate::error::Error;
use crate::model::{Const, Field, Presence, Schema, Type, Value};

impl<'a> Parser<'a> {
    /// The explicit default of a field. None if it is the type's own, or a list or struct: those
    /// are filled in by [`complete_values`](Self::complete_values).
    pub(super) fn default(
        &self,
        ty: &Type,
        value: value::Reader<'_>,
    ) -> Result<Option<Value>, Error> {
        Ok(scalar(ty, value)?.filter(|value| match value {
            Value::Bool(value) => *value,
            Value::Int(_, value) => *value != 0,
            Value::Float32(value) => value.to_bits() != 0,
            Value::Float64(value) => value.to_bits() != 0,
            Value::Text(value) => !value.is_empty(),
            Value::Data(value) => !value.is_empty(),
            Value::Enum(_, value) => *value != 0,
            _ => true,
        }))
    }

    /// Fills in the constants, and the defaults that are lists or structs.
    pub(super) fn complete_values(
        &mut self,
        schema: &mut Schema,
        scopes: &[Scope],
    ) -> Result<(), Error> {
        let shapes = shapes(schema);
        let mut result = Ok(());
        let (nodes, report) = (&self.nodes, &mut self.report);
        each_field(schema, &self.declared, |place, owner, field| {
            let mut literals = Literals { shapes: &shapes, report };
            if let Err(error) = late_default(nodes, owner, field, &mut literals, place) {
                result = Err(error);
            }
        });
        for scope in scopes {
            let Some(file) = schema.files.iter_mut().find(|file| file.module == scope.module)
            else {
                continue;
            };
            for (id, _) in scope.nodes.iter().filter(|(_, kind)| *kind == Kind::Const) {
                file.consts.extend(self.constant(*id, &shapes)?);
            }
        }
        result
    }

    fn constant(&mut self, id: u64, shapes: &Shapes) -> Result<Option<Const>, Error> {
        let (Some(declared), Some(&node)) = (self.declared.get(&id).cloned(), self.nodes.get(&id))
        else {
            return Ok(None);
        };
        let node::Const(body) = node.which()? else { return Ok(None) };
        let place = &declared.place;
        let Some(ty) = self.map_type(body.get_type()?, &Default::default(), place)? else {
            return Ok(None);
        };
        let mut innermost = &ty;
        while let Type::List(item) = innermost {
            innermost = item;
        }
        let refused = match innermost {
            Type::AnyPointer => Some("an AnyPointer"),
            Type::Interface(_) | Type::Capability(_) | Type::Descriptor(_) => Some("an interface"),
            _ => None,
        };
        if let Some(what) = refused {
            let what = format!("a constant that is {what} is not supported");
            self.report.add(place, what, "a type that says what it is, or Data");
            return Ok(None);
        }
        let value = body.get_value()?;
        let value = match (scalar(&ty, value)?, pointer(value)?) {
            (Some(Value::Void), _) | (None, None) => return Ok(None),
            (Some(value), _) => value,
            (None, Some(pointer)) => {
                Literals { shapes, report: &mut self.report }.pointer(&ty, pointer, place)?
            }
        };
        Ok(Some(Const { name: declared.named.name, docs: self.docs(id)?, ty, value }))
    }
}

/// The default of a field where it is a list or struct.
fn late_default(
    nodes: &std::collections::HashMap<u64, node::Reader<'_>>,
    owner: Owner,
    field: &mut Field,
    literals: &mut Literals<'_>,
    place: &Place,
) -> Result<(), Error> {
    let method = |id: u64, ordinal: u16| match nodes.get(&id).map(|node| node.which()) {
        Some(Ok(node::Interface(body))) => {
            Ok::<_, Error>(body.get_methods()?.iter().nth(ordinal.into()))
        }
        _ => Ok(None),
    };
    let owner = match owner {
        Owner::Struct(id) => Some(node_id(id)),
        Owner::Params(id, ordinal) => method(id, ordinal)?.map(|m| m.get_param_struct_type()),
        Owner::Results(id, ordinal) => method(id, ordinal)?.map(|m| m.get_result_struct_type()),
    };
    let Some(node) = owner.and_then(|id| nodes.get(&id)) else { return Ok(()) };
    let node::Struct(body) = node.which()? else { return Ok(()) };
    for found in body.get_fields()? {
        let field::Slot(slot) = found.which()? else { continue };
        if found.get_name()?.to_str()? != field.schema_name || !slot.get_had_explicit_default() {
            continue;
        }
        let found = pointer(slot.get_default_value()?)?;
        let Some(pointer) = found.filter(|pointer| !pointer.is_null()) else { continue };
        if field.presence == Presence::Null {
            let what = "a struct that by default contains another of its own has no end";
            literals.report.add(place, what, "no default");
            continue;
        }
        let mut wire = &field.ty;
        while let Type::As { wire: inner, .. } = wire {
            wire = inner;
        }
        let value = literals.pointer(wire, pointer, place)?;
        let own = match &value {
            Value::List(items) => items.is_empty(),
            Value::Struct(_, fields) => fields.is_empty(),
            other => matches!(other, Value::Default),
        };
        field.default = match (own, field.boxed) {
            (true, _) => None,
            (false, true) => Some(Value::Boxed(Box::new(value))),
            (false, false) => Some(value),
        };
    }
    Ok(())
}

/// The pointer of a value that is a list, struct or AnyPointer.
fn pointer(value: value::Reader<'_>) -> Result<Option<Pointer<'_>>, Error> {
    Ok(match value.which()? {
        value::List(any) | value::Struct(any) | value::AnyPointer(any) => Some(any.get_as()?),
        _ => None,
    })
}

/// A value that is neither a list nor a struct.
fn scalar(ty: &Type, value: value::Reader<'_>) -> Result<Option<Value>, Error> {
    if let Type::As { wire, .. } = ty {
        return scalar(wire, value);
    }
    Ok(Some(match (ty, value.which()?) {
        (Type::Void, value::Void(())) => Value::Void,
        (Type::Bool, value::Bool(value)) => Value::Bool(value),
        (Type::Int(int), value::Int8(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Int16(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Int32(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Int64(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Uint8(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Uint16(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Uint32(value)) => Value::Int(*int, value.into()),
        (Type::Int(int), value::Uint64(value)) => Value::Int(*int, value.into()),
        (Type::Float32, value::Float32(value)) => Value::Float32(value),
        (Type::Float64, value::Float64(value)) => Value::Float64(value),
        (Type::Text, value::Text(value)) => Value::Text(value?.to_str()?.to_owned()),
        (Type::Data, value::Data(value)) => Value::Data(value?.to_vec()),
        (Type::Enum(named), value::Enum(value)) => Value::Enum(named.clone(), value),
        _ => return Ok(None),
    }))
}
