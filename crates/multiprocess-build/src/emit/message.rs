//! Structs and unions: the types, and their layout in a message.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::fields::{Names, Source, Write, block};
use super::lineage::{Lineage, results_parameters};
use super::method::size;
use super::payload::value;
use super::shape::{
    Shape, bounds, default, default_kind, default_of_fields, is_void, needs_bounds,
};
use super::types::{bounded, fields, listed};
use super::values::has_default;
use super::versions::bits;
use super::{Context, Locals, docs, ident, mentions, rest, used, views};
use crate::model::{Body, Defaults, Field, Method, Struct, Union};

/// A struct, group or union.
pub(super) fn structure(cx: &Context<'_>, item: &Struct) -> TokenStream {
    let name = &item.named.name;
    let kind = if matches!(item.body, Body::Union(_)) { "union" } else { "struct" };
    let shape = Shape {
        docs: docs::attributes(&item.docs, || format!("The {kind} `{name}`.")),
        name,
        parameters: &item.parameters,
        bounded: needs_bounds(cx, item, &mut Vec::new()),
        derives: &item.derives,
        attributes: &item.attributes,
        comparable: item.comparable,
        cloneable: item.cloneable,
        default: default_kind(item),
        member_docs: &|field| format!("The `{}` of `{name}`.", field.schema_name),
        rest: cx.rest(item),
        union_keeps: cx.union_keeps(item),
    };
    let declaration = match &item.body {
        Body::Fields(fields) => shape.structure(cx, fields),
        Body::Union(union) => shape.union(cx, union, item.default != Defaults::Absent),
    };
    let default = (shape.default == Defaults::Written).then(|| default(cx, item, &shape));
    let message = message(cx, item);
    let entry = item.entry.then(|| entry(cx, item));
    let view = views::view(cx, item);
    quote!(#declaration #default #message #entry #view)
}

/// The structs for methods with several results.
pub(super) fn results(lineage: &Lineage<'_>) -> TokenStream {
    let several = lineage.interface.plain().filter(|method| method.results.fields.len() > 1);
    let structs = several.map(|method| results_of(lineage, method));
    quote!(#(#structs)*)
}

/// The struct for the results of a method.
pub(super) fn results_of(lineage: &Lineage<'_>, method: &Method) -> TokenStream {
    let (cx, interface) = (&lineage.cx, lineage.interface);
    let fields = &method.results.fields;
    let path = format!("{}.{}", interface.schema_name, method.schema_name);
    let used = results_parameters(interface, method);
    let parameters = interface.parameters.iter().zip(used).filter(|(_, used)| *used);
    let parameters: Vec<_> = parameters.map(|(name, _)| name.clone()).collect();
    let (handle, name) = (&interface.named.name, &method.name);
    let text = match &method.results_as {
        None => format!(" What [`{handle}::{name}`] returns."),
        Some(_) => format!(" What [`{handle}::{name}`] returns, as its codec takes it."),
    };
    let shape = Shape {
        docs: docs::lines(&text),
        name: &method.results_name,
        bounded: fields.iter().any(|field| bounds(cx, &field.ty, &mut Vec::new())),
        parameters: &parameters,
        derives: &[],
        attributes: "",
        comparable: fields.iter().all(|field| cx.comparable(&field.ty)),
        cloneable: fields.iter().all(|field| cx.cloneable(&field.ty)),
        default: results_default(fields),
        member_docs: &|field| format!("The `{}` that `{path}` returns.", field.schema_name),
        rest: None,
        union_keeps: false,
    };
    let declaration = shape.structure(cx, fields);
    let default =
        (shape.default == Defaults::Written).then(|| default_of_fields(cx, fields, &shape));
    quote!(#declaration #default)
}

/// How the results of a method get their default.
fn results_default(fields: &[Field]) -> Defaults {
    if fields.iter().any(|field| field.required) {
        return Defaults::Absent;
    }
    match fields.iter().any(has_default) {
        true => Defaults::Written,
        false => Defaults::Derived,
    }
}

fn message(cx: &Context<'_>, item: &Struct) -> TokenStream {
    let (name, arguments) = (ident(&item.named.name), listed(&item.parameters));
    let generics = bounded(&item.parameters, &quote!(rt::Argument), None);
    let size = size(item.size);
    let names = Names::new(&Locals::new([]));
    let (read, write) = match &item.body {
        Body::Fields(fields) => {
            let (older_read, older_write) = older(cx, item, fields, &names);
            let (read, write) =
                (read_fields(cx, item, fields, &names), write_fields(cx, item, fields, &names));
            (quote!(#older_read #read), quote!(#older_write #write))
        }
        Body::Union(union) => {
            (read_union(cx, item, union, &names), write_union(cx, item, union, &names))
        }
    };
    let (read_cx, from) = (used(&names.cx, &read), used(&names.from, &read));
    let (write_cx, to) = (used(&names.cx, &write), used(&names.to, &write));
    let kept = match (cx.rest(item), &item.body) {
        (Some(rest), _) => Some(rest::size(&quote!(self.#rest.size(Self::SIZE)))),
        (None, Body::Union(union)) if cx.union_keeps(item) => {
            let unknown = ident(&union.unknown);
            Some(rest::size(&quote! {
                match self {
                    Self::#unknown(_, rest) => rest.size(Self::SIZE),
                    _ => Self::SIZE,
                }
            }))
        }
        _ => None,
    };
    quote! {
        impl #generics rt::Message for #name #arguments {
            const SIZE: rt::Size = #size;

            #kept

            fn read(#read_cx: &mut rt::Decoder<'_>, #from: rt::Reader<'_>) -> rt::Result<Self> {
                #read
            }

            fn write(
                &self,
                #write_cx: &mut rt::Encoder<'_>,
                #to: &mut rt::Builder<'_>,
            ) -> rt::Result<()> {
                #write
            }
        }
    }
}

fn read_fields(cx: &Context<'_>, item: &Struct, fields: &[Field], names: &Names) -> TokenStream {
    let values = fields.iter().map(|field| {
        let (name, value) = (ident(&field.name), cx.read(field, names).value());
        quote!(#name: #value)
    });
    let Some(rest) = cx.rest(item) else { return quote!(Ok(Self { #(#values),* })) };
    let read_rest = cx.read_rest(item, names);
    if !mentions(&read_rest, "value") {
        return quote!(Ok(Self { #(#values,)* #rest: #read_rest }));
    }
    quote! {
        let mut value = Self { #(#values,)* #rest: Default::default() };
        value.#rest = #read_rest;
        Ok(value)
    }
}

fn write_fields(cx: &Context<'_>, item: &Struct, fields: &[Field], names: &Names) -> TokenStream {
    let steps = fields.iter().enumerate().flat_map(|(index, field)| {
        let name = ident(&field.name);
        let source = Source::Place(quote!(self.#name));
        // The fields of a group check themselves.
        let lacks = lacks_of(item, index);
        [cx.lacks(field, lacks, &source, names), Some(cx.write(field, &source, names))]
    });
    let rest = cx.rest(item).map(|rest| Write::Result(cx.write_rest(item, &rest, names)));
    block(rest.into_iter().chain(steps.flatten()))
}

/// The versions that lack a field or member.
fn lacks_of(item: &Struct, index: usize) -> u32 {
    item.lacks.get(index).copied().unwrap_or(0)
}

/// The code that reads and writes the struct as an older version has it.
fn older(
    cx: &Context<'_>,
    item: &Struct,
    fields: &[Field],
    names: &Names,
) -> (TokenStream, TokenStream) {
    let (mut read, mut write) = (TokenStream::new(), TokenStream::new());
    for older in &item.older {
        let (newest, oldest) =
            (Literal::u8_unsuffixed(older.newest), Literal::u8_unsuffixed(older.oldest));
        let decoder = &names.cx;
        let version = match older.newest == older.oldest {
            true => quote!(#decoder.version() == #newest),
            false => quote!((#newest..=#oldest).contains(&#decoder.version())),
        };
        let values = fields.iter().zip(&older.fields).map(|(field, older)| {
            let name = ident(&field.name);
            let value = value(cx, older.as_ref(), Some(field), names);
            quote!(#name: #value)
        });
        let rest = cx.rest(item).map(|rest| quote!(#rest: Default::default()));
        read.extend(quote!(if #version { return Ok(Self { #(#values,)* #rest }); }));
        let steps = fields.iter().zip(&older.fields).enumerate();
        let steps = steps.flat_map(|(index, (field, older))| {
            let name = ident(&field.name);
            let source = Source::Place(quote!(self.#name));
            let written = older.as_ref().map(|older| cx.write(older, &source, names));
            [cx.lacks(field, lacks_of(item, index), &source, names), written]
        });
        let refused = cx.rest(item).map(|rest| {
            let encoder = &names.cx;
            Write::Result(quote!(self.#rest.refuse(#encoder)))
        });
        let written = block(refused.into_iter().chain(steps.flatten()));
        let written = match syn::parse2::<syn::Expr>(written.clone()) {
            Ok(_) => written,
            Err(_) => quote!({ #written }),
        };
        write.extend(quote!(if #version { return #written; }));
    }
    (read, write)
}

fn read_union(cx: &Context<'_>, item: &Struct, union: &Union, names: &Names) -> TokenStream {
    let from = &names.from;
    let members = (0..).zip(&union.members).map(|(number, field)| {
        let (number, name) = (Literal::u16_unsuffixed(number), ident(&field.name));
        if is_void(field) {
            return quote!(#number => Ok(Self::#name));
        }
        let value = cx.read(field, names).value();
        quote!(#number => Ok(Self::#name(#value)))
    });
    let (tag, unknown) = (Literal::u32_unsuffixed(union.tag), ident(&union.unknown));
    let rest = cx.union_keeps(item).then(|| {
        let (decoder, known) = (&names.cx, cx.known(item));
        quote!(, rt::Rest::read(#decoder, #from, &[&#known])?)
    });
    quote!(match #from.tag(#tag) {
        #(#members,)*
        tag => Ok(Self::#unknown(tag #rest)),
    })
}

fn write_union(cx: &Context<'_>, item: &Struct, union: &Union, names: &Names) -> TokenStream {
    let (to, encoder) = (&names.to, &names.cx);
    let lacks = |versions: u32, name: &str| {
        let versions = bits(versions);
        quote!(#encoder.lacks_member(#versions, #name)?;)
    };
    let tag = Literal::u32_unsuffixed(union.tag);
    let members = (0..).zip(&union.members).map(|(number, field)| {
        let lacking = lacks_of(item, usize::from(number));
        let lacks =
            (lacking != 0 && !field.may_be_lost).then(|| lacks(lacking, &field.schema_name));
        let (number, name) = (Literal::u16_unsuffixed(number), ident(&field.name));
        if is_void(field) {
            return match lacks {
                Some(lacks) => quote!(Self::#name => { #lacks #to.set_tag(#tag, #number); }),
                None => quote!(Self::#name => #to.set_tag(#tag, #number)),
            };
        }
        let written = match cx.write(field, &Source::Variable(ident("value")), names) {
            Write::Result(written) => quote!(#written?;),
            Write::Done(written) => written,
        };
        quote!(Self::#name(value) => { #lacks #to.set_tag(#tag, #number); #written })
    });
    let unknown = ident(&union.unknown);
    // Nobody knows who has a member that the newest has no name for.
    let grown = item.lacks.iter().any(|lacks| *lacks != 0);
    let doubt = grown.then(|| lacks(!1, "union"));
    let unknown = match (doubt, cx.union_keeps(item)) {
        (doubt, true) => quote! {
            Self::#unknown(tag, rest) => {
                #doubt
                rest.write(#encoder, #to, &[])?;
                #to.set_tag(#tag, *tag);
            }
        },
        (Some(doubt), false) => quote!(Self::#unknown(tag) => { #doubt #to.set_tag(#tag, *tag); }),
        (None, false) => quote!(Self::#unknown(tag) => #to.set_tag(#tag, *tag)),
    };
    quote! {
        match self {
            #(#members,)*
            #unknown,
        }
        Ok(())
    }
}

/// The struct as an entry of a map.
fn entry(cx: &Context<'_>, item: &Struct) -> Option<TokenStream> {
    let [key, value] = fields(&item.body) else { return None };
    let (name, arguments) = (ident(&item.named.name), listed(&item.parameters));
    let generics = bounded(&item.parameters, &quote!(rt::Argument), None);
    let (key_type, value_type) = (cx.field_type(key), cx.field_type(value));
    let names = Names::new(&Locals::new([]));
    let (read_key, read_value) = (cx.read(key, &names).value(), cx.read(value, &names).value());
    let write = block([
        cx.write(key, &Source::Variable(ident("key")), &names),
        cx.write(value, &Source::Variable(ident("value")), &names),
    ]);
    Some(quote! {
        impl #generics rt::Entry for #name #arguments {
            type Key = #key_type;
            type Value = #value_type;

            fn read_entry(
                cx: &mut rt::Decoder<'_>,
                from: rt::Reader<'_>,
            ) -> rt::Result<(Self::Key, Self::Value)> {
                Ok((#read_key, #read_value))
            }

            fn write_entry(
                cx: &mut rt::Encoder<'_>,
                to: &mut rt::Builder<'_>,
                key: &Self::Key,
                value: &Self::Value,
            ) -> rt::Result<()> {
                #write
            }
        }
    })
}
