//! The trait that a program implements to serve objects of an interface.

use proc_macro2::TokenStream;
use quote::quote;

use super::lineage::Lineage;
use super::{docs, ident, tuple};
use crate::model::{Interface, Method};

/// `futures`: whether there is the trait whose methods are futures, too.
pub(super) fn object(lineage: &Lineage<'_>, futures: bool) -> TokenStream {
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
        let body = default_body(interface, method);
        quote!(#docs #signature { #body })
    });
    // What `new` says of a type that has the other trait.
    let hint = futures.then(|| {
        let (other, handle) = (&interface.async_name, &interface.named.name);
        let text = format!("for a type that implements `{other}` there is `{handle}::new_async`");
        quote!(#[diagnostic::on_unimplemented(note = #text)])
    });
    quote! {
        #docs
        #hint
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

/// The default body of a method: an error, which takes the arguments, so that they are used. Where the
/// runtime does all that the method is for, it is done.
pub(super) fn default_body(interface: &Interface, method: &Method) -> TokenStream {
    if method.only_exchanges_threads() {
        return quote!(Ok(()));
    }
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
