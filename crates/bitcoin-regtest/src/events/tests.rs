use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bitcoin::{Amount, OutPoint, Txid};

use super::*;
use crate::Chain;
use crate::coins::subsidy;
use crate::template::mine_block;
use crate::testing::{block_with, coinbase_outpoint, mine, op_true, spend, until};

/// What has come so far, in short: `+102` a block connected, `-102` disconnected, `tip 102`, `in` and `out Reorg` for
/// transactions.
fn told(events: &Subscription) -> Vec<String> {
    let mut told = Vec::new();
    while events.queue.lock().events.front().is_some() {
        told.extend(events.next().map(|event| match event {
            Event::TransactionAdded(tx) => format!("in {}", tx.output[0].value.to_sat()),
            Event::TransactionRemoved(tx, why) => {
                format!("out {} {why:?}", tx.output[0].value.to_sat())
            }
            Event::BlockConnected(block) => format!("+{}", block.height),
            Event::BlockDisconnected(block) => format!("-{}", block.height),
            Event::TipChanged(tip) => format!("tip {}", tip.height),
        }));
    }
    told
}

fn paying(chain: &Chain, height: u32, fee: u64) -> Transaction {
    spend(coinbase_outpoint(chain, height), subsidy(height) - Amount::from_sat(fee))
}

fn child_of(parent: &Transaction, value: u64) -> Transaction {
    spend(OutPoint { txid: parent.compute_txid(), vout: 0 }, Amount::from_sat(value))
}

#[test]
fn they_begin_where_the_snapshot_ends() {
    let chain = Chain::regtest();
    mine(&chain, 101);
    let first = paying(&chain, 1, 500);
    chain.submit_transaction(first.clone()).unwrap();
    let (tip, mempool, events) = chain.subscribe(Subscription::LIMIT);
    assert_eq!((tip, mempool.len()), (chain.tip(), 1));
    assert_eq!((&*mempool[0].transaction, mempool[0].fee.to_sat()), (&first, 500));
    let hash = mine_block(&chain, op_true()).unwrap();
    let [Some(in_block), Some(Event::BlockConnected(block)), Some(Event::TipChanged(tip))] =
        [events.next(), events.next(), events.next()]
    else {
        panic!("other events")
    };
    assert_eq!(in_block, Event::TransactionRemoved(Arc::new(first), Removal::Block));
    assert_eq!((block.hash, block.height, block.block.txdata.len()), (hash, 102, 2));
    assert_eq!((block.max_time, block.transactions), (block.block.header.time, 104));
    assert_eq!(tip, chain.tip());
}

#[test]
fn many_subscribers_see_all_that_many_threads_do() {
    let chain = Chain::regtest();
    let follow = |height: u32, events: &Subscription| {
        let mut at = height;
        while at < 40 {
            match events.next().unwrap() {
                Event::BlockConnected(block) => {
                    assert_eq!(block.height, at + 1);
                    // The chain may be read meanwhile.
                    assert_eq!(chain.height_of(&block.hash), Some(block.height));
                    at = block.height;
                }
                Event::TipChanged(tip) => assert_eq!(tip.height, at),
                other => panic!("{other:?}"),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| mine(&chain, 10));
            scope.spawn(|| {
                let (tip, _, events) = chain.subscribe(Subscription::LIMIT);
                follow(tip.height, &events);
            });
        }
    });
}

#[test]
fn a_reorganization_is_told_from_the_top_down_and_from_the_fork_up() {
    let chain = Chain::regtest();
    mine(&chain, 103);
    let kept = paying(&chain, 1, 500);
    chain.submit_transaction(kept.clone()).unwrap();
    // Spends a reward that is too young on the branch, which is lower for a moment.
    mine(&chain, 1);
    let young = paying(&chain, 5, 700);
    chain.submit_transaction(young.clone()).unwrap();
    let (_, _, events) = chain.subscribe(Subscription::LIMIT);
    assert!(chain.invalidate_block(&chain.hash_at(103).unwrap()));
    let [kept_value, young_value] = [&kept, &young].map(|tx| tx.output[0].value.to_sat());
    let expected = [
        "-104".to_owned(),
        "-103".to_owned(),
        format!("out {young_value} Reorg"),
        format!("in {kept_value}"),
        "tip 102".to_owned(),
    ];
    assert_eq!(told(&events), expected);

    // Another branch of two, whose first block has a rival of the transaction; then the first one comes back.
    let rival = paying(&chain, 1, 900);
    let old = chain.mempool();
    assert_eq!(old, std::slice::from_ref(&kept));
    let block = block_with(&chain, |block| block.txdata[1] = rival.clone());
    let mut block = block;
    fix_commitment(&mut block, &rival);
    chain.submit_block(&block).unwrap();
    let conflict = format!("out {kept_value} Conflict");
    assert_eq!(told(&events), [&conflict, "+103", "tip 103"]);
    assert!(chain.reconsider_block(&chain.block_by_height(103).unwrap().block_hash()));
    assert_eq!(told(&events), Vec::<String>::new(), "nothing to reconsider");
}

/// The witness commitment of a block whose only other transaction is this.
fn fix_commitment(block: &mut Block, transaction: &Transaction) {
    use bitcoin::hashes::Hash;
    let wtxids = [bitcoin::Wtxid::all_zeros(), transaction.compute_wtxid()];
    let root =
        bitcoin::merkle_tree::calculate_root(wtxids.map(bitcoin::Wtxid::to_raw_hash).into_iter());
    let commitment = Block::compute_witness_commitment(&root.unwrap().into(), &[0; 32]);
    let output = block.txdata[0].output.last_mut().unwrap();
    let prefix = output.script_pubkey.as_bytes()[..6].to_vec();
    output.script_pubkey = [&prefix[..], commitment.as_byte_array()].concat().into();
    // The coinbase pays no more than before, so the higher fee is nobody's.
    crate::testing::complete(block);
}

#[test]
fn a_branch_that_wins_is_one_change_of_the_tip() {
    let chain = Chain::regtest();
    mine(&chain, 3);
    let other = Chain::regtest();
    other.submit_block(&chain.block_by_height(1).unwrap()).unwrap();
    let script = bitcoin::ScriptBuf::from_bytes(vec![0x52]);
    let branch: Vec<_> = (0..3).map(|_| mine_block(&other, script.clone()).unwrap()).collect();
    let (_, _, events) = chain.subscribe(Subscription::LIMIT);
    for hash in &branch {
        let _ = chain.submit_block(&other.block_by_hash(hash).unwrap());
    }
    assert_eq!(told(&events), ["-3", "-2", "+2", "+3", "+4", "tip 4"]);
    assert_eq!(chain.tip().hash, branch[2]);
}

#[test]
fn a_replacement_and_those_that_need_the_old_one_are_told() {
    let chain = Chain::regtest();
    mine(&chain, 101);
    let (_, _, events) = chain.subscribe(Subscription::LIMIT);
    let old = paying(&chain, 1, 500);
    let value = old.output[0].value.to_sat();
    let child = child_of(&old, value - 1_000);
    let new = paying(&chain, 1, 5_000);
    for tx in [&old, &child, &new] {
        chain.submit_transaction(tx.clone()).unwrap();
    }
    let (child_value, new_value) = (value - 1_000, new.output[0].value.to_sat());
    let expected = [
        format!("in {value}"),
        format!("in {child_value}"),
        format!("out {value} Replaced"),
        format!("out {child_value} Replaced"),
        format!("in {new_value}"),
    ];
    assert_eq!(told(&events), expected);
    assert_eq!(chain.mempool(), [new]);
}

#[test]
fn who_does_not_read_is_let_go_and_costs_nothing() {
    let chain = Chain::regtest();
    mine(&chain, 1);
    let limit = 10 * size_of::<Event>();
    let (_, _, slow) = chain.subscribe(limit);
    let (_, _, quick) = chain.subscribe(limit);
    let control = slow.control();
    for _ in 0..5 {
        mine(&chain, 1);
        assert_eq!(told(&quick).len(), 2);
        assert!(!control.is_ended());
    }
    mine(&chain, 1);
    assert!(control.is_ended() && slow.was_let_go() && slow.queue.lock().events.is_empty());
    assert_eq!(slow.next(), None);
    assert_eq!((told(&quick).len(), quick.was_let_go()), (2, false));
    assert_eq!(chain.lock().subscribers.0.len(), 1);
    drop(quick);
    mine(&chain, 1);
    assert!(chain.lock().subscribers.is_empty());
}

#[test]
fn a_wait_ends_when_the_subscriber_has_finished_with_it() {
    let chain = Chain::regtest();
    let (_, _, events) = chain.subscribe(Subscription::LIMIT);
    let control = events.control();
    let waits = |timeout| control.wait_finished(timeout, &|| false);
    assert!(waits(None), "nothing has happened");
    mine(&chain, 1);
    let nothing = Some(Duration::ZERO);
    assert!(!waits(nothing));
    assert!(!control.wait_finished(None, &|| true), "cancelled");
    events.next();
    events.next();
    assert!(!waits(nothing), "the second one is under way");
    thread::scope(|scope| {
        let wait = scope.spawn(|| waits(None));
        scope.spawn(|| events.next());
        assert!(wait.join().unwrap());
        // What happens later is not waited for.
        mine(&chain, 1);
    });
    // An end that comes while one is under way waits for that only.
    mine(&chain, 1);
    control.end();
    assert!(!waits(nothing));
    assert_eq!(events.next(), None);
    assert!(waits(None));
}

#[test]
fn a_wait_is_woken_when_it_is_cancelled() {
    let chain = Chain::regtest();
    let (_, _, events) = chain.subscribe(Subscription::LIMIT);
    mine(&chain, 1);
    let (asked, cancelled) = (AtomicUsize::new(0), AtomicBool::new(false));
    let control = events.control();
    thread::scope(|scope| {
        let wait = scope.spawn(|| {
            control.wait_finished(None, &|| {
                asked.fetch_add(1, Ordering::SeqCst);
                cancelled.load(Ordering::SeqCst)
            })
        });
        until(|| asked.load(Ordering::SeqCst) == 1);
        cancelled.store(true, Ordering::SeqCst);
        control.wake();
        assert!(!wait.join().unwrap());
    });
}

#[test]
fn they_end_with_the_chain() {
    let chain = Chain::regtest();
    let (_, _, events) = chain.subscribe(Subscription::LIMIT);
    mine(&chain, 1);
    drop(chain);
    assert_eq!(told(&events), ["+1", "tip 1"]);
    assert_eq!((events.next(), events.was_let_go()), (None, false));
}

/// What a follower knows of the chain and the memory pool.
struct Follower {
    chain: Vec<BlockHash>,
    mempool: HashSet<Txid>,
    tip: Tip,
}

impl Follower {
    fn take(&mut self, event: Event) {
        match event {
            Event::TransactionAdded(tx) => assert!(self.mempool.insert(tx.compute_txid())),
            Event::TransactionRemoved(tx, _) => assert!(self.mempool.remove(&tx.compute_txid())),
            Event::BlockConnected(block) => {
                assert_eq!(self.chain.last(), Some(&block.block.header.prev_blockhash));
                assert_eq!(self.chain.len(), block.height as usize);
                self.chain.push(block.hash);
            }
            Event::BlockDisconnected(block) => assert_eq!(self.chain.pop(), Some(block.hash)),
            Event::TipChanged(tip) => {
                assert_eq!(self.chain.last(), Some(&tip.hash));
                assert_ne!(self.tip, tip);
                self.tip = tip;
            }
        }
    }

    fn assert_same(&self, chain: &Chain) {
        assert_eq!(self.tip, chain.tip());
        let hashes = (0..=chain.tip().height).map(|height| chain.hash_at(height).unwrap());
        assert_eq!(self.chain, hashes.collect::<Vec<_>>());
        let mempool = chain.mempool().iter().map(Transaction::compute_txid).collect();
        assert_eq!(self.mempool, mempool);
        chain.lock().mempool.assert_consistent();
    }
}

/// Does something at random.
fn happen(chain: &Chain, random: &mut impl FnMut(u32) -> u32) {
    if chain.tip().height < 106 {
        mine(chain, 6);
    }
    let some_block = chain.hash_at(chain.tip().height - random(4)).unwrap();
    match random(8) {
        0 | 1 => mine(chain, random(3)),
        2 => drop(chain.invalidate_block(&some_block)),
        3 => {
            // One that was invalidated, or not.
            let known = chain.lock().some_block(random(1_000) as usize);
            chain.reconsider_block(&known);
        }
        4 => drop(crate::orders::reorganize(chain, 1 + random(2))),
        5 => {
            let parents = chain.mempool();
            if let Some(parent) = parents.get(random(10) as usize) {
                let value = parent.output[0].value.to_sat();
                let child = child_of(parent, value - 1_000 * u64::from(1 + random(5)));
                let _ = chain.submit_transaction(child);
            }
        }
        _ => {
            // Also one that takes the place of another.
            let fee = 1_000 * u64::from(1 + random(50));
            let _ = chain.submit_transaction(paying(chain, 1 + random(6), fee));
        }
    }
}

#[test]
fn a_follower_of_any_history_has_the_same_chain_and_memory_pool() {
    for seed in 1..=8_u64 {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chain");
        let chain = Chain::open(&file).unwrap();
        mine(&chain, 106);
        // A linear congruential generator, so that a failure comes again.
        let mut state = seed;
        let mut random = |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
            (state >> 33) as u32 % below
        };
        let mut followers = Vec::new();
        for _ in 0..80 {
            if random(10) == 0 {
                let (tip, mempool, events) = chain.subscribe(Subscription::LIMIT);
                let hashes =
                    (0..=tip.height).map(|height| chain.hash_at(height).unwrap()).collect();
                let mempool = mempool.iter().map(|entry| entry.txid).collect();
                followers.push((Follower { chain: hashes, mempool, tip }, events));
            }
            happen(&chain, &mut random);
        }
        for (follower, events) in &mut followers {
            while events.queue.lock().events.front().is_some() {
                follower.take(events.next().unwrap());
            }
            follower.assert_same(&chain);
        }
        // The file has the same chain, too.
        let (tip, hashes) = (chain.tip(), chain.hash_at(chain.tip().height - 3));
        let coins = chain.lock().coins.sum();
        drop(followers);
        drop(chain);
        let chain = Chain::open(&file).unwrap();
        assert_eq!((chain.tip(), chain.hash_at(tip.height - 3)), (tip, hashes), "seed {seed}");
        assert_eq!(chain.lock().coins.sum(), coins, "seed {seed}");
    }
}
