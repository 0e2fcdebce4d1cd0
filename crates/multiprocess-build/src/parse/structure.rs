//! Structs, and the groups and unions in them; enums.

use capnp::schema_capnp::{field, node};

use super::declare::{Declared, has_union, union_id};
use super::marks::{self, Annotations};
use super::message::Role;
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::{Body, Defaults, Enum, Field, Presence, Struct, Type, Union, Variant};
use crate::names;

/// The derives that every struct has where possible.
const STRUCT_DERIVES: &[&str] = &["Clone", "Debug", "PartialEq"];

/// The derives that every enum has.
const ENUM_DERIVES: &[&str] =
    &["Clone", "Copy", "Debug", "Default", "PartialEq", "Eq", "Hash", "PartialOrd", "Ord"];

/// What the annotations of a struct or group say of its Rust type.
struct Own {
    derives: Vec<String>,
    attributes: String,
    group: bool,
}

impl<'a> Parser<'a> {
    /// A struct, and all groups and unions in it.
    pub(super) fn structure(
        &mut self,
        declared: Declared,
        node: node::Reader<'a>,
        structs: &mut Vec<Struct>,
    ) -> Result<(), Error> {
        let mut derives = self.derives(node.get_annotations()?, &declared.place)?;
        derives.retain(|name| !STRUCT_DERIVES.contains(&name.as_str()));
        let attributes = self.attributes(node.get_annotations()?, &declared.place)?;
        let node::Struct(body) = node.which()? else { return Ok(()) };
        let own = Own { derives, attributes, group: false };
        self.structure_body(declared, node.get_id(), body, own, structs)
    }

    /// The struct or group that the node `id` declares. The groups and unions in a struct have its
    /// derives as well, because otherwise the struct could not. Attributes are for one type; a union
    /// without a name has those of its struct.
    fn structure_body(
        &mut self,
        declared: Declared,
        id: u64,
        body: node::struct_::Reader<'a>,
        own: Own,
        structs: &mut Vec<Struct>,
    ) -> Result<(), Error> {
        let place = declared.place.clone();
        let Own { derives, attributes, group } = own;
        let made = Struct {
            docs: self.docs(id)?,
            parameters: self.parameters(declared.named.id),
            named: declared.named,
            size: (body.get_data_word_count(), body.get_pointer_count()),
            body: Body::Fields(Vec::new()),
            derives: derives.clone(),
            attributes: attributes.clone(),
            group,
            comparable: true,
            cloneable: true,
            default: Defaults::Derived,
            entry: false,
            view: None,
            older: Vec::new(),
            lacks: Vec::new(),
        };
        match has_union(body)? {
            (true, false) => {
                let union = self.union(id, body, &place)?;
                structs.push(Struct { body: Body::Union(union), ..made });
            }
            (union, _) => {
                self.refuse_roles(body, &place)?;
                let fields = self.fields(id, body, "field", &place)?;
                let fields: Vec<Field> = fields.into_iter().map(|(field, _)| field).collect();
                let names = fields.iter().map(|f| (f.name.as_str(), f.schema_name.as_str()));
                self.same_names(&place, names);
                structs.push(Struct { body: Body::Fields(fields), ..made });
                if let Some(declared) = self.declared.get(&union_id(id)).filter(|_| union) {
                    let named = declared.named.clone();
                    let made = Struct {
                        docs: String::new(),
                        parameters: self.parameters(named.id),
                        named,
                        size: (body.get_data_word_count(), body.get_pointer_count()),
                        body: Body::Union(self.union(id, body, &place)?),
                        derives: derives.clone(),
                        attributes: attributes.clone(),
                        group: true,
                        comparable: true,
                        cloneable: true,
                        default: Defaults::Derived,
                        entry: false,
                        view: None,
                        older: Vec::new(),
                        lacks: Vec::new(),
                    };
                    structs.push(made);
                }
            }
        }
        for (index, field) in body.get_fields()?.iter().enumerate() {
            let field::Group(group) = field.which()? else { continue };
            let inner = group.get_type_id();
            let (Some(declared), Some(&node)) = (self.declared.get(&inner), self.nodes.get(&inner))
            else {
                continue;
            };
            let declared = declared.clone();
            let node::Struct(group) = node.which()? else { continue };
            let mut derives = derives.clone();
            for name in self.derives(field.get_annotations()?, &declared.place)? {
                if !STRUCT_DERIVES.contains(&name.as_str()) && !derives.contains(&name) {
                    derives.push(name);
                }
            }
            let attributes = self.attributes(field.get_annotations()?, &declared.place)?;
            let first = structs.len();
            let own = Own { derives, attributes, group: true };
            self.structure_body(declared, inner, group, own, structs)?;
            if let Some(made) = structs.get_mut(first) {
                // The comment on a group is on its field.
                made.docs = self.member_docs(id, index)?;
            }
        }
        Ok(())
    }

    fn refuse_roles(
        &mut self,
        body: node::struct_::Reader<'_>,
        place: &Place,
    ) -> Result<(), Error> {
        for field in body.get_fields()? {
            if matches!(self.role(field)?, Role::Context | Role::ThreadMap) {
                let place = place.field("field", field.get_name()?.to_str()?);
                let what = "a Context or ThreadMap can be a parameter or result only";
                self.report.add(&place, what, "no field: the runtime sends them itself");
            }
        }
        Ok(())
    }

    fn union(
        &mut self,
        owner: u64,
        body: node::struct_::Reader<'a>,
        place: &Place,
    ) -> Result<Union, Error> {
        self.refuse_roles(body, place)?;
        let mut members: Vec<(u16, Field)> = Vec::new();
        for (index, field) in body.get_fields()?.iter().enumerate() {
            if field.get_discriminant_value() == field::NO_DISCRIMINANT {
                continue;
            }
            let schema_name = field.get_name()?.to_str()?;
            let place = place.field("field", schema_name);
            let mut marks = self.marks(field.get_annotations()?, &place)?;
            // A member without a value is a variant as well.
            let made = match self.is_value(field)? {
                true => {
                    if std::mem::take(&mut marks.exception) {
                        let what = "a typed exception can be a result only";
                        self.report.add(&place, what, "no annotation exception");
                    }
                    self.field(owner, index, field, &marks, &place)?
                }
                false => Some(Field {
                    schema_name: schema_name.to_owned(),
                    name: String::new(),
                    docs: self.member_docs(owner, index)?,
                    ty: Type::Void,
                    slot: 0,
                    presence: Presence::Always,
                    default: None,
                    boxed: false,
                    redacted: false,
                    may_be_lost: false,
                    required: false,
                }),
            };
            let Some(mut made) = made else { continue };
            made.name =
                names::variant(&self.name(field.get_annotations()?, schema_name, &place)?);
            members.push((field.get_discriminant_value(), made));
        }
        members.sort_by_key(|(number, _)| *number);
        let members: Vec<Field> = members.into_iter().map(|(_, member)| member).collect();
        self.same_names(place, members.iter().map(|m| (m.name.as_str(), m.schema_name.as_str())));
        let unknown = unknown(members.iter().map(|member| member.name.as_str()));
        Ok(Union { tag: body.get_discriminant_offset(), members, unknown })
    }

    pub(super) fn enumeration(
        &mut self,
        declared: Declared,
        annotations: Annotations<'_>,
        body: node::enum_::Reader<'_>,
    ) -> Result<Enum, Error> {
        let docs = self.docs(declared.named.id)?;
        let mut derives = self.derives(annotations, &declared.place)?;
        derives.retain(|name| !ENUM_DERIVES.contains(&name.as_str()));
        let attributes = self.attributes(annotations, &declared.place)?;
        let mut variants: Vec<Variant> = Vec::new();
        let mut schema_names: Vec<&str> = Vec::new();
        for (index, enumerant) in body.get_enumerants()?.iter().enumerate() {
            let schema_name = enumerant.get_name()?.to_str()?;
            let place = declared.place.field("enumerant", schema_name);
            let annotations = enumerant.get_annotations()?;
            let raw = marks::text(annotations, id::RAW_NAME)?.unwrap_or(schema_name);
            if self.options.raw && names::camel(raw) == "Self" {
                self.report.add(&place, "capnpc cannot name this enumerant", "another name");
            }
            let name = names::variant(&self.name(annotations, schema_name, &place)?);
            variants.push(Variant { name, docs: self.member_docs(declared.named.id, index)? });
            schema_names.push(schema_name);
        }
        let names = variants.iter().map(|variant| variant.name.as_str()).zip(schema_names);
        self.same_names(&declared.place, names);
        let unknown = unknown(variants.iter().map(|variant| variant.name.as_str()));
        let (named, lacks) = (declared.named, Vec::new());
        Ok(Enum { named, docs, variants, unknown, derives, attributes, lacks })
    }

    /// Reports different schema names that are the same name in Rust.
    pub(super) fn same_names<'s>(
        &mut self,
        place: &Place,
        names: impl Iterator<Item = (&'s str, &'s str)>,
    ) {
        let mut seen = std::collections::HashMap::new();
        for (name, schema_name) in names {
            if let Some(other) = seen.insert(name, schema_name) {
                let what = format!("{other} and {schema_name} would both be {name} in Rust");
                self.report.add(place, what, "another name for one of them");
            }
        }
    }
}

/// A name for the variant that takes the numbers which the schema does not know.
fn unknown<'s>(taken: impl Iterator<Item = &'s str> + Clone) -> String {
    let free = |name: &&str| !taken.clone().any(|other| other == *name);
    match ["Unknown", "UnknownValue"].into_iter().find(free) {
        Some(name) => name.to_owned(),
        None => {
            let mut name = "Unknown_".to_owned();
            while taken.clone().any(|other| other == name) {
                name.push('_');
            }
            name
        }
    }
}
