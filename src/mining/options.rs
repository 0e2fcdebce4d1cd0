//! Setters of the options, which begin with the schema's defaults.

use std::time::Duration;

use bitcoin::Amount;

use super::{BlockCheckOptions, BlockCreateOptions, BlockWaitOptions};

/// ```
/// use bitcoin_ipc::mining::BlockCreateOptions;
///
/// let options = BlockCreateOptions::default().use_mempool(false).block_reserved_weight(4_000);
/// assert_eq!(options.coinbase_output_max_additional_sigops, 400);
/// ```
impl BlockCreateOptions {
    /// Whether to include transactions from the node's memory pool; true unless set.
    pub fn use_mempool(mut self, use_mempool: bool) -> BlockCreateOptions {
        self.use_mempool = use_mempool;
        self
    }

    /// Weight units to leave free for the header, the number of transactions and the coinbase
    /// transaction; 8,000 unless set. Bitcoin Core takes 2,000 to 4,000,000. Core 32 refuses other values,
    /// older versions take the nearest that is in the range.
    pub fn block_reserved_weight(mut self, weight_units: u64) -> BlockCreateOptions {
        self.block_reserved_weight = weight_units;
        self
    }

    /// Signature operations (as BIP 141 counts them) to leave free for the outputs of the coinbase
    /// transaction; 400 unless set. Bitcoin Core takes 0 to 80,000. Core 32 refuses other values, older
    /// versions take the nearest that is in the range.
    pub fn coinbase_output_max_additional_sigops(mut self, sigops: u64) -> BlockCreateOptions {
        self.coinbase_output_max_additional_sigops = sigops;
        self
    }
}

/// ```
/// use bitcoin_ipc::bitcoin::Amount;
/// use bitcoin_ipc::codec::FOREVER;
/// use bitcoin_ipc::mining::BlockWaitOptions;
///
/// let options = BlockWaitOptions::default().fee_threshold(Amount::from_sat(10_000));
/// assert_eq!(options.timeout, FOREVER);
/// ```
impl BlockWaitOptions {
    /// How long to wait at most; [`FOREVER`](crate::codec::FOREVER) unless set. Without time the node looks
    /// once.
    pub fn timeout(mut self, timeout: Duration) -> BlockWaitOptions {
        self.timeout = timeout;
        self
    }

    /// How much more in fees a template on the same tip must bring; `Amount::MAX_MONEY` unless set, with
    /// which only another tip makes a new template, and the node need not look at fees at all.
    pub fn fee_threshold(mut self, fee_threshold: Amount) -> BlockWaitOptions {
        self.fee_threshold = fee_threshold;
        self
    }
}

/// ```
/// use bitcoin_ipc::mining::BlockCheckOptions;
///
/// // A block that is not solved yet.
/// let options = BlockCheckOptions::default().check_pow(false);
/// assert!(options.check_merkle_root);
/// ```
impl BlockCheckOptions {
    /// Whether the header's merkle root must be that of the transactions; true unless set.
    pub fn check_merkle_root(mut self, check_merkle_root: bool) -> BlockCheckOptions {
        self.check_merkle_root = check_merkle_root;
        self
    }

    /// Whether the header's hash must meet its target; true unless set.
    pub fn check_pow(mut self, check_pow: bool) -> BlockCheckOptions {
        self.check_pow = check_pow;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::FOREVER;

    #[test]
    fn options_begin_with_the_schemas_defaults() {
        let create = BlockCreateOptions {
            use_mempool: true,
            block_reserved_weight: 8_000,
            coinbase_output_max_additional_sigops: 400,
        };
        assert_eq!(BlockCreateOptions::default(), create);
        let wait = BlockWaitOptions { timeout: FOREVER, fee_threshold: Amount::MAX_MONEY };
        assert_eq!(BlockWaitOptions::default(), wait);
        let check = BlockCheckOptions { check_merkle_root: true, check_pow: true };
        assert_eq!(BlockCheckOptions::default(), check);
    }

    #[test]
    fn each_setter_sets_its_field() {
        let create = BlockCreateOptions::default()
            .use_mempool(false)
            .block_reserved_weight(1)
            .coinbase_output_max_additional_sigops(2);
        let expected = BlockCreateOptions {
            use_mempool: false,
            block_reserved_weight: 1,
            coinbase_output_max_additional_sigops: 2,
        };
        assert_eq!(create, expected);
        let (timeout, fee_threshold) = (Duration::from_secs(3), Amount::from_sat(4));
        let wait = BlockWaitOptions::default().timeout(timeout).fee_threshold(fee_threshold);
        assert_eq!(wait, BlockWaitOptions { timeout, fee_threshold });
        let default = BlockCheckOptions::default;
        let root = default().check_merkle_root(false);
        assert_eq!(root, BlockCheckOptions { check_merkle_root: false, check_pow: true });
        let pow = default().check_pow(false);
        assert_eq!(pow, BlockCheckOptions { check_merkle_root: true, check_pow: false });
    }
}
