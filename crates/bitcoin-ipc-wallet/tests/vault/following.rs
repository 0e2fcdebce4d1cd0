//! Blocks and the memory pool.

use bitcoin::{Amount, OutPoint, Txid};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::{ChangeType, RemovalReason};
use bitcoin_ipc_wallet::vault::{BlockId, Listener, TxState, Vault, VaultError};
use std::sync::Arc;

use super::world::{COIN, Told, World, spend, stranger};

#[test]
fn a_coinbase_can_be_spent_after_a_hundred_blocks() {
    let world = World::new();
    world.mine_to(world.address().script_pubkey());
    world.mine(98);
    world.follow();
    assert_eq!(world.balances(), [0, 0, 50 * COIN]);
    let coin = world.vault().coins().unwrap().remove(0);
    let details = world.vault().transaction(coin.outpoint.txid).unwrap().unwrap();
    assert_eq!((details.depth, details.blocks_to_maturity), (99, 2));
    world.mine(1);
    world.follow();
    // In the memory pool now, which counts for the next block. As in Bitcoin Core, it is the block after that one.
    assert_eq!(world.balances(), [0, 0, 50 * COIN]);
    world.mine(1);
    world.follow();
    assert_eq!(world.balances(), [50 * COIN, 0, 0]);
}

#[test]
fn a_payment_is_pending_then_confirmed() {
    let mut world = World::new();
    world.mine(101);
    world.follow();
    let told = Arc::new(Told::default());
    let address = world.address();
    world.vault().set_listener(Some(told.clone()));
    let tx = world.foreign_payment(1, &address, Amount::from_sat(7));
    let txid = tx.compute_txid();
    world.vault().transaction_added(&tx).unwrap();
    assert_eq!(world.balances(), [0, 7, 0]);
    assert_eq!(told.take(), [format!("New {txid}")]);
    // Told again, nothing happens.
    world.vault().transaction_added(&tx).unwrap();
    assert_eq!(told.take(), [""; 0]);
    assert_eq!(world.vault().transaction(txid).unwrap().unwrap().state, TxState::InMempool);

    world.mine(1);
    world.follow();
    assert_eq!(world.balances(), [7, 0, 0]);
    assert_eq!(told.take(), [format!("Updated {txid}")]);
    let TxState::Confirmed { hash, height, .. } =
        world.vault().transaction(txid).unwrap().unwrap().state
    else {
        panic!("not confirmed")
    };
    assert_eq!((hash, height), (world.chain.tip().hash, 102));
    world.reopen();
    assert_eq!(world.balances(), [7, 0, 0]);
}

#[test]
fn what_leaves_the_memory_pool_counts_no_more() {
    let world = World::new();
    world.mine(101);
    world.follow();
    let tx = world.foreign_payment(1, &world.address(), Amount::from_sat(7));
    world.vault().transaction_added(&tx).unwrap();
    world.vault().transaction_removed(tx.compute_txid(), RemovalReason::Expiry).unwrap();
    assert_eq!(world.balances(), [0, 0, 0]);
    let state = world.vault().transaction(tx.compute_txid()).unwrap().unwrap().state;
    assert_eq!(state, TxState::Inactive);
    // It comes back.
    world.vault().transaction_added(&tx).unwrap();
    assert_eq!(world.balances(), [0, 7, 0]);
}

#[test]
fn a_payment_leaves_the_chain_and_comes_back() {
    let mut world = World::new();
    world.mine(101);
    let tx = world.foreign_payment(1, &world.address(), Amount::from_sat(7));
    world.mine(1);
    world.follow();
    assert_eq!(world.balances(), [7, 0, 0]);
    let told = Arc::new(Told::default());
    world.vault().set_listener(Some(told.clone()));

    world.invalidate_tip();
    world.follow();
    assert_eq!(told.take(), [format!("Updated {}", tx.compute_txid())]);
    assert_eq!(world.balances(), [0, 0, 0]);
    // The node puts it back into its memory pool.
    assert_eq!(world.chain.mempool(), std::slice::from_ref(&tx));
    world.vault().transaction_added(&tx).unwrap();
    assert_eq!(world.balances(), [0, 7, 0]);
    world.reopen();
    assert_eq!(world.vault().tip(), world.tip());
    world.vault().transaction_added(&tx).unwrap();
    assert_eq!(world.balances(), [0, 7, 0]);

    world.mine(2);
    world.follow();
    assert_eq!(world.balances(), [7, 0, 0]);
    assert_eq!(world.vault().transaction(tx.compute_txid()).unwrap().unwrap().depth, 2);
}

#[test]
fn a_reorganization_takes_a_coinbase_for_good() {
    let world = World::new();
    let hash = world.mine_to(world.address().script_pubkey());
    world.follow();
    let coinbase = world.block(1).txdata[0].compute_txid();
    world.chain.invalidate_block(&hash);
    world.mine(3);
    world.follow();
    assert_eq!(world.balances(), [0, 0, 0]);
    assert_eq!(world.vault().transaction(coinbase).unwrap().unwrap().state, TxState::Abandoned);
    assert_eq!(world.vault().coins().unwrap(), []);
}

#[test]
fn a_double_spend_in_a_block_beats_a_payment_that_waits() {
    let world = World::new();
    world.mine(101);
    world.follow();
    let address = world.address();
    let paid = world.foreign_payment(1, &address, Amount::from_sat(7));
    world.vault().transaction_added(&paid).unwrap();
    // A block has another transaction that spends the same, and nothing of the wallet's.
    let other = spend(&[paid.input[0].previous_output], &[(stranger(), Amount::from_sat(9))]);
    let block = block_with(&world, &[other]);
    world.chain.submit_block(&block).unwrap();
    world.follow();
    assert_eq!(world.balances(), [0, 0, 0]);
    let details = world.vault().transaction(paid.compute_txid()).unwrap().unwrap();
    assert_eq!((details.state, details.depth), (TxState::Conflicted, -1));
    world.mine(1);
    world.follow();
    assert_eq!(world.vault().transaction(paid.compute_txid()).unwrap().unwrap().depth, -2);
    assert!(!world.vault().can_be_abandoned(paid.compute_txid()).unwrap());
}

#[test]
fn a_double_spend_of_an_own_coin_takes_the_change_too() {
    let world = World::rich(1);
    let created = world.pay(stranger(), Amount::from_sat(COIN));
    let coin = created.tx.input[0].previous_output;
    let mut other = spend(&[coin], &[(stranger(), Amount::from_sat(2 * COIN))]);
    assert!(world.vault().sign(&mut other).unwrap());
    let block = block_with(&world, &[other.clone()]);
    world.chain.submit_block(&block).unwrap();
    world.follow();
    assert_eq!(world.balances(), [0, 0, 0]);
    let details = world.vault().transaction(created.tx.compute_txid()).unwrap().unwrap();
    assert_eq!((details.state, details.depth), (TxState::Conflicted, -1));
    assert_eq!(details.conflicts, [other.compute_txid()]);
}

#[test]
fn blocks_come_in_order_and_may_come_again() {
    let world = World::new();
    world.mine_to(world.address().script_pubkey());
    world.mine(2);
    let vault = world.vault();
    let error = vault.connect_block(&world.block(2), 2).unwrap_err();
    assert!(matches!(error, VaultError::NotNext { height: 2, tip: 0, .. }), "{error}");
    for height in [1, 1, 2, 1, 3, 3] {
        vault.connect_block(&world.block(height), height).unwrap();
    }
    assert_eq!(vault.tip(), world.tip());
    assert_eq!(world.balances(), [0, 0, 50 * COIN]);
    // One that does not fit takes back the whole batch, and nothing else.
    world.mine_to(world.address().script_pubkey());
    let (next, old) = (world.block(4), world.block(3));
    let error = vault.connect_blocks([(&*next, 4), (&*old, 9)]).unwrap_err();
    assert!(matches!(error, VaultError::NotNext { height: 9, tip: 4, .. }), "{error}");
    assert!(vault.tip().height <= 3);
    world.follow();
    assert_eq!(world.balances(), [0, 0, 100 * COIN]);
}

#[test]
fn blocks_leave_only_from_the_end() {
    let world = World::new();
    world.mine(5);
    world.follow();
    let vault = world.vault();
    let stranger = world.block(2).block_hash();
    // None of the wallet's at that height: nothing happens.
    vault.disconnect_block(stranger, 5, stranger).unwrap();
    assert_eq!(vault.tip(), world.tip());
    let wrong = BlockId { height: 3, hash: stranger };
    assert!(matches!(vault.rewind_to(wrong), Err(VaultError::BadRequest(_))));
    let above = BlockId { height: 6, hash: stranger };
    let error = vault.rewind_to(above).unwrap_err();
    assert!(matches!(error, VaultError::NotNext { height: 6, tip: 5, .. }), "{error}");
    vault.rewind_to(BlockId { height: 2, hash: stranger }).unwrap();
    assert_eq!(vault.tip().height, 2);
}

#[test]
fn a_restart_loses_no_more_than_blocks_without_anything() {
    let mut world = World::new();
    world.mine_to(world.address().script_pubkey());
    world.follow();
    world.mine(5);
    world.follow();
    // As after a crash: what was not worth a write is gone.
    std::mem::forget(world.vault.take());
    let copied = tempfile::tempdir().unwrap();
    let wallets =
        bitcoin_ipc_wallet::vault::WalletsDir::open(copied.path(), bitcoin::Network::Regtest)
            .unwrap();
    let (from, to) = (world.wallets().path().join("w"), wallets.path().join("w"));
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    let vault = Vault::load(&wallets, "w").unwrap();
    assert!(vault.tip().height < 6);
    for height in vault.tip().height + 1..=6 {
        vault.connect_block(&world.block(height), height).unwrap();
    }
    assert_eq!(vault.tip(), world.tip());
    assert_eq!(vault.balances().unwrap().immature_balance.to_sat(), 50 * COIN);
    // Written, they are not gone.
    vault.flush().unwrap();
    drop(vault);
    assert_eq!(Vault::load(&wallets, "w").unwrap().tip(), world.tip());
}

#[test]
fn a_new_wallet_begins_at_its_birthday() {
    let world = World::new();
    world.mine(30);
    let birthday = world.tip();
    let vault =
        Vault::create(&world.wallets(), "late", &Passphrase::default(), 0, Some(birthday)).unwrap();
    assert_eq!((vault.tip(), vault.birthday()), (birthday, birthday));
    assert_eq!(vault.locator_hashes(), [birthday.hash, world.block(0).block_hash()]);
    world.mine(1);
    vault.connect_block(&world.block(31), 31).unwrap();
    drop(vault);
    let vault = Vault::load(&world.wallets(), "late").unwrap();
    assert_eq!((vault.tip().height, vault.birthday()), (31, birthday));
}

#[test]
fn a_rescan_finds_what_was_there() {
    let world = World::new();
    world.mine_to(world.address().script_pubkey());
    world.mine(150);
    world.follow();
    let before = world.balances();
    let genesis = BlockId { height: 0, hash: world.block(0).block_hash() };
    world.vault().rewind_to(genesis).unwrap();
    assert_eq!(world.balances(), [0, 0, 0]);
    world.follow();
    assert_eq!(world.balances(), before);
    assert_eq!(before, [50 * COIN, 0, 0]);
}

#[test]
fn addresses_beyond_the_last_one_are_found() {
    // As a wallet that was restored from a copy of before they were given out.
    let mut world = World::new();
    let copy = world.datadir.path().join("copy");
    world.vault().backup(&copy).unwrap();
    let last = (0..300).map(|_| world.address()).last().unwrap();
    world.mine_to(last.script_pubkey());
    world.vault = Some(Vault::restore(&world.wallets(), "old", &copy).unwrap());
    world.follow();
    assert_eq!(world.balances(), [0, 0, 50 * COIN]);
    // It is not given out again.
    assert!(!world.vault().is_change(&world.address().script_pubkey()));
    assert_ne!(world.address(), last);
}

#[test]
fn a_locator_has_ever_fewer_blocks() {
    let world = World::new();
    world.mine(1500);
    world.follow();
    let locator = world.vault().locator_hashes();
    let heights: Vec<u32> =
        locator.iter().map(|hash| world.chain.height_of(hash).unwrap()).collect();
    assert!(heights.starts_with(&[1500, 1499, 1498, 1497, 1496, 1495, 1494, 1493, 1492, 1491]));
    assert!(heights.is_sorted_by(|higher, lower| higher > lower));
    assert_eq!(heights.last(), Some(&0));
    assert!(heights.len() < 25, "{heights:?}");
    let known = world.block(501).block_hash();
    assert_eq!(world.vault().height_of(known), Some(501));
    assert_eq!(world.vault().height_of(world.block(499).block_hash()), None);
}

/// The next block, with these transactions.
fn block_with(world: &World, txs: &[bitcoin::Transaction]) -> bitcoin::Block {
    use bitcoin_regtest::{Template, TemplateOptions, TemplateTx};
    let txs =
        txs.iter().map(|tx| TemplateTx { transaction: tx.clone(), fee: Amount::ZERO, sigops: 0 });
    let template =
        Template::with_transactions(&world.chain, TemplateOptions::default(), txs.collect());
    let mut block = template.unwrap().block();
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    assert!(bitcoin_regtest::solve(&mut block.header));
    block
}

#[test]
fn listeners_may_call_the_wallet() {
    struct Asks(std::sync::Weak<Vault>, std::sync::Mutex<Vec<u64>>);

    impl Listener for Asks {
        fn transaction_changed(&self, _txid: Txid, _change: ChangeType) {
            let pending = self.0.upgrade().unwrap().balances().unwrap().unconfirmed_balance;
            self.1.lock().unwrap().push(pending.to_sat());
        }
    }

    let mut world = World::new();
    world.mine(101);
    world.follow();
    let tx = world.foreign_payment(1, &world.address(), Amount::from_sat(7));
    let vault = Arc::new(world.vault.take().unwrap());
    let asks = Arc::new(Asks(Arc::downgrade(&vault), Default::default()));
    vault.set_listener(Some(asks.clone()));
    // On another thread, so that a wallet that waits for itself fails the test.
    let (sender, done) = std::sync::mpsc::channel();
    let other = vault.clone();
    std::thread::spawn(move || sender.send(other.transaction_added(&tx)));
    done.recv_timeout(std::time::Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(*asks.1.lock().unwrap(), [7]);
}

#[test]
fn outputs_are_known_by_their_place() {
    let world = World::rich(1);
    let coin = world.vault().coins().unwrap().remove(0);
    assert_eq!(world.vault().coin(coin.outpoint).unwrap(), Some(coin.clone()));
    let none = OutPoint { vout: 7, ..coin.outpoint };
    assert_eq!(world.vault().coin(none).unwrap(), None);
    assert!(coin.time > 0 && coin.depth == 101 && coin.trusted && coin.available);
}
