//! Type parameters: those that each declaration has in Rust, and the arguments that a use of it
//! gives.
//!
//! In the schema a declaration sees the parameters of all scopes around it. In Rust it has those
//! that are used in it; an interface has all of its own as well.

use std::collections::{BTreeSet, HashMap};

use capnp::schema_capnp::{brand, field, node, type_};

use super::declare::{Kind, Scope, has_union, node_id, union_id};
use super::marks::find;
use super::{Parser, Place, id};
use crate::error::Error;
use crate::model::Type;
use crate::names;

/// A type parameter: the declaration that has it, and its number there.
pub(super) type Parameter = (u64, u16);

/// The parameters of every declaration.
#[derive(Debug, Default)]
pub(super) struct Generics {
    /// The parameters that each declaration has in Rust, those of outer scopes first.
    used: HashMap<u64, Vec<Parameter>>,
    names: HashMap<Parameter, String>,
}

/// What a use of a declaration gives for one parameter.
pub(super) enum Bound<'a> {
    Type(type_::Reader<'a>),
    /// The parameter of the scope around the use.
    Inherited,
    Open,
}

impl<'a> Bound<'a> {
    fn of(brand: brand::Reader<'a>, (scope, index): Parameter) -> Result<Self, Error> {
        let mut scopes = brand.get_scopes()?.iter();
        let Some(found) = scopes.find(|found| found.get_scope_id() == scope) else {
            return Ok(Bound::Open);
        };
        let bindings = match found.which()? {
            brand::scope::Inherit(()) => return Ok(Bound::Inherited),
            brand::scope::Bind(bindings) => bindings?,
        };
        if u32::from(index) >= bindings.len() {
            return Ok(Bound::Open);
        }
        match bindings.get(index.into()).which()? {
            brand::binding::Type(ty) => Ok(Bound::Type(ty?)),
            brand::binding::Unbound(()) => Ok(Bound::Open),
        }
    }
}

impl<'a> Parser<'a> {
    /// Finds the parameters of all declarations.
    pub(super) fn find_parameters(&mut self, scopes: &[Scope]) -> Result<(), Error> {
        let mut uses: HashMap<u64, BTreeSet<Parameter>> = HashMap::new();
        let ids: Vec<(u64, Kind)> =
            self.declared.iter().map(|(id, declared)| (*id, declared.kind)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (id, kind) in &ids {
                let mut found = BTreeSet::new();
                self.used_by(*id, *kind, &uses, &mut found)?;
                changed |= uses.get(id) != Some(&found);
                uses.insert(*id, found);
            }
        }
        for scope in scopes {
            for (id, _) in &scope.nodes {
                self.name_parameters(*id, scope)?;
            }
        }
        for (id, _) in ids {
            let found = uses.remove(&id).unwrap_or_default();
            let order = self.scopes_of(id);
            let place = |parameter: &Parameter| order.iter().position(|id| *id == parameter.0);
            let mut found: Vec<Parameter> = found.into_iter().collect();
            found.sort_by_key(|parameter| (std::cmp::Reverse(place(parameter)), parameter.1));
            self.generics.used.insert(id, found);
        }
        Ok(())
    }

    /// The scopes around a declaration, from itself outwards.
    fn scopes_of(&self, id: u64) -> Vec<u64> {
        let (mut scopes, mut next) = (Vec::new(), node_id(id));
        while let Some(node) = self.nodes.get(&next).filter(|_| !scopes.contains(&next)) {
            scopes.push(next);
            next = node.get_scope_id();
        }
        scopes
    }

    /// Gives each parameter a name that no type of the file has, nor a parameter around it.
    fn name_parameters(&mut self, id: u64, scope: &Scope) -> Result<(), Error> {
        let Some(node) = self.nodes.get(&id) else { return Ok(()) };
        for (index, parameter) in (0..).zip(node.get_parameters()?) {
            let mut name = names::type_name(parameter.get_name()?.to_str()?);
            let around = self.scopes_of(id);
            let taken = |name: &str| {
                let mut others = self.generics.names.iter();
                scope.names.contains(name)
                    || others.any(|((id, _), other)| other == name && around.contains(id))
            };
            while taken(&name) {
                name.push('_');
            }
            self.generics.names.insert((id, index), name);
        }
        Ok(())
    }

    fn used_by(
        &self,
        id: u64,
        kind: Kind,
        uses: &HashMap<u64, BTreeSet<Parameter>>,
        found: &mut BTreeSet<Parameter>,
    ) -> Result<(), Error> {
        let Some(&node) = self.nodes.get(&node_id(id)) else { return Ok(()) };
        match (kind, node.which()?) {
            (Kind::Struct | Kind::Group, node::Struct(body)) => {
                // A union without a name is within its struct's node.
                self.used_by_fields(body, id != node_id(id), uses, found)?;
            }
            (Kind::Interface, node::Interface(body)) => {
                let own = u16::try_from(node.get_parameters()?.len()).unwrap_or(u16::MAX);
                found.extend((0..own).map(|index| (id, index)));
                for parent in body.get_superclasses()? {
                    self.used_by_brand(parent.get_id(), parent.get_brand()?, uses, found)?;
                }
                for method in body.get_methods()? {
                    for (id, brand) in [
                        (method.get_param_struct_type(), method.get_param_brand()?),
                        (method.get_result_struct_type(), method.get_result_brand()?),
                    ] {
                        match self.nodes.get(&id).map(|node| node.which()).transpose()? {
                            Some(node::Struct(body)) if !self.declared.contains_key(&id) => {
                                self.used_by_fields(body, false, uses, found)?;
                            }
                            _ => self.used_by_brand(id, brand, uses, found)?,
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The parameters that the fields of a struct use, those of the groups and unions in it
    /// included.
    fn used_by_fields(
        &self,
        body: node::struct_::Reader<'_>,
        members_only: bool,
        uses: &HashMap<u64, BTreeSet<Parameter>>,
        found: &mut BTreeSet<Parameter>,
    ) -> Result<(), Error> {
        for field in body.get_fields()? {
            if members_only && field.get_discriminant_value() == field::NO_DISCRIMINANT {
                continue;
            }
            if !self.is_value(field)? || find(field.get_annotations()?, id::TYPE).is_some() {
                continue;
            }
            match field.which()? {
                field::Slot(slot) => {
                    self.used_by_type(slot.get_type()?, uses, found)?;
                }
                field::Group(group) => {
                    found.extend(uses.get(&group.get_type_id()).into_iter().flatten());
                }
            }
        }
        Ok(())
    }

    fn used_by_type(
        &self,
        ty: type_::Reader<'_>,
        uses: &HashMap<u64, BTreeSet<Parameter>>,
        found: &mut BTreeSet<Parameter>,
    ) -> Result<(), Error> {
        match ty.which()? {
            type_::List(list) => self.used_by_type(list.get_element_type()?, uses, found),
            type_::Struct(ty) => self.used_by_brand(ty.get_type_id(), ty.get_brand()?, uses, found),
            type_::Interface(ty) => {
                self.used_by_brand(ty.get_type_id(), ty.get_brand()?, uses, found)
            }
            type_::AnyPointer(any) => {
                found.extend(self.parameter(any)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn used_by_brand(
        &self,
        target: u64,
        brand: brand::Reader<'_>,
        uses: &HashMap<u64, BTreeSet<Parameter>>,
        found: &mut BTreeSet<Parameter>,
    ) -> Result<(), Error> {
        for parameter in uses.get(&target).into_iter().flatten() {
            match Bound::of(brand, *parameter)? {
                Bound::Type(ty) => self.used_by_type(ty, uses, found)?,
                Bound::Inherited => {
                    found.insert(*parameter);
                }
                Bound::Open => {}
            }
        }
        Ok(())
    }

    /// The type parameter that a type is, if a declaration has it. A method's own type parameters
    /// have no counterpart in Rust.
    pub(super) fn parameter(
        &self,
        any: type_::any_pointer::Reader<'_>,
    ) -> Result<Option<Parameter>, Error> {
        let type_::any_pointer::Parameter(parameter) = any.which()? else { return Ok(None) };
        let scope = parameter.get_scope_id();
        let declared = self.declared.contains_key(&scope);
        Ok(declared.then(|| (scope, parameter.get_parameter_index())))
    }

    pub(super) fn parameter_name(&self, parameter: Parameter) -> String {
        self.generics.names.get(&parameter).cloned().unwrap_or_else(|| "T".to_owned())
    }

    /// The names of a declaration's parameters.
    pub(super) fn parameters(&self, id: u64) -> Vec<String> {
        let used = self.generics.used.get(&id).into_iter().flatten();
        used.map(|parameter| self.parameter_name(*parameter)).collect()
    }

    /// A declaration's own parameters as arguments, for a use in their scope.
    pub(super) fn own_arguments(&self, id: u64) -> Vec<Type> {
        self.parameters(id).into_iter().map(Type::Parameter).collect()
    }

    /// The arguments that a use of `target` gives for its parameters.
    pub(super) fn arguments(
        &mut self,
        target: u64,
        brand: brand::Reader<'a>,
        place: &Place,
    ) -> Result<Vec<Type>, Error> {
        let used = self.generics.used.get(&target).cloned().unwrap_or_default();
        let mut arguments = Vec::new();
        for parameter in used {
            arguments.push(match Bound::of(brand, parameter)? {
                Bound::Type(ty) => self.argument(ty, place)?,
                Bound::Inherited => Type::Parameter(self.parameter_name(parameter)),
                Bound::Open => Type::AnyPointer,
            });
        }
        Ok(arguments)
    }

    fn argument(&mut self, ty: type_::Reader<'a>, place: &Place) -> Result<Type, Error> {
        // What has no type is reported.
        Ok(self.map_type(ty, &Default::default(), place)?.unwrap_or(Type::AnyPointer))
    }
}

/// Whether the struct's Rust type is an enum, and whether it contains an enum.
pub(super) fn union_of(id: u64, body: node::struct_::Reader<'_>) -> Result<Option<u64>, Error> {
    Ok(match has_union(body)? {
        (true, true) => Some(union_id(id)),
        (true, false) => Some(id),
        (false, _) => None,
    })
}
