//! Why a loaded wallet cannot do something.

use std::fmt;

use multiprocess::Error;

use crate::open::Closed;
use crate::vault::VaultError;

/// Why a loaded wallet cannot do something.
#[derive(Debug)]
pub(crate) enum WalletError {
    /// The vault's own reason.
    Vault(VaultError),
    /// The node did not answer.
    Node(Error),
    /// The fee, in one line.
    Fee(String),
    /// It was unloaded.
    Closed,
}

impl fmt::Display for WalletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalletError::Vault(error) => error.fmt(f),
            WalletError::Node(error) => write!(f, "the node does not answer: {error}"),
            WalletError::Fee(problem) => f.write_str(problem),
            WalletError::Closed => f.write_str("the wallet was unloaded: load it again"),
        }
    }
}

impl From<VaultError> for WalletError {
    fn from(error: VaultError) -> WalletError {
        WalletError::Vault(error)
    }
}

impl From<Closed> for WalletError {
    fn from(_: Closed) -> WalletError {
        WalletError::Closed
    }
}

impl From<Error> for WalletError {
    fn from(error: Error) -> WalletError {
        WalletError::Node(error)
    }
}
