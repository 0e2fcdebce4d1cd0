//! A client of Bitcoin Core 30.

use std::path::Path;

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Transaction, TxMerkleNode};
use bitcoin_regtest::{merkle_root, solve};
use multiprocess::Connection;
use multiprocess::process::connect;
use old_core::v30::init::InitClient;
use old_core::v30::mining::{BlockCreateOptions, BlockTemplateClient, MiningClient};

pub(crate) fn mining30(socket: &Path) -> MiningClient {
    let connection = Connection::new(connect(socket).unwrap()).unwrap();
    let init: InitClient = connection.bootstrap().unwrap();
    init.make_mining().wait().unwrap().unwrap()
}

pub(crate) fn template30(mining: &MiningClient) -> BlockTemplateClient {
    let options = BlockCreateOptions {
        use_mempool: true,
        block_reserved_weight: 4_000,
        coinbase_output_max_additional_sigops: 400,
    };
    mining.create_new_block(options).wait().unwrap().unwrap()
}

/// Solves a template with its placeholder coinbase as it is, and submits it; returns the block.
pub(crate) fn solve30(template: &BlockTemplateClient) -> BlockHash {
    let bytes = template.get_coinbase_tx().wait().unwrap();
    let coinbase: Transaction = deserialize(&bytes).unwrap();
    // Where the witness commitment is in it.
    let index = template.get_witness_commitment_index().wait().unwrap();
    let output = &coinbase.output[usize::try_from(index).unwrap()];
    let commitment = template.get_coinbase_commitment().wait().unwrap();
    assert_eq!(output.script_pubkey.as_bytes(), commitment);
    assert_eq!(commitment[..6], [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed]);

    let path = template.get_coinbase_merkle_path().wait().unwrap();
    let path: Vec<_> = path.iter().map(|hash| TxMerkleNode::from_slice(hash).unwrap()).collect();
    let mut header: Header = deserialize(&template.get_block_header().wait().unwrap()).unwrap();
    header.merkle_root = merkle_root(coinbase.compute_txid(), &path);
    assert!(solve(&mut header));
    let version = header.version.to_consensus().cast_unsigned();
    let submitted = template.submit_solution(version, header.time, header.nonce, bytes).wait();
    assert!(submitted.unwrap());
    header.block_hash()
}
