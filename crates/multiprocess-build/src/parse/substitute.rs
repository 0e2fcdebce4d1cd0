//! Substitutes types for type parameters, and limits how large the results may get.
//!
//! Where a declaration gives another its own parameter twice, as in `L2(T) extends(L1(Pair(T, T)))`,
//! the argument doubles with every level, and with it the Rust type, which has to be written out. So
//! the size is counted before the type is made, and types that would be larger than anyone would
//! read are refused.

use std::collections::HashMap;

use crate::model::{Object, Type};

/// How many types a type may consist of, itself included.
pub(super) const MOST_TYPES: usize = 1000;

/// Parameters and what they stand for.
pub(super) fn bindings(names: &[String], arguments: &[Type]) -> HashMap<String, Type> {
    names.iter().cloned().zip(arguments.iter().cloned()).collect()
}

/// The type with other types in place of parameters.
pub(super) fn substitute(ty: &Type, arguments: &HashMap<String, Type>) -> Type {
    let inner = |ty: &Type| substitute(ty, arguments);
    let all = |types: &[Type]| types.iter().map(inner).collect::<Vec<_>>();
    match ty {
        Type::Parameter(name) => arguments.get(name).unwrap_or(ty).clone(),
        Type::Struct(named, types) => Type::Struct(named.clone(), all(types)),
        Type::Group(named, types) => Type::Group(named.clone(), all(types)),
        Type::Interface(object) => {
            Type::Interface(Object { arguments: all(&object.arguments), ..object.clone() })
        }
        Type::List(item) => Type::List(Box::new(inner(item))),
        Type::Set(order, item) => Type::Set(*order, Box::new(inner(item))),
        Type::Map(order, entry) => {
            let (entry, key, value) = &**entry;
            Type::Map(*order, Box::new((inner(entry), inner(key), inner(value))))
        }
        Type::As { rust, codec, wire } => {
            let (rust, codec) = (rust.clone(), codec.clone());
            Type::As { rust, codec, wire: Box::new(inner(wire)) }
        }
        plain => plain.clone(),
    }
}

/// The same of several types; nothing where one would become too large.
pub(super) fn substitute_all<'t>(
    types: impl IntoIterator<Item = &'t Type>,
    arguments: &HashMap<String, Type>,
) -> Option<Vec<Type>> {
    let one = |ty: &Type| {
        let small = spend(ty, arguments, &mut { MOST_TYPES });
        small.then(|| substitute(ty, arguments))
    };
    types.into_iter().map(one).collect()
}

/// Subtracts from `left` the number of types that a type consists of after substitution. False if
/// there are more.
pub(super) fn spend(ty: &Type, arguments: &HashMap<String, Type>, left: &mut usize) -> bool {
    if let Type::Parameter(name) = ty
        && let Some(ty) = arguments.get(name)
    {
        return spend(ty, &HashMap::new(), left);
    }
    let Some(less) = left.checked_sub(1) else { return false };
    *left = less;
    let mut all = |types: &[Type]| types.iter().all(|ty| spend(ty, arguments, left));
    match ty {
        Type::Struct(_, types) | Type::Group(_, types) => all(types),
        Type::Interface(object) => all(&object.arguments),
        Type::List(inner) | Type::Set(_, inner) => spend(inner, arguments, left),
        Type::As { wire, .. } => spend(wire, arguments, left),
        Type::Map(_, entry) => {
            let (entry, key, value) = &**entry;
            [entry, key, value].into_iter().all(|ty| spend(ty, arguments, left))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_doubles_is_refused_before_it_is_made() {
        let twice = |ty: &str| {
            Type::Map(
                crate::model::Order::Ordered,
                Box::new((
                    Type::Void,
                    Type::Parameter(ty.to_owned()),
                    Type::Parameter(ty.to_owned()),
                )),
            )
        };
        let mut made = vec![Type::Text];
        let mut levels = 0;
        while let Some(next) = substitute_all(&[twice("T")], &bindings(&["T".to_owned()], &made)) {
            (made, levels) = (next, levels + 1);
        }
        // A level has two of the last, itself and the entry: 3 * 2^n - 2.
        assert_eq!(levels, 8);
        let mut left = MOST_TYPES;
        assert!(spend(&made[0], &HashMap::new(), &mut left));
        assert_eq!(MOST_TYPES - left, 3 * 256 - 2);
    }
}
