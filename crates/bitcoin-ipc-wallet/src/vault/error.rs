//! Why a wallet cannot do something.

use std::{fmt, io};

use bitcoin::{Amount, FeeRate, Network, OutPoint, Txid};
use rusqlite::ErrorCode;

/// Why a wallet cannot do something. Each is one line that says what to do, and none has a key or a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultError {
    /// A name that no wallet can have.
    BadName(String),
    /// There is a wallet of that name.
    Exists(String),
    /// There is no wallet of that name.
    NotFound(String),
    /// Another process, or this one, has it open.
    InUse(String),
    /// The file is damaged, or not a wallet's. What is wrong with it.
    Damaged(String),
    /// A newer version of this program wrote the file.
    #[non_exhaustive]
    Newer {
        /// The version of the file's format.
        file: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// The wallet is of another network.
    #[non_exhaustive]
    OtherNetwork {
        /// The wallet's.
        wallet: Network,
        /// The node's.
        node: Network,
    },
    /// A kind of wallet or of address that there is not.
    Unsupported(&'static str),
    /// The keys are encrypted, and the passphrase is not known now.
    Locked,
    /// The passphrase is another.
    WrongPassphrase,
    /// The passphrase is empty.
    EmptyPassphrase,
    /// It is encrypted already.
    AlreadyEncrypted,
    /// It is encrypted now, and its files still have the keys as they were before. Why.
    NotScrubbed(String),
    /// It is not encrypted.
    NotEncrypted,
    /// The coins are not enough.
    #[non_exhaustive]
    NotEnough {
        /// What is needed, with the fee.
        needed: Amount,
        /// What there is.
        available: Amount,
    },
    /// An amount so small that no node relays it.
    #[non_exhaustive]
    Dust {
        /// The amount.
        amount: Amount,
        /// The least for that address.
        least: Amount,
    },
    /// What is asked of a transaction cannot be done.
    BadRequest(String),
    /// The coin control has no fee rate.
    NoFeeRate,
    /// An address that is none.
    BadAddress,
    /// An address of another network.
    OtherNetworkAddress(Network),
    /// An output that the wallet does not have, that is spent, or whose transaction is not valid any more.
    UnknownCoin(OutPoint),
    /// A transaction that the wallet does not have.
    UnknownTransaction,
    /// A transaction that has nothing to do with the wallet.
    NotInvolved,
    /// The transaction cannot be given up.
    NotAbandonable(&'static str),
    /// The transaction cannot be replaced.
    NotBumpable(&'static str),
    /// The fee of the replacement is too low.
    #[non_exhaustive]
    BumpTooLow {
        /// The least fee of such a replacement.
        least_fee: Amount,
        /// The least fee rate.
        least_rate: FeeRate,
    },
    /// The wallet does not have the key.
    NoKey,
    /// A PSBT asks for signatures that do not sign everything.
    SighashMismatch,
    /// A transaction that pays more than all bitcoin there are.
    TooMuch(Txid),
    /// A block with such a transaction.
    #[non_exhaustive]
    BadBlock {
        /// The block's height.
        height: u32,
        /// The transaction.
        txid: Txid,
    },
    /// A block that does not follow the wallet's tip.
    #[non_exhaustive]
    NotNext {
        /// The block's height.
        height: u32,
        /// That of the wallet's tip.
        tip: u32,
    },
    /// A file cannot be read or written. What is wrong.
    Storage(String),
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use VaultError::*;
        match self {
            BadName(name) => write!(
                f,
                "{name:?} cannot be the name of a wallet: use a name of at most 200 bytes without /, \\ and control characters that does not begin with wallet."
            ),
            Exists(name) => {
                write!(f, "there is a wallet {name:?} already: load it, or use another name")
            }
            NotFound(name) => {
                write!(f, "there is no wallet {name:?}: create it, or check the name")
            }
            InUse(name) => {
                write!(f, "the wallet {name:?} is open already: unload it there first")
            }
            Damaged(problem) => {
                write!(f, "the wallet's file is damaged ({problem}): restore it from a backup")
            }
            Newer { file, known } => write!(
                f,
                "the wallet's file has format {file}, and this program knows {known} at most: use the newer program"
            ),
            OtherNetwork { wallet, node } => {
                write!(f, "this is a wallet for {wallet}, and the node is on {node}: load it there")
            }
            Unsupported(what) => f.write_str(what),
            Locked => f.write_str("the wallet is locked: unlock it with its passphrase first"),
            WrongPassphrase => {
                f.write_str("this is not the wallet's passphrase: enter the right one")
            }
            EmptyPassphrase => f.write_str("the passphrase is empty: enter one"),
            AlreadyEncrypted => f
                .write_str("the wallet is encrypted already: change its passphrase, if that is what you want"),
            NotScrubbed(problem) => write!(
                f,
                "the wallet is encrypted, and its file still has the unencrypted keys ({problem}): end the programs that read the file, and load the wallet again"
            ),
            NotEncrypted => {
                f.write_str("the wallet is not encrypted and has no passphrase: encrypt it first")
            }
            NotEnough { needed, available } => write!(
                f,
                "not enough coins: {needed} are needed with the fee, and {available} can be spent: send less, or wait for confirmations"
            ),
            Dust { amount, least } => write!(
                f,
                "an output of {amount} is dust that no node relays: send at least {least} there"
            ),
            BadRequest(problem) => f.write_str(problem),
            NoFeeRate => f.write_str("no fee rate is given: give one"),
            BadAddress => f.write_str("this is not an address: check it for typing errors"),
            OtherNetworkAddress(network) => write!(
                f,
                "this address is of another network than {network}: ask for one of {network}"
            ),
            UnknownCoin(outpoint) => write!(
                f,
                "the output {outpoint} is not the wallet's, is spent, or is of a transaction that is not valid any more: select another"
            ),
            UnknownTransaction => {
                f.write_str("the wallet does not have this transaction: check its id")
            }
            NotInvolved => f.write_str("this transaction neither pays the wallet nor spends from it"),
            NotAbandonable(why) => write!(f, "this transaction cannot be abandoned: {why}"),
            NotBumpable(why) => write!(f, "the fee of this transaction cannot be bumped: {why}"),
            BumpTooLow { least_fee, least_rate } => write!(
                f,
                "a replacement must pay at least {least_fee}: give a fee rate of at least {} sat/vB",
                least_rate.to_sat_per_vb_ceil()
            ),
            NoKey => f.write_str("the wallet does not have the key of this address: use one of its own"),
            SighashMismatch => f.write_str(
                "the PSBT asks for signatures that do not sign everything: make it with sighash ALL",
            ),
            TooMuch(txid) => write!(
                f,
                "the transaction {txid} pays more than all bitcoin there are: check its amounts, and use a node that you trust"
            ),
            BadBlock { height, txid } => write!(
                f,
                "the block at height {height} cannot be valid, because its transaction {txid} pays more than all bitcoin there are: use a node that you trust"
            ),
            NotNext { height, tip } => write!(
                f,
                "the block at height {height} does not follow the wallet's last block, at {tip}: look for the fork first"
            ),
            Storage(problem) => write!(
                f,
                "the wallet's file cannot be read or written ({problem}): check the disk's free space and the permissions"
            ),
        }
    }
}

impl std::error::Error for VaultError {}

/// What SQLite says of the file, without what a query had.
impl From<rusqlite::Error> for VaultError {
    fn from(error: rusqlite::Error) -> VaultError {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                VaultError::Damaged(error.to_string())
            }
            Some(_) => VaultError::Storage(error.to_string()),
            // A value of another type or form than this program writes.
            None => VaultError::Damaged(format!("unexpected content: {error}")),
        }
    }
}

impl From<io::Error> for VaultError {
    fn from(error: io::Error) -> VaultError {
        VaultError::Storage(error.to_string())
    }
}
