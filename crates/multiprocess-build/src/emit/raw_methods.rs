//! For each method of a handle that has codecs, a second one without them: it takes and returns the values
//! as they travel.
//!
//! Such a method is the same call of the peer's, with a table of its own. On an object of this process the
//! codecs are needed nevertheless, because the object's method has the author's types.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::lineage::Lineage;
use super::method::{locals, of};
use super::object::{names, path};
use super::{handle, ident, message, tokens, tuple};
use crate::error::Unsupported;
use crate::model::{Field, Interface, Method, OlderMethod, Presence, Schema, Type};

/// The methods of an interface without codecs, with their tables.
pub(super) fn methods(lineage: &Lineage<'_>) -> Option<TokenStream> {
    let (generics, handle) = (lineage.generics(None), lineage.own.handle());
    let own: Vec<_> = lineage.interface.plain().filter_map(|it| Some((it, raw(it)?))).collect();
    let calls = own.iter().map(|(_, raw)| handle::call(lineage, raw));
    let tables = own.iter().map(|(method, raw)| of(lineage, raw, &call(lineage, method, raw)));
    let structs = own.iter().filter(|(method, raw)| raw.results_name != method.results_name);
    let structs = structs.map(|(_, raw)| message::results_of(lineage, raw));
    // Whether another crate's handle has such methods is not known.
    let here = lineage.ancestors.iter().filter(|ancestor| !ancestor.is_outside());
    let inherited: Vec<_> = here
        .flat_map(|ancestor| {
            let raw = ancestor.methods.iter().filter_map(|method| raw(method));
            raw.map(|raw| handle::inherited_call(ancestor, &raw))
        })
        .collect();
    if own.is_empty() && inherited.is_empty() {
        return None;
    }
    Some(quote! {
        impl #generics #handle { #(#calls)* #(#inherited)* }

        #(#structs)*

        impl #generics #handle { #(#tables)* }
    })
}

/// Reports the methods whose raw form has the name of another method.
pub(crate) fn taken(schema: &Schema) -> Vec<Unsupported> {
    let mut report = Vec::new();
    for file in &schema.files {
        for interface in &file.interfaces {
            let inherited = interface.ancestors.iter().flat_map(|ancestor| &ancestor.methods);
            let all: Vec<&Method> = interface.methods.iter().chain(inherited).collect();
            for method in all.iter().filter_map(|method| raw(method)) {
                let Some(other) = all.iter().find(|other| other.name == method.name) else {
                    continue;
                };
                report.push(Unsupported {
                    file: file.name.clone(),
                    line: None,
                    declaration: format!("interface {}", interface.schema_name),
                    method: Some(method.schema_name.clone()),
                    field: None,
                    what: format!(
                        "the raw form of {} would be {}, which {} is",
                        method.schema_name, method.name, other.schema_name
                    ),
                    instead: Some("another name for one of them, or no raw_methods".to_owned()),
                });
            }
        }
    }
    report
}

/// The method without codecs, if it has any.
fn raw(method: &Method) -> Option<Method> {
    let coded = |fields: &[Field]| fields.iter().any(|field| codec(field).is_some());
    let results = coded(&method.results.fields);
    if !results && !coded(&method.params.fields) && method.results_as.is_none() {
        return None;
    }
    let mut raw = method.clone();
    raw.docs = format!(
        "The same as `{}`, with the values as they travel: nothing is decoded or encoded.",
        method.name
    );
    raw.name.push_str("_raw");
    raw.results_as = None;
    if results && raw.results.fields.len() > 1 {
        raw.results_name.push_str("Raw");
    }
    raw.params.fields.iter_mut().chain(&mut raw.results.fields).for_each(strip);
    raw.older.iter_mut().for_each(strip_older);
    Some(raw)
}

fn strip(field: &mut Field) {
    if let Type::As { wire, .. } = &field.ty {
        // What travels has a default, unless it is an object or holds one.
        field.required &= matches!(
            **wire,
            Type::Interface(_) | Type::Capability(_) | Type::Descriptor(_) | Type::Struct(..)
        );
        field.ty = wire.as_ref().clone();
    }
}

fn strip_older(older: &mut OlderMethod) {
    let fields = older.params.fields.iter_mut().chain(&mut older.results.fields);
    fields.flatten().for_each(strip);
}

/// The type of a field that has a codec, and the codec.
fn codec(field: &Field) -> Option<(TokenStream, TokenStream)> {
    match &field.ty {
        Type::As { rust, codec, .. } => Some((tokens(rust), tokens(codec))),
        _ => None,
    }
}

/// The function that runs the method on an object of this process, whose types are the author's.
fn call(lineage: &Lineage<'_>, method: &Method, raw: &Method) -> TokenStream {
    let interface = lineage.interface;
    let object = locals(method).get("object");
    let (name, names) = (ident(&method.name), names(method));
    let pattern = tuple(&names);
    let arguments =
        method.params.fields.iter().zip(&names).map(|(field, name)| match codec(field) {
            Some((rust, codec)) => {
                let path = place(interface, method, field);
                each(field, name, &quote!(rt::decoded::<#rust, #codec>), &path, false)
            }
            None if method.borrowed => lineage.cx.view(field, name),
            None => name.clone(),
        });
    let run = quote!(#object.#name(#(#arguments),*));
    let results = locals(method).get("results");
    let whole = method.results_as.as_ref().map(|(rust, codec)| {
        let (rust, codec, path) = (tokens(rust), tokens(codec), path(interface, method));
        quote!(rt::encoded_here::<#rust, #codec>(#path, &#run?))
    });
    let run = whole.unwrap_or(run);
    if let [field] = method.results.fields.as_slice()
        && let Some((rust, codec)) = codec(field)
        && field.presence == Presence::Always
    {
        let path = place(interface, method, field);
        return quote! {
            |#object, #pattern| rt::encoded_here::<#rust, #codec>(#path, &#run?)
        };
    }
    match raw_results(interface, method, raw, &results) {
        None => quote!(|#object, #pattern| #run),
        Some(made) => quote!(|#object, #pattern| { let #results = #run?; Ok(#made) }),
    }
}

/// The results without codecs, if a field has one.
fn raw_results(
    interface: &Interface,
    method: &Method,
    raw: &Method,
    results: &Ident,
) -> Option<TokenStream> {
    let fields = &method.results.fields;
    fields.iter().find_map(codec)?;
    let encode = |field: &Field, value: TokenStream| match codec(field) {
        Some((rust, codec)) => {
            let path = place(interface, method, field);
            each(field, &value, &quote!(rt::encoded_here::<#rust, #codec>), &path, true)
        }
        None => value,
    };
    if let [field] = fields.as_slice() {
        return Some(encode(field, quote!(#results)));
    }
    let name = ident(&raw.results_name);
    let values = fields.iter().map(|field| {
        let name = ident(&field.name);
        let value = encode(field, quote!(#results.#name));
        quote!(#name: #value)
    });
    Some(quote!(#name { #(#values),* }))
}

/// Where a value is, as errors show it.
fn place(interface: &Interface, method: &Method, field: &Field) -> String {
    format!("{}.{}", path(interface, method), field.schema_name)
}

/// Converts a value, or what is in an Option.
fn each(
    field: &Field,
    value: &TokenStream,
    convert: &TokenStream,
    path: &str,
    by_reference: bool,
) -> TokenStream {
    let reference = by_reference.then(|| quote!(&));
    match field.presence {
        Presence::Always => quote!(#convert(#path, #reference #value)?),
        _ => quote! {
            match #value {
                Some(value) => Some(#convert(#path, #reference value)?),
                None => None,
            }
        },
    }
}
