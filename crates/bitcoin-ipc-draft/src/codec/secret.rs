//! Passphrases.

use multiprocess::{Codec, CodecError};
use zeroize::Zeroizing;

use crate::Passphrase;

/// For a [`Passphrase`] that travels as Data.
///
/// The bytes that arrive become the passphrase without a copy, and are wiped with it. What is sent is copied
/// into the message.
#[derive(Debug, Clone, Copy)]
pub struct Secret;

impl Codec<Passphrase> for Secret {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<Passphrase, CodecError> {
        Ok(Passphrase::from(wire))
    }

    fn encode(value: &Passphrase) -> Result<Vec<u8>, CodecError> {
        Ok(value.as_bytes().to_vec())
    }
}

/// The same for one that travels as Text: it has to be UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct SecretText;

impl Codec<Passphrase> for SecretText {
    type Wire = String;

    fn decode(wire: String) -> Result<Passphrase, CodecError> {
        Ok(Passphrase::from(wire))
    }

    fn encode(value: &Passphrase) -> Result<String, CodecError> {
        // The error of `from_utf8` has the bytes.
        match String::from_utf8(value.as_bytes().to_vec()) {
            Ok(text) => Ok(text),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err("this passphrase is not UTF-8, which it has to be here".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrases_are_their_bytes() {
        for bytes in [&b""[..], b"correct horse", b"\xff\x00"] {
            let passphrase = Secret::decode(bytes.to_vec()).unwrap();
            assert_eq!(passphrase.as_bytes(), bytes);
            assert_eq!(Secret::encode(&passphrase).unwrap(), bytes);
        }
    }

    #[test]
    fn passphrases_in_text_are_utf_8() {
        let passphrase = SecretText::decode("gr\u{fc}n".to_owned()).unwrap();
        assert_eq!(passphrase.as_bytes(), b"gr\xc3\xbcn");
        assert_eq!(SecretText::encode(&passphrase).unwrap(), "gr\u{fc}n");
        let other = Passphrase::from(b"secret\xff".to_vec());
        let error = SecretText::encode(&other).unwrap_err().to_string();
        assert!(error.contains("not UTF-8") && !error.contains("secret"), "{error}");
    }
}
