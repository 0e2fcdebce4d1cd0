//! Why a wallet cannot do something.

use bitcoin::{Amount, Network};

/// Why a wallet cannot do something: one line each, that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum VaultError {
    /// A name that cannot be a wallet's.
    BadName(String),
    /// There is one of that name.
    Exists(String),
    /// There is none of that name.
    NotFound(String),
    /// Somebody else has it open.
    InUse(String),
    /// The file is damaged, or none of a wallet.
    Damaged(String),
    /// It is of a newer version.
    Newer(String),
    /// It is of another network.
    OtherNetwork { wallet: Network, node: Network },
    /// Flags or a kind of address that are not supported.
    Unsupported(String),
    /// It is encrypted and locked.
    Locked,
    /// The passphrase is another.
    WrongPassphrase,
    /// A passphrase is needed.
    EmptyPassphrase,
    /// It is encrypted already.
    AlreadyEncrypted,
    /// It is not encrypted.
    NotEncrypted,
    /// The coins are not enough.
    NotEnough { needed: Amount, available: Amount },
    /// An amount so small that nobody would relay it.
    Dust(String),
    /// What was asked for a transaction does not fit.
    BadRequest(String),
    /// No fee rate was given.
    NoFeeRate,
    /// The transaction is not the wallet's.
    UnknownTransaction,
    /// It cannot be given up.
    NotAbandonable(&'static str),
    /// It cannot be replaced.
    NotBumpable(String),
    /// The wallet does not have the key.
    NoKey,
    /// A block that does not follow the tip.
    NotNext { height: u32, tip: u32 },
    /// The database cannot be read or written.
    Storage(String),
}
