//! Maps whose entries are pairs of the shared schema.

use std::collections::BTreeMap;

use bitcoin_ipc::common::{Pair, PairUInt64};
use multiprocess::{Codec, CodecError};

/// For a map that travels as a list of pairs. The same key twice is an error.
#[derive(Debug, Clone, Copy)]
pub struct Map;

impl Codec<BTreeMap<String, String>> for Map {
    type Wire = Vec<Pair<String, String>>;

    fn decode(wire: Self::Wire) -> Result<BTreeMap<String, String>, CodecError> {
        collect(wire.into_iter().map(|pair| (pair.key, pair.value)))
    }

    fn encode(value: &BTreeMap<String, String>) -> Result<Self::Wire, CodecError> {
        Ok(value.iter().map(|(key, value)| Pair::new(key.clone(), value.clone())).collect())
    }
}

impl Codec<BTreeMap<String, u64>> for Map {
    type Wire = Vec<PairUInt64<String>>;

    fn decode(wire: Self::Wire) -> Result<BTreeMap<String, u64>, CodecError> {
        collect(wire.into_iter().map(|pair| (pair.key, pair.value)))
    }

    fn encode(value: &BTreeMap<String, u64>) -> Result<Self::Wire, CodecError> {
        Ok(value.iter().map(|(key, value)| PairUInt64::new(key.clone()).value(*value)).collect())
    }
}

fn collect<T>(
    entries: impl Iterator<Item = (String, T)>,
) -> Result<BTreeMap<String, T>, CodecError> {
    let mut map = BTreeMap::new();
    for (key, value) in entries {
        if map.contains_key(&key) {
            return Err(format!("the key {key:?} is there twice").into());
        }
        map.insert(key, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Texts = BTreeMap<String, String>;
    type Numbers = BTreeMap<String, u64>;

    #[test]
    fn entries_travel_as_pairs_and_no_key_twice() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let texts: Texts = [(a.clone(), "1".to_owned()), (b.clone(), String::new())].into();
        let wire = Map::encode(&texts).unwrap();
        assert_eq!(wire, [Pair::new(a.clone(), "1".to_owned()), Pair::new(b, String::new())]);
        let decode = <Map as Codec<Texts>>::decode;
        assert_eq!(decode(wire.clone()).unwrap(), texts);
        let error = decode([wire.clone(), wire].concat()).unwrap_err();
        assert_eq!(error.to_string(), "the key \"a\" is there twice");

        let numbers: Numbers = [(a.clone(), u64::MAX)].into();
        let wire = Map::encode(&numbers).unwrap();
        assert_eq!(wire, [PairUInt64::new(a).value(u64::MAX)]);
        let decode = <Map as Codec<Numbers>>::decode;
        assert_eq!(decode(wire.clone()).unwrap(), numbers);
        assert!(decode([wire.clone(), wire].concat()).is_err());
    }
}
