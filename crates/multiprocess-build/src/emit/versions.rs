//! The forms that a method has in older versions.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::lineage::Lineage;
use super::method::{Place, params_type, table};
use super::payload::{Form, params_form, results_form};
use crate::model::{Method, OlderMessage, OlderMethod, Schema};

/// Whether the method has the form of its table in all versions, and all have what its parameters can
/// hold.
pub(super) fn same_in_all(schema: &Schema, method: &Method) -> bool {
    schema.older.is_empty()
        || method.versions == (1 << (schema.older.len() + 1)) - 1 && !method.checked
}

/// Whether the present schema has the method, so that it is served.
pub(super) fn is_served(schema: &Schema, method: &Method) -> bool {
    schema.older.is_empty() || method.versions & 1 == 1
}

/// The name of the list of a method's forms.
pub(super) fn list(lineage: &Lineage<'_>, method: &Method) -> Ident {
    // No method's own name has two underscores in a row.
    format_ident!("{}__FORMS", table(lineage.interface, method))
}

/// The list of a method's forms, from newer to older; none if there is only one form.
pub(super) fn forms(lineage: &Lineage<'_>, method: &Method) -> Option<TokenStream> {
    if same_in_all(lineage.cx.schema, method) {
        return None;
    }
    let (list, table) = (list(lineage, method), table(lineage.interface, method));
    let present = (method.versions != 0).then(|| {
        let (versions, collides) = (bits(method.versions), bits(method.collides));
        quote!(Self::#table.variant(#versions, #collides),)
    });
    let older = method.older.iter().map(|older| variant(lineage, method, older));
    let (params, results) = (params_type(lineage, method), lineage.own.returns(method));
    Some(quote! {
        const #list: &'static [rt::Variant<#params, #results>] = &[#present #(#older),*];
    })
}

fn variant(lineage: &Lineage<'_>, method: &Method, older: &OlderMethod) -> TokenStream {
    let place = Place {
        ordinal: older.ordinal,
        pipeline: older.pipeline,
        context: older.params.context,
        long: older.long,
        interrupt: older.interrupt,
    };
    let id = place.id(lineage.interface, method);
    let (versions, collides) = (bits(older.versions), bits(older.collides));
    let version = Literal::u8_unsuffixed(older.version);
    let params = params_form(lineage, method, &form(&older.params));
    let results = results_form(lineage, method, &form(&older.results), &older.exceptions);
    quote! {
        rt::Variant {
            versions: #versions,
            collides: #collides,
            id: #id.version(#version),
            params: #params,
            results: #results,
        }
    }
}

fn form(message: &OlderMessage) -> Form<'_> {
    let (size, thread_map) = (message.size, message.thread_map);
    let fields = message.fields.iter().map(Option::as_ref).collect();
    Form { size, thread_map, fields, lacks: Vec::new() }
}

/// A set of versions as a bit mask.
pub(super) fn bits(versions: u32) -> TokenStream {
    let text = match versions.leading_ones() {
        0 => format!("{versions:#b}"),
        _ => format!("!{:#b}", !versions),
    };
    text.parse().unwrap_or_else(|_| quote!(#versions))
}
