//! The miner's part of a block template: its own coinbase, the merkle root, the nonce.
//!
//! Nothing here needs a chain: a client uses it with a template that it got over a connection.

use bitcoin::block::Header;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{OutPoint, ScriptBuf, Target, Transaction, TxIn, TxMerkleNode, TxOut, Txid};
use bitcoin_ipc::mining::CoinbaseTx;

/// OP_TRUE: anyone may spend it.
const OP_TRUE: u8 = 0x51;

/// Increments the nonce until the header's hash meets its target. Returns false if none of the 2^32
/// nonces does (that takes some minutes), or if the target is zero, which is how invalid `bits` are
/// read. On regtest it takes two tries on average.
pub fn solve(header: &mut Header) -> bool {
    let target = header.target();
    if target == Target::ZERO {
        return false;
    }
    let first = header.nonce;
    while !target.is_met_by(header.block_hash()) {
        header.nonce = header.nonce.wrapping_add(1);
        if header.nonce == first {
            return false;
        }
    }
    true
}

/// The coinbase a pool builds from the parts: the height and then `extra_script` (pool name, extra
/// nonce) as the input's script, the whole reward to `payout`, the required outputs, the witness.
///
/// A script of one byte (heights up to 16, nothing extra) gets OP_0 appended, as Core's own has,
/// because the minimum is two bytes. The caller has to keep the script within the maximum of 100
/// bytes.
pub fn coinbase_transaction(
    parts: &CoinbaseTx,
    extra_script: &[u8],
    payout: ScriptBuf,
) -> Transaction {
    let mut script = [parts.script_sig_prefix.as_bytes(), extra_script].concat();
    if script.len() < 2 {
        script.push(0);
    }
    let reward = TxOut { value: parts.block_reward_remaining, script_pubkey: payout };
    Transaction {
        version: parts.version,
        lock_time: parts.lock_time,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: ScriptBuf::from_bytes(script),
            sequence: parts.sequence,
            witness: parts.witness.clone(),
        }],
        output: std::iter::once(reward).chain(parts.required_outputs.iter().cloned()).collect(),
    }
}

/// A script that anyone may spend (OP_TRUE), to pay to in tests.
pub fn anyone_can_spend() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![OP_TRUE])
}

/// The merkle path of the first of `txids`: its sibling hashes up to the root, deepest first. A row of
/// odd length has its last hash twice.
pub fn merkle_path(txids: &[Txid]) -> Vec<TxMerkleNode> {
    let mut row: Vec<sha256d::Hash> = txids.iter().map(|txid| txid.to_raw_hash()).collect();
    let mut path = Vec::new();
    while let [_, beside, ..] = row[..] {
        path.push(beside.into());
        row = row
            .chunks(2)
            .map(|pair| hash_pair(pair[0], *pair.last().unwrap_or(&pair[0])))
            .collect();
    }
    path
}

/// The merkle root that a coinbase with this txid and a path of [`merkle_path`] lead to.
pub fn merkle_root(coinbase: Txid, path: &[TxMerkleNode]) -> TxMerkleNode {
    path.iter()
        .fold(coinbase.to_raw_hash(), |hash, beside| hash_pair(hash, beside.to_raw_hash()))
        .into()
}

fn hash_pair(left: sha256d::Hash, right: sha256d::Hash) -> sha256d::Hash {
    sha256d::Hash::hash(&[left.to_byte_array(), right.to_byte_array()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::blockdata::constants::genesis_block;
    use bitcoin::{CompactTarget, Network, merkle_tree};

    #[test]
    fn merkle_paths_lead_to_the_root() {
        let txids: Vec<Txid> = (1..=33).map(|byte| Txid::from_byte_array([byte; 32])).collect();
        for count in 1..=txids.len() {
            let path = merkle_path(&txids[..count]);
            let root = merkle_tree::calculate_root(txids[..count].iter().copied()).unwrap();
            assert_eq!(
                merkle_root(txids[0], &path).to_raw_hash(),
                root.to_raw_hash(),
                "{count} txids"
            );
            assert_eq!(path.len(), count.next_power_of_two().trailing_zeros() as usize);
        }
        assert!(merkle_path(&[]).is_empty());
    }

    #[test]
    fn a_header_without_a_solution_is_given_up() {
        let mut header = genesis_block(Network::Regtest).header;
        header.bits = CompactTarget::from_consensus(0x2100_ffff);
        let nonce = header.nonce;
        assert!(solve(&mut header));
        assert_eq!(header.nonce, nonce);
        // A target of zero: no hash can meet it.
        header.bits = CompactTarget::from_consensus(0);
        assert!(!solve(&mut header));
    }
}
