//! How one field is read and written, by its slot.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::versions::bits;
use super::{Context, Locals};
use crate::model::{Field, Presence, Type, Value};

/// The variables around a field that is read or written.
pub(super) struct Names {
    /// The encoder or decoder.
    pub cx: Ident,
    /// The reader.
    pub from: Ident,
    /// The builder.
    pub to: Ident,
}

impl Names {
    pub(super) fn new(locals: &Locals<'_>) -> Names {
        Names { cx: locals.get("cx"), from: locals.get("from"), to: locals.get("to") }
    }
}

/// An expression that makes a value of what was read.
pub(super) enum Read {
    /// The value itself.
    Value(TokenStream),
    /// A Result of the value.
    Result(TokenStream),
}

impl Read {
    /// An expression of the value's type, within a function that returns a Result.
    pub(super) fn value(self) -> TokenStream {
        match self {
            Read::Value(tokens) => tokens,
            Read::Result(tokens) => quote!(#tokens?),
        }
    }

    pub(super) fn result(self) -> TokenStream {
        match self {
            Read::Value(tokens) => quote!(Ok(#tokens)),
            Read::Result(tokens) => tokens,
        }
    }
}

/// One step of writing a message.
pub(super) enum Write {
    /// A statement.
    Done(TokenStream),
    /// An expression that is a Result of nothing.
    Result(TokenStream),
}

/// A value that is written.
pub(super) enum Source {
    /// A variable that refers to it.
    Variable(Ident),
    /// A place, such as `self.x`.
    Place(TokenStream),
}

impl Source {
    /// An expression that refers to the value.
    fn reference(&self) -> TokenStream {
        match self {
            Source::Variable(name) => quote!(#name),
            Source::Place(place) => quote!(&#place),
        }
    }

    fn place(&self) -> TokenStream {
        match self {
            Source::Variable(name) => quote!(#name),
            Source::Place(place) => place.clone(),
        }
    }
}

impl Context<'_> {
    pub(super) fn read(&self, field: &Field, names: &Names) -> Read {
        let (cx, from, name) = (&names.cx, &names.from, &field.schema_name);
        let present = self.read_present(field, names);
        match &field.presence {
            Presence::Always | Presence::Null => Read::Result(present),
            Presence::Wanted(_) => Read::Result(quote!(#present.map(Some))),
            Presence::Flag(_) if !matches!(field.ty, Type::Group(..)) => Read::Result(present),
            Presence::Flag(flag) => {
                let flag = Literal::u32_unsuffixed(*flag);
                Read::Value(quote! {
                    match #from.get::<bool>(#cx, #flag, #name)? {
                        true => Some(#present?),
                        false => None,
                    }
                })
            }
        }
    }

    /// Reads a field that is present.
    fn read_present(&self, field: &Field, names: &Names) -> TokenStream {
        let (cx, from, name) = (&names.cx, &names.from, &field.schema_name);
        if let Type::Group(..) = field.ty {
            let boxed = field.boxed.then(|| quote!(.map(Box::new)));
            return quote!(#from.group(#cx, #name)#boxed);
        }
        let (wire, slot) = (self.field_wire(field), slot(field));
        match self.wire_default(field) {
            Some(default) => quote!(#from.get_or::<#wire>(#cx, #slot, #name, #default)),
            None => quote!(#from.get::<#wire>(#cx, #slot, #name)),
        }
    }

    pub(super) fn write(&self, field: &Field, source: &Source, names: &Names) -> Write {
        let (cx, to, name) = (&names.cx, &names.to, &field.schema_name);
        let (reference, place) = (source.reference(), source.place());
        let some = |written: TokenStream| quote!(if let Some(value) = #reference { #written?; });
        let value = || self.write_present(field, &quote!(value), names);
        match &field.presence {
            Presence::Always | Presence::Null => {
                Write::Result(self.write_present(field, &reference, names))
            }
            Presence::Wanted(_) => Write::Done(some(value())),
            Presence::Flag(_) if !matches!(field.ty, Type::Group(..)) => {
                Write::Result(self.write_present(field, &reference, names))
            }
            Presence::Flag(flag) => {
                let flag = Literal::u32_unsuffixed(*flag);
                let some = some(value());
                Write::Done(quote! {
                    #to.set::<bool>(#cx, #flag, #name, &#place.is_some())?;
                    #some
                })
            }
        }
    }

    /// Checks a field that some versions lack: for a peer that may have one of them.
    pub(super) fn lacks(
        &self,
        field: &Field,
        versions: u32,
        source: &Source,
        names: &Names,
    ) -> Option<Write> {
        if versions == 0 || field.may_be_lost || matches!(field.ty, Type::Void) {
            return None;
        }
        let (cx, name, value) = (&names.cx, &field.schema_name, source.reference());
        let versions = bits(versions);
        let may_be_absent = match &field.ty {
            Type::Interface(object) => object.nullable || field.presence != Presence::Always,
            Type::Capability(nullable) | Type::Descriptor(nullable) => {
                *nullable || field.presence != Presence::Always
            }
            _ => field.presence != Presence::Always,
        };
        Some(Write::Result(match &field.ty {
            _ if may_be_absent => quote!(#cx.lacks_some(#versions, #name, #value)),
            Type::Interface(_) | Type::Capability(_) | Type::Descriptor(_) => {
                quote!(#cx.lacks_member(#versions, #name))
            }
            Type::Group(..) => {
                let ty = self.ty(&field.ty);
                quote!(#cx.lacks_group::<#ty>(#versions, #name, #value))
            }
            _ => {
                let wire = self.field_wire(field);
                match self.wire_default(field) {
                    Some(default) => {
                        quote!(#cx.lacks_or::<#wire>(#versions, #name, #value, #default))
                    }
                    None => quote!(#cx.lacks::<#wire>(#versions, #name, #value)),
                }
            }
        }))
    }

    fn write_present(&self, field: &Field, value: &TokenStream, names: &Names) -> TokenStream {
        let (cx, to, name) = (&names.cx, &names.to, &field.schema_name);
        if let Type::Group(..) = field.ty {
            // A boxed value is passed as `&Box`: only with the type named does Rust dereference it.
            let ty = field.boxed.then(|| self.ty(&field.ty)).map(|ty| quote!(::<#ty>));
            return quote!(#to.group #ty(#cx, #name, #value));
        }
        let (wire, slot) = (self.field_wire(field), slot(field));
        match self.wire_default(field) {
            Some(default) => quote!(#to.set_or::<#wire>(#cx, #slot, #name, #value, #default)),
            None => quote!(#to.set::<#wire>(#cx, #slot, #name, #value)),
        }
    }

    /// The schema's default as it is encoded. A pointer that may be null has none, because null
    /// means that the value is absent.
    fn wire_default(&self, field: &Field) -> Option<TokenStream> {
        let default = field.default.as_ref()?;
        if field.presence == Presence::Null {
            return None;
        }
        let ty = match &field.ty {
            Type::As { wire, .. } => wire,
            ty => ty,
        };
        Some(self.in_box(field, self.value(inner(default), Some(ty))))
    }

    /// The value, in a box if the field is boxed.
    pub(super) fn in_box(&self, field: &Field, value: TokenStream) -> TokenStream {
        if field.boxed { quote!(Box::new(#value)) } else { value }
    }
}

/// The default without the Option or box of its field.
pub(super) fn inner(value: &Value) -> &Value {
    match value {
        Value::Some(value) | Value::Boxed(value) => inner(value),
        value => value,
    }
}

fn slot(field: &Field) -> Literal {
    Literal::u32_unsuffixed(field.slot)
}

/// The steps as statements; the last is the value of the block where it can be.
pub(super) fn block(steps: impl IntoIterator<Item = Write>) -> TokenStream {
    let mut body = TokenStream::new();
    let mut steps = steps.into_iter().peekable();
    while let Some(step) = steps.next() {
        match step {
            Write::Done(statement) => body.extend(statement),
            Write::Result(last) if steps.peek().is_none() => {
                body.extend(last);
                return body;
            }
            Write::Result(step) => body.extend(quote!(#step?;)),
        }
    }
    body.extend(quote!(Ok(())));
    body
}
