//! The Rust type of a value, and the marker that stands for its encoding in a message.

use proc_macro2::TokenStream;
use quote::quote;

use super::{Context, ident, tokens};
use crate::model::{Body, Field, Int, Object, Order, Presence, Type};

impl Context<'_> {
    /// The Rust type of a field.
    pub(super) fn field_type(&self, field: &Field) -> TokenStream {
        let mut ty = self.ty(&field.ty);
        if field.boxed {
            ty = quote!(Box<#ty>);
        }
        match field.presence {
            Presence::Always => ty,
            _ => quote!(Option<#ty>),
        }
    }

    /// The Rust type.
    pub(super) fn ty(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Void => quote!(()),
            Type::Bool => quote!(bool),
            Type::Int(int) => int_type(*int),
            Type::Float32 => quote!(f32),
            Type::Float64 => quote!(f64),
            Type::Text => quote!(String),
            Type::Data => quote!(Vec<u8>),
            Type::AnyPointer => quote!(rt::AnyPointer),
            Type::Capability(true) => quote!(Option<rt::Capability>),
            Type::Capability(false) => quote!(rt::Capability),
            Type::Descriptor(true) => quote!(Option<::std::os::fd::OwnedFd>),
            Type::Descriptor(false) => quote!(::std::os::fd::OwnedFd),
            Type::Enum(named) => self.named(named),
            Type::Struct(named, arguments) | Type::Group(named, arguments) => {
                let (name, arguments) = (self.named(named), self.arguments(arguments));
                quote!(#name #arguments)
            }
            Type::Interface(object) => {
                let reference = if object.shared {
                    let object = self.object(object);
                    quote!(::std::sync::Arc<dyn #object>)
                } else {
                    self.handle(object)
                };
                if object.nullable { quote!(Option<#reference>) } else { reference }
            }
            Type::Parameter(name) => {
                let name = ident(name);
                quote!(#name)
            }
            Type::List(item) => {
                let item = self.ty(item);
                quote!(Vec<#item>)
            }
            Type::Set(order, item) => {
                let (set, item) = (set(*order), self.ty(item));
                quote!(#set<#item>)
            }
            Type::Map(order, entry) => {
                let map = map(*order);
                let (key, value) = self.entry(entry);
                quote!(#map<#key, #value>)
            }
            Type::As { rust, .. } => tokens(rust),
        }
    }

    /// The Rust types of a map's key and value. They come from the entry's fields, because a field
    /// says also whether its value can be absent.
    fn entry(&self, (entry, key, value): &(Type, Type, Type)) -> (TokenStream, TokenStream) {
        if let Type::Struct(named, arguments) = entry
            && arguments.is_empty()
            && let Some([key, value]) = self.structure(named).map(|item| fields(&item.body))
        {
            return (self.field_type(key), self.field_type(value));
        }
        (self.ty(key), self.ty(value))
    }

    /// The marker of a field.
    pub(super) fn field_wire(&self, field: &Field) -> TokenStream {
        let mut wire = self.wire(&field.ty);
        if field.boxed {
            wire = quote!(rt::Boxed<#wire>);
        }
        match field.presence {
            Presence::Null => quote!(rt::Nullable<#wire>),
            Presence::Flag(flag) => {
                let flag = proc_macro2::Literal::u32_unsuffixed(flag);
                quote!(rt::If<#flag, #wire>)
            }
            _ => wire,
        }
    }

    /// The marker.
    pub(super) fn wire(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Void => quote!(rt::Void),
            Type::Bool | Type::Int(_) | Type::Float32 | Type::Float64 => self.ty(ty),
            Type::Text => quote!(rt::Text),
            Type::Data => quote!(rt::Data),
            Type::AnyPointer => quote!(rt::AnyPointerWire),
            Type::Capability(true) => quote!(rt::AnyObject),
            Type::Capability(false) => quote!(rt::AnyObjectNotNull),
            Type::Descriptor(true) => quote!(rt::Descriptor),
            Type::Descriptor(false) => quote!(rt::DescriptorNotNull),
            Type::Enum(_) => {
                let name = self.ty(ty);
                quote!(rt::Enum<#name>)
            }
            Type::Struct(..) | Type::Group(..) => {
                let name = self.ty(ty);
                quote!(rt::Struct<#name>)
            }
            Type::Interface(object) => {
                let handle = self.handle(object);
                match (object.shared, object.nullable) {
                    (false, true) => quote!(rt::Object<#handle>),
                    (false, false) => quote!(rt::NotNull<#handle>),
                    (true, true) => quote!(rt::Shared<#handle>),
                    (true, false) => quote!(rt::SharedNotNull<#handle>),
                }
            }
            Type::Parameter(name) => {
                let name = ident(name);
                quote!(#name::Wire)
            }
            Type::List(item) => {
                let item = self.wire(item);
                quote!(rt::List<#item>)
            }
            Type::Set(order, item) => {
                let item = self.wire(item);
                match order {
                    Order::Hashed => quote!(rt::HashSetOf<#item>),
                    Order::Ordered => quote!(rt::BTreeSetOf<#item>),
                }
            }
            Type::Map(order, entry) => {
                let entry = self.ty(&entry.0);
                match order {
                    Order::Hashed => quote!(rt::HashMapOf<#entry>),
                    Order::Ordered => quote!(rt::BTreeMapOf<#entry>),
                }
            }
            Type::As { rust, codec, wire } => {
                let (rust, codec, wire) = (tokens(rust), tokens(codec), self.wire(wire));
                quote!(rt::As<#rust, #codec, #wire>)
            }
        }
    }

    /// `<A, B>`, or nothing.
    pub(super) fn arguments(&self, arguments: &[Type]) -> TokenStream {
        match arguments {
            [] => TokenStream::new(),
            arguments => {
                let arguments = arguments.iter().map(|argument| self.ty(argument));
                quote!(<#(#arguments),*>)
            }
        }
    }

    /// Whether the Rust type has `PartialEq`.
    pub(super) fn comparable(&self, ty: &Type) -> bool {
        let incomparable = |ty: &Type| match ty {
            Type::Interface(_) | Type::Descriptor(_) => true,
            Type::Struct(named, _) | Type::Group(named, _) => {
                !self.structure(named).is_some_and(|item| item.comparable)
            }
            _ => false,
        };
        !contains(ty, &incomparable)
    }

    /// Whether the Rust type has `Clone`.
    pub(super) fn cloneable(&self, ty: &Type) -> bool {
        let unique = |ty: &Type| match ty {
            Type::Descriptor(_) => true,
            Type::Struct(named, _) | Type::Group(named, _) => {
                self.structure(named).is_some_and(|item| !item.cloneable)
            }
            _ => false,
        };
        !contains(ty, &unique)
    }

    fn handle(&self, object: &Object) -> TokenStream {
        let (name, arguments) = (self.named(&object.named), self.arguments(&object.arguments));
        quote!(#name #arguments)
    }

    fn object(&self, object: &Object) -> TokenStream {
        let name = self.path(&object.named.module, &object.trait_name);
        let arguments = self.arguments(&object.arguments);
        quote!(#name #arguments)
    }
}

/// The fields of a struct, or the members of a union.
pub(super) fn fields(body: &Body) -> &[Field] {
    match body {
        Body::Fields(fields) => fields,
        Body::Union(union) => &union.members,
    }
}

/// Whether `test` holds for a type or for one that occurs in its Rust type.
pub(super) fn contains(ty: &Type, test: &dyn Fn(&Type) -> bool) -> bool {
    let any = |types: &[Type]| types.iter().any(|ty| contains(ty, test));
    test(ty)
        || match ty {
            Type::Struct(_, arguments) | Type::Group(_, arguments) => any(arguments),
            Type::Interface(object) => any(&object.arguments),
            Type::List(item) | Type::Set(_, item) => contains(item, test),
            Type::Map(_, entry) => {
                let (entry, key, value) = entry.as_ref();
                [entry, key, value].into_iter().any(|ty| contains(ty, test))
            }
            _ => false,
        }
}

/// Whether the Rust type names this type parameter.
pub(super) fn names(ty: &Type, parameter: &str) -> bool {
    contains(ty, &|ty| matches!(ty, Type::Parameter(name) if name == parameter))
}

/// `<A: bound, B: bound, more>`, or nothing.
pub(super) fn bounded(
    parameters: &[String],
    bound: &TokenStream,
    more: Option<TokenStream>,
) -> TokenStream {
    let parameters = parameters.iter().map(|name| {
        let name = ident(name);
        quote!(#name: #bound)
    });
    let all: Vec<_> = parameters.chain(more).collect();
    if all.is_empty() { TokenStream::new() } else { quote!(<#(#all),*>) }
}

/// `<A, B>`, or nothing.
pub(super) fn listed(parameters: &[String]) -> TokenStream {
    let names = parameters.iter().map(|name| ident(name));
    if parameters.is_empty() { TokenStream::new() } else { quote!(<#(#names),*>) }
}

pub(super) fn set(order: Order) -> TokenStream {
    match order {
        Order::Hashed => quote!(::std::collections::HashSet),
        Order::Ordered => quote!(::std::collections::BTreeSet),
    }
}

pub(super) fn map(order: Order) -> TokenStream {
    match order {
        Order::Hashed => quote!(::std::collections::HashMap),
        Order::Ordered => quote!(::std::collections::BTreeMap),
    }
}

fn int_type(int: Int) -> TokenStream {
    match int {
        Int::I8 => quote!(i8),
        Int::I16 => quote!(i16),
        Int::I32 => quote!(i32),
        Int::I64 => quote!(i64),
        Int::U8 => quote!(u8),
        Int::U16 => quote!(u16),
        Int::U32 => quote!(u32),
        Int::U64 => quote!(u64),
    }
}
