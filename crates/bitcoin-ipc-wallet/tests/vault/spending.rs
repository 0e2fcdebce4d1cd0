//! New transactions.

use bitcoin::consensus::encode::serialize;
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::{Message, Secp256k1, ecdsa};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    Amount, CompressedPublicKey, FeeRate, Network, OutPoint, Transaction, TxOut, Weight,
};
use bitcoin_ipc_draft::wallet::TxDestination;
use bitcoin_ipc_wallet::vault::{FillOptions, TxState, VaultError};

use super::world::{COIN, World, control, recipient, spend, stranger};

const FILL: FillOptions = FillOptions { sign: true, finalize: true, bip32_derivs: true };

/// Checks each signature of a transaction that spends P2WPKH outputs, by secp256k1 itself.
fn check_signatures(world: &World, tx: &Transaction) {
    let secp = Secp256k1::verification_only();
    let mut cache = SighashCache::new(tx);
    for (place, txin) in tx.input.iter().enumerate() {
        let before = world.vault().transaction(txin.previous_output.txid).unwrap().unwrap();
        let spent = before.tx.output[txin.previous_output.vout as usize].clone();
        let [signature, key] = [&txin.witness[0], &txin.witness[1]];
        let key = CompressedPublicKey::from_slice(key).unwrap();
        assert_eq!(bitcoin::ScriptBuf::new_p2wpkh(&key.wpubkey_hash()), spent.script_pubkey);
        let hash = cache
            .p2wpkh_signature_hash(place, &spent.script_pubkey, spent.value, EcdsaSighashType::All)
            .unwrap();
        let (kind, der) = signature.split_last().unwrap();
        assert_eq!(*kind, 1);
        let signature = ecdsa::Signature::from_der(der).unwrap();
        secp.verify_ecdsa(&Message::from(hash), &signature, &key.0).unwrap();
    }
}

fn value(tx: &Transaction) -> Amount {
    tx.output.iter().map(|txout| txout.value).sum()
}

#[test]
fn what_is_sent_arrives_and_the_change_comes_back() {
    let world = World::rich(1);
    let amount = Amount::from_sat(COIN);
    let created = world.pay(stranger(), amount);
    check_signatures(&world, &created.tx);
    assert_eq!(created.tx.output.len(), 2);
    assert!(created.tx.output.contains(&TxOut { value: amount, script_pubkey: stranger() }));
    assert_eq!(value(&created.tx) + created.fee, Amount::from_sat(50 * COIN));
    // 2 sat/vB; a signature may be a byte or two shorter than the longest.
    let rate = created.fee.to_sat() as f64 / created.tx.vsize() as f64;
    assert!((2.0..2.05).contains(&rate), "{rate}");
    let place = created.change_pos.unwrap() as usize;
    assert!(world.vault().is_change(&created.tx.output[place].script_pubkey));
    assert_eq!(created.tx.lock_time.to_consensus_u32(), 101);
    assert!(created.tx.is_explicitly_rbf());

    // Own change can be relied on in the memory pool.
    let left = 49 * COIN - created.fee.to_sat();
    assert_eq!(world.balances(), [left, 0, 0]);
    let next = world.pay(stranger(), amount);
    check_signatures(&world, &next.tx);
    assert_eq!(next.tx.input[0].previous_output.txid, created.tx.compute_txid());
    world.mine(1);
    world.follow();
    assert_eq!(world.balances(), [left - COIN - next.fee.to_sat(), 0, 0]);
}

#[test]
fn change_counts_only_when_the_node_has_it() {
    let mut world = World::rich(1);
    let created = world.create(stranger(), Amount::from_sat(COIN));
    world.vault().commit_transaction(&created.tx, Default::default(), Vec::new()).unwrap();
    assert_eq!(world.balances(), [0, 0, 0]);
    let elsewhere = world.vault().balances().unwrap().nonmempool_balance;
    assert_eq!(elsewhere, (49 * COIN - created.fee.to_sat()) as i64);
    world.reopen();
    assert_eq!(world.balances(), [0, 0, 0]);
    assert_eq!(
        world.vault().unconfirmed_to_rebroadcast().unwrap(),
        std::slice::from_ref(&created.tx)
    );
    world.vault().transaction_added(&created.tx).unwrap();
    assert_eq!(world.balances(), [elsewhere as u64, 0, 0]);
    assert_eq!(world.vault().unconfirmed_to_rebroadcast().unwrap(), []);
}

#[test]
fn parents_are_sent_before_what_spends_them() {
    let mut world = World::rich(1);
    let txs: Vec<Transaction> =
        (0..4).map(|_| world.pay(stranger(), Amount::from_sat(COIN)).tx).collect();
    world.reopen();
    assert_eq!(world.vault().unconfirmed_to_rebroadcast().unwrap(), txs);
}

#[test]
fn change_is_trusted_only_with_all_that_it_spends_from() {
    let mut world = World::rich(1);
    let first = world.pay(stranger(), Amount::from_sat(COIN));
    let second = world.pay(stranger(), Amount::from_sat(COIN));
    world.reopen();
    // As far as the wallet knows, the node has only the second.
    world.vault().transaction_added(&second.tx).unwrap();
    let left = 48 * COIN - (first.fee + second.fee).to_sat();
    assert_eq!(world.balances(), [0, left, 0]);
    world.vault().transaction_added(&first.tx).unwrap();
    assert_eq!(world.balances(), [left, 0, 0]);
}

#[test]
fn two_transactions_do_not_share_change_or_coins() {
    let world = World::rich(2);
    let first = world.create(stranger(), Amount::from_sat(COIN));
    let second = world.create(stranger(), Amount::from_sat(COIN));
    let change = |created: &bitcoin_ipc_wallet::vault::CreatedTransaction| {
        created.tx.output[created.change_pos.unwrap() as usize].script_pubkey.clone()
    };
    assert_ne!(change(&first), change(&second));
    world.commit(&first.tx);
    // Made before that, it may spend the same coin.
    let mut again =
        spend(&[first.tx.input[0].previous_output], &[(stranger(), Amount::from_sat(COIN))]);
    world.vault().sign(&mut again).unwrap();
    let error =
        world.vault().commit_transaction(&again, Default::default(), Vec::new()).unwrap_err();
    assert_eq!(error, VaultError::UnknownCoin(first.tx.input[0].previous_output));
    let third = world.create(stranger(), Amount::from_sat(COIN));
    assert_ne!(third.tx.input[0].previous_output, first.tx.input[0].previous_output);
}

#[test]
fn recipients_can_pay_the_fee() {
    let world = World::rich(1);
    let three =
        [Amount::from_sat(10 * COIN), Amount::from_sat(20 * COIN), Amount::from_sat(20 * COIN)];
    let recipients = [
        recipient(&stranger(), three[0]).subtract_fee_from_amount(true),
        recipient(&world.address().script_pubkey(), three[1]),
        recipient(&stranger(), three[2]).subtract_fee_from_amount(true),
    ];
    let created =
        world.vault().create_transaction(&recipients, &control(1_001), true, None).unwrap();
    assert_eq!(created.change_pos, None);
    assert_eq!(value(&created.tx) + created.fee, Amount::from_sat(50 * COIN));
    let (half, odd) = (created.fee / 2, created.fee % 2);
    let paid: Vec<Amount> = created.tx.output.iter().map(|txout| txout.value).collect();
    assert_eq!(paid, [three[0] - half - odd, three[1], three[2] - half]);
    assert!(created.fee >= FeeRate::from_sat_per_kwu(250) * created.tx.weight());

    // With change, which stays as it is.
    let recipients = [recipient(&stranger(), three[0]).subtract_fee_from_amount(true)];
    let created =
        world.vault().create_transaction(&recipients, &control(1_000), true, Some(0)).unwrap();
    assert_eq!(created.change_pos, Some(0));
    assert_eq!(created.tx.output[0].value, Amount::from_sat(40 * COIN));
    assert_eq!(created.tx.output[1].value, three[0] - created.fee);
}

#[test]
fn everything_can_be_sent() {
    let world = World::rich(3);
    let all = world.vault().available_balance(&control(1_000)).unwrap();
    assert_eq!(all.to_sat(), 150 * COIN);
    let recipients = [recipient(&stranger(), all).subtract_fee_from_amount(true)];
    let created =
        world.vault().create_transaction(&recipients, &control(1_000), true, None).unwrap();
    world.commit(&created.tx);
    assert_eq!(world.balances(), [0, 0, 0]);
    // Without that, the fee is lacking.
    let world = World::rich(1);
    let recipients = [recipient(&stranger(), Amount::from_sat(50 * COIN))];
    let error =
        world.vault().create_transaction(&recipients, &control(1_000), true, None).unwrap_err();
    assert!(matches!(error, VaultError::NotEnough { .. }), "{error}");
}

#[test]
fn small_change_is_not_made() {
    let world = World::rich(1);
    // 300 satoshis above the fee are left: no node would relay such an output.
    let amount = Amount::from_sat(50 * COIN) - Amount::from_sat(110 + 300);
    let recipients = [recipient(&stranger(), amount)];
    let created =
        world.vault().create_transaction(&recipients, &control(1_000), true, None).unwrap();
    assert_eq!((created.change_pos, created.tx.output.len()), (None, 1));
    assert_eq!(created.fee.to_sat(), 410);
}

#[test]
fn coin_control_is_followed() {
    let world = World::rich(3);
    let coins: Vec<OutPoint> =
        world.vault().coins().unwrap().iter().map(|coin| coin.outpoint).collect();
    let recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
    let create =
        |control: &_| world.vault().create_transaction(&recipients, control, true, Some(1));

    let mut wanted = control(1_000);
    wanted.set_selected = vec![coins[2], coins[0], coins[2]];
    let created = create(&wanted).unwrap();
    let mut spent: Vec<OutPoint> =
        created.tx.input.iter().map(|txin| txin.previous_output).collect();
    spent.sort();
    let mut selected = vec![coins[0], coins[2]];
    selected.sort();
    assert_eq!(spent, selected);
    // The selected ones alone do not suffice.
    let more = [recipient(&stranger(), Amount::from_sat(120 * COIN))];
    let error = world.vault().create_transaction(&more, &wanted, true, None).unwrap_err();
    assert!(matches!(error, VaultError::NotEnough { .. }));
    wanted.allow_other_inputs = true;
    let created = world.vault().create_transaction(&more, &wanted, true, None).unwrap();
    assert_eq!(created.tx.input.len(), 3);

    let mut wanted = control(1_000).signal_rbf(false);
    wanted.dest_change = TxDestination::from(&stranger());
    (wanted.has_lock_time, wanted.lock_time) = (1, 77);
    (wanted.has_version, wanted.version) = (1, 3);
    let created = create(&wanted).unwrap();
    assert_eq!(created.tx.output[1].script_pubkey, stranger());
    assert!(!created.tx.is_explicitly_rbf());
    assert_eq!((created.tx.lock_time.to_consensus_u32(), created.tx.version.0), (77, 3));

    // The depths are 103, 102 and 101.
    let mut wanted = control(1_000);
    (wanted.min_depth, wanted.max_depth) = (102, 102);
    assert_eq!(world.vault().available_balance(&wanted).unwrap().to_sat(), 50 * COIN);
    wanted.max_depth = 101;
    assert!(matches!(create(&wanted), Err(VaultError::NotEnough { .. })));
    (wanted.has_max_tx_weight, wanted.max_tx_weight) = (1, 400);
    (wanted.min_depth, wanted.max_depth) = (0, 0);
    let error = create(&wanted).unwrap_err();
    assert!(error.to_string().contains("heavier than 400"), "{error}");
}

#[test]
fn strangers_unconfirmed_coins_are_spent_only_on_request() {
    let world = World::new();
    world.mine(101);
    world.follow();
    let paid = world.foreign_payment(1, &world.address(), Amount::from_sat(COIN));
    world.vault().transaction_added(&paid).unwrap();
    let recipients = [recipient(&stranger(), Amount::from_sat(1_000))];
    let mut wanted = control(1_000);
    let error = world.vault().create_transaction(&recipients, &wanted, true, None).unwrap_err();
    assert!(matches!(error, VaultError::NotEnough { .. }));
    wanted.include_unsafe_inputs = true;
    let created = world.vault().create_transaction(&recipients, &wanted, true, None).unwrap();
    assert_eq!(created.tx.input[0].previous_output.txid, paid.compute_txid());
    // Its change cannot be relied on either.
    world.commit(&created.tx);
    let [trusted, pending, _] = world.balances();
    assert_eq!((trusted, pending), (0, COIN - 1_000 - created.fee.to_sat()));
}

#[test]
fn an_abandoned_transaction_gives_its_coins_back() {
    let mut world = World::rich(1);
    let first = world.pay(stranger(), Amount::from_sat(COIN));
    let second = world.pay(stranger(), Amount::from_sat(COIN));
    let (first, second) = (first.tx.compute_txid(), second.tx.compute_txid());
    let error = world.vault().abandon(first).unwrap_err();
    assert!(error.to_string().contains("memory pool"), "{error}");
    world.reopen();
    assert!(world.vault().can_be_abandoned(first).unwrap());
    assert_eq!(world.balances(), [0, 0, 0]);
    world.vault().abandon(first).unwrap();
    for _ in 0..2 {
        assert_eq!(world.balances(), [50 * COIN, 0, 0]);
        for txid in [first, second] {
            let state = world.vault().transaction(txid).unwrap().unwrap().state;
            assert_eq!(state, TxState::Abandoned);
        }
        assert_eq!(world.vault().unconfirmed_to_rebroadcast().unwrap(), []);
        world.reopen();
    }
    assert!(!world.vault().can_be_abandoned(first).unwrap());
    // The node has it after all.
    let tx = world.vault().transaction(first).unwrap().unwrap().tx;
    world.vault().transaction_added(&tx).unwrap();
    assert_eq!(world.vault().transaction(first).unwrap().unwrap().state, TxState::InMempool);
    assert!(world.balances()[0] < 49 * COIN);
}

#[test]
fn an_abandoned_transaction_may_be_spent_from_after_all() {
    let mut world = World::rich(2);
    let first = world.pay(stranger(), Amount::from_sat(COIN));
    let place = first.change_pos.unwrap();
    let change = OutPoint { txid: first.tx.compute_txid(), vout: place };
    let mut child = spend(&[change], &[(stranger(), Amount::from_sat(2 * COIN))]);
    assert!(world.vault().sign(&mut child).unwrap());
    world.reopen();
    world.vault().abandon(first.tx.compute_txid()).unwrap();
    // The node tells of the child only; then another one is abandoned, which looks at all of them.
    world.vault().transaction_added(&child).unwrap();
    let other = world.create(stranger(), Amount::from_sat(COIN)).tx;
    world.vault().commit_transaction(&other, Default::default(), Vec::new()).unwrap();
    world.vault().abandon(other.compute_txid()).unwrap();
    assert_eq!(world.balances(), [50 * COIN, 0, 0]);
}

#[test]
fn what_was_given_up_meanwhile_is_not_spent_from() {
    let mut world = World::rich(1);
    let first = world.pay(stranger(), Amount::from_sat(COIN));
    let change = OutPoint { txid: first.tx.compute_txid(), vout: first.change_pos.unwrap() };
    let child = world.create(stranger(), Amount::from_sat(COIN)).tx;
    assert_eq!(child.input[0].previous_output, change);
    world.reopen();
    world.vault().abandon(change.txid).unwrap();
    for _ in 0..2 {
        let committed = world.vault().commit_transaction(&child, Default::default(), Vec::new());
        assert_eq!(committed, Err(VaultError::UnknownCoin(change)));
        assert_eq!(world.balances(), [50 * COIN, 0, 0]);
        world.reopen();
    }
}

#[test]
fn a_psbt_is_filled_and_signed() {
    let world = World::rich(1);
    let tx = world.create(stranger(), Amount::from_sat(COIN)).tx;
    let mut unsigned = tx.clone();
    unsigned.input[0].witness.clear();
    let psbt = Psbt::from_unsigned_tx(unsigned).unwrap();

    let mut filled = psbt.clone();
    let result = world.vault().fill_psbt(&mut filled, FillOptions { sign: false, ..FILL }).unwrap();
    assert_eq!((result.signed, result.complete), (0, false));
    let input = &filled.inputs[0];
    assert!(input.witness_utxo.is_some() && input.non_witness_utxo.is_some());
    assert_eq!(input.bip32_derivation.len(), 1);
    assert!(input.partial_sigs.is_empty());
    assert_eq!(filled.outputs.iter().filter(|out| out.bip32_derivation.len() == 1).count(), 1);

    let mut filled = psbt.clone();
    let options = FillOptions { finalize: false, bip32_derivs: false, ..FILL };
    let result = world.vault().fill_psbt(&mut filled, options).unwrap();
    assert_eq!((result.signed, result.complete), (1, true));
    assert_eq!(filled.inputs[0].partial_sigs.len(), 1);
    assert!(filled.inputs[0].final_script_witness.is_none());
    assert!(filled.inputs[0].bip32_derivation.is_empty());

    let mut filled = psbt;
    let result = world.vault().fill_psbt(&mut filled, FILL).unwrap();
    assert_eq!((result.signed, result.complete), (1, true));
    check_signatures(&world, &filled.extract_tx().unwrap());
}

#[test]
fn a_psbt_cannot_lie_of_amounts_or_take_signatures_for_what_is_unknown() {
    let world = World::rich(1);
    let coin = world.vault().coins().unwrap().remove(0);
    let foreign = OutPoint { txid: world.block(50).txdata[0].compute_txid(), vout: 0 };
    let tx = spend(&[coin.outpoint, foreign], &[(stranger(), Amount::from_sat(COIN))]);
    let mut psbt = Psbt::from_unsigned_tx(tx).unwrap();
    psbt.inputs[0].witness_utxo = Some(TxOut { value: Amount::ONE_SAT, ..coin.txout.clone() });
    // An output that the wallet never saw, with the path of a key of its own.
    let mut own = psbt.clone();
    world.vault().fill_psbt(&mut own, FillOptions { sign: false, ..FILL }).unwrap();
    psbt.inputs[1].witness_utxo = Some(coin.txout.clone());
    psbt.inputs[1].bip32_derivation = own.inputs[0].bip32_derivation.clone();
    let filled =
        world.vault().fill_psbt(&mut psbt, FillOptions { finalize: false, ..FILL }).unwrap();
    assert_eq!((filled.signed, filled.complete), (1, false));
    assert_eq!(psbt.inputs[0].witness_utxo, Some(coin.txout));
    assert!(psbt.inputs[1].partial_sigs.is_empty());

    psbt.inputs[0].sighash_type = Some(EcdsaSighashType::None.into());
    assert_eq!(world.vault().fill_psbt(&mut psbt, FILL), Err(VaultError::SighashMismatch));
}

#[test]
fn a_message_is_signed_by_the_key_of_an_address() {
    let world = World::new();
    let info = world.vault().script_info(&world.address().script_pubkey()).unwrap().unwrap();
    let hash = info.public_key.pubkey_hash();
    assert_eq!(world.vault().pub_key(hash).unwrap(), Some(info.public_key));
    let signature = world.vault().sign_message("hello", hash).unwrap();
    let signature = bitcoin::sign_message::MessageSignature::from_base64(&signature).unwrap();
    let secp = Secp256k1::verification_only();
    let digest = bitcoin::sign_message::signed_msg_hash("hello");
    let address = bitcoin::Address::p2pkh(info.public_key, Network::Regtest);
    assert!(signature.is_signed_by_address(&secp, &address, digest).unwrap());
    let digest = bitcoin::sign_message::signed_msg_hash("hullo");
    assert!(!signature.is_signed_by_address(&secp, &address, digest).unwrap_or(false));

    let other = bitcoin::PubkeyHash::from_raw_hash(bitcoin::hashes::Hash::hash(b"x"));
    assert_eq!(world.vault().sign_message("hello", other), Err(VaultError::NoKey));
    assert_eq!(world.vault().pub_key(other).unwrap(), None);
}

#[test]
fn many_small_coins_are_spent_together() {
    let world = World::rich(1);
    let own: Vec<_> = (0..40)
        .map(|_| recipient(&world.address().script_pubkey(), Amount::from_sat(COIN)))
        .collect();
    let created = world.vault().create_transaction(&own, &control(1_000), true, None).unwrap();
    world.commit(&created.tx);
    world.mine(1);
    world.follow();
    let created = world.create(stranger(), Amount::from_sat(45 * COIN));
    check_signatures(&world, &created.tx);
    assert!(created.tx.input.len() > 30);
    assert!(created.tx.weight() < Weight::from_wu(400_000));
    let rate = created.fee.to_sat() as f64 / created.tx.vsize() as f64;
    assert!((2.0..2.05).contains(&rate), "{rate} {}", serialize(&created.tx).len());
}
