//! What a command answers: a value, or an error with one of Bitcoin Core's numbers.

use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::CommandError;
use multiprocess::Error;

use crate::error::WalletError;
use crate::loader::LoadError;
use crate::open::Closed;
use crate::vault::VaultError;

/// What a command answers.
pub(super) type Reply = Result<Value, CommandError>;

/// Numbers of Bitcoin Core's errors that only wallets have, and [`code`] does not.
pub(super) mod wallet_code {
    /// A problem of the wallet without a number of its own.
    pub(in crate::commands) const WALLET_ERROR: i64 = -4;
    /// There is no such label.
    pub(in crate::commands) const INVALID_LABEL_NAME: i64 = -11;
    /// The passphrase is another.
    pub(in crate::commands) const PASSPHRASE_INCORRECT: i64 = -14;
    /// The wallet is encrypted and the command needs that it is not, or the other way round.
    pub(in crate::commands) const WRONG_ENC_STATE: i64 = -15;
    /// The wallet is loaded already.
    pub(in crate::commands) const ALREADY_LOADED: i64 = -35;
    /// There is a wallet of this name already.
    pub(in crate::commands) const ALREADY_EXISTS: i64 = -36;
}

use wallet_code::{
    ALREADY_EXISTS, ALREADY_LOADED, PASSPHRASE_INCORRECT, WALLET_ERROR, WRONG_ENC_STATE,
};

/// An error with a number, which the client gets as it is.
pub(super) fn fail(code: i64, message: impl Into<String>) -> CommandError {
    CommandError::Rpc(NodeError::new(code, message))
}

/// An argument that the command does not take.
pub(super) fn invalid(message: impl Into<String>) -> CommandError {
    fail(code::INVALID_PARAMETER, message)
}

/// The wallet's error as the client gets it.
pub(super) fn refused(error: impl Into<WalletError>) -> CommandError {
    match error.into() {
        WalletError::Vault(error) => of_vault(&error),
        WalletError::Node(error) => of_node(&error),
        WalletError::Fee(problem) => fail(WALLET_ERROR, problem),
        WalletError::Closed => of_closed(Closed),
    }
}

/// The same for one that is to be loaded.
pub(super) fn not_loaded(error: &LoadError) -> CommandError {
    let text = error.to_string();
    match error {
        LoadError::Wallet(WalletError::Vault(error)) => of_vault(error),
        LoadError::Wallet(_) | LoadError::Stopped => fail(WALLET_ERROR, text),
        LoadError::Loaded(_) => fail(ALREADY_LOADED, text),
        LoadError::NotLoaded => fail(code::WALLET_NOT_FOUND, text),
    }
}

/// The node does not answer the wallet.
pub(super) fn of_node(error: &Error) -> CommandError {
    CommandError::Failed(format!("the node does not answer its wallet: {error}"))
}

fn of_closed(closed: Closed) -> CommandError {
    let Closed = closed;
    fail(code::WALLET_NOT_FOUND, "Requested wallet does not exist or is not loaded")
}

fn of_vault(error: &VaultError) -> CommandError {
    let number = match error {
        VaultError::NotFound(_) => code::WALLET_NOT_FOUND,
        VaultError::Exists(_) => ALREADY_EXISTS,
        VaultError::BadName(_) | VaultError::EmptyPassphrase => code::INVALID_PARAMETER,
        VaultError::Locked => {
            return fail(
                code::WALLET_UNLOCK_NEEDED,
                "Error: Please enter the wallet passphrase with walletpassphrase first.",
            );
        }
        VaultError::WrongPassphrase => {
            return fail(
                PASSPHRASE_INCORRECT,
                "Error: The wallet passphrase entered was incorrect.",
            );
        }
        VaultError::AlreadyEncrypted | VaultError::NotEncrypted => WRONG_ENC_STATE,
        VaultError::NotEnough { .. } | VaultError::Dust { .. } => code::WALLET_INSUFFICIENT_FUNDS,
        VaultError::UnknownTransaction => {
            return fail(code::INVALID_ADDRESS_OR_KEY, "Invalid or non-wallet transaction id");
        }
        VaultError::NotAbandonable(_) | VaultError::NoKey => code::INVALID_ADDRESS_OR_KEY,
        _ => WALLET_ERROR,
    };
    fail(number, error.to_string())
}
