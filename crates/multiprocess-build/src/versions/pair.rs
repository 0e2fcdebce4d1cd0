//! Which parameter or result of an older form of a method is which of the newest.
//!
//! A name says nothing here: one that changed is still the same field on the wire, and one that stayed may
//! be another. Parameters are paired by their order and their types on the wire, and where these allow
//! more than one way, or the names speak against it, the schema's author has to say.

use super::wire::{same_type, wire};
use crate::model::{Field, Message, Method, Presence};

/// How the fields of two lists pair.
#[derive(Debug, PartialEq)]
pub(super) enum Pairing {
    /// For each field of the newest form, the index of the older one, if there is one.
    Fields(Vec<Option<usize>>),
    /// The types differ: this is another method.
    Another,
    /// They could pair in more than one way.
    Ambiguous(String),
}

/// The parameters and the results of a method in an older version, as they pair with the newest.
pub(super) struct Paired {
    pub params: Vec<Option<usize>>,
    pub results: Vec<Option<usize>>,
}

impl Paired {
    /// Each field with itself.
    pub(super) fn same(method: &Method) -> Paired {
        let all = |message: &Message| (0..message.fields.len()).map(Some).collect();
        Paired { params: all(&method.params), results: all(&method.results) }
    }
}

/// Pairs a method with its older form. `Ok(None)`: that is another method.
pub(super) fn methods(now: &Method, then: &Method) -> Result<Option<Paired>, String> {
    let message = |now: &Message, then: &Message| match fields(&now.fields, &then.fields) {
        Pairing::Fields(pairs) => Ok(Some(pairs)),
        Pairing::Another => Ok(None),
        Pairing::Ambiguous(why) => Err(why),
    };
    // What is another method anyway is not ambiguous.
    let params = message(&now.params, &then.params);
    let results = message(&now.results, &then.results);
    match (params, results) {
        (Ok(None), _) | (_, Ok(None)) => Ok(None),
        (Err(why), _) | (_, Err(why)) => Err(why),
        (Ok(Some(params)), Ok(Some(results))) => Ok(Some(Paired { params, results })),
    }
}

fn fields(now: &[Field], then: &[Field]) -> Pairing {
    // As Cap'n Proto does it: new ones come behind the old ones.
    let behind = now.iter().zip(then).all(|(now, then)| alike(now, then));
    let pairs = if behind {
        (0..now.len()).map(|index| (index < then.len()).then_some(index)).collect()
    } else {
        // They were put in between. Only the types say where.
        match ways(now, then).as_slice() {
            [] => return Pairing::Another,
            [pairs] => pairs.clone(),
            _ => {
                let what = "the types of its parameters or results allow more than one pairing";
                return Pairing::Ambiguous(what.to_owned());
            }
        }
    };
    match contradiction(now, then, &pairs) {
        Some(why) => Pairing::Ambiguous(why),
        None => Pairing::Fields(pairs),
    }
}

/// Whether both have the same type, and both or neither a Bool that says whether they are present.
fn alike(now: &Field, then: &Field) -> bool {
    let flagged = |field: &Field| matches!(field.presence, Presence::Flag(_));
    flagged(now) == flagged(then) && same_type(wire(&now.ty), wire(&then.ty))
}

/// The ways to find the shorter list in the longer one, in its order. Two are enough to know that there is
/// more than one.
fn ways(now: &[Field], then: &[Field]) -> Vec<Vec<Option<usize>>> {
    let mut found = Vec::new();
    if now.len() >= then.len() {
        embed(now.len(), then.len(), &|long, short| alike(&now[long], &then[short]), &mut |at| {
            let mut pairs = vec![None; now.len()];
            at.iter().enumerate().for_each(|(then, now)| pairs[*now] = Some(then));
            found.push(pairs);
            found.len() < 2
        });
    } else {
        embed(then.len(), now.len(), &|long, short| alike(&now[short], &then[long]), &mut |at| {
            found.push(at.iter().copied().map(Some).collect());
            found.len() < 2
        });
    }
    found
}

/// Calls `found` with the places in a list of `long` items at which `short` items lie one after the other,
/// until it returns false.
fn embed(
    long: usize,
    short: usize,
    fits: &dyn Fn(usize, usize) -> bool,
    found: &mut dyn FnMut(&[usize]) -> bool,
) {
    // Whether the items from the second number on lie in the list from the first number on: without it each way
    // that ends nowhere would be gone, of which there are very many.
    let mut leads = vec![vec![false; short + 1]; long + 1];
    for from in (0..=long).rev() {
        leads[from][short] = true;
        for item in 0..short {
            leads[from][item] = from < long
                && (leads[from + 1][item] || (fits(from, item) && leads[from + 1][item + 1]));
        }
    }
    let fits = |place: usize, item: usize| fits(place, item) && leads[place + 1][item + 1];
    fn go(
        (long, short): (usize, usize),
        fits: &dyn Fn(usize, usize) -> bool,
        at: &mut Vec<usize>,
        found: &mut dyn FnMut(&[usize]) -> bool,
    ) -> bool {
        if at.len() == short {
            return found(at);
        }
        let first = at.last().map_or(0, |last| last + 1);
        for place in first..=long - (short - at.len()) {
            if fits(place, at.len()) {
                at.push(place);
                let more = go((long, short), fits, at, found);
                at.pop();
                if !more {
                    return false;
                }
            }
        }
        true
    }
    go((long, short), &fits, &mut Vec::new(), found);
}

/// A name that says otherwise than the pairs: one of a pair's two names is elsewhere in the other list.
fn contradiction(now: &[Field], then: &[Field], pairs: &[Option<usize>]) -> Option<String> {
    let has = |fields: &[Field], name: &str| fields.iter().any(|field| field.schema_name == name);
    now.iter().zip(pairs).find_map(|(field, pair)| {
        let (own, theirs) = (&field.schema_name, &then.get((*pair)?)?.schema_name);
        let elsewhere = match own == theirs {
            true => return None,
            false if has(now, theirs) => format!("{theirs} is elsewhere now"),
            false if has(then, own) => format!("{own} was elsewhere"),
            false => return None,
        };
        Some(format!("{own} lies where {theirs} was, and {elsewhere}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::sample::field;
    use crate::model::{Int, Type};

    fn list(text: &str) -> Vec<Field> {
        let declared = |text: &str| {
            let (name, ty) = text.split_once(':').unwrap();
            let ty = match ty {
                "Text" => Type::Text,
                "Bool" => Type::Bool,
                _ => Type::Int(Int::I64),
            };
            field(name, 0, ty)
        };
        text.split(' ').filter(|text| !text.is_empty()).map(declared).collect()
    }

    fn pair(now: &str, then: &str) -> Pairing {
        fields(&list(now), &list(then))
    }

    #[test]
    fn fields_pair_by_place_and_type_whatever_their_names() {
        let pairs = |pairs: &[Option<usize>]| Pairing::Fields(pairs.to_vec());
        assert_eq!(pair("a:Int b:Text", "a:Int b:Text"), pairs(&[Some(0), Some(1)]));
        assert_eq!(pair("cents:Int to:Text", "amount:Int who:Text"), pairs(&[Some(0), Some(1)]));
        assert_eq!(pair("a:Int b:Text", "a:Int"), pairs(&[Some(0), None]));
        assert_eq!(pair("a:Int b:Int", "a:Int"), pairs(&[Some(0), None]));
        assert_eq!(pair("a:Int", "a:Int b:Int"), pairs(&[Some(0)]));
        assert_eq!(pair("", "a:Int"), pairs(&[]));
        let in_front = pair("reason:Text debug:Text result:Bool", "result:Bool");
        assert_eq!(in_front, pairs(&[None, None, Some(0)]));
        assert_eq!(pair("r:Bool", "t:Text r:Bool"), pairs(&[Some(1)]));
    }

    #[test]
    fn other_types_are_another_method() {
        assert_eq!(pair("a:Int", "a:Text"), Pairing::Another);
        assert_eq!(pair("a:Text b:Int", "b:Int a:Text"), Pairing::Another);
    }

    /// There are more than 10^11 ways to place the Bools, and no place for what follows them.
    #[test]
    fn many_parameters_of_one_type_are_paired_soon() {
        let (many, fewer) = ("a:Bool ".repeat(40), "a:Bool ".repeat(20));
        assert_eq!(pair(&many, &format!("{fewer}t:Text")), Pairing::Another);
        assert!(matches!(pair(&many, &format!("b:Bool {fewer}")), Pairing::Ambiguous(_)));
    }

    #[test]
    fn what_could_pair_in_two_ways_is_ambiguous() {
        let cases = [
            ("b:Int a:Int", "a:Int b:Int"),
            ("fee:Int amount:Int", "amount:Int"),
            ("amount:Int", "fee:Int amount:Int"),
            // By the types, `r` is the first or the second.
            ("x:Text a:Bool b:Bool", "r:Bool"),
            ("a:Int b:Text", "b:Int c:Text"),
        ];
        for (now, then) in cases {
            let paired = pair(now, then);
            assert!(matches!(paired, Pairing::Ambiguous(_)), "{now} / {then}: {paired:?}");
        }
    }
}
