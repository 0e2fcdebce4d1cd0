//! The trait whose methods are futures, and the code that serves objects which implement it.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::interface::{arms, dispatch};
use super::lineage::Lineage;
use super::object::{default_body, names, supertraits};
use super::{Locals, docs, ident, tuple};
use crate::model::Method;

/// The trait.
pub(super) fn object(lineage: &Lineage<'_>) -> TokenStream {
    let interface = lineage.interface;
    let name = ident(&interface.async_name);
    let generics = lineage.generics(None);
    let docs = docs::lines(&format!(
        " [`{}`] with methods that are futures; see [`{}::new_async`].",
        interface.trait_name, interface.named.name
    ));
    let parents: Vec<_> = lineage.parents.iter().map(|parent| parent.future()).collect();
    let bounds = supertraits(&parents);
    let methods = interface.plain().map(|method| {
        let (docs, name) = (lineage.own.docs(method), ident(&method.name));
        let (params, returns) = (lineage.own.params(method), lineage.own.returns(method));
        let future = quote!(impl Future<Output = rt::Result<#returns>> + Send);
        let body = default_body(interface, method);
        let moved = (!params.is_empty()).then(|| quote!(move));
        quote! {
            #docs
            fn #name(&self #(, #params)*) -> #future { async #moved { #body } }
        }
    });
    quote! {
        #docs
        pub trait #name #generics: #bounds { #(#methods)* }
    }
}

/// The functions that make a handle of such an object.
pub(super) fn handle(lineage: &Lineage<'_>) -> TokenStream {
    let (future, handle) = (lineage.own.future(), lineage.own.handle());
    let generics = lineage.generics(None);
    let object = lineage.parameter("T");
    let bound = quote!(#object: #future);
    let own = |method: &Method, table: &TokenStream| {
        let (name, names, object) = (ident(&method.name), names(method), local(method));
        let pattern = tuple(&names);
        let run = quote!(async move { #object.#name(#(#names),*).await });
        quote!(call.serve_async(#table, object, |#object, #pattern| #run))
    };
    let arms = arms(lineage, own, |parent| {
        let handle = parent.handle_path();
        quote!(#handle::dispatch_async(call, object))
    });
    let dispatch = dispatch(&arms, &quote!(<Self as rt::Interface>::NAME));
    let served = if arms.is_empty() { quote!(_) } else { quote!(object) };
    quote! {
        impl #generics #handle {
            /// A handle on an object of this process whose methods are futures. `spawn` gives each
            /// call to an executor, as `tokio::runtime::Handle::spawn` does; it must neither block nor
            /// run the call itself, and is called on threads that are not the executor's.
            pub fn new_async<#bound>(
                object: #object,
                spawn: impl Fn(rt::Task) + Send + Sync + 'static,
            ) -> Self {
                Self::from_arc_async(::std::sync::Arc::new(object), spawn)
            }

            /// As [`new_async`](Self::new_async), for an object that the program holds as well, such as
            /// one that gives out handles on itself.
            pub fn from_arc_async<#bound>(
                object: ::std::sync::Arc<#object>,
                spawn: impl Fn(rt::Task) + Send + Sync + 'static,
            ) -> Self {
                let object = rt::Async::new(object, spawn);
                let served = ::std::sync::Arc::clone(&object);
                Self(rt::Handle::local_async(object, move |call| Self::dispatch_async(call, &served)))
            }

            /// Serves a call of such an object; for the handles of interfaces that extend this one.
            #[doc(hidden)]
            pub fn dispatch_async<#bound>(
                call: rt::Incoming<'_, '_>,
                #served: &::std::sync::Arc<rt::Async<#object>>,
            ) -> rt::Result<rt::Job> {
                #dispatch
            }
        }
    }
}

/// The plain trait on such an object: calls from this process wait for the future.
pub(super) fn implementations(lineage: &Lineage<'_>) -> TokenStream {
    let own = &lineage.own;
    let (future, trait_path) = (own.future(), own.object());
    let parameter = lineage.parameter("T");
    let generics = lineage.generics(Some(quote!(#parameter: #future)));
    let methods = own.methods.iter().map(|method| {
        let (signature, name, names) = (own.signature(method), ident(&method.name), names(method));
        let object = local(method);
        let owned = method.params.fields.iter().filter(|_| method.borrowed).map(|field| {
            let name = ident(&field.name);
            let value = lineage.cx.owned(field, &quote!(#name));
            (value.to_string() != field.name).then(|| quote!(let #name = #value;))
        });
        let owned: Vec<_> = owned.flatten().collect();
        quote! {
            #signature {
                #(#owned)*
                self.wait(move |#object| async move { #object.#name(#(#names),*).await })
            }
        }
    });
    quote!(impl #generics #trait_path for rt::Async<#parameter> { #(#methods)* })
}

/// The variable for the object, beside those for the parameters.
fn local(method: &Method) -> Ident {
    let names = method.params.fields.iter().map(|field| field.name.as_str());
    Locals::new(names).get("object")
}
