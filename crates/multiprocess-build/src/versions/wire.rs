//! Types as they are on the wire, without the properties of the Rust side.

use crate::model::{Object, Type};

pub(super) fn wire(ty: &Type) -> &Type {
    match ty {
        Type::As { wire: inner, .. } => wire(inner),
        other => other,
    }
}

/// Whether both are encoded alike.
pub(super) fn same_type(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Int(a), Type::Int(b)) => a == b,
        (Type::Enum(a), Type::Enum(b))
        | (Type::Struct(a, _), Type::Struct(b, _))
        | (Type::Group(a, _), Type::Group(b, _)) => a.id == b.id,
        (Type::Interface(Object { named: a, .. }), Type::Interface(Object { named: b, .. })) => {
            a.id == b.id
        }
        (Type::List(a) | Type::Set(_, a), Type::List(b) | Type::Set(_, b)) => {
            same_type(wire(a), wire(b))
        }
        (Type::Map(_, a), Type::Map(_, b)) => same_type(&a.0, &b.0),
        (Type::Map(_, a), Type::List(b)) | (Type::List(b), Type::Map(_, a)) => same_type(&a.0, b),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// The bits that a field of this type has in the data section; none if it lies behind a pointer, or has no
/// place of its own.
pub(super) fn bits(ty: &Type) -> Option<u32> {
    use crate::model::Int;
    Some(match wire(ty) {
        Type::Bool => 1,
        Type::Int(Int::I8 | Int::U8) => 8,
        Type::Int(Int::I16 | Int::U16) | Type::Enum(_) => 16,
        Type::Int(Int::I32 | Int::U32) | Type::Float32 => 32,
        Type::Int(Int::I64 | Int::U64) | Type::Float64 => 64,
        _ => return None,
    })
}
