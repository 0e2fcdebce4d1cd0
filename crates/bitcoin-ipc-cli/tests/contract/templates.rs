//! Templates: their parts, their options, and the transactions in them.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, Sequence, TxMerkleNode, Witness};
use bitcoin_ipc::mining::BlockCreateOptions;
use serde_json::json;

use crate::Test;
use crate::nodes::{Node, solved, submit};

pub(crate) const TESTS: &[Test] = &[
    ("parts_of_a_template", parts_of_a_template),
    ("options_out_of_range", options_out_of_range),
    ("transactions_of_the_memory_pool", transactions_of_the_memory_pool),
    ("the_best_paid_transactions_are_first", the_best_paid_transactions_are_first),
    ("the_time_of_a_template", the_time_of_a_template),
];

fn parts_of_a_template(node: &Node) {
    for height in [1_u8, 17] {
        node.mine(u32::from(height) - 1 - u32::try_from(node.height()).unwrap());
        let template = node.template();
        let header = template.get_block_header().wait().unwrap();
        assert_eq!(header.merkle_root, TxMerkleNode::all_zeros(), "there is no coinbase yet");
        assert_eq!((header.nonce, header.version.to_consensus()), (0, 0x2000_0000));
        assert_eq!(header.bits.to_consensus(), 0x207f_ffff);
        assert_eq!(header.prev_blockhash, node.mining.get_tip().wait().unwrap().unwrap().hash);
        let block = template.get_block().wait().unwrap();
        assert_eq!((block.header, block.txdata.len()), (header, 1));
        assert!(template.get_tx_fees().wait().unwrap().is_empty());
        assert!(template.get_tx_sigops().wait().unwrap().is_empty());
        assert!(template.get_coinbase_merkle_path().wait().unwrap().is_empty());

        let parts = template.get_coinbase_tx().wait().unwrap();
        assert_eq!((parts.version.0, parts.sequence), (2, Sequence::ENABLE_LOCKTIME_NO_RBF));
        assert_eq!(parts.lock_time.to_consensus_u32(), u32::from(height) - 1);
        let prefix = if height == 1 { vec![0x51] } else { vec![1, height] };
        assert_eq!(parts.script_sig_prefix.as_bytes(), prefix);
        assert_eq!(parts.witness, Witness::from_slice(&[[0; 32]]));
        assert_eq!(parts.block_reward_remaining, Amount::from_int_btc(50));
        let [commitment] = &parts.required_outputs[..] else { panic!("{parts:?}") };
        let script = commitment.script_pubkey.to_hex_string();
        let empty = "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9";
        assert_eq!((commitment.value, script.as_str()), (Amount::ZERO, empty));
        // The dummy coinbase: the whole reward first.
        let dummy = &block.txdata[0];
        assert_eq!(dummy.output[0].value, parts.block_reward_remaining);
        assert_eq!(dummy.output[1], *commitment);
    }
}

fn options_out_of_range(node: &Node) {
    let options = BlockCreateOptions::default;
    for (options, text) in [
        (
            options().block_reserved_weight(1_999),
            "block_reserved_weight (1999) is lower than minimum safety value of (2000)",
        ),
        (
            options().block_reserved_weight(4_000_001),
            "block_reserved_weight (4000001) exceeds consensus maximum block weight (4000000)",
        ),
        (
            options().coinbase_output_max_additional_sigops(80_001),
            "coinbase_output_max_additional_sigops (80001) exceeds consensus maximum block sigops cost (80000)",
        ),
    ] {
        let error = node.mining.create_new_block(options, false).wait().unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let most = options().block_reserved_weight(4_000_000).coinbase_output_max_additional_sigops(0);
    assert!(node.mining.create_new_block(most, false).wait().unwrap().is_some());
}

fn transactions_of_the_memory_pool(node: &Node) {
    node.mine(101);
    let fee = Amount::from_sat(10_000);
    let tx = node.spend(1, fee);
    let unknown = bitcoin::Txid::from_byte_array([9; 32]);
    let ids = vec![unknown, tx.compute_txid()];
    let found = node.mining.get_transactions_by_tx_id(ids).wait().unwrap();
    assert_eq!(found, [None, Some(tx.clone())]);
    let ids = vec![tx.compute_wtxid()];
    let found = node.mining.get_transactions_by_witness_id(ids).wait().unwrap();
    assert_eq!(found, [Some(tx.clone())]);

    let template = node.template();
    assert_eq!(template.get_tx_fees().wait().unwrap(), [fee]);
    assert_eq!(template.get_tx_sigops().wait().unwrap(), [0]);
    let block = template.get_block().wait().unwrap();
    assert_eq!((block.txdata.len(), &block.txdata[1]), (2, &tx));
    let path = template.get_coinbase_merkle_path().wait().unwrap();
    assert_eq!(path, [TxMerkleNode::from_raw_hash(tx.compute_txid().to_raw_hash())]);
    let parts = template.get_coinbase_tx().wait().unwrap();
    assert_eq!(parts.block_reward_remaining, Amount::from_int_btc(50) + fee);
    let without = BlockCreateOptions::default().use_mempool(false);
    let without = node.mining.create_new_block(without, false).wait().unwrap().unwrap();
    assert_eq!(without.get_block().wait().unwrap().txdata.len(), 1);

    assert!(submit(&template, &solved(&template, b"with it")).is_accepted());
    assert_eq!(node.call("getrawmempool", json!([])).unwrap(), json!([]));
    let ids = vec![tx.compute_txid()];
    assert_eq!(node.mining.get_transactions_by_tx_id(ids).wait().unwrap(), [None]);
}

fn the_best_paid_transactions_are_first(node: &Node) {
    node.mine(103);
    let poor = node.spend(1, Amount::from_sat(5_000));
    let rich = node.spend(2, Amount::from_sat(50_000));
    let middle = node.spend(3, Amount::from_sat(20_000));
    let block = node.template().get_block().wait().unwrap();
    assert_eq!(block.txdata[1..], [rich, middle, poor]);
}

fn the_time_of_a_template(node: &Node) {
    node.mine(1);
    let tip = node.block(1).header.time;
    let later = tip + 1_000;
    node.call("setmocktime", json!([later])).unwrap();
    assert_eq!(node.template().get_block_header().wait().unwrap().time, later);
    // Not before the median of the last blocks.
    node.call("setmocktime", json!([tip - 1_000])).unwrap();
    assert_eq!(node.template().get_block_header().wait().unwrap().time, tip + 1);
}
