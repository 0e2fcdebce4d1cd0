//! Methods that borrow their parameters: the parameters' types, and the views of structs.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::fields::inner;
use super::{Context, docs, ident};
use crate::model::{Body, Field, Presence, Struct, Type};

impl Context<'_> {
    /// The type of a borrowed parameter.
    pub(super) fn borrowed_type(&self, field: &Field, lifetime: &TokenStream) -> TokenStream {
        let ty = self.borrowed(&field.ty, lifetime);
        match field.presence {
            Presence::Always => ty,
            _ => quote!(Option<#ty>),
        }
    }

    fn borrowed(&self, ty: &Type, lifetime: &TokenStream) -> TokenStream {
        let reference = (lifetime.to_string() != "'_").then_some(lifetime);
        match ty {
            Type::Text => quote!(& #reference str),
            Type::Data => quote!(& #reference [u8]),
            Type::List(item) => {
                let item = self.wire(item);
                quote!(rt::ListView<#lifetime, #item>)
            }
            Type::Struct(named, _) => {
                let view = self.structure(named).and_then(|item| item.view.as_deref());
                let view = self.path(&named.module, view.unwrap_or(&named.name));
                quote!(#view<#lifetime>)
            }
            other => self.ty(other),
        }
    }

    /// An expression for the view of a field of a message.
    pub(super) fn view_in_message(&self, field: &Field) -> TokenStream {
        let (wire, name) = (self.field_wire(field), &field.schema_name);
        let slot = Literal::u32_unsuffixed(field.slot);
        match (&field.presence, &field.default) {
            (_, Some(default)) if field.presence == Presence::Always => {
                let default = self.value(inner(default), Some(&field.ty));
                quote!(from.lend_or::<#wire>(#slot, #default))
            }
            _ => quote!(from.lend::<#wire>(#slot, #name)),
        }
    }

    /// An expression for the view of a value of this process, given a place that holds it.
    pub(super) fn view(&self, field: &Field, place: &TokenStream) -> TokenStream {
        let wire = self.field_wire(field);
        if is_copied(&field.ty) { place.clone() } else { quote!(rt::view::<#wire>(&#place)) }
    }

    /// An expression that copies a view to a value.
    pub(super) fn owned(&self, field: &Field, view: &TokenStream) -> TokenStream {
        let wire = self.field_wire(field);
        if is_copied(&field.ty) { view.clone() } else { quote!(rt::owned::<#wire>(#view)?) }
    }
}

/// Whether a view of the type is the value itself.
fn is_copied(ty: &Type) -> bool {
    let number = matches!(ty, Type::Int(_) | Type::Float32 | Type::Float64);
    number || matches!(ty, Type::Bool | Type::Enum(_))
}

/// The view of a struct, where a method borrows it.
pub(super) fn view(cx: &Context<'_>, item: &Struct) -> Option<TokenStream> {
    let (view, Body::Fields(fields)) = (item.view.as_deref()?, &item.body) else { return None };
    let (name, struct_name) = (ident(view), ident(&item.named.name));
    let head = docs::lines(&format!(" A [`{}`] where it lies, without a copy.", item.named.name));
    let lifetime = quote!('a);
    let methods = fields.iter().map(|field| {
        let docs = docs::attributes(&field.docs, || {
            format!("The `{}` of `{}`.", field.schema_name, item.named.name)
        });
        let (method, ty) = (ident(&field.name), cx.borrowed_type(field, &lifetime));
        let (here, there) = (cx.view(field, &quote!(here.#method)), cx.view_in_message(field));
        quote! {
            #docs
            pub fn #method(&self) -> rt::Result<#ty> {
                match self.0 {
                    rt::View::Here(here) => Ok(#here),
                    rt::View::There(from) => #there,
                }
            }
        }
    });
    let owned = fields.iter().map(|field| {
        let field_name = ident(&field.name);
        // Not `view.field()`: for a field named like a trait method that takes the view by value,
        // such as `into`, that would call the trait's method.
        let value = cx.owned(field, &quote!(#name::#field_name(&view)?));
        quote!(#field_name: #value)
    });
    // What is borrowed is not passed on.
    let rest = cx.rest(item).map(|rest| quote!(#rest: Default::default()));
    let parameter = if fields.is_empty() { quote!(_) } else { quote!(view) };
    Some(quote! {
        #head
        #[derive(Clone, Copy)]
        pub struct #name<'a>(rt::View<'a, #struct_name>);

        impl<'a> #name<'a> { #(#methods)* }

        impl<'a> From<rt::View<'a, #struct_name>> for #name<'a> {
            fn from(view: rt::View<'a, #struct_name>) -> Self { Self(view) }
        }

        impl std::fmt::Debug for #name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                rt::show_view(<#struct_name as rt::Viewed>::owned(*self), f)
            }
        }

        impl rt::Viewed for #struct_name {
            type View<'a> = #name<'a>;

            fn owned(#parameter: #name<'_>) -> rt::Result<Self> {
                Ok(Self { #(#owned,)* #rest })
            }
        }
    })
}
