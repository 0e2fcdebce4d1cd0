//! What a program sees of an interface: the trait to implement and the handle to hold.

use proc_macro2::TokenStream;
use quote::quote;

use super::write::Source;
use super::{Context, Locals, docs, ident, used};
use crate::model::{Field, Interface, Message, Method, Optional, Type};

pub(super) fn interface(cx: &Context<'_>, interface: &Interface) -> TokenStream {
    let object = object(cx, interface);
    let handle = handle(cx, interface);
    quote!(#object #handle)
}

/// The trait.
fn object(cx: &Context<'_>, interface: &Interface) -> TokenStream {
    let name = ident(&interface.trait_name);
    let docs = docs::with(
        &interface.docs,
        || format!("The interface `{}`.", interface.schema_name),
        "Implement it to serve such an object. A method that is left out answers \
         [`Error::Unimplemented`](::multiprocess::Error::Unimplemented).",
    );
    let methods = interface.plain().map(|method| {
        let docs = method_docs(interface, method);
        let signature = signature(cx, method);
        let names: Vec<_> = method.params.fields.iter().map(|field| ident(&field.name)).collect();
        let ignore = match names.as_slice() {
            [] => None,
            [name] => Some(quote!(let _ = #name;)),
            _ => Some(quote!(let _ = (#(#names),*);)),
        };
        let path = path(interface, method);
        quote! {
            #docs
            #signature {
                #ignore
                Err(::multiprocess::Error::unimplemented(#path))
            }
        }
    });
    quote! {
        #docs
        pub trait #name: Send + Sync + 'static { #(#methods)* }
    }
}

/// The handle, and the trait on it.
fn handle(cx: &Context<'_>, interface: &Interface) -> TokenStream {
    let object = ident(&interface.trait_name);
    let name = ident(&interface.named.name);
    let docs = docs::lines(&format!(
        " A handle on {} [`{object}`] object, here or in another process.\n\n \
         Cheap to clone: every clone is the same object. Any thread can use it.",
        article(&interface.trait_name),
    ));
    let alias = interface.main.then(|| {
        quote! {
            /// The handle of this file's main interface.
            pub type Client = #name;
        }
    });
    let methods = interface.plain().map(|method| call(cx, interface, method));
    let forwards = interface.plain().map(|method| {
        let signature = signature(cx, method);
        let own = ident(&method.name);
        let names = method.params.fields.iter().map(|field| ident(&field.name));
        quote!(#signature { #name::#own(self #(, #names)*).wait() })
    });
    quote! {
        #docs
        #[derive(Clone, Debug)]
        pub struct #name(rt::Handle<dyn #object>);

        #alias

        impl #name {
            /// A handle on an object of this process.
            pub fn new(object: impl #object) -> Self {
                Self::from(::std::sync::Arc::new(object))
            }

            #(#methods)*

            /// Runs `hook` when the object is gone: after the last handle on it, or after
            /// [`close`](Self::close).
            pub fn add_cleanup(&self, hook: impl FnOnce() + Send + 'static) {
                self.0.add_cleanup(hook);
            }

            /// Ends the object. The call returns when its destructor and cleanup hooks have run.
            pub fn close(&self) -> ::multiprocess::Call<()> {
                rt::close(self)
            }
        }

        impl #object for #name { #(#forwards)* }

        impl<T: #object> From<::std::sync::Arc<T>> for #name {
            fn from(object: ::std::sync::Arc<T>) -> Self {
                Self(rt::Handle::local(object))
            }
        }

        impl From<::std::sync::Arc<dyn #object>> for #name {
            fn from(object: ::std::sync::Arc<dyn #object>) -> Self {
                Self(rt::Handle::local(object))
            }
        }
    }
}

/// A method of the handle: straight to an object that is here, or encoded to one that is not.
fn call(cx: &Context<'_>, interface: &Interface, method: &Method) -> TokenStream {
    let fields = &method.params.fields;
    let locals = Locals::new(fields.iter().map(|field| field.name.as_str()));
    let docs = method_docs(interface, method);
    let name = ident(&method.name);
    let names: Vec<_> = fields.iter().map(|field| ident(&field.name)).collect();
    let params = fields.iter().map(|field| {
        let (name, ty) = (ident(&field.name), cx.field_type(field));
        if converts(field) { quote!(#name: impl Into<#ty>) } else { quote!(#name: #ty) }
    });
    let into = fields.iter().filter(|field| converts(field)).map(|field| {
        let (name, ty) = (ident(&field.name), cx.field_type(field));
        quote!(let #name: #ty = #name.into();)
    });
    let returns = cx.results_type(&method.results, &method.results_name);
    let constant = constant(interface, method);

    let object = locals.get("object");
    let encode = encode(cx, &method.params, &locals, "params", |field| {
        let name = ident(&field.name);
        Source::Place(quote!(#name))
    })
    .plain();
    let decode = decode_results(cx, method);
    quote! {
        #docs
        pub fn #name(&self #(, #params)*) -> ::multiprocess::Call<#returns> {
            const METHOD: rt::Method = #constant;
            #(#into)*
            match self.0.target() {
                rt::Target::Local(#object) => {
                    rt::Call::local(METHOD, move || #object.#name(#(#names),*))
                }
                rt::Target::Remote(#object) => {
                    rt::Call::remote(METHOD, #object, move #encode, #decode)
                }
            }
        }
    }
}

/// A closure that writes the parameters or results. `source` says where each value is.
pub(super) fn encode(
    cx: &Context<'_>,
    message: &Message,
    locals: &Locals<'_>,
    name: &str,
    source: impl Fn(&Field) -> Source,
) -> Closure {
    let encoder = locals.get("cx");
    let params = locals.get(name);
    let raw = cx.raw_message(message);
    let context = message.context.as_ref().map(|context| ident(&format!("init_{context}")));
    let body = if message.fields.is_empty() && message.thread_map.is_none() {
        match context {
            Some(context) => quote! {
                let #params: #raw::Builder = #params.init_as();
                #encoder.context(#params.#context());
            },
            None => quote!(#params.init_as::<#raw::Builder>();),
        }
    } else {
        let context =
            context.map(|context| quote!(#encoder.context(#params.reborrow().#context());));
        let threads = message.thread_map.as_ref().map(|name| {
            let set = ident(&format!("set_{name}"));
            quote!(#params.#set(#encoder.thread_map());)
        });
        let fields = message.fields.iter().map(|f| cx.write(f, source(f), &params, locals));
        quote! {
            let mut #params: #raw::Builder = #params.init_as();
            #context
            #threads
            #(#fields)*
        }
    };
    let encoder = used(&encoder, &body);
    Closure { encoder, params, body }
}

/// A closure that writes a message.
pub(super) struct Closure {
    encoder: proc_macro2::Ident,
    params: proc_macro2::Ident,
    body: TokenStream,
}

impl Closure {
    /// For a place that says what types the closure takes.
    pub(super) fn plain(&self) -> TokenStream {
        let Self { encoder, params, body } = self;
        quote!(|#encoder, #params| { #body Ok(()) })
    }

    /// For a place from which the compiler cannot tell.
    pub(super) fn typed(&self) -> TokenStream {
        let Self { encoder, params, body } = self;
        quote!(|#encoder: &mut rt::Encoder<'_>, #params: rt::AnyBuilder<'_>| { #body Ok(()) })
    }
}

/// A closure that reads the results.
fn decode_results(cx: &Context<'_>, method: &Method) -> TokenStream {
    let locals = Locals::new([]);
    let results = ident("results");
    let message = &method.results;
    let raw = cx.raw_message(message);
    let mut body = TokenStream::new();
    if message.thread_map.is_some() || !message.fields.is_empty() {
        body.extend(quote! {
            let results: #raw::Reader = rt::checked(results.get_as())?;
        });
    }
    if let Some(name) = &message.thread_map {
        let get = ident(&format!("get_{name}"));
        body.extend(quote!(cx.peer_thread_map(results.#get())?;));
    }
    let value = match message.fields.as_slice() {
        [] => quote!(Ok(())),
        [field] => cx.read(field, &results, &locals).result(),
        fields => {
            let name = ident(&method.results_name);
            let values = fields.iter().map(|field| {
                let (name, value) = (ident(&field.name), cx.read(field, &results, &locals).value());
                quote!(#name: #value)
            });
            quote!(Ok(#name { #(#values),* }))
        }
    };
    body.extend(value);
    let decoder = used(&ident("cx"), &body);
    let results = used(&results, &body);
    quote!(|#decoder, #results| { #body })
}

/// The method's place in the protocol.
pub(super) fn constant(interface: &Interface, method: &Method) -> TokenStream {
    let id = hex(interface.named.id);
    let ordinal = proc_macro2::Literal::u16_unsuffixed(method.id);
    let result = proc_macro2::Literal::u16_unsuffixed(method.result_pointer);
    let path = path(interface, method);
    quote!(rt::Method { interface: #id, id: #ordinal, name: #path, result: #result })
}

/// An id as schemas write it.
pub(super) fn hex(id: u64) -> TokenStream {
    let text = format!("{id:#018x}");
    text.parse().unwrap_or_else(|_| quote!(#id))
}

fn path(interface: &Interface, method: &Method) -> String {
    format!("{}.{}", interface.schema_name, method.schema_name)
}

/// The trait's method, without a body.
fn signature(cx: &Context<'_>, method: &Method) -> TokenStream {
    let name = ident(&method.name);
    let params = method.params.fields.iter().map(|field| {
        let (name, ty) = (ident(&field.name), cx.field_type(field));
        quote!(#name: #ty)
    });
    let returns = cx.results_type(&method.results, &method.results_name);
    quote!(fn #name(&self #(, #params)*) -> ::multiprocess::Result<#returns>)
}

fn method_docs(interface: &Interface, method: &Method) -> TokenStream {
    docs::attributes(&method.docs, || {
        format!("The method `{}` of `{}`.", method.schema_name, interface.schema_name)
    })
}

/// Whether the handle's method takes anything that becomes the type.
fn converts(field: &Field) -> bool {
    field.optional == Optional::No && matches!(field.ty, Type::Text | Type::Data)
}

fn article(name: &str) -> &'static str {
    if name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" }
}
