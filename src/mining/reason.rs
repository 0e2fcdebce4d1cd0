//! Words in which nodes say why they reject a block. A node may say others.

macro_rules! reasons {
    ($($(#[$docs:meta])* $name:ident = $text:literal;)*) => { $(
        $(#[$docs])*
        #[doc = concat!("`", $text, "`")]
        pub const $name: &str = $text;
    )* };
}

reasons! {
    /// The hash does not meet the target:
    HIGH_HASH = "high-hash";
    /// The node has this block already:
    DUPLICATE = "duplicate";
    /// The node has rejected this block before:
    DUPLICATE_INVALID = "duplicate-invalid";
    /// The node has this block already, and has not checked it completely:
    DUPLICATE_INCONCLUSIVE = "duplicate-inconclusive";
    /// The block is stored, and is not on the best chain:
    INCONCLUSIVE = "inconclusive";
    /// The block does not build on the tip:
    INCONCLUSIVE_NOT_BEST_PREVBLK = "inconclusive-not-best-prevblk";
    /// The block before it is not known:
    PREV_BLK_NOT_FOUND = "prev-blk-not-found";
    /// The block before it is invalid:
    BAD_PREVBLK = "bad-prevblk";
    /// The block does not build on the tip any more (BIP 22):
    STALE_PREVBLK = "stale-prevblk";
    /// The template is too old (BIP 22):
    STALE_WORK = "stale-work";
    /// The template is not known (BIP 22):
    UNKNOWN_WORK = "unknown-work";
    /// No further reason (BIP 22):
    REJECTED = "rejected";
    /// The target is not the one that the chain asks for:
    BAD_DIFFBITS = "bad-diffbits";
    /// The time is not after the median of the eleven blocks before:
    TIME_TOO_OLD = "time-too-old";
    /// The time is more than two hours ahead:
    TIME_TOO_NEW = "time-too-new";
    /// The merkle root is not that of the transactions:
    BAD_TXNMRKLROOT = "bad-txnmrklroot";
    /// The same transactions twice in the merkle tree:
    BAD_TXNS_DUPLICATE = "bad-txns-duplicate";
    /// Too large, or without transactions:
    BAD_BLK_LENGTH = "bad-blk-length";
    /// More than 4,000,000 weight units:
    BAD_BLK_WEIGHT = "bad-blk-weight";
    /// More than 80,000 signature operations:
    BAD_BLK_SIGOPS = "bad-blk-sigops";
    /// The first transaction is no coinbase transaction:
    BAD_CB_MISSING = "bad-cb-missing";
    /// More than one coinbase transaction:
    BAD_CB_MULTIPLE = "bad-cb-multiple";
    /// The coinbase transaction does not begin with the height (BIP 34):
    BAD_CB_HEIGHT = "bad-cb-height";
    /// The script of the coinbase transaction has not 2 to 100 bytes:
    BAD_CB_LENGTH = "bad-cb-length";
    /// The coinbase transaction pays more than subsidy and fees:
    BAD_CB_AMOUNT = "bad-cb-amount";
    /// The witness of the coinbase transaction is not one item of 32 bytes:
    BAD_WITNESS_NONCE_SIZE = "bad-witness-nonce-size";
    /// The commitment is not that of the witnesses:
    BAD_WITNESS_MERKLE_MATCH = "bad-witness-merkle-match";
    /// Witnesses without a commitment:
    UNEXPECTED_WITNESS = "unexpected-witness";
    /// A transaction whose lock time is not over:
    BAD_TXNS_NONFINAL = "bad-txns-nonfinal";
    /// A transaction that spends what is not there:
    BAD_TXNS_INPUTS_MISSINGORSPENT = "bad-txns-inputs-missingorspent";
}

/// Those that say that another block was faster.
pub(super) const STALE: [&str; 6] = [
    DUPLICATE,
    DUPLICATE_INCONCLUSIVE,
    INCONCLUSIVE,
    INCONCLUSIVE_NOT_BEST_PREVBLK,
    STALE_PREVBLK,
    STALE_WORK,
];
