//! The declaration of a struct or union in Rust: its fields, its derives, and the implementations
//! that are generated where a derive would not do.

use std::cell::RefCell;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::types::{bounded, contains, fields, listed};
use super::values::{allow_approximate, has_defaults};
use super::{Context, docs, ident, tokens};
use crate::model::{Body, Defaults, Field, Struct, Type, Union};

/// What the declaration of a type depends on.
pub(super) struct Shape<'a> {
    pub docs: TokenStream,
    pub name: &'a str,
    pub parameters: &'a [String],
    /// Whether the type parameters have bounds already where the type is declared.
    pub bounded: bool,
    pub derives: &'a [String],
    /// Further attributes.
    pub attributes: &'a str,
    pub comparable: bool,
    pub cloneable: bool,
    pub default: Defaults,
    pub member_docs: &'a dyn Fn(&Field) -> String,
    /// The field that keeps what the schema does not know, if there is one.
    pub rest: Option<Ident>,
    /// Whether the variant for unknown members of a union keeps what they hold.
    pub union_keeps: bool,
}

impl Shape<'_> {
    pub(super) fn structure(&self, cx: &Context<'_>, fields: &[Field]) -> TokenStream {
        let (docs, name, generics) = (&self.docs, ident(self.name), self.generics());
        let written = self.rest.is_some() || fields.iter().any(hidden);
        let debug = written.then(|| self.debug_structure(fields));
        let rest = self.rest.as_ref().map(|rest| {
            quote! {
                /// What the struct of a peer with a newer schema has beyond these; it is sent on with them.
                pub #rest: rt::Rest
            }
        });
        let (derive, growing) = (self.derive(debug.is_some()), cx.growing());
        let attributes = tokens(self.attributes);
        let setters = (!cx.exhaustive).then(|| self.setters(cx, fields));
        let how_made = (!cx.exhaustive).then(|| self.how_made(fields));
        let declared = fields.iter().map(|field| {
            let docs = docs::attributes(&field.docs, || (self.member_docs)(field));
            let (name, ty) = (ident(&field.name), cx.field_type(field));
            quote!(#docs pub #name: #ty)
        });
        quote! {
            #docs
            #how_made
            #derive
            #growing
            #attributes
            pub struct #name #generics { #(#declared,)* #rest }

            #debug

            #setters
        }
    }

    /// A union whose first member is nothing but a name derives its default.
    pub(super) fn union(&self, cx: &Context<'_>, union: &Union, default: bool) -> TokenStream {
        let (docs, name, generics) = (&self.docs, ident(self.name), self.generics());
        let debug = union.members.iter().any(hidden).then(|| self.debug_union(union));
        let (derive, growing) = (self.derive(debug.is_some()), cx.growing());
        let attributes = tokens(self.attributes);
        let members = union.members.iter().enumerate().map(|(index, field)| {
            let docs = docs::attributes(&field.docs, || (self.member_docs)(field));
            let name = ident(&field.name);
            if is_void(field) {
                let default = (default && index == 0).then(|| quote!(#[default]));
                return quote!(#docs #default #name);
            }
            let ty = cx.field_type(field);
            quote!(#docs #name(#ty))
        });
        let unknown = ident(&union.unknown);
        let unknown = match self.union_keeps {
            true => quote! {
                /// A member that the schema does not know, by its number, and what it holds.
                #unknown(u16, rt::Rest)
            },
            false if cx.keeps => quote! {
                /// A member that the schema does not know, by its number. The struct around it keeps what it
                /// holds.
                #unknown(u16)
            },
            false => quote! {
                /// A member that the schema does not know, by its number. What it holds is lost.
                #unknown(u16)
            },
        };
        quote! {
            #docs
            #derive
            #growing
            #attributes
            pub enum #name #generics {
                #(#members,)*
                #unknown,
            }

            #debug
        }
    }

    pub(super) fn generics(&self) -> TokenStream {
        match self.bounded {
            true => bounded(self.parameters, &quote!(rt::Argument), None),
            false => listed(self.parameters),
        }
    }

    /// `<T: bound>` for an implementation.
    fn with_bound(&self, bound: &TokenStream) -> TokenStream {
        match self.bounded {
            true => bounded(self.parameters, &quote!(rt::Argument + #bound), None),
            false => bounded(self.parameters, bound, None),
        }
    }

    fn derive(&self, debug_written: bool) -> TokenStream {
        let mut derives = Vec::new();
        if self.cloneable {
            derives.push("Clone");
        }
        if !debug_written {
            derives.push("Debug");
        }
        if self.default == Defaults::Derived {
            derives.push("Default");
        }
        if self.comparable {
            derives.push("PartialEq");
        }
        let written = |name: &str| match name {
            "Default" => self.default == Defaults::Written,
            "Debug" => debug_written,
            _ => false,
        };
        let more: Vec<_> = self.derives.iter().filter(|name| !written(name)).cloned().collect();
        derive(&derives, &more)
    }

    fn debug_structure(&self, fields: &[Field]) -> TokenStream {
        let name = self.name;
        let fields = fields.iter().map(|field| {
            let (name, shown) = (ident(&field.name), &field.name);
            match hiding(field) {
                Some(text) => quote!(.field(#shown, &format_args!(#text))),
                None => quote!(.field(#shown, &self.#name)),
            }
        });
        let Some(rest) = &self.rest else {
            return self.debug(&quote!(f.debug_struct(#name) #(#fields)*.finish()));
        };
        self.debug(&quote! {
            let mut shown = f.debug_struct(#name);
            #(shown #fields;)*
            if self.#rest.is_empty() { shown.finish() } else { shown.finish_non_exhaustive() }
        })
    }

    fn debug_union(&self, union: &Union) -> TokenStream {
        let members = union.members.iter().map(|field| {
            let (name, shown) = (ident(&field.name), &field.name);
            if is_void(field) {
                return quote!(Self::#name => f.write_str(#shown));
            }
            match hiding(field) {
                Some(text) => {
                    let text = format!("{shown}({text})");
                    quote!(Self::#name(_) => f.write_str(#text))
                }
                None => quote!(Self::#name(value) => f.debug_tuple(#shown).field(value).finish()),
            }
        });
        let (unknown, shown) = (ident(&union.unknown), &union.unknown);
        let rest = self.union_keeps.then(|| quote!(, _));
        self.debug(&quote!(match self {
            #(#members,)*
            Self::#unknown(tag #rest) => f.debug_tuple(#shown).field(tag).finish(),
        }))
    }

    fn debug(&self, body: &TokenStream) -> TokenStream {
        let (name, arguments) = (ident(self.name), listed(self.parameters));
        let generics = self.with_bound(&quote!(::std::fmt::Debug));
        quote! {
            impl #generics ::std::fmt::Debug for #name #arguments {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { #body }
            }
        }
    }
}

/// `#[derive(..)]` with the generator's derives and those that the schema asks for.
pub(super) fn derive(ours: &[&str], more: &[String]) -> TokenStream {
    let more = more.iter().map(String::as_str).filter(|name| !ours.contains(name));
    let all = ours.iter().copied().chain(more).map(tokens);
    quote!(#[derive(#(#all),*)])
}

pub(super) fn is_void(field: &Field) -> bool {
    matches!(field.ty, Type::Void)
}

/// What Debug shows in a value's place.
fn hiding(field: &Field) -> Option<&'static str> {
    let shared = |ty: &Type| matches!(ty, Type::Interface(object) if object.shared);
    if field.redacted {
        return Some("<redacted>");
    }
    // A trait object has no Debug.
    contains(&field.ty, &shared).then_some("<object>")
}

fn hidden(field: &Field) -> bool {
    hiding(field).is_some()
}

/// How the struct gets its default. It is derived where possible, because clippy asks for that.
pub(super) fn default_kind(item: &Struct) -> Defaults {
    let derivable = match &item.body {
        Body::Fields(_) => !has_defaults(item),
        Body::Union(union) => union.members.first().is_some_and(is_void),
    };
    match item.default {
        Defaults::Written if derivable => Defaults::Derived,
        Defaults::Absent if item.derives.iter().any(|name| name == "Default") => Defaults::Derived,
        default => default,
    }
}

/// An implementation of `Default` for a struct.
pub(super) fn default_of_fields(
    cx: &Context<'_>,
    fields: &[Field],
    shape: &Shape<'_>,
) -> TokenStream {
    let values = fields.iter().map(|field| {
        let (name, value) = (ident(&field.name), cx.field_default(field));
        quote!(#name: #value)
    });
    let rest = shape.rest.as_ref().map(|rest| quote!(#rest: Default::default()));
    implement_default(shape, &quote!(Self { #(#values,)* #rest }), fields)
}

/// An implementation of `Default`.
pub(super) fn default(cx: &Context<'_>, item: &Struct, shape: &Shape<'_>) -> TokenStream {
    let value = match &item.body {
        Body::Fields(fields) => return default_of_fields(cx, fields, shape),
        Body::Union(union) => match union.members.first() {
            Some(field) => {
                let (name, value) = (ident(&field.name), cx.field_default(field));
                quote!(Self::#name(#value))
            }
            None => {
                let unknown = ident(&union.unknown);
                let rest = shape.union_keeps.then(|| quote!(, Default::default()));
                quote!(Self::#unknown(0 #rest))
            }
        },
    };
    implement_default(shape, &value, fields(&item.body))
}

fn implement_default(shape: &Shape<'_>, value: &TokenStream, fields: &[Field]) -> TokenStream {
    let (name, arguments) = (ident(shape.name), listed(shape.parameters));
    let generics = shape.with_bound(&quote!(Default));
    let allow = allow_approximate(fields.iter().filter_map(|field| field.default.as_ref()));
    quote! {
        #allow
        impl #generics Default for #name #arguments {
            fn default() -> Self { #value }
        }
    }
}

/// Whether a struct's type parameters must have bounds in its declaration: they must if they are
/// arguments of handles in it, because handles have the bounds.
pub(super) fn needs_bounds(cx: &Context<'_>, item: &Struct, seen: &mut Vec<String>) -> bool {
    if item.parameters.is_empty() || seen.contains(&item.named.name) {
        return false;
    }
    seen.push(item.named.name.clone());
    fields(&item.body).iter().any(|field| bounds(cx, &field.ty, seen))
}

/// Whether a type must be declared with bounds on the type parameters that it names.
pub(super) fn bounds(cx: &Context<'_>, ty: &Type, seen: &mut Vec<String>) -> bool {
    let open = |types: &[Type]| {
        types.iter().any(|ty| contains(ty, &|ty| matches!(ty, Type::Parameter(_))))
    };
    let mut structs = Vec::new();
    let direct = {
        let found = RefCell::new(&mut structs);
        contains(ty, &|ty| match ty {
            Type::Interface(object) => open(&object.arguments),
            Type::Struct(named, arguments) | Type::Group(named, arguments) if open(arguments) => {
                found.borrow_mut().extend(cx.structure(named));
                false
            }
            _ => false,
        })
    };
    direct || structs.into_iter().any(|item| needs_bounds(cx, item, seen))
}
