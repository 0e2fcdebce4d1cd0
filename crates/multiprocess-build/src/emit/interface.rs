//! The runtime's view of an interface: ids, lifecycle, and how a call that arrives reaches an
//! object.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::ident;
use super::lineage::{Lineage, Owner};
use super::method::{hex, method_id, size, table};
use super::versions::is_served;
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
    let own = |method: &Method| {
        let table = table(lineage.interface, method);
        if method.borrowed {
            let (name, fields) = (ident(&method.name), method.params.fields.iter());
            let arguments = fields.map(|field| lineage.cx.view_in_message(field));
            let from = if method.params.fields.is_empty() { quote!(_) } else { quote!(from) };
            let run = quote!(object.#name(#(#arguments?),*));
            return quote!(call.serve_lent(Self::#table, object, |object, #from| #run));
        }
        quote!(call.serve(Self::#table, object))
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
    own: impl Fn(&Method) -> TokenStream,
    inherited: impl Fn(&Owner<'_>) -> TokenStream,
) -> Vec<TokenStream> {
    let id = hex(lineage.interface.named.id);
    let served = |method: &&Method| is_served(lineage.cx.schema, method);
    let own = lineage.interface.plain().filter(served).map(|method| {
        let (ordinal, serve) = (Literal::u16_unsuffixed(method.ordinal), own(method));
        quote!((#id, #ordinal) => #serve,)
    });
    let parents = lineage.parents.iter().map(|parent| {
        let (handle, serve) = (parent.handle(), inherited(parent));
        quote!((id, _) if <#handle as rt::Interface>::extends(id) => #serve,)
    });
    own.chain(parents).collect()
}

/// The body of a dispatch.
pub(super) fn dispatch(arms: &[TokenStream], name: &TokenStream) -> TokenStream {
    match arms {
        [] => quote!(call.unknown(#name)),
        arms => quote!(match call.method() { #(#arms)* _ => call.unknown(#name), }),
    }
}
