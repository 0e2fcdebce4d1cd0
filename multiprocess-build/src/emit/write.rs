//! How a value of the program is written to a message.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::{Context, Locals};
use crate::model::{Field, Optional, Type};

/// A value of the program that is about to be written.
pub(super) enum Source {
    /// A variable or field that holds it.
    Place(TokenStream),
    /// A variable that refers to it.
    Reference(TokenStream),
}

impl Source {
    fn tokens(&self) -> &TokenStream {
        match self {
            Source::Place(tokens) | Source::Reference(tokens) => tokens,
        }
    }

    fn reference(&self) -> TokenStream {
        match self {
            Source::Place(tokens) => quote!(&#tokens),
            Source::Reference(tokens) => quote!(#tokens),
        }
    }

    fn copied(&self) -> TokenStream {
        match self {
            Source::Place(tokens) => quote!(#tokens),
            Source::Reference(tokens) => quote!(*#tokens),
        }
    }
}

impl Context<'_> {
    /// Statements that write a field to `builder`.
    pub(super) fn write(
        &self,
        field: &Field,
        source: Source,
        builder: &Ident,
        locals: &Locals<'_>,
    ) -> TokenStream {
        let slot = Slot::Field { builder, raw: &field.raw, name: &field.schema_name };
        if field.optional == Optional::No {
            return self.write_item(&field.ty, &slot, source, locals, 0);
        }
        let value = locals.get("value");
        let inner = if field.boxed { quote!(#value.as_ref()) } else { quote!(#value) };
        let write = self.write_item(&field.ty, &slot, Source::Reference(inner), locals, 0);
        let reference = source.reference();
        let write = quote!(if let Some(#value) = #reference { #write });
        match &field.optional {
            Optional::Flag(flag) => {
                let set = format_ident!("set_{flag}");
                let place = source.tokens();
                quote!(#builder.#set(#place.is_some()); #write)
            }
            _ => write,
        }
    }

    fn write_item(
        &self,
        ty: &Type,
        slot: &Slot<'_>,
        source: Source,
        locals: &Locals<'_>,
        depth: usize,
    ) -> TokenStream {
        let cx = locals.get("cx");
        match ty {
            Type::Bool | Type::Int(_) | Type::Float32 | Type::Float64 => {
                let set = slot.set(source.copied());
                quote!(#set;)
            }
            Type::Text => {
                let text = source.tokens();
                let set = slot.set(quote!(#text.as_str()));
                quote!(#set;)
            }
            Type::Data => {
                let set = slot.set(source.reference());
                quote!(#set;)
            }
            Type::Enum(named) => {
                let raw = self.raw(named);
                let value = source.copied();
                let set = slot.set(quote!(known));
                let set_unknown = slot.set_unknown();
                quote! {
                    match #raw::try_from(u16::from(#value)) {
                        Ok(known) => #set,
                        Err(unknown) => #set_unknown,
                    }
                }
            }
            Type::Struct(_) => {
                let value = source.reference();
                let init = slot.init_struct();
                quote!(rt::Message::write(#value, #cx, #init)?;)
            }
            Type::Interface { named, nullable } => {
                let handle = locals.get("handle");
                let given = if *nullable { quote!(#handle) } else { source.reference() };
                let raw = self.raw(named);
                let set = slot.set_handle(&cx, &given, &raw);
                if !nullable {
                    return quote!(#set;);
                }
                let reference = source.reference();
                quote!(if let Some(#handle) = #reference { #set; })
            }
            Type::List(inner) => self.write_list(inner, slot, source, locals, depth),
        }
    }

    fn write_list(
        &self,
        inner: &Type,
        slot: &Slot<'_>,
        source: Source,
        locals: &Locals<'_>,
        depth: usize,
    ) -> TokenStream {
        let items = source.tokens();
        if matches!(inner, Type::Bool | Type::Int(_) | Type::Float32 | Type::Float64) {
            let set = slot.set(quote!(#items.as_slice()));
            return quote!(rt::length(#items.len())?; rt::checked(#set)?;);
        }
        let local = |name: &str| match depth {
            0 => locals.get(name),
            _ => locals.get(&format!("{name}{}", depth + 1)),
        };
        let (list, index, item) = (local("list"), local("i"), local("item"));
        let init = slot.init_list(quote!(rt::length(#items.len())?));
        let reference = source.reference();
        let element = Slot::Item { list: &list, index: &index };
        let source = Source::Reference(quote!(#item));
        let write = self.write_item(inner, &element, source, locals, depth + 1);
        quote! {
            let mut #list = #init;
            for (#index, #item) in (0..).zip(#reference) { #write }
        }
    }
}

/// Where a value is written to.
enum Slot<'a> {
    Field { builder: &'a Ident, raw: &'a str, name: &'a str },
    Item { list: &'a Ident, index: &'a Ident },
}

impl Slot<'_> {
    fn set(&self, value: TokenStream) -> TokenStream {
        match self {
            Slot::Field { builder, raw, .. } => {
                let set = format_ident!("set_{raw}");
                quote!(#builder.#set(#value))
            }
            Slot::Item { list, index } => quote!(#list.set(#index, #value)),
        }
    }

    /// capnpc's setter takes only the numbers that its enum has.
    fn set_unknown(&self) -> TokenStream {
        match self {
            Slot::Field { builder, name, .. } => {
                quote!(rt::set_enum(#builder.reborrow(), #name, unknown.0)?)
            }
            Slot::Item { list, index } => {
                quote!(rt::set_enum_item(#list.reborrow(), #index, unknown.0)?)
            }
        }
    }

    fn set_handle(&self, cx: &Ident, handle: &TokenStream, raw: &TokenStream) -> TokenStream {
        match self {
            Slot::Field { .. } => self.set(quote!(#cx.export(#handle))),
            Slot::Item { .. } => {
                self.set(quote!(#cx.export::<_, #raw::Client>(#handle).client.hook))
            }
        }
    }

    fn init_struct(&self) -> TokenStream {
        match self {
            Slot::Field { builder, raw, .. } => {
                let init = format_ident!("init_{raw}");
                quote!(#builder.reborrow().#init())
            }
            Slot::Item { list, index } => quote!(#list.reborrow().get(#index)),
        }
    }

    fn init_list(&self, length: TokenStream) -> TokenStream {
        match self {
            Slot::Field { builder, raw, .. } => {
                let init = format_ident!("init_{raw}");
                quote!(#builder.reborrow().#init(#length))
            }
            Slot::Item { list, index } => quote!(#list.reborrow().init(#index, #length)),
        }
    }
}
