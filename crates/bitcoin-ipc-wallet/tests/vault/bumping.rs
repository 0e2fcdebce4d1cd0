//! Replacements with a higher fee.

use bitcoin::{Amount, FeeRate, OutPoint};
use bitcoin_ipc_draft::values::RemovalReason;
use bitcoin_ipc_draft::wallet::CoinControl;
use bitcoin_ipc_wallet::vault::{BlockId, TxState, VaultError};

use super::world::{COIN, World, control, recipient, stranger};

#[test]
fn a_replacement_pays_the_same_and_more_fee() {
    let mut world = World::rich(1);
    let amount = Amount::from_sat(COIN);
    let created = world.pay(stranger(), amount);
    let txid = created.tx.compute_txid();
    assert!(world.vault().can_be_bumped(txid).unwrap());
    let mut bumped = world.vault().bump_fee(txid, &CoinControl::default()).unwrap();
    assert_eq!(bumped.old_fee, created.fee);
    // At least 1 sat/vB more.
    let least = created.fee + FeeRate::BROADCAST_MIN * created.tx.weight();
    assert!(bumped.new_fee >= least, "{} {least}", bumped.new_fee);
    assert_eq!(bumped.tx.input.len(), 1);
    assert_eq!(bumped.tx.input[0].previous_output, created.tx.input[0].previous_output);
    assert!(
        bumped.tx.output.iter().any(|out| out.value == amount && out.script_pubkey == stranger())
    );
    // The change is where it was.
    let place = created.change_pos.unwrap() as usize;
    assert_eq!(bumped.tx.output[place].script_pubkey, created.tx.output[place].script_pubkey);
    assert_eq!(
        created.tx.output[place].value - bumped.tx.output[place].value,
        bumped.new_fee - bumped.old_fee
    );

    assert!(world.vault().sign(&mut bumped.tx).unwrap());
    let new = world.vault().commit_bump(txid, &bumped.tx).unwrap();
    world.vault().transaction_added(&bumped.tx).unwrap();
    world.vault().transaction_removed(txid, RemovalReason::Replaced).unwrap();
    let left = 49 * COIN - bumped.new_fee.to_sat();
    assert_eq!(world.balances(), [left, 0, 0]);
    for _ in 0..2 {
        let old = world.vault().transaction(txid).unwrap().unwrap();
        assert_eq!(old.value_map["replaced_by_txid"], new.to_string());
        assert_eq!((old.state, old.conflicts), (TxState::Inactive, vec![new]));
        let new = world.vault().transaction(new).unwrap().unwrap();
        assert_eq!(new.value_map["replaces_txid"], txid.to_string());
        assert!(!world.vault().can_be_bumped(txid).unwrap());
        world.reopen();
    }
    // Only the new one is sent again.
    assert_eq!(world.vault().unconfirmed_to_rebroadcast().unwrap(), [bumped.tx]);
}

#[test]
fn a_given_fee_rate_is_paid_or_is_too_low() {
    let world = World::rich(1);
    let created = world.pay(stranger(), Amount::from_sat(COIN));
    let txid = created.tx.compute_txid();
    let bumped = world.vault().bump_fee(txid, &control(20_000)).unwrap();
    let rate = bumped.new_fee.to_sat() / created.tx.vsize() as u64;
    assert!((20..=21).contains(&rate), "{rate}");
    let error = world.vault().bump_fee(txid, &control(2_500)).unwrap_err();
    assert!(matches!(error, VaultError::BumpTooLow { .. }), "{error}");
    assert!(
        error.to_string().contains("at least 3 sat/vB")
            || error.to_string().contains("at least 4 sat/vB"),
        "{error}"
    );
}

#[test]
fn other_coins_pay_what_the_change_cannot() {
    let world = World::rich(2);
    // Without change.
    let recipients =
        [recipient(&stranger(), Amount::from_sat(50 * COIN)).subtract_fee_from_amount(true)];
    let created =
        world.vault().create_transaction(&recipients, &control(1_000), true, None).unwrap();
    assert_eq!(created.change_pos, None);
    world.commit(&created.tx);
    let bumped = world.vault().bump_fee(created.tx.compute_txid(), &control(5_000)).unwrap();
    assert_eq!((bumped.tx.input.len(), bumped.tx.output.len()), (2, 2));
    assert!(bumped.tx.output.contains(&created.tx.output[0]));
}

#[test]
fn what_cannot_be_replaced_says_why() {
    let world = World::rich(2);
    let why = |txid| {
        assert!(!world.vault().can_be_bumped(txid).unwrap());
        world.vault().bump_fee(txid, &control(50_000)).unwrap_err().to_string()
    };
    let recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
    let last = control(1_000).signal_rbf(false);
    let created = world.vault().create_transaction(&recipients, &last, true, None).unwrap();
    world.commit(&created.tx);
    assert!(why(created.tx.compute_txid()).contains("does not say"));
    world.mine(1);
    world.follow();
    assert!(why(created.tx.compute_txid()).contains("in the chain"));

    let all = [recipient(&world.address().script_pubkey(), Amount::from_sat(90 * COIN))];
    let first = world.vault().create_transaction(&all, &control(1_000), true, None).unwrap();
    world.commit(&first.tx);
    world.pay(stranger(), Amount::from_sat(80 * COIN));
    assert!(why(first.tx.compute_txid()).contains("spends from it"));
}

#[test]
fn an_abandoned_replacement_gives_way_to_the_first() {
    let mut world = World::rich(1);
    let created = world.pay(stranger(), Amount::from_sat(COIN));
    let txid = created.tx.compute_txid();
    let mut bumped = world.vault().bump_fee(txid, &CoinControl::default()).unwrap().tx;
    world.vault().sign(&mut bumped).unwrap();
    let new = world.vault().commit_bump(txid, &bumped).unwrap();
    world.reopen();
    // First the one that is not valid, then the other: neither may come back.
    world.vault().abandon(txid).unwrap();
    world.vault().abandon(new).unwrap();
    for _ in 0..2 {
        assert_eq!(world.balances(), [50 * COIN, 0, 0]);
        assert_eq!(world.vault().unconfirmed_to_rebroadcast().unwrap(), []);
        world.reopen();
    }
}

#[test]
fn a_coin_that_was_lost_with_its_block_pays_for_no_replacement() {
    let world = World::rich(2);
    let [first, second] = [1, 2]
        .map(|height| OutPoint { txid: world.block(height).txdata[0].compute_txid(), vout: 0 });
    let recipients =
        [recipient(&stranger(), Amount::from_sat(50 * COIN)).subtract_fee_from_amount(true)];
    let mut selected = control(1_000);
    selected.set_selected = vec![first];
    let created = world.vault().create_transaction(&recipients, &selected, true, None).unwrap();
    world.commit(&created.tx);
    let txid = created.tx.compute_txid();
    let mut bumped = world.vault().bump_fee(txid, &control(20_000)).unwrap().tx;
    assert!(bumped.input.iter().any(|txin| txin.previous_output == second));
    assert!(world.vault().sign(&mut bumped).unwrap());
    let fork = BlockId { height: 1, hash: world.block(1).block_hash() };
    world.vault().rewind_to(fork).unwrap();
    assert_eq!(world.vault().commit_bump(txid, &bumped), Err(VaultError::UnknownCoin(second)));
}
