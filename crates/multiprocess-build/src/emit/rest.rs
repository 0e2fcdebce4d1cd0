//! What structs keep of a newer peer's that the schema does not know: a field of the runtime's type `Rest`.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::fields::Names;
use super::types::fields;
use super::{Context, ident};
use crate::model::{Body, Field, Int, Presence, Struct, Type};

/// The places of a struct that the schema knows, a bit for each bit of data and for each pointer.
#[derive(Default)]
struct Known {
    data: Vec<u64>,
    pointers: Vec<u64>,
}

impl Context<'_> {
    /// The name of the struct's field, if it has one. Groups lie within another struct, which keeps for
    /// them; a value that is copied bit by bit cannot hold anything.
    pub(super) fn rest(&self, item: &Struct) -> Option<Ident> {
        let Body::Fields(fields) = &item.body else { return None };
        let copied = item.derives.iter().any(|name| name == "Copy");
        if !self.keeps || item.group || copied {
            return None;
        }
        let mut name = "rest".to_owned();
        while fields.iter().any(|field| field.name == name) {
            name.push('_');
        }
        Some(ident(&name))
    }

    /// Whether the variant for unknown members has what they hold: in a struct that is nothing but a
    /// union.
    pub(super) fn union_keeps(&self, item: &Struct) -> bool {
        let copied = item.derives.iter().any(|name| name == "Copy");
        self.keeps && !item.group && !copied && matches!(item.body, Body::Union(_))
    }

    /// Reads the field. Of a union whose member is not known, everything that could be the member's.
    pub(super) fn read_rest(&self, item: &Struct, names: &Names) -> TokenStream {
        let (cx, from, known) = (&names.cx, &names.from, self.known(item));
        let unions = self.unions(fields(&item.body), &quote!(value));
        quote!(rt::Rest::read(#cx, #from, &[&#known #(, #unions)*])?)
    }

    /// Writes the field.
    pub(super) fn write_rest(&self, item: &Struct, rest: &Ident, names: &Names) -> TokenStream {
        let (cx, to) = (&names.cx, &names.to);
        let unions = self.unions(fields(&item.body), &quote!(self));
        quote!(self.#rest.write(#cx, #to, &[#(#unions),*]))
    }

    /// For each union in the struct the places of its members, if the member that is set is known.
    fn unions(&self, fields: &[Field], place: &TokenStream) -> Vec<TokenStream> {
        let mut found = Vec::new();
        for field in fields.iter().filter(|field| !field.boxed) {
            let Type::Group(named, _) = &field.ty else { continue };
            let Some(item) = self.structure(named) else { continue };
            let name = ident(&field.name);
            let place = quote!(#place.#name);
            match &item.body {
                Body::Union(union) => {
                    let (name, unknown) = (self.named(named), ident(&union.unknown));
                    let mut known = Known::default();
                    union.members.iter().for_each(|field| self.add_field(field, true, &mut known));
                    let known = known.tokens();
                    found.push(quote! {
                        match #place {
                            #name::#unknown(..) => &rt::Known(&[], &[]),
                            _ => &#known,
                        }
                    });
                }
                Body::Fields(inner) => found.extend(self.unions(inner, &place)),
            }
        }
        found
    }

    /// The places that the schema knows, of those in unions only the tags.
    pub(super) fn known(&self, item: &Struct) -> TokenStream {
        let mut known = Known::default();
        self.add_body(&item.body, false, &mut known);
        known.tokens()
    }

    fn add_body(&self, body: &Body, in_unions: bool, known: &mut Known) {
        match body {
            Body::Fields(fields) => {
                fields.iter().for_each(|field| self.add_field(field, in_unions, known));
            }
            Body::Union(union) => {
                known.add(16, union.tag);
                if in_unions {
                    let members = union.members.iter();
                    members.for_each(|field| self.add_field(field, in_unions, known));
                }
            }
        }
    }

    fn add_field(&self, field: &Field, in_unions: bool, known: &mut Known) {
        if let Presence::Flag(slot) = field.presence {
            known.add(1, slot);
        }
        let mut ty = &field.ty;
        while let Type::As { wire, .. } = ty {
            ty = wire;
        }
        match ty {
            Type::Group(named, _) => {
                if let Some(item) = self.structure(named) {
                    self.add_body(&item.body, in_unions, known);
                }
            }
            Type::Void => {}
            Type::Bool => known.add(1, field.slot),
            Type::Int(Int::I8 | Int::U8) => known.add(8, field.slot),
            Type::Int(Int::I16 | Int::U16) | Type::Enum(_) => known.add(16, field.slot),
            Type::Int(Int::I32 | Int::U32) | Type::Float32 => known.add(32, field.slot),
            Type::Int(Int::I64 | Int::U64) | Type::Float64 => known.add(64, field.slot),
            _ => set(&mut known.pointers, field.slot, 1),
        }
    }
}

impl Known {
    fn tokens(&self) -> TokenStream {
        let hex = |word: &u64| format!("{word:#x}").parse::<Literal>().ok();
        let (data, pointers) = (self.data.iter().map(hex), self.pointers.iter().map(hex));
        quote!(rt::Known(&[#(#data),*], &[#(#pointers),*]))
    }

    /// Data of so many bits, in this slot of that size.
    fn add(&mut self, bits: u32, slot: u32) {
        set(&mut self.data, slot * bits, bits);
    }
}

fn set(words: &mut Vec<u64>, from: u32, bits: u32) {
    let word = (from / 64) as usize;
    if words.len() <= word {
        words.resize(word + 1, 0);
    }
    if let Some(word) = words.get_mut(word) {
        *word |= (u64::MAX >> (64 - bits)) << (from % 64);
    }
}

/// The functions of `Message` that say how large a value is.
pub(super) fn size(place: &TokenStream) -> TokenStream {
    quote! {
        const KEEPS: bool = true;

        fn size(&self) -> rt::Size { #place }
    }
}
