//! The handle on an interface's objects, and what it implements.

use proc_macro2::TokenStream;
use quote::quote;

use super::lineage::{Lineage, Owner, wanted};
use super::method::table;
use super::object::names;
use super::{docs, ident, tuple, versions};
use crate::model::{Field, Method, Presence, Type};

/// The handle and its methods.
pub(super) fn handle(lineage: &Lineage<'_>) -> TokenStream {
    let interface = lineage.interface;
    let object = lineage.own.object();
    let (generics, arguments) = (lineage.generics(None), lineage.arguments());
    let name = ident(&interface.named.name);
    let docs = docs::lines(&format!(
        " A handle on {} [`{}`] object, here or in another process.\n\n \
         Cheap to clone: every clone is the same object. Any thread can use it.",
        article(&interface.trait_name),
        interface.trait_name,
    ));
    let alias = interface.main.then(|| {
        quote! {
            /// The handle of this file's main interface.
            pub type Client #arguments = #name #arguments;
        }
    });
    let from_fn = from_fn(lineage);
    let trait_name = ident(&interface.trait_name);
    let interface_parameters = interface.parameters.iter().map(|name| ident(name));
    let methods = interface.plain().map(|method| call(lineage, method));
    let inherited = lineage.ancestors.iter().flat_map(|ancestor| {
        ancestor.methods.iter().map(|method| inherited_call(ancestor, method))
    });
    quote! {
        #docs
        #[derive(Clone, Debug)]
        pub struct #name #generics(rt::Handle<dyn #object>);

        #alias

        rt::handle!(#name, #trait_name #(, #interface_parameters)*);

        impl #generics #name #arguments {
            #from_fn

            #(#methods)*

            #(#inherited)*
        }
    }
}

/// An object of one method can be a function.
fn from_fn(lineage: &Lineage<'_>) -> Option<TokenStream> {
    let owners = || lineage.ancestors.iter().chain([&lineage.own]);
    let mut all =
        owners().flat_map(|owner| owner.methods.iter().map(move |method| (owner, method)));
    let (Some((owner, method)), None) = (all.next(), all.next()) else { return None };

    let (function, bound) = (lineage.parameter("Function"), lineage.parameter("F"));
    let types = method.params.fields.iter().map(|field| match method.borrowed {
        true => lineage.cx.borrowed_type(field, &quote!('_)),
        false => lineage.cx.field_type(field),
    });
    let returns = owner.returns(method);
    let takes = quote!(Fn(#(#types),*) -> rt::Result<#returns> + Send + Sync + 'static);
    let generics = lineage.generics(Some(quote!(#bound: #takes)));
    let implementations = owners().map(|owner| {
        let object = owner.object();
        let methods = owner.methods.iter().map(|method| {
            let (signature, names) = (owner.signature(method), names(method));
            quote!(#signature { (self.0)(#(#names),*) })
        });
        quote!(impl #generics #object for #function<#bound> { #(#methods)* })
    });
    Some(quote! {
        /// A handle on an object of this process that answers with what `function` returns.
        pub fn from_fn(function: impl #takes) -> Self {
            struct #function<#bound>(#bound);
            #(#implementations)*
            Self::new(#function(function))
        }
    })
}

/// A method of the handle.
pub(super) fn call(lineage: &Lineage<'_>, method: &Method) -> TokenStream {
    let signature = signature(&lineage.own, method);
    let table = table(lineage.interface, method);
    let params: Vec<_> = method.params.fields.iter().map(argument).collect();
    let params = tuple(&params);
    let adjust = adjust(method);
    if versions::same_in_all(lineage.cx.schema, method) {
        return quote!(#signature { rt::call(&self.0, Self::#table, #params)#adjust });
    }
    let forms = versions::list(lineage, method);
    quote! {
        #signature {
            rt::call_versions(&self.0, <Self as rt::Interface>::FAMILY, Self::#table.call, Self::#forms, #params)#adjust
        }
    }
}

/// Makes a result absent that the caller did not ask for, whatever the object returned.
fn adjust(method: &Method) -> Option<TokenStream> {
    let single = method.results.fields.len() == 1;
    let absent = wanted(method).map(|(name, by)| {
        let name = ident(name);
        let place = if single { quote!(*results) } else { quote!(results.#name) };
        quote!(if !#by { #place = None; })
    });
    let absent: Vec<_> = absent.collect();
    (!absent.is_empty()).then(|| quote!(.adjust(move |results| { #(#absent)* })))
}

/// A method that the interface inherits.
pub(super) fn inherited_call(owner: &Owner<'_>, method: &Method) -> TokenStream {
    let signature = signature(owner, method);
    let handle = owner.handle_path();
    let (open, name) = (owner.is_open(), ident(&method.name));
    let arguments = method.params.fields.iter().map(|field| {
        let name = ident(&field.name);
        // For an interface with type arguments, the handle's own method takes parameters of those
        // types without converting.
        match &field.ty {
            Type::Text if !open && converts(field) => quote!(Into::<String>::into(#name)),
            Type::Data if !open && converts(field) => quote!(Into::<Vec<u8>>::into(#name)),
            _ => quote!(#name),
        }
    });
    quote!(#signature { #handle::from(self.clone()).#name(#(#arguments),*) })
}

fn signature(owner: &Owner<'_>, method: &Method) -> TokenStream {
    let (docs, name, returns) = (owner.docs(method), ident(&method.name), owner.returns(method));
    let params = method.params.fields.iter().zip(owner.params(method)).map(|(field, param)| {
        let name = ident(&field.name);
        match &field.ty {
            Type::Text if converts(field) => quote!(#name: impl Into<String>),
            Type::Data if converts(field) => quote!(#name: impl Into<Vec<u8>>),
            _ => param,
        }
    });
    let streams = method.streams.then(|| {
        let text = " Streams: over when it was sent; see [`Call`](::multiprocess::Call#streaming).";
        quote!(#[doc = ""] #[doc = #text])
    });
    quote!(#docs #streams pub fn #name(&self #(, #params)*) -> rt::Call<#returns>)
}

/// An argument, converted to what the method's table takes.
fn argument(field: &Field) -> TokenStream {
    let name = ident(&field.name);
    if converts(field) { quote!(#name.into()) } else { quote!(#name) }
}

/// Whether the handle's method takes anything that becomes the type.
fn converts(field: &Field) -> bool {
    field.presence == Presence::Always && matches!(field.ty, Type::Text | Type::Data)
}

/// The traits that the handle implements, and the conversions to a handle.
pub(super) fn implementations(lineage: &Lineage<'_>) -> TokenStream {
    let own = &lineage.own;
    let handle = own.handle();
    let generics = lineage.generics(None);
    let traits = [own].into_iter().chain(&lineage.ancestors).map(|owner| {
        let object = owner.object();
        let methods = owner.methods.iter().map(|method| {
            let (signature, name) = (owner.signature(method), ident(&method.name));
            let fields = method.params.fields.iter();
            let arguments = fields.map(|field| {
                let name = ident(&field.name);
                let name = quote!(#name);
                if method.borrowed { lineage.cx.owned(field, &name) } else { name }
            });
            quote!(#signature { self.#name(#(#arguments),*).wait() })
        });
        quote!(impl #generics #object for #handle { #(#methods)* })
    });
    let upcasts = lineage.ancestors.iter().map(|ancestor| {
        let (base, base_object) = (ancestor.handle(), ancestor.object());
        let upcast = match ancestor.is_here() {
            true => quote!(Self(handle.0.upcast::<dyn #base_object>(|object| object))),
            false => quote! {
                rt::Interface::from_handle(handle.0.upcast::<dyn #base_object>(|object| object))
            },
        };
        quote! {
            impl #generics From<#handle> for #base {
                fn from(handle: #handle) -> Self { #upcast }
            }
        }
    });
    quote! {
        #(#traits)*

        #(#upcasts)*
    }
}

fn article(name: &str) -> &'static str {
    if name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" }
}
