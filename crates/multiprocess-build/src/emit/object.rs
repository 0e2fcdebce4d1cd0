//! The trait that a program implements to serve objects of an interface.

use proc_macro2::TokenStream;
use quote::quote;

use super::lineage::Lineage;
use super::{docs, ident, tuple};
use crate::model::{Interface, Method};

pub(super) fn object(lineage: &Lineage<'_>) -> TokenStream {
    let interface = lineage.interface;
    let name = ident(&interface.trait_name);
    let generics = lineage.generics(None);
    let docs = docs::with(
        &interface.docs,
        || format!("The interface `{}`.", interface.schema_name),
        "Implement it to serve such an object. A method that is left out answers \
         [`Error::Unimplemented`](::multiprocess::Error::Unimplemented).",
    );
    let parents: Vec<_> = lineage.parents.iter().map(|parent| parent.object()).collect();
    let bounds = supertraits(&parents);
    let methods = interface.plain().map(|method| {
        let (docs, signature) = (lineage.own.docs(method), lineage.own.signature(method));
        let unimplemented = unimplemented(interface, method);
        quote!(#docs #signature { #unimplemented })
    });
    quote! {
        #docs
        pub trait #name #generics: #bounds { #(#methods)* }
    }
}

/// The supertraits of a trait. Its parents have the same ones.
pub(super) fn supertraits(parents: &[TokenStream]) -> TokenStream {
    match parents {
        [] => quote!(Send + Sync + 'static),
        parents => quote!(#(#parents)+*),
    }
}

/// The default body of a method: an error. It takes the arguments, so that they are used.
pub(super) fn unimplemented(interface: &Interface, method: &Method) -> TokenStream {
    let path = path(interface, method);
    let names: Vec<_> = names(method);
    let params = match names.as_slice() {
        [name] => name.clone(),
        names => tuple(names),
    };
    quote!(rt::unimplemented(#path, #params))
}

/// `Interface.method`, as the schema spells it.
pub(super) fn path(interface: &Interface, method: &Method) -> String {
    format!("{}.{}", interface.schema_name, method.schema_name)
}

/// The parameters' names.
pub(super) fn names(method: &Method) -> Vec<TokenStream> {
    let names = method.params.fields.iter().map(|field| ident(&field.name));
    names.map(|name| quote!(#name)).collect()
}
