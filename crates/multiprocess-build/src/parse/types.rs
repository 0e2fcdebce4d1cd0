//! Types.

use capnp::schema_capnp::type_;

use super::declare::{Declared, Kind};
use super::marks::{Collection, Marks, mark_words};
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::{Int, Object, Type};

impl<'a> Parser<'a> {
    /// The type of a field, with its annotations applied.
    pub(super) fn field_type(
        &mut self,
        ty: type_::Reader<'a>,
        marks: &Marks,
        place: &Place,
    ) -> Result<Option<Type>, Error> {
        let Some(mut ty) = self.map_type(ty, marks, place)? else { return Ok(None) };
        let mut innermost = &ty;
        while let Type::List(item) = innermost {
            innermost = item;
        }
        let interface = matches!(innermost, Type::Interface(_));
        let descriptor = matches!(innermost, Type::Descriptor(_));
        let object = interface || descriptor || matches!(innermost, Type::Capability(_));
        let misplaced =
            [(marks.not_null && !object, "notNull"), (marks.shared && !interface, "shared")];
        for (wrong, name) in misplaced {
            if wrong {
                let what = format!("{} is for interfaces only", mark_words(name));
                self.report.add(place, what, "the same without it");
            }
        }
        if marks.fd && !descriptor {
            let what = format!("{} is for the type Capability only", mark_words("fd"));
            self.report.add(place, what, "Capability, or the same without it");
        }
        if let Some(collection) = marks.collection {
            ty = self.collection(ty, collection, place);
        }
        if let Some((rust, codec)) = marks.rust.clone() {
            ty = Type::As { rust, codec, wire: Box::new(ty) };
        }
        Ok(Some(ty))
    }

    /// A list as a map or set. The key and the value of a map are filled in when all structs are
    /// known.
    fn collection(&mut self, ty: Type, collection: Collection, place: &Place) -> Type {
        match (collection, ty) {
            (Collection::Set(order), Type::List(item)) => Type::Set(order, item),
            (Collection::Map(order), Type::List(item)) if matches!(*item, Type::Struct(..)) => {
                Type::Map(order, Box::new((*item, Type::Void, Type::Void)))
            }
            (Collection::Map(_), ty) => {
                let what =
                    format!("{} is for lists of structs only", mark_words(collection.word()));
                self.report.add(place, what, "a list of structs with two fields, key and value");
                ty
            }
            (Collection::Set(_), ty) => {
                let what = format!("{} is for lists only", mark_words(collection.word()));
                self.report.add(place, what, "a list");
                ty
            }
        }
    }

    /// A type as the schema has it. The marks say whether its references are nullable or shared.
    pub(super) fn map_type(
        &mut self,
        ty: type_::Reader<'a>,
        marks: &Marks,
        place: &Place,
    ) -> Result<Option<Type>, Error> {
        Ok(Some(match ty.which()? {
            type_::Void(()) => Type::Void,
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
            type_::Enum(ty) => match self.declared(ty.get_type_id(), Kind::Enum, place)? {
                Some(declared) => Type::Enum(declared.named),
                None => return Ok(None),
            },
            type_::Struct(ty) => {
                let id = ty.get_type_id();
                match self.declared(id, Kind::Struct, place)? {
                    Some(declared) => {
                        let arguments = self.arguments(id, ty.get_brand()?, place)?;
                        Type::Struct(declared.named, arguments)
                    }
                    None => return Ok(None),
                }
            }
            type_::Interface(ty) => {
                let id = ty.get_type_id();
                match self.declared(id, Kind::Interface, place)? {
                    Some(declared) => Type::Interface(Object {
                        arguments: self.arguments(id, ty.get_brand()?, place)?,
                        named: declared.named,
                        trait_name: declared.own_name,
                        nullable: !marks.not_null,
                        shared: marks.shared,
                    }),
                    None => return Ok(None),
                }
            }
            type_::List(list) => {
                let Some(item) = self.map_type(list.get_element_type()?, marks, place)? else {
                    return Ok(None);
                };
                if self.options.raw
                    && matches!(item, Type::AnyPointer | Type::Capability(_) | Type::Descriptor(_))
                {
                    let what = "capnpc has no lists of AnyPointer or Capability";
                    self.report.add(place, what, "a list of structs with one; or no raw code");
                }
                Type::List(Box::new(item))
            }
            type_::AnyPointer(any) => return self.any_pointer(any, marks),
        }))
    }

    fn any_pointer(
        &mut self,
        any: type_::any_pointer::Reader<'_>,
        marks: &Marks,
    ) -> Result<Option<Type>, Error> {
        if let Some(parameter) = self.parameter(any)? {
            return Ok(Some(Type::Parameter(self.parameter_name(parameter))));
        }
        if let type_::any_pointer::Unconstrained(kind) = any.which()?
            && let type_::any_pointer::unconstrained::Capability(()) = kind.which()?
        {
            let nullable = !marks.not_null;
            return Ok(Some(match marks.fd {
                true => Type::Descriptor(nullable),
                false => Type::Capability(nullable),
            }));
        }
        Ok(Some(Type::AnyPointer))
    }

    /// A declared type of this kind; reported if there is none.
    pub(super) fn declared(
        &mut self,
        id: u64,
        kind: Kind,
        place: &Place,
    ) -> Result<Option<Declared>, Error> {
        let found = self.declared.get(&id).filter(|declared| declared.kind == kind).cloned();
        if found.is_none() {
            self.foreign(id, place)?;
        }
        Ok(found)
    }

    /// Reports the use of a type that has no Rust type here.
    pub(super) fn foreign(&mut self, id: u64, place: &Place) -> Result<(), Error> {
        if [id::THREAD, id::THREAD_MAP].contains(&id) || self.context == Some(id) {
            let what =
                "Thread, ThreadMap and Context of /mp/proxy.capnp are no values of a program";
            self.report.add(place, what, "no parameter: the runtime sends them itself");
            return Ok(());
        }
        let Some(node) = self.nodes.get(&id) else {
            let what = "the type is not in the compiled schema";
            self.report.add(place, what, "a type that is declared in a file of the Builder's");
            return Ok(());
        };
        let name = node.get_display_name()?.to_str()?;
        let (file, name) = name.split_once(':').unwrap_or(("", name));
        let what = format!("{name} is declared in {file}, which is not among this crate's schemas");
        let instead = "add the file to the Builder, or name its crate with Builder::crate_provides";
        self.report.add(place, what, instead);
        Ok(())
    }
}
