//! The private tables of a handle: what the runtime needs to call and to serve each method.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::lineage::Lineage;
use super::object::{names, path};
use super::{Locals, ident, payload, tuple, versions};
use crate::model::{Field, Interface, Method};

/// Constants of the runtime's trait: a table cannot have one of these names.
const USED: &[&str] = &["ANCESTORS", "CONSTRUCT", "DESTROY", "ID", "NAME"];

/// All tables.
pub(super) fn tables(lineage: &Lineage<'_>) -> Option<TokenStream> {
    let handle = lineage.own.handle();
    let generics = lineage.generics(None);
    let plain = lineage.interface.plain();
    let tables: Vec<_> = plain.map(|method| of(lineage, method, &call(lineage, method))).collect();
    (!tables.is_empty()).then(|| quote!(impl #generics #handle { #(#tables)* }))
}

/// The name of a method's table.
pub(super) fn table(interface: &Interface, method: &Method) -> Ident {
    let upper = |method: &Method| method.name.to_ascii_uppercase();
    let mut name = upper(method);
    if USED.contains(&name.as_str()) {
        while USED.contains(&name.as_str()) || interface.plain().any(|other| upper(other) == name) {
            name.push('_');
        }
    }
    ident(&name)
}

/// The table of one method; `call` is the function that runs it on an object.
pub(super) fn of(lineage: &Lineage<'_>, method: &Method, call: &TokenStream) -> TokenStream {
    let table = table(lineage.interface, method);
    let object = lineage.own.object();
    let (params_type, results_type) = (params_type(lineage, method), lineage.own.returns(method));
    let id = id(lineage.interface, method);
    let (params, results) = (payload::params(lineage, method), payload::results(lineage, method));
    let forms = versions::forms(lineage, method);
    quote! {
        const #table: rt::Method<dyn #object, #params_type, #results_type> = rt::Method {
            id: #id,
            params: #params,
            call: #call,
            results: #results,
        };

        #forms
    }
}

/// The tuple of the parameters.
pub(super) fn params_type(lineage: &Lineage<'_>, method: &Method) -> TokenStream {
    let fields = method.params.fields.iter();
    tuple(&fields.map(|field| lineage.cx.field_type(field)).collect::<Vec<_>>())
}

/// The method's place in the protocol.
fn id(interface: &Interface, method: &Method) -> TokenStream {
    let place = Place {
        ordinal: method.ordinal,
        pipeline: method.pipeline,
        context: method.params.context,
        long: method.long,
        interrupt: method.interrupt,
    };
    place.id(interface, method)
}

/// How a version of the schema calls a method: its ordinal, and what else its `MethodId` says.
pub(super) struct Place {
    pub ordinal: u16,
    pub pipeline: u16,
    pub context: Option<u32>,
    pub long: bool,
    pub interrupt: Option<u16>,
}

impl Place {
    pub(super) fn id(&self, interface: &Interface, method: &Method) -> TokenStream {
        let mut id = method_id(interface.named.id, self.ordinal, &path(interface, method));
        if let Some(slot) = self.context {
            let slot = Literal::u32_unsuffixed(slot);
            id.extend(quote!(.context(#slot)));
        }
        if self.pipeline != 0 {
            let pointer = Literal::u16_unsuffixed(self.pipeline);
            id.extend(quote!(.pipeline(#pointer)));
        }
        if self.long {
            id.extend(quote!(.long()));
        }
        if let Some(ordinal) = self.interrupt {
            let ordinal = Literal::u16_unsuffixed(ordinal);
            id.extend(quote!(.interrupted_by(#ordinal)));
        }
        id
    }
}

pub(super) fn method_id(interface: u64, ordinal: u16, path: &str) -> TokenStream {
    let (interface, ordinal) = (hex(interface), Literal::u16_unsuffixed(ordinal));
    quote!(rt::MethodId::new(#interface, #ordinal, #path))
}

/// An id as schemas write it.
pub(super) fn hex(id: u64) -> TokenStream {
    let text = format!("{id:#018x}");
    text.parse().unwrap_or_else(|_| quote!(#id))
}

pub(super) fn size((data, pointers): (u16, u16)) -> TokenStream {
    let (data, pointers) = (Literal::u16_unsuffixed(data), Literal::u16_unsuffixed(pointers));
    quote!(rt::Size(#data, #pointers))
}

pub(super) fn locals(method: &Method) -> Locals<'_> {
    Locals::new(method.params.fields.iter().map(|field| field.name.as_str()))
}

fn call(lineage: &Lineage<'_>, method: &Method) -> TokenStream {
    let object = locals(method).get("object");
    let (name, names) = (ident(&method.name), names(method));
    let pattern = tuple(&names);
    let arguments = method.params.fields.iter().zip(&names).map(|(field, name)| {
        if method.borrowed { lineage.cx.view(field, name) } else { name.clone() }
    });
    quote!(|#object, #pattern| #object.#name(#(#arguments),*))
}

pub(super) fn raised<'a>(
    lineage: &Lineage<'_>,
    field: &'a Field,
) -> (TokenStream, Literal, &'a str) {
    let wire = lineage.cx.wire(&field.ty);
    (wire, Literal::u32_unsuffixed(field.slot), &field.schema_name)
}
