//! A node that makes up amounts, heights and times: the wallet refuses them or goes on, and never panics.

use bitcoin::hashes::Hash;
use bitcoin::psbt::Psbt;
use bitcoin::{Amount, Block, BlockHash, OutPoint, ScriptBuf, Transaction, Txid};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::OutputType;
use bitcoin_ipc_wallet::vault::{BlockId, FillOptions, TxState, Vault, VaultError};

use super::world::{COIN, World, control, logged, recipient, spend, stranger};

const ALL_BITCOIN: Amount = Amount::MAX_MONEY;
const FILL: FillOptions = FillOptions { sign: true, finalize: true, bip32_derivs: true };

/// An output that nobody has; of each number another.
fn made_up(number: u64) -> OutPoint {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    OutPoint { txid: Txid::from_byte_array(bytes), vout: 0 }
}

/// A block after this one, with these transactions after the coinbase one. Nothing else of it is right.
fn block_after(world: &World, previous: BlockHash, txs: &[Transaction]) -> Block {
    let mut block = world.block(1).as_ref().clone();
    block.header.prev_blockhash = previous;
    block.txdata.extend_from_slice(txs);
    block
}

/// Transactions that pay this script more than all bitcoin there are: with one amount, or with their sum.
fn too_much(to: &ScriptBuf) -> Vec<Transaction> {
    let (most, half) = (ALL_BITCOIN.to_sat(), 1 << 63);
    let amounts: [&[u64]; 6] =
        [&[most + 1], &[most, 1], &[half], &[u64::MAX], &[half, half], &[u64::MAX, 1]];
    let paying = amounts.iter().zip(0..).map(|(amounts, number)| {
        let to: Vec<_> =
            amounts.iter().map(|amount| (to.clone(), Amount::from_sat(*amount))).collect();
        spend(&[made_up(number)], &to)
    });
    paying.collect()
}

/// The block and the transaction that were refused.
fn bad_block(error: &VaultError) -> Option<(u32, Txid)> {
    match error {
        VaultError::BadBlock { height, txid, .. } => Some((*height, *txid)),
        _ => None,
    }
}

#[test]
fn a_transaction_of_more_than_all_bitcoin_never_gets_in() {
    let world = World::rich(1);
    let (vault, own) = (world.vault(), world.address().script_pubkey());
    let before = (world.balances(), vault.transactions().unwrap().len(), vault.tip());
    for tx in too_much(&own) {
        let txid = tx.compute_txid();
        let (ignored, log) = logged(|| vault.transaction_added(&tx));
        ignored.unwrap();
        assert!(log.contains(&txid.to_string()) && log.contains("is ignored"), "{log}");
        let refused = vault.commit_transaction(&tx, Default::default(), Vec::new()).unwrap_err();
        assert_eq!(refused, VaultError::TooMuch(txid));
        assert!(refused.to_string().contains("use a node that you trust"), "{refused}");

        // A block that has it, also after one that has not.
        let (tip, height) = (vault.tip(), vault.tip().height + 1);
        let good = block_after(&world, tip.hash, &[]);
        let bad = block_after(&world, good.block_hash(), std::slice::from_ref(&tx));
        let refused = vault.connect_blocks([(&good, height), (&bad, height + 1)]).unwrap_err();
        assert_eq!(bad_block(&refused), Some((height + 1, txid)), "{refused}");
        assert!(refused.to_string().contains("use a node that you trust"), "{refused}");
        let bad = block_after(&world, tip.hash, std::slice::from_ref(&tx));
        let refused = vault.connect_block(&bad, height).unwrap_err();
        assert_eq!(bad_block(&refused), Some((height, txid)), "{refused}");

        // Filled and signed it is harmless: nothing of it is stored.
        let mut psbt = Psbt::from_unsigned_tx(tx.clone()).unwrap();
        assert_eq!(vault.fill_psbt(&mut psbt, FILL).unwrap().signed, 0);
        assert!(!vault.sign(&mut tx.clone()).unwrap());
    }
    assert_eq!((world.balances(), vault.transactions().unwrap().len(), vault.tip()), before);

    // Nor as the replacement of another.
    let txid = world.pay(stranger(), Amount::from_sat(COIN)).tx.compute_txid();
    let mut bumped = vault.bump_fee(txid, &control(20_000)).unwrap().tx;
    bumped.output[0].value = Amount::from_sat(u64::MAX);
    let refused = vault.commit_bump(txid, &bumped).unwrap_err();
    assert_eq!(refused, VaultError::TooMuch(bumped.compute_txid()));

    // The wallet goes on.
    world.mine(1);
    world.follow();
    assert!(world.balances()[0] < 49 * COIN);
}

#[test]
fn sums_of_what_a_node_has_made_up_stop_at_all_bitcoin() {
    let world = World::rich(1);
    let (vault, own) = (world.vault(), world.address().script_pubkey());
    // More together than a number of 64 bits has room for.
    let count = u64::MAX / ALL_BITCOIN.to_sat() + 1;
    let pay = |number| spend(&[made_up(number)], &[(own.clone(), ALL_BITCOIN)]);
    let payments: Vec<_> = (0..count).map(pay).collect();
    let tip = vault.tip();
    let block = block_after(&world, tip.hash, &payments);
    vault.connect_block(&block, tip.height + 1).unwrap();
    assert_eq!(world.balances(), [ALL_BITCOIN.to_sat(), 0, 0]);
    assert_eq!(vault.available_balance(&control(1_000)).unwrap(), ALL_BITCOIN);
    let recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
    let error = vault.create_transaction(&recipients, &control(1_000), true, None).unwrap_err();
    assert!(error.to_string().contains("use a node that you trust"), "{error}");

    // One that spends them all.
    let outpoint = |tx: &Transaction| OutPoint { txid: tx.compute_txid(), vout: 0 };
    let all: Vec<_> = payments.iter().map(outpoint).collect();
    let spends = spend(&all, &[(own, Amount::ONE_SAT)]);
    let block = block_after(&world, block.block_hash(), std::slice::from_ref(&spends));
    vault.connect_block(&block, tip.height + 2).unwrap();
    let told = vault.transaction(spends.compute_txid()).unwrap().unwrap();
    assert_eq!((told.debit, told.credit, told.fee), (ALL_BITCOIN, Amount::ONE_SAT, None));
    assert_eq!(world.balances(), [50 * COIN + 1, 0, 0]);
}

#[test]
fn the_highest_heights_and_latest_times_are_heights_and_times() {
    for height in [i32::MAX.unsigned_abs(), u32::MAX - 1] {
        let mut world = World::new();
        world.mine(1);
        let birthday = BlockId { height, hash: BlockHash::from_byte_array([1; 32]) };
        let wallets = world.wallets();
        let none = Passphrase::default();
        world.vault = Some(Vault::create(&wallets, "high", &none, 0, Some(birthday)).unwrap());
        let own = world.address().script_pubkey();
        let tx = spend(&[made_up(0)], &[(own, Amount::from_sat(7))]);
        let mut block = block_after(&world, birthday.hash, std::slice::from_ref(&tx));
        block.header.time = u32::MAX;
        world.vault().connect_block(&block, height + 1).unwrap();
        for _ in 0..2 {
            let vault = world.vault();
            assert_eq!(world.balances(), [7, 0, 0]);
            let told = vault.transaction(tx.compute_txid()).unwrap().unwrap();
            let time = u64::from(u32::MAX);
            let hash = block.block_hash();
            assert_eq!(told.state, TxState::Confirmed { hash, height: height + 1, time });
            assert_eq!(told.depth, 1);
            world.vault = None;
            world.vault = Some(Vault::load(&wallets, "high").unwrap());
        }
        let vault = world.vault();
        // Nothing is after the last height that there is.
        let next = block_after(&world, block.block_hash(), &[]);
        if height + 1 == u32::MAX {
            for height in [0, u32::MAX] {
                let error = vault.connect_block(&next, height).unwrap_err();
                assert!(
                    matches!(error, VaultError::NotNext { height: h, tip: u32::MAX, .. } if h == height),
                    "{error}"
                );
            }
        }
        let recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
        let error = vault.create_transaction(&recipients, &control(1_000), true, None);
        assert!(matches!(error, Err(VaultError::NotEnough { .. })), "{error:?}");
        vault.rewind_to(BlockId { height: height + 1, hash: block.block_hash() }).unwrap();
        vault.disconnect_block(block.block_hash(), height + 1, birthday.hash).unwrap();
        assert_eq!((vault.tip(), world.balances()), (birthday, [0, 0, 0]));
    }
}

#[test]
fn a_fee_rate_that_is_too_high_is_refused() {
    let world = World::rich(1);
    let (vault, txid) =
        (world.vault(), world.pay(stranger(), Amount::from_sat(COIN)).tx.compute_txid());
    let mut recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
    for rate in [147_100_000, 1 << 40, i64::MAX] {
        for paying in [false, true] {
            recipients[0].subtract_fee_from_amount = paying;
            let made = vault.create_transaction(&recipients, &control(rate), true, None);
            let error = made.unwrap_err().to_string();
            assert!(error.contains("give a lower fee rate"), "{error}");
        }
        let error = vault.bump_fee(txid, &control(rate)).unwrap_err().to_string();
        assert!(error.contains("give a lower fee rate"), "{error}");
    }
}

#[test]
fn a_psbt_with_another_transaction_than_the_one_that_it_spends_is_refused() {
    let world = World::rich(1);
    let coin = world.block(50).txdata[0].clone();
    let other = world.block(51).txdata[0].clone();
    let past = u32::try_from(coin.output.len()).unwrap();
    for (vout, given) in [(past, coin.clone()), (u32::MAX, coin.clone()), (0, other)] {
        let outpoint = OutPoint { txid: coin.compute_txid(), vout };
        let tx = spend(&[outpoint], &[(stranger(), Amount::from_sat(COIN))]);
        let mut psbt = Psbt::from_unsigned_tx(tx).unwrap();
        psbt.inputs[0].non_witness_utxo = Some(given);
        let error = world.vault().fill_psbt(&mut psbt, FILL).unwrap_err().to_string();
        assert!(error.contains("make the PSBT again"), "{error}");
    }
    // With the right one it is just not the wallet's.
    let outpoint = OutPoint { txid: coin.compute_txid(), vout: 0 };
    let tx = spend(&[outpoint], &[(stranger(), Amount::from_sat(COIN))]);
    let mut psbt = Psbt::from_unsigned_tx(tx).unwrap();
    psbt.inputs[0].non_witness_utxo = Some(coin);
    assert_eq!(world.vault().fill_psbt(&mut psbt, FILL).unwrap().signed, 0);
    world.vault().new_address(OutputType::Bech32, "").unwrap();
}
