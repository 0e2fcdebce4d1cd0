//! How a call that arrives reaches an object: the runtime's view of an interface.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::client::{constant, encode, hex};
use super::write::Source;
use super::{Context, Locals, ident, used};
use crate::model::{Interface, Kind, Method};

pub(super) fn interface(cx: &Context<'_>, interface: &Interface) -> TokenStream {
    let object = ident(&interface.trait_name);
    let handle = ident(&interface.named.name);
    let id = hex(interface.named.id);
    let name = &interface.schema_name;
    let construct = lifecycle(cx, interface, Kind::Construct);
    let destroy = lifecycle(cx, interface, Kind::Destroy);
    let dispatch = dispatch(cx, interface);
    quote! {
        impl rt::Interface for #handle {
            type Object = dyn #object;
            const ID: u64 = #id;
            const NAME: &'static str = #name;
            const CONSTRUCT: Option<rt::Lifecycle> = #construct;
            const DESTROY: Option<rt::Lifecycle> = #destroy;

            fn from_handle(handle: rt::Handle<dyn #object>) -> Self {
                Self(handle)
            }

            fn handle(&self) -> &rt::Handle<dyn #object> {
                &self.0
            }

            fn into_object(self) -> ::std::sync::Arc<dyn #object> {
                ::std::sync::Arc::new(self)
            }

            #dispatch
        }
    }
}

/// The call that the runtime makes itself when a connection begins or an object ends.
fn lifecycle(cx: &Context<'_>, interface: &Interface, kind: Kind) -> TokenStream {
    let Some(method) = interface.lifecycle(kind) else { return quote!(None) };
    let constant = constant(interface, method);
    let encode = encode(cx, &method.params, &Locals::new([]), "params", no_fields).plain();
    quote!(Some(rt::Lifecycle { method: #constant, encode: #encode }))
}

fn dispatch(cx: &Context<'_>, interface: &Interface) -> TokenStream {
    let object = ident(&interface.trait_name);
    let params = interface.methods.iter().flat_map(|method| &method.params.fields);
    let locals = Locals::new(params.map(|field| field.name.as_str()));
    let arms = interface.methods.iter().map(|method| {
        let (id, ordinal) = (hex(interface.named.id), Literal::u16_unsuffixed(method.id));
        let body = arm(cx, method, &locals);
        quote!((#id, #ordinal) => { #body })
    });
    let unknown = quote!(Err(rt::unknown_method(Self::NAME, interface, method)));
    let body = match interface.methods.is_empty() {
        true => unknown,
        false => quote!(match (interface, method) { #(#arms)* _ => #unknown }),
    };
    let names = ["object", "cx", "params"].map(|name| used(&locals.get(name), &body));
    let [object_name, decoder, params] = names;
    quote! {
        fn dispatch(
            #object_name: ::std::sync::Arc<dyn #object>,
            interface: u64,
            method: u16,
            #decoder: &mut rt::Decoder<'_>,
            #params: rt::AnyReader<'_>,
        ) -> ::multiprocess::Result<rt::Job> {
            #body
        }
    }
}

/// Reads the parameters, then makes the job that runs the method and writes its results.
fn arm(cx: &Context<'_>, method: &Method, locals: &Locals<'_>) -> TokenStream {
    let decoder = locals.get("cx");
    let params = locals.get("params");
    let message = &method.params;
    let mut body = TokenStream::new();
    let silent = message.context.is_none() && message.thread_map.is_none();
    if !silent || !message.fields.is_empty() {
        let raw = cx.raw_message(message);
        body.extend(quote! {
            let #params: #raw::Reader = rt::checked(#params.get_as())?;
        });
    }
    if let Some(name) = &message.context {
        let get = ident(&format!("get_{name}"));
        body.extend(quote!(#decoder.context(#params.#get())?;));
    }
    if let Some(name) = &message.thread_map {
        let get = ident(&format!("get_{name}"));
        body.extend(quote!(#decoder.peer_thread_map(#params.#get())?;));
    }
    for field in &message.fields {
        let (name, ty) = (ident(&field.name), cx.field_type(field));
        let value = cx.read(field, &params, locals).value();
        body.extend(quote!(let #name: #ty = #value;));
    }
    body.extend(job(cx, method, locals));
    body
}

fn job(cx: &Context<'_>, method: &Method, locals: &Locals<'_>) -> TokenStream {
    let own = Locals::new([]);
    match method.kind {
        Kind::Destroy => quote!(Ok(rt::Job::destroy())),
        Kind::Construct => {
            let encode = encode(cx, &method.results, &own, "results", no_fields).plain();
            quote!(Ok(rt::Job::immediate(#encode)))
        }
        Kind::Plain => {
            let object = locals.get("object");
            let name = ident(&method.name);
            let args = method.params.fields.iter().map(|field| ident(&field.name));
            let call = quote!(#object.#name(#(#args),*)?;);
            let single = method.results.fields.len() == 1;
            let encode = encode(cx, &method.results, &own, "results", |field| {
                let name = ident(&field.name);
                Source::Place(if single { quote!(result) } else { quote!(result.#name) })
            })
            .typed();
            let call = match method.results.fields.as_slice() {
                [] => call,
                _ => quote!(let result = #call),
            };
            quote!(Ok(rt::Job::new(move || { #call Ok(move #encode) })))
        }
    }
}

fn no_fields(_: &crate::model::Field) -> Source {
    Source::Place(TokenStream::new())
}
