//! Types and values.

use capnp::schema_capnp::{type_, value};

use super::declare::Kind;
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::{Int, Named, Type, Value};

impl Parser<'_> {
    /// The type of a field. `not_null` says that the references in it are never null.
    pub(super) fn map_type(
        &mut self,
        ty: type_::Reader<'_>,
        not_null: bool,
        place: &Place,
    ) -> Result<Option<Type>, Error> {
        Ok(Some(match ty.which()? {
            type_::Bool(()) => Type::Bool,
            type_::Int8(()) => Type::Int(Int::I8),
            type_::Int16(()) => Type::Int(Int::I16),
            type_::Int32(()) => Type::Int(Int::I32),
            type_::Int64(()) => Type::Int(Int::I64),
            type_::Uint8(()) => Type::Int(Int::U8),
            type_::Uint16(()) => Type::Int(Int::U16),
            type_::Uint32(()) => Type::Int(Int::U32),
            type_::Uint64(()) => Type::Int(Int::U64),
            type_::Float32(()) => Type::Float32,
            type_::Float64(()) => Type::Float64,
            type_::Text(()) => Type::Text,
            type_::Data(()) => Type::Data,
            type_::Enum(ty) => match self.named(ty.get_type_id(), Kind::Enum, place)? {
                Some(named) => Type::Enum(named),
                None => return Ok(None),
            },
            type_::Struct(ty) => {
                if self.generic(ty.get_brand()?, place)? {
                    return Ok(None);
                }
                match self.named(ty.get_type_id(), Kind::Struct, place)? {
                    Some(named) => Type::Struct(named),
                    None => return Ok(None),
                }
            }
            type_::Interface(ty) => {
                if self.generic(ty.get_brand()?, place)? {
                    return Ok(None);
                }
                match self.named(ty.get_type_id(), Kind::Interface, place)? {
                    Some(named) => Type::Interface { named, nullable: !not_null },
                    None => return Ok(None),
                }
            }
            type_::List(list) => match self.map_type(list.get_element_type()?, not_null, place)? {
                Some(item) => Type::List(Box::new(item)),
                None => return Ok(None),
            },
            type_::Void(()) => {
                self.report.add(place, "a list of Void is not supported", Some("a number"));
                return Ok(None);
            }
            type_::AnyPointer(pointer) => {
                match pointer.which()? {
                    type_::any_pointer::Unconstrained(_) => {
                        let what = "AnyPointer is not supported";
                        self.report.add(place, what, Some("the type itself, or Data"));
                    }
                    _ => self.report.add(place, "type parameters are not supported", None),
                }
                return Ok(None);
            }
        }))
    }

    fn generic(
        &mut self,
        brand: capnp::schema_capnp::brand::Reader<'_>,
        place: &Place,
    ) -> Result<bool, Error> {
        let generic = !brand.get_scopes()?.is_empty();
        if generic {
            self.report.add(place, "generic types are not supported", Some("a type each"));
        }
        Ok(generic)
    }

    fn named(&mut self, id: u64, kind: Kind, place: &Place) -> Result<Option<Named>, Error> {
        match self.declared.get(&id).filter(|declared| declared.kind == kind) {
            Some(declared) => Ok(Some(declared.named.clone())),
            None => {
                self.foreign(id, place)?;
                Ok(None)
            }
        }
    }

    /// Reports the use of a type that has no Rust type here.
    pub(super) fn foreign(&mut self, id: u64, place: &Place) -> Result<(), Error> {
        if [id::THREAD, id::THREAD_MAP].contains(&id) || self.context == Some(id) {
            let what =
                "Thread, ThreadMap and Context of /mp/proxy.capnp are no values of a program";
            self.report.add(place, what, Some("no parameter: the runtime sends them itself"));
            return Ok(());
        }
        let Some(node) = self.nodes.get(&id) else {
            self.report.add(place, "the type is not in the compiled schema", None);
            return Ok(());
        };
        if node.get_is_generic() {
            return Ok(()); // Its declaration is reported.
        }
        let name = node.get_display_name()?.to_str()?;
        let (file, name) = name.split_once(':').unwrap_or(("", name));
        let what = format!("{name} is declared in {file}, which is not among this crate's schemas");
        self.report.add(place, what, Some("add the file to the Builder"));
        Ok(())
    }

    /// The value of a constant.
    pub(super) fn constant(
        &mut self,
        ty: type_::Reader<'_>,
        value: value::Reader<'_>,
        place: &Place,
    ) -> Result<Option<Value>, Error> {
        if matches!(ty.which()?, type_::Void(())) {
            return Ok(None);
        }
        if matches!(ty.which()?, type_::List(_) | type_::Struct(_) | type_::AnyPointer(_)) {
            let what = "a constant that is a list or struct is not supported";
            self.report.add(place, what, Some("constants for its parts"));
            return Ok(None);
        }
        let Some(ty) = self.map_type(ty, false, place)? else { return Ok(None) };
        self.value(&ty, value)
    }

    /// The explicit default of a field; nothing where it is the type's own.
    pub(super) fn default(
        &mut self,
        ty: &Type,
        value: value::Reader<'_>,
        place: &Place,
    ) -> Result<Option<Value>, Error> {
        if matches!(ty, Type::List(_) | Type::Struct(_)) {
            let what = "a default for a list or struct is not supported";
            self.report.add(place, what, Some("defaults in the struct's own fields"));
            return Ok(None);
        }
        Ok(self.value(ty, value)?.filter(|value| match value {
            Value::Bool(value) => *value,
            Value::Int(_, value) => *value != 0,
            Value::Float32(value) => value.to_bits() != 0,
            Value::Float64(value) => value.to_bits() != 0,
            Value::Text(value) => !value.is_empty(),
            Value::Data(value) => !value.is_empty(),
            Value::Enum(_, value) => *value != 0,
        }))
    }

    fn value(&self, ty: &Type, value: value::Reader<'_>) -> Result<Option<Value>, Error> {
        Ok(Some(match (ty, value.which()?) {
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
}
