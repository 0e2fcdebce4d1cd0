//! Destinations as scripts and addresses.

use std::fmt;

use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::opcodes::all::OP_PUSHBYTES_0;
use bitcoin_ipc::bitcoin::{
    Address, Network, PubkeyHash, PublicKey, Script, ScriptBuf, ScriptHash, WPubkeyHash,
    WScriptHash, WitnessProgram, WitnessVersion,
};

use crate::wallet::{TxDestination, WitnessUnknown};

/// A destination that is none, or that is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationError {
    /// It is empty: it stands for a script that pays to no address.
    Empty,
    /// Several kinds are set, or the bytes of its kind are not valid.
    Invalid(&'static str),
    /// It pays to a key itself, for which there are no addresses.
    NoAddress,
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DestinationError::Empty => f.write_str("this destination is empty"),
            DestinationError::Invalid(problem) => write!(f, "this is no destination: {problem}"),
            DestinationError::NoAddress => {
                f.write_str("this destination is a key, which has no address: use its script")
            }
        }
    }
}

impl std::error::Error for DestinationError {}

use DestinationError::{Empty, Invalid};

impl TxDestination {
    /// The script that pays to it.
    ///
    /// # Errors
    /// It is empty, or not valid.
    pub fn script(&self) -> Result<ScriptBuf, DestinationError> {
        let simple = [
            (&self.pub_key, key as fn(&[u8]) -> _),
            (&self.pk_hash, |hash| Some(ScriptBuf::new_p2pkh(&PubkeyHash::from_slice(hash).ok()?))),
            (&self.script_hash, |hash| {
                Some(ScriptBuf::new_p2sh(&ScriptHash::from_slice(hash).ok()?))
            }),
            (&self.witness_v0_script_hash, |hash| {
                Some(ScriptBuf::new_p2wsh(&WScriptHash::from_slice(hash).ok()?))
            }),
            (&self.witness_v0_key_hash, |hash| {
                Some(ScriptBuf::new_p2wpkh(&WPubkeyHash::from_slice(hash).ok()?))
            }),
            (&self.witness_v1_taproot, |key| (key.len() == 32).then(|| program(1, key))?),
        ];
        let known = simple.into_iter().filter_map(|(bytes, make)| Some(make(bytes.as_deref()?)));
        let unknown = self.witness_unknown.iter().map(|other| match other.version {
            1.. => program(other.version, &other.program),
            0 => None,
        });
        let mut scripts = known.chain(unknown);
        match (scripts.next(), scripts.next()) {
            (None, _) => Err(Empty),
            (Some(_), Some(_)) => Err(Invalid("it is of several kinds")),
            (Some(script), None) => script.ok_or(Invalid("its bytes are too many or too few")),
        }
    }

    /// Its address.
    ///
    /// # Errors
    /// It is empty or not valid, or has no address.
    ///
    /// ```
    /// use bitcoin_ipc::bitcoin::{Address, Network};
    /// use bitcoin_ipc_draft::wallet::TxDestination;
    ///
    /// let address: Address<_> = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".parse().unwrap();
    /// let address = address.require_network(Network::Regtest).unwrap();
    /// let destination = TxDestination::from(&address);
    /// assert_eq!(destination.witness_v0_key_hash.as_ref().unwrap().len(), 20);
    /// assert_eq!(destination.address(Network::Regtest).unwrap(), address);
    /// ```
    pub fn address(&self, network: Network) -> Result<Address, DestinationError> {
        let script = self.script()?;
        Address::from_script(&script, network).map_err(|_| DestinationError::NoAddress)
    }
}

/// A script that pays to a key.
fn key(key: &[u8]) -> Option<ScriptBuf> {
    Some(ScriptBuf::new_p2pk(&PublicKey::from_slice(key).ok()?))
}

fn program(version: u32, program: &[u8]) -> Option<ScriptBuf> {
    let version = WitnessVersion::try_from(u8::try_from(version).ok()?).ok()?;
    Some(ScriptBuf::new_witness_program(&WitnessProgram::new(version, program).ok()?))
}

/// Whom a script pays. Empty for a script that is none of the kinds.
impl From<&Script> for TxDestination {
    fn from(script: &Script) -> TxDestination {
        let bytes = script.as_bytes();
        let mut made = TxDestination::default();
        if let Some(key) = script.p2pk_public_key() {
            made.pub_key = Some(key.to_bytes());
        } else if script.is_p2pkh() {
            made.pk_hash = Some(bytes[3..23].to_vec());
        } else if script.is_p2sh() {
            made.script_hash = Some(bytes[2..22].to_vec());
        } else if script.is_p2wsh() {
            made.witness_v0_script_hash = Some(bytes[2..].to_vec());
        } else if script.is_p2wpkh() {
            made.witness_v0_key_hash = Some(bytes[2..].to_vec());
        } else if script.is_p2tr() {
            made.witness_v1_taproot = Some(bytes[2..].to_vec());
        } else if script.is_witness_program() && bytes[0] != OP_PUSHBYTES_0.to_u8() {
            // OP_1 to OP_16.
            let version = u32::from(bytes[0]) - 0x50;
            let program = bytes[2..].to_vec();
            made.witness_unknown =
                Some(WitnessUnknown::default().version(version).program(program));
        }
        made
    }
}

impl From<&ScriptBuf> for TxDestination {
    fn from(script: &ScriptBuf) -> TxDestination {
        TxDestination::from(script.as_script())
    }
}

impl From<&Address> for TxDestination {
    fn from(address: &Address) -> TxDestination {
        TxDestination::from(&address.script_pubkey())
    }
}

impl TryFrom<&TxDestination> for ScriptBuf {
    type Error = DestinationError;

    fn try_from(destination: &TxDestination) -> Result<ScriptBuf, DestinationError> {
        destination.script()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin_ipc::bitcoin::hex::FromHex;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    fn script(hex: &str) -> ScriptBuf {
        ScriptBuf::from_bytes(Vec::from_hex(hex).unwrap())
    }

    #[test]
    fn every_kind_of_script_has_its_field() {
        let (short, long) = ("11".repeat(20), "22".repeat(32));
        type Field = fn(&TxDestination) -> Option<&Vec<u8>>;
        let cases: [(String, Field); 6] = [
            (format!("21{KEY}ac"), |made| made.pub_key.as_ref()),
            (format!("76a914{short}88ac"), |made| made.pk_hash.as_ref()),
            (format!("a914{short}87"), |made| made.script_hash.as_ref()),
            (format!("0020{long}"), |made| made.witness_v0_script_hash.as_ref()),
            (format!("0014{short}"), |made| made.witness_v0_key_hash.as_ref()),
            (format!("5120{long}"), |made| made.witness_v1_taproot.as_ref()),
        ];
        for (hex, field) in cases {
            let made = TxDestination::from(&script(&hex));
            let content = field(&made).unwrap();
            let told = content.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            assert!(hex.contains(&told), "{hex} has {told}");
            assert_eq!(made.script().unwrap(), script(&hex));
        }
        for (hex, version) in [(format!("6020{long}"), 16), ("51024e73".to_owned(), 1)] {
            let made = TxDestination::from(&script(&hex));
            assert_eq!(made.witness_unknown.as_ref().unwrap().version, version);
            assert_eq!(ScriptBuf::try_from(&made).unwrap(), script(&hex));
        }
    }

    #[test]
    fn other_scripts_are_no_destination() {
        for hex in ["", "51", "6a", "00021111", "5121"] {
            let made = TxDestination::from(&script(hex));
            assert_eq!(made, TxDestination::default(), "{hex}");
            assert_eq!(made.script(), Err(Empty));
        }
    }

    #[test]
    fn what_is_not_valid_is_refused() {
        let none = TxDestination::default();
        let two = none.clone().pk_hash(vec![1; 20]).script_hash(vec![1; 20]);
        assert_eq!(two.script(), Err(Invalid("it is of several kinds")));
        let unknown = |version, length| {
            let program = WitnessUnknown::default().version(version).program(vec![1; length]);
            none.clone().witness_unknown(program)
        };
        for wrong in [
            none.clone().pub_key(vec![2; 32]),
            none.clone().pk_hash(vec![1; 19]),
            none.clone().script_hash(vec![1; 32]),
            none.clone().witness_v0_script_hash(vec![1; 20]),
            none.clone().witness_v0_key_hash(vec![]),
            none.clone().witness_v1_taproot(vec![1; 33]),
            unknown(0, 20),
            unknown(17, 20),
            unknown(257, 20),
            unknown(2, 1),
            unknown(2, 41),
        ] {
            let error = wrong.script().unwrap_err();
            assert!(matches!(error, Invalid(_)), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn a_key_has_a_script_and_no_address() {
        let made = TxDestination::from(&script(&format!("21{KEY}ac")));
        assert_eq!(made.address(Network::Regtest), Err(DestinationError::NoAddress));
    }
}
