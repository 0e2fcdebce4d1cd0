//! The enums of Bitcoin Core's that travel as numbers, and the flags of wallets. A number without a name here is
//! kept as it is.
//!
//! ```
//! use bitcoin_ipc_draft::values::RemovalReason;
//!
//! assert_eq!(RemovalReason::from(4), RemovalReason::Conflict);
//! assert_eq!(i32::from(RemovalReason::from(77)), 77);
//! ```

macro_rules! values {
    ($(
        $(#[$docs:meta])*
        $name:ident: $number:ty { $($(#[$variant_docs:meta])* $variant:ident = $value:literal,)* }
    )*) => { $(
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_docs])* $variant,)*
            /// A number without a name.
            Unknown($number),
        }

        impl From<$number> for $name {
            fn from(number: $number) -> $name {
                match number {
                    $($value => $name::$variant,)*
                    other => $name::Unknown(other),
                }
            }
        }

        impl From<$name> for $number {
            fn from(value: $name) -> $number {
                match value {
                    $($name::$variant => $value,)*
                    $name::Unknown(number) => number,
                }
            }
        }

        /// The value with the number 0.
        impl Default for $name {
            fn default() -> $name {
                $name::from(0)
            }
        }
    )* };
}

values! {
    /// Why a transaction left the memory pool.
    RemovalReason: i32 {
        /// It was there too long.
        Expiry = 0,
        /// The pool was too large.
        SizeLimit = 1,
        /// A reorganization of the chain made it invalid.
        Reorg = 2,
        /// It is in a block.
        Block = 3,
        /// It conflicts with one in a block.
        Conflict = 4,
        /// Another one replaced it.
        Replaced = 5,
    }

    /// Whether a transaction can be replaced.
    Replaceability: i32 {
        /// It is not in the memory pool, and does not say so itself.
        Unlisted = 0,
        /// It, or one that it depends on, says that it can be (BIP 125).
        Replaceable = 1,
        /// Nothing says so.
        Final = 2,
    }

    /// What becomes of a transaction that a node is given.
    Broadcast: i32 {
        /// It is put into the memory pool, and all peers are told.
        MempoolAndAll = 0,
        /// It is put into the memory pool only.
        MempoolOnly = 1,
        /// It is sent to some peers over private connections, and not put into the memory pool.
        PrivateOnly = 2,
    }

    /// A type of block filters.
    FilterType: u8 {
        /// That of BIP 158.
        Basic = 0,
        /// None.
        Invalid = 255,
    }

    /// What an address in the address book is for.
    AddressPurpose: i32 {
        /// Somebody pays the wallet.
        Receive = 0,
        /// The wallet pays somebody.
        Send = 1,
        /// A payment comes back.
        Refund = 2,
    }

    /// What happened to an entry or a transaction.
    ChangeType: i32 {
        /// It is new.
        New = 0,
        /// It has changed.
        Updated = 1,
        /// It is gone.
        Deleted = 2,
    }

    /// A type of addresses.
    OutputType: i32 {
        /// The hash of a key (P2PKH).
        Legacy = 0,
        /// The hash of a script that is a witness program (P2SH-P2WPKH).
        P2shSegwit = 1,
        /// The hash of a key in a witness program (P2WPKH).
        Bech32 = 2,
        /// Taproot (P2TR).
        Bech32m = 3,
        /// None of them.
        Other = 4,
    }

    /// What became of a message that was to be signed.
    SigningResult: i32 {
        /// It is signed.
        Ok = 0,
        /// The wallet does not have the key, or it is locked.
        PrivateKeyNotAvailable = 1,
        /// It has the key, and could not sign.
        SigningFailed = 2,
    }

    /// From where a fee rate comes.
    FeeReason: i32 {
        /// Not said.
        None = 0,
        /// An estimate for half the number of blocks.
        HalfEstimate = 1,
        /// An estimate for the number of blocks.
        FullEstimate = 2,
        /// An estimate for twice the number of blocks.
        DoubleEstimate = 3,
        /// A careful estimate over a longer time.
        Conservative = 4,
        /// The least that the memory pool takes.
        MempoolMin = 5,
        /// The wallet's rate for when there is no estimate.
        Fallback = 6,
        /// The least that the wallet or the node allow.
        Required = 7,
    }

    /// Why a PSBT could not be filled. Newer versions have further numbers, and end with one for success, whose
    /// number differs from version to version.
    PsbtError: i32 {
        /// An input's output is not known.
        MissingInputs = 0,
        /// It asks for signatures of another kind.
        SighashMismatch = 1,
        /// There is no external signer.
        ExternalSignerNotFound = 2,
        /// The external signer could not sign.
        ExternalSignerFailed = 3,
        /// The wallet cannot do that.
        Unsupported = 4,
        /// Something is lacking.
        Incomplete = 5,
    }

    /// What becomes of the file after a setting was changed.
    SettingsAction: i32 {
        /// It is written.
        Write = 0,
        /// It is not written: the value counts until the program ends.
        SkipWrite = 1,
    }
}

/// What kind of wallet `createWallet` makes: bits, to be added up.
pub mod wallet_flags {
    /// Outputs of addresses that were spent from are left alone.
    pub const AVOID_REUSE: u64 = 1;
    /// The keys have noted how they are derived. Wallets set this themselves.
    pub const KEY_ORIGIN_METADATA: u64 = 1 << 1;
    /// The last hardened keys are kept, so that new addresses need no passphrase. Wallets set this themselves.
    pub const LAST_HARDENED_XPUB_CACHED: u64 = 1 << 2;
    /// It only watches.
    pub const DISABLE_PRIVATE_KEYS: u64 = 1 << 32;
    /// It begins without keys and scripts.
    pub const BLANK_WALLET: u64 = 1 << 33;
    /// It is made of descriptors, as all new ones are.
    pub const DESCRIPTORS: u64 = 1 << 34;
    /// Its keys are on an external signer.
    pub const EXTERNAL_SIGNER: u64 = 1 << 35;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_bitcoin_core() {
        use RemovalReason as Reason;
        let reasons = [
            Reason::Expiry,
            Reason::SizeLimit,
            Reason::Reorg,
            Reason::Block,
            Reason::Conflict,
            Reason::Replaced,
        ];
        assert_eq!(reasons.map(i32::from), [0, 1, 2, 3, 4, 5]);
        assert_eq!(FeeReason::from(4), FeeReason::Conservative);
        assert_eq!(i32::from(FeeReason::Required), 7);
        assert_eq!(OutputType::from(3), OutputType::Bech32m);
        assert_eq!(i32::from(PsbtError::Incomplete), 5);
        assert_eq!(i32::from(SigningResult::SigningFailed), 2);
        assert_eq!(u8::from(FilterType::Invalid), 255);
        assert_eq!(Broadcast::default(), Broadcast::MempoolAndAll);
    }

    #[test]
    fn a_number_without_a_name_is_kept() {
        for number in [-1, 8, i32::MIN, i32::MAX] {
            assert_eq!(FeeReason::from(number), FeeReason::Unknown(number));
            assert_eq!(i32::from(FeeReason::from(number)), number);
        }
    }
}
