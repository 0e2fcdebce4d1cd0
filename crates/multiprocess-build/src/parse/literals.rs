//! Values that the compiler encodes as a message: lists and structs.

use capnp::private::layout::{ElementSize, PointerReader, PrimitiveElement, StructReader};
use capnp::schema_capnp;
use capnp::traits::{FromPointerReader, IntoInternalStructReader};
use capnp::{any_pointer_list, struct_list};

use super::substitute::MOST_TYPES;
use super::visit::Shapes;
use super::{Place, Report};
use crate::error::Error;
use crate::model::{Field, Int, Named, Presence, Type, Value};

/// A pointer, as capnp's own traits hand it out.
#[derive(Clone, Copy)]
pub(super) struct Pointer<'a>(PointerReader<'a>);

impl<'a> FromPointerReader<'a> for Pointer<'a> {
    fn get_from_pointer(
        reader: &PointerReader<'a>,
        _default: Option<&'a [capnp::Word]>,
    ) -> capnp::Result<Self> {
        Ok(Pointer(*reader))
    }
}

impl Pointer<'_> {
    pub(super) fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

/// Stands for any struct, because capnp reads lists of structs as lists of a generated type.
type AnyStruct = schema_capnp::node::Owned;

pub(super) struct Literals<'m> {
    pub shapes: &'m Shapes,
    pub report: &'m mut Report,
}

impl Literals<'_> {
    /// The value behind a pointer.
    pub(super) fn pointer(
        &mut self,
        ty: &Type,
        pointer: Pointer<'_>,
        place: &Place,
    ) -> Result<Value, Error> {
        let Pointer(from) = pointer;
        Ok(match ty {
            Type::Text => Value::Text(from.get_text(None)?.to_str()?.to_owned()),
            Type::Data => Value::Data(from.get_data(None)?.to_vec()),
            Type::Struct(named, arguments) => {
                self.structure(named, arguments, from.get_struct(None)?, place)?.0
            }
            Type::List(item) | Type::Set(_, item) => Value::List(self.list(item, from, place)?),
            // A list of entries, as in the schema.
            Type::Map(_, map) => Value::List(self.list(&map.0, from, place)?),
            _ if from.is_null() => Value::Default,
            Type::As { .. } => self.refuse_named(place),
            _ => {
                let what = "a value of an AnyPointer is not supported";
                self.refuse(what, "a type that says what it is, or Data", place)
            }
        })
    }

    fn refuse(&mut self, what: &str, instead: &str, place: &Place) -> Value {
        self.report.add(place, what, instead);
        Value::Default
    }

    fn refuse_named(&mut self, place: &Place) -> Value {
        let what = "a value of a type of the annotation type is not supported within others";
        self.refuse(what, "no value for that field", place)
    }

    fn list(
        &mut self,
        item: &Type,
        from: PointerReader<'_>,
        place: &Place,
    ) -> Result<Vec<Value>, Error> {
        Ok(match item {
            Type::Void => {
                let list = from.get_list(ElementSize::Void, None)?;
                (0..list.len()).map(|_| Value::Void).collect()
            }
            Type::Bool => elements(from, Value::Bool)?,
            Type::Int(int) => {
                let make = |value| Value::Int(*int, value);
                match int {
                    Int::I8 => elements(from, |v: i8| make(v.into()))?,
                    Int::I16 => elements(from, |v: i16| make(v.into()))?,
                    Int::I32 => elements(from, |v: i32| make(v.into()))?,
                    Int::I64 => elements(from, |v: i64| make(v.into()))?,
                    Int::U8 => elements(from, |v: u8| make(v.into()))?,
                    Int::U16 => elements(from, |v: u16| make(v.into()))?,
                    Int::U32 => elements(from, |v: u32| make(v.into()))?,
                    Int::U64 => elements(from, |v: u64| make(v.into()))?,
                }
            }
            Type::Float32 => elements(from, Value::Float32)?,
            Type::Float64 => elements(from, Value::Float64)?,
            Type::Enum(named) => elements(from, |value| Value::Enum(named.clone(), value))?,
            Type::Struct(named, arguments) => {
                let list = struct_list::Reader::<AnyStruct>::get_from_pointer(&from, None)?;
                let mut values = Vec::new();
                for item in list {
                    let item = item.into_internal_struct_reader();
                    values.push(self.structure(named, arguments, item, place)?.0);
                }
                values
            }
            _ => {
                let list = any_pointer_list::Reader::get_from_pointer(&from, None)?;
                let mut values = Vec::new();
                for index in 0..list.len() {
                    values.push(self.pointer(item, list.get(index).get_as()?, place)?);
                }
                values
            }
        })
    }

    /// A struct, group or union, and whether it differs from its type's default.
    fn structure(
        &mut self,
        named: &Named,
        arguments: &[Type],
        from: StructReader<'_>,
        place: &Place,
    ) -> Result<(Value, bool), Error> {
        let Some(shape) = self.shapes.get(&named.id) else { return Ok((Value::Default, false)) };
        let Some(fields) = shape.fields_with(arguments) else {
            let what = format!("a value with a type of more than {MOST_TYPES} types");
            return Ok((self.refuse(&what, "smaller type arguments", place), false));
        };
        if let Some(slot) = shape.tag {
            let tag: u16 = from.get_data_field(slot as usize);
            let Some(member) = fields.get(usize::from(tag)) else {
                return Ok((Value::Default, false));
            };
            let (value, differs) = self.field(member, from, place)?;
            let value = Value::Union(named.clone(), member.name.clone(), Box::new(value));
            return Ok((value, differs || tag != 0));
        }
        let mut set = Vec::new();
        for field in &fields {
            let (value, differs) = self.field(field, from, place)?;
            if differs {
                set.push((field.name.clone(), value));
            }
        }
        let differs = !set.is_empty();
        Ok((Value::Struct(named.clone(), set), differs))
    }

    fn field(
        &mut self,
        field: &Field,
        from: StructReader<'_>,
        place: &Place,
    ) -> Result<(Value, bool), Error> {
        let (value, differs) = self.plain_field(field, from, place)?;
        let value = match (field.boxed, value) {
            (true, value) if !matches!(value, Value::Default) => Value::Boxed(Box::new(value)),
            (_, value) => value,
        };
        Ok(match field.presence {
            Presence::Flag(flag) => match from.get_bool_field(flag as usize) {
                true => (Value::Some(Box::new(value)), true),
                false => (Value::Default, false),
            },
            Presence::Null if differs => (Value::Some(Box::new(value)), true),
            Presence::Null => (Value::Default, false),
            Presence::Always | Presence::Wanted(_) => (value, differs),
        })
    }

    /// The value of a field that is present, and whether it differs from the default.
    fn plain_field(
        &mut self,
        field: &Field,
        from: StructReader<'_>,
        place: &Place,
    ) -> Result<(Value, bool), Error> {
        let mut wire = &field.ty;
        while let Type::As { wire: inner, .. } = wire {
            wire = inner;
        }
        let slot = field.slot as usize;
        let default = field.default.as_ref();
        let (value, differs) = match wire {
            Type::Void => (Value::Void, false),
            Type::Group(named, arguments) => self.structure(named, arguments, from, place)?,
            Type::Bool => {
                let set = from.get_bool_field(slot);
                (Value::Bool(set != matches!(default, Some(Value::Bool(true)))), set)
            }
            Type::Enum(named) => {
                let (bits, default) = (
                    from.get_data_field::<u16>(slot),
                    match default {
                        Some(Value::Enum(_, number)) => *number,
                        _ => 0,
                    },
                );
                (Value::Enum(named.clone(), bits ^ default), bits != 0)
            }
            Type::Float32 => {
                let (bits, default) = (
                    from.get_data_field::<u32>(slot),
                    match default {
                        Some(Value::Float32(number)) => number.to_bits(),
                        _ => 0,
                    },
                );
                (Value::Float32(f32::from_bits(bits ^ default)), bits != 0)
            }
            Type::Float64 => {
                let (bits, default) = (
                    from.get_data_field::<u64>(slot),
                    match default {
                        Some(Value::Float64(number)) => number.to_bits(),
                        _ => 0,
                    },
                );
                (Value::Float64(f64::from_bits(bits ^ default)), bits != 0)
            }
            Type::Int(int) => {
                let bits = integer(*int, from, slot);
                // Both have the same width, and so has the difference.
                let default = match default {
                    Some(Value::Int(_, number)) => *number,
                    _ => 0,
                };
                (Value::Int(*int, bits ^ default), bits != 0)
            }
            pointer => {
                let from = from.get_pointer_field(slot);
                match (from.is_null(), pointer, default) {
                    (false, ..) if !matches!(field.ty, Type::As { .. }) => {
                        (self.pointer(pointer, Pointer(from), place)?, true)
                    }
                    (true, _, Some(Value::Boxed(default))) => ((**default).clone(), false),
                    (true, _, Some(default)) => (default.clone(), false),
                    (true, Type::Struct(named, _), None) => {
                        (Value::Struct(named.clone(), Vec::new()), false)
                    }
                    (null, ..) => (Value::Default, !null),
                }
            }
        };
        if matches!(field.ty, Type::As { .. }) {
            return Ok((if differs { self.refuse_named(place) } else { Value::Default }, false));
        }
        Ok((value, differs))
    }
}

fn elements<T: PrimitiveElement>(
    from: PointerReader<'_>,
    make: impl Fn(T) -> Value,
) -> Result<Vec<Value>, Error> {
    let list = from.get_list(T::element_size(), None)?;
    Ok((0..list.len()).map(|index| make(T::get(&list, index))).collect())
}

/// The bits of a number, as a number of its type.
fn integer(int: Int, from: StructReader<'_>, slot: usize) -> i128 {
    match int {
        Int::I8 => from.get_data_field::<i8>(slot).into(),
        Int::I16 => from.get_data_field::<i16>(slot).into(),
        Int::I32 => from.get_data_field::<i32>(slot).into(),
        Int::I64 => from.get_data_field::<i64>(slot).into(),
        Int::U8 => from.get_data_field::<u8>(slot).into(),
        Int::U16 => from.get_data_field::<u16>(slot).into(),
        Int::U32 => from.get_data_field::<u32>(slot).into(),
        Int::U64 => from.get_data_field::<u64>(slot).into(),
    }
}
