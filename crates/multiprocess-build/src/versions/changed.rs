//! What versions have in another form, or lack, anywhere within a value: it decides whether a method has the
//! same form in two versions, and whether its parameters have to be checked.

use std::collections::{HashMap, HashSet};

use crate::model::{Body, Field, Schema, Type};

/// The structs that some versions have in another form than the present one.
pub(super) struct Changed {
    /// By the struct's id: for each version, the newest version with the same form.
    forms: HashMap<u64, Vec<u8>>,
    /// The structs and enums inside each struct.
    holds: HashMap<u64, Vec<u64>>,
    /// The structs and enums of which some version lacks a field or value that may not be lost.
    lossy: HashSet<u64>,
}

impl Changed {
    pub(super) fn new(schema: &Schema, versions: usize) -> Self {
        let (mut forms, mut holds) = (HashMap::new(), HashMap::new());
        let mut lossy: HashSet<u64> = schema
            .files
            .iter()
            .flat_map(|file| &file.enums)
            .filter(|item| item.lacks.iter().any(|lacks| *lacks != 0))
            .map(|item| item.named.id)
            .collect();
        for item in schema.files.iter().flat_map(|file| &file.structs) {
            let mut form = vec![0; versions + 1];
            for older in &item.older {
                for version in older.newest..=older.oldest {
                    form[usize::from(version)] = older.newest;
                }
            }
            forms.insert(item.named.id, form);
            let fields = match &item.body {
                Body::Fields(fields) => fields,
                Body::Union(union) => &union.members,
            };
            let mut inside = Vec::new();
            fields.iter().for_each(|field| held(&field.ty, &mut inside));
            holds.insert(item.named.id, inside);
            if fields
                .iter()
                .zip(&item.lacks)
                .any(|(field, lacks)| *lacks != 0 && !field.may_be_lost)
            {
                lossy.insert(item.named.id);
            }
        }
        Changed { forms, holds, lossy }
    }

    /// Whether a value of these fields can have in it what some version lacks.
    pub(super) fn loses(&self, fields: &[Field]) -> bool {
        self.form(fields, 0).iter().any(|(id, _)| self.lossy.contains(id))
    }

    /// The forms in which `version` has the structs of these fields, as a value to compare.
    pub(super) fn form(&self, fields: &[Field], version: u8) -> Vec<(u64, u8)> {
        let (mut open, mut form) = (Vec::new(), Vec::new());
        fields.iter().for_each(|field| held(&field.ty, &mut open));
        while let Some(id) = open.pop() {
            if form.iter().any(|(known, _)| *known == id) {
                continue;
            }
            let forms = self.forms.get(&id).and_then(|forms| forms.get(usize::from(version)));
            form.push((id, forms.copied().unwrap_or(0)));
            open.extend(self.holds.get(&id).into_iter().flatten());
        }
        form.sort_unstable();
        form
    }
}

/// The structs and enums that a value of this type has inside.
fn held(ty: &Type, found: &mut Vec<u64>) {
    match ty {
        Type::Enum(named) => found.push(named.id),
        Type::Struct(named, arguments) | Type::Group(named, arguments) => {
            found.push(named.id);
            arguments.iter().for_each(|argument| held(argument, found));
        }
        Type::List(item) | Type::Set(_, item) => held(item, found),
        Type::Map(_, parts) => held(&parts.0, found),
        Type::As { wire, .. } => held(wire, found),
        _ => {}
    }
}
