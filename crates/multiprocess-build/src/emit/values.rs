//! Constants, and the values of defaults.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::types::{fields, map, set};
use super::{Context, docs, ident, tokens};
use crate::model::{Const, Field, Int, Named, Presence, Struct, Type, Value};

/// A constant: `const` where the value can be made at compile time, else a lazy `static`.
pub(super) fn constant(cx: &Context<'_>, item: &Const) -> TokenStream {
    let docs = docs::attributes(&item.docs, || format!("The constant `{}`.", item.name));
    let allow = allow_approximate([&item.value]);
    let name = ident(&item.name);
    if let Some(ty) = cx.const_type(&item.ty) {
        let value = cx.const_value(&item.value);
        return quote!(#docs #allow pub const #name: #ty = #value;);
    }
    let ty = cx.ty(&item.ty);
    let make = match cx.value(&item.value, Some(&item.ty)) {
        value if is_default(&value) => quote!(Default::default),
        value => quote!(|| #value),
    };
    let lazy = quote!(::std::sync::LazyLock);
    quote!(#docs #allow pub static #name: #lazy<#ty> = #lazy::new(#make);)
}

impl Context<'_> {
    /// The type of a constant whose value can be made at compile time.
    fn const_type(&self, ty: &Type) -> Option<TokenStream> {
        match ty {
            Type::Text => Some(quote!(&str)),
            Type::Data => Some(quote!(&[u8])),
            Type::List(item) => self.const_type(item).map(|item| quote!(&[#item])),
            Type::Void
            | Type::Bool
            | Type::Int(_)
            | Type::Float32
            | Type::Float64
            | Type::Enum(_) => Some(self.ty(ty)),
            _ => None,
        }
    }

    fn const_value(&self, value: &Value) -> TokenStream {
        match value {
            Value::Text(text) => quote!(#text),
            Value::Data(data) => {
                let data = Literal::byte_string(data);
                quote!(#data)
            }
            Value::List(items) => {
                let items = items.iter().map(|item| self.const_value(item));
                quote!(&[#(#items),*])
            }
            value => self.value(value, None),
        }
    }

    /// An expression that makes a value of the type.
    pub(super) fn value(&self, value: &Value, ty: Option<&Type>) -> TokenStream {
        if let Some(Type::As { rust, codec, wire }) = ty
            && !matches!(value, Value::Some(_) | Value::Boxed(_) | Value::Default)
        {
            let (rust, codec) = (tokens(rust), tokens(codec));
            let value = self.value(value, Some(wire));
            return quote!(rt::default_of::<#rust, #codec>(#value));
        }
        match value {
            Value::Void => quote!(()),
            Value::Bool(value) => quote!(#value),
            Value::Int(..) | Value::Float32(_) | Value::Float64(_) => number(value),
            Value::Text(text) => quote!(#text.into()),
            Value::Data(data) => {
                let data = Literal::byte_string(data);
                quote!(#data.to_vec())
            }
            Value::Enum(named, value) => self.enumerant(named, *value),
            Value::List(items) => self.collection(items, ty),
            Value::Struct(named, values) => self.structure_value(named, values),
            Value::Union(named, variant, value) => {
                let (name, case) = (self.named(named), ident(variant));
                let ty = self.member(named, variant).map(|field| &field.ty);
                match value.as_ref() {
                    Value::Void => quote!(#name::#case),
                    value => {
                        let value = self.value(value, ty);
                        quote!(#name::#case(#value))
                    }
                }
            }
            Value::Some(value) => {
                let value = self.value(value, ty);
                quote!(Some(#value))
            }
            Value::Boxed(value) => match value.as_ref() {
                Value::Default => quote!(Box::default()),
                Value::Struct(_, fields) if fields.is_empty() => quote!(Box::default()),
                value => {
                    let value = self.value(value, ty);
                    quote!(Box::new(#value))
                }
            },
            Value::Default => quote!(Default::default()),
        }
    }

    fn collection(&self, items: &[Value], ty: Option<&Type>) -> TokenStream {
        if items.is_empty() {
            return quote!(Default::default());
        }
        let item = match ty {
            Some(Type::List(item) | Type::Set(_, item)) => Some(item.as_ref()),
            _ => None,
        };
        let values = items.iter().map(|value| self.value(value, item));
        match ty {
            Some(Type::Set(order, _)) => {
                let set = set(*order);
                quote!(#set::from([#(#values),*]))
            }
            Some(Type::Map(order, _)) => {
                let map = map(*order);
                let entries = items.iter().map(|entry| self.map_entry(entry));
                quote!(#map::from([#(#entries),*]))
            }
            // The content of a macro is not formatted, so `vec!` is used for the simplest items
            // only.
            _ if items.iter().any(|item| matches!(item, Value::Struct(..) | Value::List(_))) => {
                quote!(Vec::from([#(#values),*]))
            }
            _ => quote!(vec![#(#values),*]),
        }
    }

    /// `(key, value)` of a value of an entry's struct.
    fn map_entry(&self, entry: &Value) -> TokenStream {
        let Value::Struct(named, values) = entry else { return quote!(Default::default()) };
        let Some(item) = self.structure(named) else { return quote!(Default::default()) };
        let parts = fields(&item.body).iter().map(|field| {
            match values.iter().find(|(name, _)| *name == field.name) {
                Some((_, value)) => self.value(value, Some(&field.ty)),
                None => self.field_default(field),
            }
        });
        quote!((#(#parts),*))
    }

    fn structure_value(&self, named: &Named, values: &[(String, Value)]) -> TokenStream {
        if values.is_empty() {
            return quote!(Default::default());
        }
        let item = self.structure(named);
        let name = self.named(named);
        if named.module.outside.is_some() {
            // Another crate's struct may have fields that this crate does not know.
            let values = values.iter().map(|(field, value)| {
                let (field, value) = (ident(field), self.value(value, None));
                quote!(value.#field = #value;)
            });
            return quote!(rt::default_with(|value: &mut #name| { #(#values)* }));
        }
        let given = values.iter().map(|(field, value)| {
            let ty = self.member(named, field).map(|field| &field.ty);
            let (field, value) = (ident(field), self.value(value, ty));
            quote!(#field: #value)
        });
        let all = item.is_some_and(|item| {
            fields(&item.body).len() == values.len() && self.rest(item).is_none()
        });
        let rest = (!all).then(|| quote!(..Default::default()));
        quote!(#name { #(#given,)* #rest })
    }

    /// A field of a struct, or a member of a union, by its Rust name.
    fn member(&self, named: &Named, name: &str) -> Option<&Field> {
        fields(&self.structure(named)?.body).iter().find(|field| field.name == name)
    }

    /// The value of a field that was not written.
    pub(super) fn field_default(&self, field: &Field) -> TokenStream {
        match (&field.presence, &field.default) {
            (Presence::Always, Some(value)) => {
                let value = self.value(super::fields::inner(value), Some(&field.ty));
                self.in_box(field, value)
            }
            (Presence::Always, None) if !field.boxed => match field.ty {
                Type::Bool => quote!(false),
                Type::Int(_) => quote!(0),
                Type::Float32 | Type::Float64 => quote!(0.0),
                _ => quote!(Default::default()),
            },
            (Presence::Always, None) => quote!(Default::default()),
            _ => quote!(None),
        }
    }

    fn enumerant(&self, named: &Named, value: u16) -> TokenStream {
        let name = self.named(named);
        let mut enums = self.schema.files.iter().flat_map(|file| &file.enums);
        let item = enums.find(|item| item.named.id == named.id);
        if let Some(variant) = item.and_then(|item| item.variants.get(usize::from(value))) {
            let variant = ident(&variant.name);
            return quote!(#name::#variant);
        }
        let number = Literal::u16_unsuffixed(value);
        match item {
            // An enum without any value has the default 0.
            Some(item) => {
                let unknown = ident(&item.unknown);
                quote!(#name::#unknown(#number))
            }
            // An enum of another crate, whose variants are not known here.
            None => quote!(#name::from(#number)),
        }
    }
}

/// Whether the schema gives some field of the struct another default than its type's own.
pub(super) fn has_defaults(item: &Struct) -> bool {
    fields(&item.body).iter().any(has_default)
}

/// Whether the schema gives the field another default than its type's own.
pub(super) fn has_default(field: &Field) -> bool {
    field.default.is_some() && field.presence == Presence::Always
}

fn is_default(value: &TokenStream) -> bool {
    value.to_string() == quote!(Default::default()).to_string()
}

/// A number as Rust writes it.
fn number(value: &Value) -> TokenStream {
    match value {
        Value::Int(int, value) => {
            let literal = Literal::u128_unsuffixed(value.unsigned_abs());
            let negative = *value < 0 && *int != Int::U64;
            if negative { quote!(-#literal) } else { quote!(#literal) }
        }
        Value::Float32(value) => match special(f64::from(*value), f64::from(f32::MAX)) {
            Some(name) => quote!(f32::#name),
            None => float(&format!("{:?}", value.abs()), value.is_sign_negative()),
        },
        Value::Float64(value) => match special(*value, f64::MAX) {
            Some(name) => quote!(f64::#name),
            None => float(&format!("{:?}", value.abs()), value.is_sign_negative()),
        },
        _ => quote!(0),
    }
}

fn special(value: f64, max: f64) -> Option<proc_macro2::Ident> {
    let name = match value {
        value if value.is_nan() => "NAN",
        f64::INFINITY => "INFINITY",
        f64::NEG_INFINITY => "NEG_INFINITY",
        value if value == max => "MAX",
        value if value == -max => "MIN",
        _ => return None,
    };
    Some(ident(name))
}

/// A finite number, from its shortest exact text.
fn float(text: &str, negative: bool) -> TokenStream {
    let literal: TokenStream = text.parse().unwrap_or_else(|_| quote!(0.0));
    if negative { quote!(-#literal) } else { literal }
}

/// Clippy takes a number near pi or e for a mistake.
pub(super) fn allow_approximate<'a>(
    values: impl IntoIterator<Item = &'a Value>,
) -> Option<TokenStream> {
    fn doubtful(value: &Value) -> bool {
        let near = |value: f64| (0.25..7.0).contains(&value.abs()) && value.fract() != 0.0;
        match value {
            Value::Float32(value) => near(f64::from(*value)),
            Value::Float64(value) => near(*value),
            Value::List(items) => items.iter().any(doubtful),
            Value::Struct(_, values) => values.iter().any(|(_, value)| doubtful(value)),
            Value::Union(_, _, value) | Value::Some(value) | Value::Boxed(value) => doubtful(value),
            _ => false,
        }
    }
    values.into_iter().any(doubtful).then(|| quote!(#[allow(clippy::approx_constant)]))
}
