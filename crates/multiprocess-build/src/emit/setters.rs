//! What makes a struct without naming all of its fields, so that a field which the schema gets later
//! breaks nobody: a method for each field, and `new` where not all fields have a default.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::shape::Shape;
use super::types::{contains, listed};
use super::{Context, docs, ident};
use crate::model::{Field, Presence, Type};

/// Names that a setter does not take: of functions that every struct has, and of methods that are
/// called on structs although they are a trait's.
const TAKEN: &[&str] = &[
    "as_ref",
    "borrow",
    "borrow_mut",
    "clone",
    "default",
    "eq",
    "fmt",
    "into",
    "new",
    "to_owned",
    "try_into",
];

impl Shape<'_> {
    /// The functions of a struct.
    pub(super) fn setters(&self, cx: &Context<'_>, fields: &[Field]) -> TokenStream {
        if fields.is_empty() {
            return TokenStream::new();
        }
        let (name, generics) = (ident(self.name), self.generics());
        let arguments = listed(self.parameters);
        let new = fields.iter().any(|field| field.required).then(|| self.constructor(cx, fields));
        let setters = fields.iter().map(|field| setter(cx, field, fields));
        quote! {
            impl #generics #name #arguments {
                #new

                #(#setters)*
            }
        }
    }

    /// A paragraph of documentation for those who cannot write `Name { .. }`.
    pub(super) fn how_made(&self, fields: &[Field]) -> TokenStream {
        let name = self.name;
        let new = fields.iter().any(|field| field.required);
        let first = if new { "new(..)" } else { "default()" };
        // An example, of a field that is not set yet.
        let setter = fields.iter().find(|field| !field.required);
        let setter = setter.map(|field| format!(".{}(..)", method(field, fields)));
        let setter = setter.unwrap_or_default();
        let text = format!(
            " Other crates, also a package's own programs in `src/bin`, make it by `{name}::{first}{setter}`, \
             because it may get more fields."
        );
        docs::lines(&format!("\n{text}"))
    }

    /// Takes the fields that have no default.
    fn constructor(&self, cx: &Context<'_>, fields: &[Field]) -> TokenStream {
        let params = fields.iter().filter(|field| field.required).map(|field| {
            let (name, ty) = (ident(&field.name), parameter(cx, field));
            quote!(#name: #ty)
        });
        let values = fields.iter().map(|field| {
            let name = ident(&field.name);
            let value = match field.required {
                true => argument(field),
                false => cx.field_default(field),
            };
            if value.to_string() == field.name { quote!(#name) } else { quote!(#name: #value) }
        });
        let kept = self.rest.as_ref().map(|rest| quote!(#rest: Default::default()));
        let rest = fields.iter().any(|field| !field.required);
        let docs = match rest {
            true => {
                " With these values of the fields that have no default, and the others' defaults."
            }
            false => " With these values.",
        };
        quote! {
            #[doc = #docs]
            pub fn new(#(#params),*) -> Self {
                Self { #(#values,)* #kept }
            }
        }
    }
}

fn setter(cx: &Context<'_>, field: &Field, fields: &[Field]) -> TokenStream {
    let docs = docs::lines(&format!(" Sets [`{0}`](#structfield.{0}).", field.name));
    let (name, method) = (ident(&field.name), method(field, fields));
    let (ty, value) = (parameter(cx, field), argument(field));
    quote! {
        #docs
        #[must_use]
        pub fn #method(mut self, #name: #ty) -> Self {
            self.#name = #value;
            self
        }
    }
}

/// The setter's name: the field's, where that is free.
fn method(field: &Field, fields: &[Field]) -> Ident {
    let mut name = field.name.clone();
    while TAKEN.contains(&name.as_str())
        || name != field.name && fields.iter().any(|other| other.name == name)
    {
        name.push('_');
    }
    ident(&name)
}

/// The type that a value of the field is given as.
fn parameter(cx: &Context<'_>, field: &Field) -> TokenStream {
    let ty = cx.field_type(field);
    if converts(field) { quote!(impl Into<#ty>) } else { ty }
}

fn argument(field: &Field) -> TokenStream {
    let name = ident(&field.name);
    if converts(field) { quote!(#name.into()) } else { quote!(#name) }
}

/// Whether anything can be given that becomes the type: a `&str` for a text, a value where it can be
/// absent. Not where a type argument could make it ambiguous.
fn converts(field: &Field) -> bool {
    let open = contains(&field.ty, &|ty| matches!(ty, Type::Parameter(_)));
    match &field.ty {
        _ if open => false,
        _ if field.presence != Presence::Always => true,
        Type::Text | Type::Data => !field.boxed,
        Type::Interface(object) => object.nullable,
        Type::Capability(nullable) | Type::Descriptor(nullable) => *nullable,
        _ => false,
    }
}
