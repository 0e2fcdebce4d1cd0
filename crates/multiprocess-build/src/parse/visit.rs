//! Helpers of the passes over the whole model: all fields with their places, and facts about each
//! struct.

use std::collections::HashMap;

use super::Place;
use super::declare::Declared;
use super::substitute::{bindings, substitute_all};
use crate::model::{Body, Field, File, Named, Schema, Struct, Type};

/// Where the schema has a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// In this struct, group or union.
    Struct(u64),
    /// Among the parameters of the interface's method with this number.
    Params(u64, u16),
    /// Among its results.
    Results(u64, u16),
}

/// Calls `visit` with every field of a struct, member of a union, parameter and result of this
/// crate's files.
pub(super) fn each_field(
    schema: &mut Schema,
    declared: &HashMap<u64, Declared>,
    mut visit: impl FnMut(&Place, Owner, &mut Field),
) {
    let place = |named: &Named| declared.get(&named.id).map(|declared| declared.place.clone());
    for file in &mut schema.files {
        for item in &mut file.structs {
            let place = place(&item.named).unwrap_or_default();
            let owner = Owner::Struct(item.named.id);
            for field in fields_mut(&mut item.body) {
                visit(&place.field("field", &field.schema_name), owner, field);
            }
        }
        for interface in &mut file.interfaces {
            let place = place(&interface.named).unwrap_or_default();
            for method in &mut interface.methods {
                let place = place.method(&method.schema_name);
                let (id, ordinal) = (interface.named.id, method.ordinal);
                let (params, results) = (Owner::Params(id, ordinal), Owner::Results(id, ordinal));
                for field in &mut method.params.fields {
                    visit(&place.field("parameter", &field.schema_name), params, field);
                }
                for field in method.results.fields.iter_mut().chain(&mut method.exceptions) {
                    visit(&place.field("result", &field.schema_name), results, field);
                }
            }
        }
    }
}

pub(super) fn fields(body: &Body) -> &[Field] {
    match body {
        Body::Fields(fields) => fields,
        Body::Union(union) => &union.members,
    }
}

pub(super) fn fields_mut(body: &mut Body) -> &mut [Field] {
    match body {
        Body::Fields(fields) => fields,
        Body::Union(union) => &mut union.members,
    }
}

/// The fields that an empty message of a struct has: for a union, the first member.
pub(super) fn initial(body: &Body) -> &[Field] {
    match body {
        Body::Fields(fields) => fields,
        Body::Union(union) => union.members.get(..1).unwrap_or_default(),
    }
}

/// All structs, those of other crates' files included.
pub(super) fn structs(schema: &Schema) -> impl Iterator<Item = &Struct> {
    files(schema).flat_map(|file| &file.structs)
}

pub(super) fn files(schema: &Schema) -> impl Iterator<Item = &File> {
    schema.files.iter().chain(&schema.outside)
}

/// A copy of what the model knows of a struct.
#[derive(Debug)]
pub(super) struct Shape {
    pub parameters: Vec<String>,
    /// The offset of a union's discriminant; none for other structs.
    pub tag: Option<u32>,
    pub fields: Vec<Field>,
    pub derives: Vec<String>,
    /// Whether another crate has it.
    pub outside: bool,
}

pub(super) type Shapes = HashMap<u64, Shape>;

pub(super) fn shapes(schema: &Schema) -> Shapes {
    let shape = |item: &Struct| Shape {
        parameters: item.parameters.clone(),
        tag: match &item.body {
            Body::Fields(_) => None,
            Body::Union(union) => Some(union.tag),
        },
        fields: fields(&item.body).to_vec(),
        derives: item.derives.clone(),
        outside: item.named.module.outside.is_some(),
    };
    structs(schema).map(|item| (item.named.id, shape(item))).collect()
}

impl Shape {
    /// The fields with the struct's type arguments filled in; none if they would become too large.
    pub(super) fn fields_with(&self, arguments: &[Type]) -> Option<Vec<Field>> {
        let types = self.fields.iter().map(|field| &field.ty);
        let types = substitute_all(types, &bindings(&self.parameters, arguments))?;
        let with = |(field, ty): (&Field, Type)| Field { ty, ..field.clone() };
        Some(self.fields.iter().zip(types).map(with).collect())
    }
}
