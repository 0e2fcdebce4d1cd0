//! Passphrases.

use std::fmt;

use zeroize::Zeroizing;

/// A passphrase: wiped when it is dropped, and shown by nothing.
///
/// That goes for this value. What it was made of is taken over without a copy; a message that it travels in is
/// overwritten only when its memory is used again.
///
/// ```
/// use bitcoin_ipc_draft::Passphrase;
///
/// let passphrase = Passphrase::from("correct horse".to_owned());
/// assert_eq!(passphrase.as_bytes(), b"correct horse");
/// assert_eq!(format!("{passphrase:?}"), "Passphrase(<redacted>)");
/// ```
#[derive(Clone, Default)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Its bytes: mostly UTF-8. Empty bytes are no passphrase.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Passphrase {
    fn from(bytes: Vec<u8>) -> Passphrase {
        Passphrase(Zeroizing::new(bytes))
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Passphrase {
        Passphrase::from(text.into_bytes())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(<redacted>)")
    }
}
