//! The runtime's view of an interface: ids, lifecycle, and how a call that arrives reaches an
//! object.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::ident;
use super::lineage::{Lineage, Owner};
use super::mentions;
use super::method::{hex, method_id, size, size as size_of, table};
use super::versions::{bits, is_served, list};
use crate::model::{Kind, Message, Method, Schema};

pub(super) fn interface(lineage: &Lineage<'_>) -> TokenStream {
    let (object, handle) = (lineage.own.object(), lineage.own.handle());
    let generics = lineage.generics(None);
    let id = hex(lineage.interface.named.id);
    let name = &lineage.interface.schema_name;
    let ancestors: Vec<_> = lineage.ancestor_ids().map(hex).collect();
    let ancestors = (!ancestors.is_empty())
        .then(|| quote!(const ANCESTORS: &'static [u64] = &[#(#ancestors),*];));
    let ancestor = ancestor(lineage);
    let (construct, destroy) = (construct(lineage), destroy(lineage));
    let family = family(lineage.cx.schema);
    let own = |method: &Method, table: &TokenStream| {
        // Views are of the newest form.
        if method.borrowed && !mentions(table, "as_form") {
            let (name, fields) = (ident(&method.name), method.params.fields.iter());
            let arguments = fields.map(|field| lineage.cx.view_in_message(field));
            let from = if method.params.fields.is_empty() { quote!(_) } else { quote!(from) };
            let run = quote!(object.#name(#(#arguments?),*));
            return quote!(call.serve_lent(#table, object, |object, #from| #run));
        }
        quote!(call.serve(#table, object))
    };
    let arms = arms(lineage, own, |parent| {
        let handle = parent.handle();
        quote!(<#handle as rt::Interface>::dispatch(call, object))
    });
    let dispatch = dispatch(&arms, &quote!(Self::NAME));
    let object_name = if arms.is_empty() { quote!(_) } else { quote!(object) };
    quote! {
        impl #generics rt::Interface for #handle {
            type Object = dyn #object;
            const ID: u64 = #id;
            const NAME: &'static str = #name;
            #ancestors
            #construct
            #destroy
            #family

            fn from_handle(handle: rt::Handle<dyn #object>) -> Self {
                Self(handle)
            }

            fn handle(&self) -> &rt::Handle<dyn #object> {
                &self.0
            }

            fn into_object(self) -> ::std::sync::Arc<dyn #object> {
                ::std::sync::Arc::new(self)
            }

            #ancestor

            fn dispatch(
                call: rt::Incoming<'_, '_>,
                #object_name: ::std::sync::Arc<dyn #object>,
            ) -> rt::Result<rt::Job> {
                #dispatch
            }
        }
    }
}

/// The function that makes a handle of an interface that this one extends, if there are any.
fn ancestor(lineage: &Lineage<'_>) -> Option<TokenStream> {
    let arms = lineage.ancestor_ids().zip(&lineage.ancestors).map(|(id, ancestor)| {
        let (id, handle) = (hex(id), ancestor.handle_path());
        quote!(#id => Some(Box::new(#handle::from(self.clone()))))
    });
    let arms: Vec<_> = arms.collect();
    (!arms.is_empty()).then(|| {
        quote! {
            fn ancestor(&self, id: u64) -> Option<Box<dyn ::std::any::Any>> {
                match id {
                    #(#arms,)*
                    _ => None,
                }
            }
        }
    })
}

/// The versions of the schemas, if there are several.
fn family(schema: &Schema) -> Option<TokenStream> {
    let (id, newest, older) = (hex(schema.family), &schema.newest, &schema.older);
    (!older.is_empty()).then(|| {
        quote! {
            const FAMILY: Option<&'static rt::Family> =
                Some(&rt::Family { id: #id, labels: &[#newest #(, #older)*] });
        }
    })
}

/// The call that the runtime makes itself when a connection begins.
fn construct(lineage: &Lineage<'_>) -> Option<TokenStream> {
    let found = lineage.lifecycle(Kind::Construct)?;
    let method = &found.method;
    let id = method_id(found.interface, method.ordinal, &found.path);
    let place = |message: &Message| {
        let size = size(message.size);
        let slot = Literal::u32_unsuffixed(message.thread_map.unwrap_or_default());
        quote!((#size, #slot))
    };
    let (params, results) = (place(&method.params), place(&method.results));
    Some(quote! {
        const CONSTRUCT: Option<rt::Construct> = Some(rt::Construct {
            id: #id,
            params: #params,
            results: #results,
        });
    })
}

/// The call that the runtime makes itself when an object ends.
fn destroy(lineage: &Lineage<'_>) -> Option<TokenStream> {
    let found = lineage.lifecycle(Kind::Destroy)?;
    let method = &found.method;
    let id = method_id(found.interface, method.ordinal, &found.path);
    let size = size(method.params.size);
    let context = match method.params.context.map(Literal::u32_unsuffixed) {
        Some(slot) => quote!(Some(#slot)),
        None => quote!(None),
    };
    Some(quote! {
        const DESTROY: Option<rt::Destroy> = Some(rt::Destroy {
            id: #id,
            params: #size,
            context: #context,
        });
    })
}

/// The arms of a dispatch: one for each method, one for each interface that it extends itself.
pub(super) fn arms(
    lineage: &Lineage<'_>,
    own: impl Fn(&Method, &TokenStream) -> TokenStream,
    inherited: impl Fn(&Owner<'_>) -> TokenStream,
) -> Vec<TokenStream> {
    let id = hex(lineage.interface.named.id);
    let served = |method: &&Method| is_served(lineage.cx.schema, method);
    let methods = || lineage.interface.plain().filter(served);
    let older = older_arms(lineage, &own);
    let own = methods().map(|method| {
        let table = table(lineage.interface, method);
        let (ordinal, serve) =
            (Literal::u16_unsuffixed(method.ordinal), own(method, &quote!(Self::#table)));
        let others = (lineage.cx.serves_older && method.collides != 0).then(|| {
            let (own, others) = (bits(method.versions), bits(method.collides));
            let size = size_of(method.params.size);
            let sizes = sizes_there(lineage, method);
            quote! {
                if !call.is_another(
                    <Self as rt::Interface>::FAMILY, (#own, #size), (#others, &[#(#sizes),*]),
                )
            }
        });
        quote!((#id, #ordinal) #others => #serve,)
    });
    let parents = lineage.parents.iter().map(|parent| {
        let (handle, serve) = (parent.handle(), inherited(parent));
        quote!((id, _) if <#handle as rt::Interface>::extends(id) => #serve,)
    });
    older.into_iter().chain(own).chain(parents).collect()
}

/// The sizes of what older versions have at a method's ordinal.
fn sizes_there(lineage: &Lineage<'_>, method: &Method) -> Vec<TokenStream> {
    let mut sizes = Vec::new();
    for other in &lineage.interface.methods {
        if other.versions & 1 == 0 && other.ordinal == method.ordinal {
            sizes.push(size_of(other.params.size));
        }
        let forms = other.older.iter().filter(|older| older.ordinal == method.ordinal);
        sizes.extend(forms.map(|older| size_of(older.params.size)));
    }
    sizes
}

/// The arms for calls of older versions' peers, where these have a method in another form.
fn older_arms(
    lineage: &Lineage<'_>,
    own: &impl Fn(&Method, &TokenStream) -> TokenStream,
) -> Vec<TokenStream> {
    let schema = lineage.cx.schema;
    if !lineage.cx.serves_older {
        return Vec::new();
    }
    let id = hex(lineage.interface.named.id);
    let newest = |ordinal: u16| {
        let mut all = lineage.interface.methods.iter().filter(|method| method.versions & 1 == 1);
        let size = all.find(|method| method.ordinal == ordinal).map(|method| method.params.size);
        match size.map(size_of) {
            Some(size) => quote!(Some(#size)),
            None => quote!(None),
        }
    };
    let served = lineage.interface.plain().filter(|method| is_served(schema, method));
    let forms = served.flat_map(|method| {
        let first = usize::from(method.versions != 0);
        method.older.iter().zip(first..).map(move |(older, index)| (method, older, index))
    });
    forms
        .map(|(method, older, index)| {
            let (table, list) = (table(lineage.interface, method), list(lineage, method));
            let (ordinal, index) =
                (Literal::u16_unsuffixed(older.ordinal), Literal::usize_unsuffixed(index));
            let (versions, size) = (bits(older.versions), size_of(older.params.size));
            let newest = newest(older.ordinal);
            let serve = own(method, &quote!(Self::#table.as_form(&Self::#list[#index])));
            quote! {
                (#id, #ordinal) if call.is_older(
                    <Self as rt::Interface>::FAMILY, #versions, #size, #newest,
                ) => #serve,
            }
        })
        .collect()
}

/// The body of a dispatch.
pub(super) fn dispatch(arms: &[TokenStream], name: &TokenStream) -> TokenStream {
    match arms {
        [] => quote!(call.unknown(#name)),
        arms => {
            let asks =
                arms.iter().any(|arm| mentions(arm, "is_older") || mentions(arm, "is_another"));
            let call = asks.then(|| quote!(let mut call = call;));
            quote!(#call match call.method() { #(#arms)* _ => call.unknown(#name), })
        }
    }
}
