//! Scripts in a form that is short for six kinds of them: a number says which kind, and what follows is the
//! hash or the key. Any other script has its length and six more in front.

use bitcoin_ipc::bitcoin::opcodes::all::OP_RETURN;
use bitcoin_ipc::bitcoin::secp256k1::PublicKey;
use bitcoin_ipc::bitcoin::{PubkeyHash, Script, ScriptBuf, ScriptHash, hashes::Hash};

use crate::format::{FormatError, read_varint, take, write_varint};

/// The number of kinds.
const KINDS: u64 = 6;
/// The longest script that can be executed. Bitcoin Core reads a longer one as a script that cannot be spent.
const MAX_LENGTH: u64 = 10_000;

const PUSH_33: u8 = 33;
const PUSH_65: u8 = 65;
const CHECKSIG: u8 = 0xac;

/// Writes a script.
pub(super) fn write(bytes: &mut Vec<u8>, script: &Script) {
    match (script.as_bytes(), uncompressed_key(script)) {
        (all, _) if script.is_p2pkh() => special(bytes, 0, &all[3..23]),
        (all, _) if script.is_p2sh() => special(bytes, 1, &all[2..22]),
        // A key in its short form, which is not looked at.
        ([PUSH_33, kind @ (2 | 3), key @ .., CHECKSIG], _) if key.len() == 32 => {
            special(bytes, *kind, key);
        }
        // A key in its long form, which can be made from the short one if it is a valid key.
        (_, Some(key)) => {
            let short = key.serialize();
            special(bytes, short[0] + 2, &short[1..]);
        }
        (all, None) => {
            write_varint(bytes, all.len() as u64 + KINDS);
            bytes.extend(all);
        }
    }
}

fn special(bytes: &mut Vec<u8>, kind: u8, content: &[u8]) {
    bytes.push(kind);
    bytes.extend(content);
}

/// The key of a script that pays to a valid key in its long form.
fn uncompressed_key(script: &Script) -> Option<PublicKey> {
    match script.as_bytes() {
        [PUSH_65, key @ .., CHECKSIG] if key.len() == 65 && key[0] == 4 => {
            PublicKey::from_slice(key).ok()
        }
        _ => None,
    }
}

/// Reads a script.
pub(super) fn read(bytes: &mut &[u8]) -> Result<ScriptBuf, FormatError> {
    let invalid = || FormatError::new("its public key is not valid");
    let to_key = |key: &[u8]| [&[key.len() as u8][..], key, &[CHECKSIG]].concat().into();
    let kind = read_varint(bytes)?;
    Ok(match kind {
        0 => {
            ScriptBuf::new_p2pkh(&PubkeyHash::from_slice(take(bytes, 20)?).map_err(|_| invalid())?)
        }
        1 => ScriptBuf::new_p2sh(&ScriptHash::from_slice(take(bytes, 20)?).map_err(|_| invalid())?),
        2 | 3 => to_key(&[&[kind as u8][..], take(bytes, 32)?].concat()),
        4 | 5 => {
            let short = [&[kind as u8 - 2][..], take(bytes, 32)?].concat();
            let key = PublicKey::from_slice(&short).map_err(|_| invalid())?;
            to_key(&key.serialize_uncompressed())
        }
        _ => {
            let length = kind - KINDS;
            // What is longer than memory is longer than the bytes, too.
            let script = take(bytes, usize::try_from(length).unwrap_or(usize::MAX))?;
            if length > MAX_LENGTH {
                ScriptBuf::from_bytes(vec![OP_RETURN.to_u8()])
            } else {
                ScriptBuf::from_bytes(script.to_vec())
            }
        }
    })
}
