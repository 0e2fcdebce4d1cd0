//! The annotations of declarations, fields and methods.

use capnp::schema_capnp::{annotation, value};
use capnp::struct_list;
use syn::parse::Parser as _;

use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::Order;
use crate::names;

pub(super) type Annotations<'a> = struct_list::Reader<'a, annotation::Owned>;

/// What the annotations of a field, parameter or result say about its value.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    pub not_null: bool,
    pub nullable: bool,
    pub shared: bool,
    pub fd: bool,
    pub redacted: bool,
    pub may_be_lost: bool,
    pub exception: bool,
    /// The Rust type in place of the schema's, and its codec.
    pub rust: Option<(String, String)>,
    pub collection: Option<Collection>,
}

/// The Rust collection that a list becomes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Collection {
    Map(Order),
    Set(Order),
}

impl Collection {
    /// The annotation.
    pub(super) fn word(self) -> &'static str {
        match self {
            Collection::Map(Order::Hashed) => "hashMap",
            Collection::Map(Order::Ordered) => "btreeMap",
            Collection::Set(Order::Hashed) => "hashSet",
            Collection::Set(Order::Ordered) => "btreeSet",
        }
    }
}

const COLLECTIONS: [(u64, Collection); 4] = [
    (id::HASH_MAP, Collection::Map(Order::Hashed)),
    (id::BTREE_MAP, Collection::Map(Order::Ordered)),
    (id::HASH_SET, Collection::Set(Order::Hashed)),
    (id::BTREE_SET, Collection::Set(Order::Ordered)),
];

/// Both names of an annotation: its author may have written `$Rust.notNull`, or `Mark::not_null` in the build
/// script.
pub(super) fn mark_words(annotation: &str) -> String {
    format!("{annotation} (Mark::{})", names::snake(annotation))
}

pub(super) fn find<'a>(annotations: Annotations<'a>, id: u64) -> Option<annotation::Reader<'a>> {
    annotations.iter().find(|annotation| annotation.get_id() == id)
}

/// The text that an annotation gives.
pub(super) fn text<'a>(annotations: Annotations<'a>, id: u64) -> Result<Option<&'a str>, Error> {
    let Some(found) = find(annotations, id) else { return Ok(None) };
    match found.get_value()?.which()? {
        value::Text(text) => Ok(Some(text?.to_str()?)),
        _ => Ok(None),
    }
}

/// The name from which a Rust name is made: that of an annotation of rust-multiprocess.capnp, of
/// proxy.capnp or of capnpc, or else the schema's own.
pub(super) fn name(annotations: Annotations<'_>, schema_name: &str) -> Result<String, Error> {
    for id in [id::NAME, id::PROXY_NAME, id::RAW_NAME] {
        // A name that is not a Rust identifier may still be valid for another generator.
        let found = text(annotations, id)?;
        if let Some(name) = found.filter(|name| id == id::NAME || names::is_identifier(name)) {
            return Ok(name.to_owned());
        }
    }
    Ok(schema_name.to_owned())
}

impl Parser<'_> {
    /// [`name`]. If it is not valid, it is reported and replaced by the schema's own.
    pub(super) fn name(
        &mut self,
        annotations: Annotations<'_>,
        schema_name: &str,
        place: &Place,
    ) -> Result<String, Error> {
        let name = name(annotations, schema_name)?;
        if names::is_identifier(&name) {
            return Ok(name);
        }
        let what = format!("{name:?} is no name in Rust");
        self.report.add(place, what, "letters, digits and _, a letter first");
        Ok(schema_name.to_owned())
    }

    pub(super) fn marks(
        &mut self,
        annotations: Annotations<'_>,
        place: &Place,
    ) -> Result<Marks, Error> {
        let has = |id| find(annotations, id).is_some();
        if has(id::RAW_OPTION) {
            let what = "capnpc's annotation option is not supported";
            self.report.add(place, what, "nullable of /rust-multiprocess.capnp");
        }
        let found: Vec<_> = COLLECTIONS.into_iter().filter(|(id, _)| has(*id)).collect();
        let rust = self.rust_type(annotations, place)?;
        if found.len() > 1 || (!found.is_empty() && rust.is_some()) {
            let what = "of type, hashMap, btreeMap, hashSet and btreeSet a field can have one";
            self.report.add(place, what, "the one that it is to be");
        }
        Ok(Marks {
            not_null: has(id::NOT_NULL),
            nullable: has(id::NULLABLE),
            shared: has(id::SHARED),
            fd: has(id::FD),
            redacted: has(id::REDACTED),
            may_be_lost: has(id::MAY_BE_LOST),
            exception: has(id::EXCEPTION),
            rust,
            collection: found.first().map(|(_, collection)| *collection),
        })
    }

    /// The Rust type that `type` names, and its codec.
    pub(super) fn rust_type(
        &mut self,
        annotations: Annotations<'_>,
        place: &Place,
    ) -> Result<Option<(String, String)>, Error> {
        let codec = text(annotations, id::CODEC)?;
        let Some(rust) = text(annotations, id::TYPE)? else {
            if codec.is_some() {
                let what = "a codec is for a Rust type, and there is none";
                let instead = "$Rust.type(\"T\") of /rust-multiprocess.capnp beside it, or Mark::rust_type(\"T\") at \
                               the same path";
                self.report.add(place, what, instead);
            }
            return Ok(None);
        };
        for text in [Some(rust), codec].into_iter().flatten() {
            if syn::parse_str::<syn::Type>(text).is_err() {
                let what = format!("{text:?} is no Rust type");
                self.report.add(place, what, "a path such as crate::Age");
                return Ok(None);
            }
        }
        Ok(Some((rust.to_owned(), codec.unwrap_or(rust).to_owned())))
    }

    /// The attributes that a declaration's annotation gives.
    pub(super) fn attributes(
        &mut self,
        annotations: Annotations<'_>,
        place: &Place,
    ) -> Result<String, Error> {
        let Some(text) = text(annotations, id::ATTRIBUTE)? else { return Ok(String::new()) };
        if syn::Attribute::parse_outer.parse_str(text).is_err() {
            let what = format!("{text:?} is no attribute");
            self.report.add(place, what, "attributes as in Rust, such as #[must_use]");
            return Ok(String::new());
        }
        Ok(text.to_owned())
    }

    /// The derives that a declaration's annotation names.
    pub(super) fn derives(
        &mut self,
        annotations: Annotations<'_>,
        place: &Place,
    ) -> Result<Vec<String>, Error> {
        let Some(list) = text(annotations, id::DERIVE)? else { return Ok(Vec::new()) };
        let mut derives = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if syn::parse_str::<syn::Path>(name).is_err() {
                let what = format!("{name:?} is nothing that can be derived");
                self.report.add(place, what, "paths with commas between them, such as Eq, Hash");
            } else if !derives.iter().any(|other| other == name) {
                derives.push(name.to_owned());
            }
        }
        Ok(derives)
    }
}
