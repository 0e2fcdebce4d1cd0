//! Enums.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::shape::derive;
use super::versions::bits;
use super::{Context, docs, ident, tokens};
use crate::model::Enum;

pub(super) fn enumeration(cx: &Context<'_>, item: &Enum) -> TokenStream {
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
    let mut derives = vec!["Clone", "Copy", "Debug"];
    if !item.variants.is_empty() {
        derives.push("Default");
    }
    derives.extend(["PartialEq", "Eq", "PartialOrd", "Ord", "Hash"]);
    let (derive, growing) = (derive(&derives, &item.derives), cx.growing());
    let attributes = tokens(&item.attributes);
    let default = item.variants.is_empty().then(|| {
        quote! {
            impl Default for #name {
                fn default() -> Self { Self::#unknown(0) }
            }
        }
    });
    let from_number = match variants.as_slice() {
        [] => quote!(Self::#unknown(number)),
        variants => quote! {
            match number {
                #(#numbers => Self::#variants,)*
                number => Self::#unknown(number),
            }
        },
    };
    let lacks = item.lacks.iter().any(|lacks| *lacks != 0).then(|| {
        let lacks = item.lacks.iter().map(|lacks| bits(*lacks));
        quote!(const LACKS: &'static [u32] = &[#(#lacks),*];)
    });
    quote! {
        #docs
        #derive
        #growing
        #attributes
        pub enum #name {
            #(#declared,)*
            /// A number that the schema gives no name; it is kept as it came.
            #unknown(u16),
        }

        #default

        impl rt::Enumerant for #name { #lacks }

        impl rt::Argument for #name {
            type Wire = rt::Enum<Self>;
        }

        impl From<u16> for #name {
            fn from(number: u16) -> Self {
                #from_number
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
