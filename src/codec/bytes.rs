//! Bytes that are no consensus encoding by themselves: scripts, items of a witness, and the empty bytes
//! that stand for nothing.

use std::marker::PhantomData;

use bitcoin::{ScriptBuf, Witness};
use multiprocess::{Codec, CodecError};

/// For a [`ScriptBuf`]: its bytes, without their number in front.
#[derive(Debug, Clone, Copy)]
pub struct Script;

impl Codec<ScriptBuf> for Script {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<ScriptBuf, CodecError> {
        Ok(ScriptBuf::from_bytes(wire))
    }

    fn encode(value: &ScriptBuf) -> Result<Vec<u8>, CodecError> {
        Ok(value.to_bytes())
    }
}

/// For a [`Witness`] of one item: that item. Empty bytes are a witness without items.
#[derive(Debug, Clone, Copy)]
pub struct WitnessItem;

impl Codec<Witness> for WitnessItem {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Witness, CodecError> {
        Ok(if wire.is_empty() { Witness::new() } else { Witness::from_slice(&[wire]) })
    }

    fn encode(value: &Witness) -> Result<Vec<u8>, CodecError> {
        match (value.len(), value.nth(0)) {
            (0, _) => Ok(Vec::new()),
            (1, Some(item)) if !item.is_empty() => Ok(item.to_vec()),
            (1, _) => Err("a witness whose item is empty would arrive as one without items".into()),
            (items, _) => Err(format!("a witness of {items} items; there is room for one").into()),
        }
    }
}

/// For an Option of what the codec `C` makes of bytes: empty bytes are none.
#[derive(Debug, Clone, Copy)]
pub struct OrEmpty<C>(PhantomData<C>);

impl<T, C: Codec<T, Wire = Vec<u8>>> Codec<Option<T>> for OrEmpty<C> {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Option<T>, CodecError> {
        if wire.is_empty() { Ok(None) } else { C::decode(wire).map(Some) }
    }

    fn encode(value: &Option<T>) -> Result<Vec<u8>, CodecError> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let bytes = C::encode(value)?;
        if bytes.is_empty() {
            return Err("a value without bytes would arrive as none".into());
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Consensus;
    use bitcoin::TxOut;

    #[test]
    fn scripts_are_their_bytes() {
        for bytes in [vec![], vec![0x51], vec![0x6a; 300]] {
            let script = Script::decode(bytes.clone()).unwrap();
            assert_eq!(script.as_bytes(), bytes);
            assert_eq!(Script::encode(&script).unwrap(), bytes);
        }
    }

    #[test]
    fn a_witness_has_one_item_or_none() {
        for (bytes, items) in [(vec![], 0), (vec![0; 32], 1)] {
            let witness = WitnessItem::decode(bytes.clone()).unwrap();
            assert_eq!(witness.len(), items);
            assert_eq!(WitnessItem::encode(&witness).unwrap(), bytes);
        }
        let refused = |items: &[&[u8]]| {
            WitnessItem::encode(&Witness::from_slice(items)).unwrap_err().to_string()
        };
        assert!(refused(&[&[1], &[2]]).contains("2 items"));
        assert!(refused(&[&[]]).contains("is empty"));
    }

    #[test]
    fn empty_bytes_are_none() {
        type Codec32 = OrEmpty<Consensus>;
        let decode = |bytes: &[u8]| <Codec32 as Codec<Option<TxOut>>>::decode(bytes.to_vec());
        let none: Option<TxOut> = decode(&[]).unwrap();
        assert_eq!(none, None);
        assert!(Codec32::encode(&none).unwrap().is_empty());
        let some = Some(TxOut::NULL);
        let bytes = Codec32::encode(&some).unwrap();
        assert_eq!(decode(&bytes).unwrap(), some);
        assert!(decode(&bytes[1..]).is_err(), "what is neither empty nor whole");
    }

    #[test]
    fn some_that_has_no_bytes_is_not_sent_as_none() {
        let error = <OrEmpty<Script> as Codec<_>>::encode(&Some(ScriptBuf::new())).unwrap_err();
        assert!(error.to_string().contains("as none"), "{error}");
    }
}
