//! The Rust type of a value, and how a value that arrived is read.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::{Context, Locals, ident};
use crate::model::{Field, Int, Message, Optional, Type};

/// An expression that makes a value of what was read.
pub(super) enum Read {
    /// Of the value's type.
    Value(TokenStream),
    /// Of a Result of it.
    Result(TokenStream),
}

impl Read {
    /// An expression of the value's type, within a function that returns a Result.
    pub(super) fn value(self) -> TokenStream {
        match self {
            Read::Value(tokens) => tokens,
            Read::Result(tokens) => quote!(#tokens?),
        }
    }

    pub(super) fn result(self) -> TokenStream {
        match self {
            Read::Value(tokens) => quote!(Ok(#tokens)),
            Read::Result(tokens) => tokens,
        }
    }
}

impl Context<'_> {
    /// The Rust type of a field.
    pub(super) fn field_type(&self, field: &Field) -> TokenStream {
        let mut ty = self.ty(&field.ty);
        if field.boxed {
            ty = quote!(Box<#ty>);
        }
        match field.optional {
            Optional::No => ty,
            _ => quote!(Option<#ty>),
        }
    }

    pub(super) fn ty(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Bool => quote!(bool),
            Type::Int(int) => int_type(*int),
            Type::Float32 => quote!(f32),
            Type::Float64 => quote!(f64),
            Type::Text => quote!(String),
            Type::Data => quote!(Vec<u8>),
            Type::Enum(named) | Type::Struct(named) => self.ours(named),
            Type::Interface { named, nullable } => {
                let handle = self.ours(named);
                if *nullable { quote!(Option<#handle>) } else { handle }
            }
            Type::List(item) => {
                let item = self.ty(item);
                quote!(Vec<#item>)
            }
        }
    }

    /// What a method with these results returns, besides the Result or Call around it.
    pub(super) fn results_type(&self, message: &Message, name: &str) -> TokenStream {
        match message.fields.as_slice() {
            [] => quote!(()),
            [field] => self.field_type(field),
            _ => {
                let name = ident(name);
                quote!(#name)
            }
        }
    }

    /// Reads a field from `reader`.
    pub(super) fn read(&self, field: &Field, reader: &Ident, locals: &Locals<'_>) -> Read {
        let get = format_ident!("get_{}", field.raw);
        let name = &field.schema_name;
        let read = match self.read_item(&field.ty, quote!(#reader.#get()), locals) {
            Read::Result(tokens) => Read::Result(quote!(#tokens.at(#name))),
            value => value,
        };
        let present = match &field.optional {
            Optional::No => return read,
            Optional::Null => format_ident!("has_{}", field.raw),
            Optional::Flag(flag) => format_ident!("get_{flag}"),
        };
        let mut value = read.value();
        if field.boxed {
            value = quote!(Box::new(#value));
        }
        Read::Value(quote!(if #reader.#present() { Some(#value) } else { None }))
    }

    /// Reads one value from what capnp's getter or list item gives.
    fn read_item(&self, ty: &Type, raw: TokenStream, locals: &Locals<'_>) -> Read {
        let cx = locals.get("cx");
        let item = locals.get("item");
        match ty {
            Type::Bool | Type::Int(_) | Type::Float32 | Type::Float64 => Read::Value(raw),
            Type::Text => Read::Result(quote!(rt::text(#raw))),
            Type::Data => Read::Result(quote!(rt::data(#raw))),
            Type::Enum(named) => {
                let name = self.ours(named);
                let number = quote!(#raw.map_or_else(|unknown| unknown.0, u16::from));
                Read::Value(quote!(#name::from(#number)))
            }
            Type::Struct(_) => Read::Result(quote!(rt::read(#cx, #raw))),
            Type::Interface { nullable: true, .. } => {
                Read::Result(quote!(#cx.import_optional(#raw)))
            }
            Type::Interface { nullable: false, .. } => Read::Result(quote!(#cx.import(#raw))),
            Type::List(inner) => {
                let each = match inner.as_ref() {
                    Type::Bool | Type::Int(_) | Type::Float32 | Type::Float64 => quote!(Ok),
                    Type::Text => quote!(rt::text),
                    Type::Data => quote!(rt::data),
                    Type::Struct(_) => {
                        let read = self.read_item(inner, quote!(Ok(#item)), locals).result();
                        quote!(|#item| #read)
                    }
                    _ => {
                        let read = self.read_item(inner, quote!(#item), locals).result();
                        quote!(|#item| #read)
                    }
                };
                Read::Result(quote!(rt::list(#raw, #each)))
            }
        }
    }
}

fn int_type(int: Int) -> TokenStream {
    match int {
        Int::I8 => quote!(i8),
        Int::I16 => quote!(i16),
        Int::I32 => quote!(i32),
        Int::I64 => quote!(i64),
        Int::U8 => quote!(u8),
        Int::U16 => quote!(u16),
        Int::U32 => quote!(u32),
        Int::U64 => quote!(u64),
    }
}
