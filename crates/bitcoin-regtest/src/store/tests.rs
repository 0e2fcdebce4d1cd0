use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::Chain;
use crate::template::mine_block;
use crate::testing::{block_with, coinbase_outpoint, mine, op_true, spend};

/// A chain of so many blocks in a file, and the file's bytes.
fn written(blocks: u32) -> (TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chain");
    mine(&Chain::open(&file).unwrap(), blocks);
    let bytes = fs::read(&file).unwrap();
    (dir, file, bytes)
}

fn refused(file: &Path) -> String {
    Chain::open(file).unwrap_err().to_string()
}

/// Where each record begins, and where the last one ends.
fn places(bytes: &[u8]) -> Vec<usize> {
    let mut places = vec![MAGIC.len()];
    let mut at = MAGIC.len();
    while at < bytes.len() {
        let size = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        at += HEAD + size as usize;
        places.push(at);
    }
    places
}

#[test]
fn it_is_the_same_chain_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chain");
    let chain = Chain::open(&file).unwrap();
    mine(&chain, 103);
    // Another branch of one block, which loses, then wins by the end of the other.
    let rival = block_with(&chain, |block| {
        block.header.prev_blockhash = chain.hash_at(102).unwrap();
        block.header.time += 1;
        block.txdata[0].lock_time = bitcoin::absolute::LockTime::from_consensus(102);
        let height = bitcoin::script::Builder::new().push_int(103).into_script();
        block.txdata[0].input[0].script_sig = [height.as_bytes(), &[0]].concat().into();
    });
    assert_eq!(chain.submit_block(&rival).unwrap_err().reason, "inconclusive");
    assert!(chain.invalidate_block(&chain.tip().hash));
    assert_eq!(chain.tip().hash, rival.block_hash());
    // A block that is refused, and what is done with it, changes nothing.
    let bad = block_with(&chain, |block| block.txdata[0].lock_time = block_time());
    assert_eq!(chain.submit_block(&bad).unwrap_err().reason, "bad-txns-nonfinal");
    assert!(!chain.reconsider_block(&bad.block_hash()));
    // One from the future of this machine.
    chain.set_time(Some(chain.time() + 1_000_000));
    let spending = spend(coinbase_outpoint(&chain, 1), bitcoin::Amount::ONE_SAT);
    chain.submit_transaction(spending).unwrap();
    mine(&chain, 2);
    let (tip, spent) = (chain.tip(), coinbase_outpoint(&chain, 1));
    assert_eq!((tip.height, chain.coin(&spent)), (105, None));
    drop(chain);

    let chain = Chain::open(&file).unwrap();
    assert_eq!((chain.tip(), chain.coin(&spent)), (tip, None));
    assert!(chain.is_on_disk() && chain.mempool().is_empty());
    assert_eq!(chain.hash_at(103), Some(rival.block_hash()));
    // It goes on in the same file, and knows the other branch.
    chain.set_time(Some(u64::from(chain.block_by_height(105).unwrap().header.time)));
    mine(&chain, 1);
    let tip = chain.tip();
    drop(chain);
    let chain = Chain::open(&file).unwrap();
    assert_eq!(chain.tip(), tip);
    // What is shorter by an order stays shorter.
    assert!(chain.invalidate_block(&tip.hash));
    drop(chain);
    let chain = Chain::open(&file).unwrap();
    assert_eq!(chain.tip().height, 105);
    assert!(chain.reconsider_block(&tip.hash));
    drop(chain);
    assert_eq!(Chain::open(&file).unwrap().tip(), tip);
}

fn block_time() -> bitcoin::absolute::LockTime {
    bitcoin::absolute::LockTime::from_consensus(1_000)
}

#[test]
fn a_last_block_that_was_not_written_to_its_end_is_cut_off() {
    let (_dir, file, bytes) = written(3);
    let places = places(&bytes);
    assert_eq!((places.len(), places[3]), (4, bytes.len()));
    for length in places[2]..bytes.len() {
        fs::write(&file, &bytes[..length]).unwrap();
        let chain = Chain::open(&file).unwrap();
        assert_eq!(chain.tip().height, 2, "{length} bytes");
        assert_eq!(fs::metadata(&file).unwrap().len(), places[2] as u64);
        mine_block(&chain, op_true()).unwrap();
        drop(chain);
        assert_eq!(Chain::open(&file).unwrap().tip().height, 3);
    }
    // What a machine that crashes can leave: the right length, and not all of the contents.
    for (from, value) in [(places[2], 0), (places[2] + HEAD, 0), (bytes.len() - 1, 7)] {
        let mut broken = bytes.clone();
        broken[from..].fill(value);
        fs::write(&file, &broken).unwrap();
        assert_eq!(Chain::open(&file).unwrap().tip().height, 2, "from byte {from}");
    }
}

#[test]
fn a_file_that_was_begun_is_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chain");
    for length in 0..=MAGIC.len() {
        fs::write(&file, &MAGIC[..length]).unwrap();
        let chain = Chain::open(&file).unwrap();
        mine_block(&chain, op_true()).unwrap();
        drop(chain);
        assert_eq!(Chain::open(&file).unwrap().tip().height, 1);
    }
}

#[test]
fn damage_is_told_and_nothing_is_changed() {
    let (_dir, file, bytes) = written(3);
    let places = places(&bytes);
    // Each byte of the first two blocks, whatever it is for; and the last one's length.
    for at in (MAGIC.len()..places[2]).chain([places[2], places[2] + 4]) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        fs::write(&file, &broken).unwrap();
        let text = refused(&file);
        let record = places.iter().rfind(|place| **place <= at).unwrap();
        assert!(text.contains(&format!("is damaged at byte {record} (")), "byte {at}: {text}");
        assert!(text.contains("restore it from a copy") && !text.contains('\n'), "{text}");
        assert_eq!(fs::read(&file).unwrap(), broken);
    }
    for other in [&b"something else"[..], b"regtest2"] {
        fs::write(&file, other).unwrap();
        assert!(refused(&file).contains("it is no such file, or one of a newer version"));
    }
    // A block that lacks the one before it.
    let without = [&bytes[..places[0]], &bytes[places[1]..]].concat();
    fs::write(&file, without).unwrap();
    assert!(refused(&file).contains("does not fit: prev-blk-not-found"));
}

#[test]
fn one_node_at_a_time_and_for_its_user_only() {
    let (_dir, file, _) = written(1);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let chain: Arc<Chain> = Chain::open(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = refused(&file);
    assert!(text.contains("is in use by another node: end that one"), "{text}");
    drop(chain);
    Chain::open(&file).unwrap();
    let text = refused(file.parent().unwrap());
    assert!(text.starts_with("cannot open the chain's file"), "{text}");
}

#[test]
fn what_could_not_be_taken_back_ends_the_writing() {
    let (_dir, file, bytes) = written(1);
    // Read only: neither writing nor taking it back works.
    let read_only = File::open(&file).unwrap();
    let end = bytes.len() as u64;
    let mut store = Store { file: read_only, path: file.clone(), end, broken: false };
    let record = Record::Invalidated(block_hash());
    assert!(store.add(&record).is_err() && store.broken);
    assert!(store.add(&record).unwrap_err().to_string().contains("start again"));
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

fn block_hash() -> BlockHash {
    BlockHash::all_zeros()
}
