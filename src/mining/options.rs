//! Tests of the options' defaults and setters, which are generated from the schema.

use std::time::Duration;

use bitcoin::Amount;
use multiprocess::Rest;

use super::{BlockCheckOptions, BlockCreateOptions, BlockWaitOptions};
use crate::codec::FOREVER;

#[test]
fn options_begin_with_the_schemas_defaults() {
    let create = BlockCreateOptions {
        use_mempool: true,
        block_reserved_weight: 8_000,
        coinbase_output_max_additional_sigops: 400,
        rest: Rest::default(),
    };
    assert_eq!(BlockCreateOptions::default(), create);
    let wait = BlockWaitOptions {
        timeout: FOREVER,
        fee_threshold: Amount::MAX_MONEY,
        rest: Rest::default(),
    };
    assert_eq!(BlockWaitOptions::default(), wait);
    let check =
        BlockCheckOptions { check_merkle_root: true, check_pow: true, rest: Rest::default() };
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
        rest: Rest::default(),
    };
    assert_eq!(create, expected);
    let (timeout, fee_threshold) = (Duration::from_secs(3), Amount::from_sat(4));
    let wait = BlockWaitOptions::default().timeout(timeout).fee_threshold(fee_threshold);
    assert_eq!(wait, BlockWaitOptions { timeout, fee_threshold, rest: Rest::default() });
    let default = BlockCheckOptions::default;
    let root = default().check_merkle_root(false);
    assert_eq!(
        root,
        BlockCheckOptions { check_merkle_root: false, check_pow: true, rest: Rest::default() }
    );
    let pow = default().check_pow(false);
    assert_eq!(
        pow,
        BlockCheckOptions { check_merkle_root: true, check_pow: false, rest: Rest::default() }
    );
}
