//! Plain data: constants, structs, enums, and the structs that carry several results.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::write::Source;
use super::{Context, Locals, docs, ident, mentions, used};
use crate::model::{
    Const, Defaults, Enum, Field, Int, Interface, Named, Optional, Struct, Type, Value,
};

pub(super) fn constant(cx: &Context<'_>, item: &Const) -> TokenStream {
    let docs = docs::attributes(&item.docs, || format!("The constant `{}`.", item.name));
    let name = ident(&item.name);
    let (ty, value) = match &item.value {
        Value::Text(text) => (quote!(&str), quote!(#text)),
        Value::Data(data) => {
            let data = Literal::byte_string(data);
            (quote!(&[u8]), quote!(#data))
        }
        Value::Bool(value) => (quote!(bool), quote!(#value)),
        Value::Int(int, _) => (cx.ty(&Type::Int(*int)), number(&item.value)),
        Value::Float32(_) => (quote!(f32), number(&item.value)),
        Value::Float64(_) => (quote!(f64), number(&item.value)),
        Value::Enum(named, value) => (cx.ours(named), cx.variant(named, *value)),
    };
    let allow = allow_approximate([&item.value]);
    quote!(#docs #allow pub const #name: #ty = #value;)
}

pub(super) fn structure(cx: &Context<'_>, item: &Struct) -> TokenStream {
    let name = ident(&item.named.name);
    let raw = cx.raw(&item.named);
    let docs = docs::attributes(&item.docs, || format!("The struct `{}`.", item.named.name));
    let fields = item.fields.iter().map(|field| {
        let docs = docs::attributes(&field.docs, || {
            format!("The `{}` of `{}`.", field.schema_name, item.named.name)
        });
        let (name, ty) = (ident(&field.name), cx.field_type(field));
        quote!(#docs pub #name: #ty)
    });
    let derive = derives(item.comparable, item.default == Defaults::Derived);
    let default = (item.default == Defaults::Written).then(|| default(cx, item));

    let locals = Locals::new([]);
    let (reader, builder) = (format_ident!("reader"), format_ident!("builder"));
    let reads = item.fields.iter().map(|field| {
        let (name, value) = (ident(&field.name), cx.read(field, &reader, &locals).value());
        quote!(#name: #value)
    });
    let read = quote!(Ok(Self { #(#reads),* }));
    let writes = item.fields.iter().map(|field| {
        let name = ident(&field.name);
        cx.write(field, Source::Place(quote!(self.#name)), &builder, &locals)
    });
    let write = quote!(#(#writes)* Ok(()));
    let (read_cx, write_cx) = (used(&ident("cx"), &read), used(&ident("cx"), &write));
    let reader = used(&reader, &read);
    let builder = match mentions(&write, "builder") {
        true => quote!(mut builder),
        false => quote!(_builder),
    };
    quote! {
        #docs
        #derive
        pub struct #name { #(#fields),* }

        #default

        impl rt::Message for #name {
            type Owned = #raw::Owned;

            fn read(
                #read_cx: &mut rt::Decoder<'_>,
                #reader: #raw::Reader<'_>,
            ) -> ::multiprocess::Result<Self> {
                #read
            }

            fn write(
                &self,
                #write_cx: &mut rt::Encoder<'_>,
                #builder: #raw::Builder<'_>,
            ) -> ::multiprocess::Result<()> {
                #write
            }
        }
    }
}

/// The structs for methods with several results.
pub(super) fn results(cx: &Context<'_>, interface: &Interface) -> TokenStream {
    let several = interface.plain().filter(|method| method.results.fields.len() > 1);
    let structs = several.map(|method| {
        let name = ident(&method.results_name);
        let path = format!("{}.{}", interface.schema_name, method.schema_name);
        let docs =
            docs::lines(&format!(" What [`{0}::{1}`] returns.", interface.named.name, method.name));
        let fields = method.results.fields.iter().map(|field| {
            let docs = docs::attributes(&field.docs, || {
                format!("The `{}` that `{path}` returns.", field.schema_name)
            });
            let (name, ty) = (ident(&field.name), cx.field_type(field));
            quote!(#docs pub #name: #ty)
        });
        let comparable = method.results.fields.iter().all(|field| cx.comparable(field));
        let derive = derives(comparable, false);
        quote!(#docs #derive pub struct #name { #(#fields),* })
    });
    quote!(#(#structs)*)
}

pub(super) fn enumeration(item: &Enum) -> TokenStream {
    let name = ident(&item.named.name);
    let unknown = ident(&item.unknown);
    let docs = docs::attributes(&item.docs, || format!("The enum `{}`.", item.named.name));
    let numbers = (0..item.variants.len()).map(Literal::usize_unsuffixed).collect::<Vec<_>>();
    let variants: Vec<_> = item.variants.iter().map(|variant| ident(&variant.name)).collect();
    let declared = item.variants.iter().enumerate().map(|(index, variant)| {
        let docs = docs::attributes(&variant.docs, || format!("The value `{}`.", variant.name));
        let name = ident(&variant.name);
        let default = (index == 0).then(|| quote!(#[default]));
        quote!(#docs #default #name)
    });
    let (derive, default) = match item.variants.is_empty() {
        false => (quote!(, Default), None),
        true => {
            let default = quote! {
                impl Default for #name {
                    fn default() -> Self { Self::#unknown(0) }
                }
            };
            (quote!(), Some(default))
        }
    };
    quote! {
        #docs
        #[derive(Clone, Copy, Debug #derive, PartialEq, Eq, Hash)]
        pub enum #name {
            #(#declared,)*
            /// A number that the schema gives no name; it is kept as it came.
            #unknown(u16),
        }

        #default

        impl From<u16> for #name {
            fn from(number: u16) -> Self {
                match number {
                    #(#numbers => Self::#variants,)*
                    number => Self::#unknown(number),
                }
            }
        }

        impl From<#name> for u16 {
            fn from(value: #name) -> Self {
                match value {
                    #(#name::#variants => #numbers,)*
                    #name::#unknown(number) => number,
                }
            }
        }
    }
}

fn derives(comparable: bool, default: bool) -> TokenStream {
    let default = default.then(|| quote!(, Default));
    let comparable = comparable.then(|| quote!(, PartialEq));
    quote!(#[derive(Clone, Debug #default #comparable)])
}

fn default(cx: &Context<'_>, item: &Struct) -> TokenStream {
    let name = ident(&item.named.name);
    let values = item.fields.iter().map(|field| {
        let (name, value) = (ident(&field.name), default_value(cx, field));
        quote!(#name: #value)
    });
    let allow = allow_approximate(item.fields.iter().filter_map(|field| field.default.as_ref()));
    quote! {
        #allow
        impl Default for #name {
            fn default() -> Self {
                Self { #(#values),* }
            }
        }
    }
}

fn default_value(cx: &Context<'_>, field: &Field) -> TokenStream {
    match &field.default {
        None => match (&field.optional, &field.ty) {
            (Optional::No, Type::Bool) => quote!(false),
            (Optional::No, Type::Int(_)) => quote!(0),
            (Optional::No, Type::Float32 | Type::Float64) => quote!(0.0),
            _ => quote!(Default::default()),
        },
        Some(_) if field.optional != Optional::No => quote!(None),
        Some(Value::Bool(value)) => quote!(#value),
        Some(Value::Text(text)) => quote!(String::from(#text)),
        Some(Value::Data(data)) => {
            let data = Literal::byte_string(data);
            quote!(#data.to_vec())
        }
        Some(Value::Enum(named, value)) => cx.variant(named, *value),
        Some(number_value) => number(number_value),
    }
}

/// A number as Rust writes it.
fn number(value: &Value) -> TokenStream {
    match value {
        Value::Int(Int::U64, value) => {
            let literal = Literal::u128_unsuffixed(value.unsigned_abs());
            quote!(#literal)
        }
        Value::Int(_, value) => {
            let literal = Literal::u128_unsuffixed(value.unsigned_abs());
            if *value < 0 { quote!(-#literal) } else { quote!(#literal) }
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
fn allow_approximate<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<TokenStream> {
    let doubtful = |value: &Value| match value {
        Value::Float32(value) => (0.25..7.0).contains(&value.abs()) && value.fract() != 0.0,
        Value::Float64(value) => (0.25..7.0).contains(&value.abs()) && value.fract() != 0.0,
        _ => false,
    };
    values.into_iter().any(doubtful).then(|| quote!(#[allow(clippy::approx_constant)]))
}

impl Context<'_> {
    fn comparable(&self, field: &Field) -> bool {
        match field.ty.innermost() {
            Type::Interface { .. } => false,
            Type::Struct(named) => {
                let mut structs = self.schema.files.iter().flat_map(|file| &file.structs);
                structs.find(|item| item.named.id == named.id).is_some_and(|item| item.comparable)
            }
            _ => true,
        }
    }

    fn variant(&self, named: &Named, value: u16) -> TokenStream {
        let name = self.ours(named);
        let mut enums = self.schema.files.iter().flat_map(|file| &file.enums);
        let item = enums.find(|item| item.named.id == named.id);
        match item.and_then(|item| item.variants.get(usize::from(value))) {
            Some(variant) => {
                let variant = ident(&variant.name);
                quote!(#name::#variant)
            }
            // An enum without any value has the default 0.
            None => {
                let unknown = ident(item.map_or("Unknown", |item| &item.unknown));
                let value = Literal::u16_unsuffixed(value);
                quote!(#name::#unknown(#value))
            }
        }
    }
}
