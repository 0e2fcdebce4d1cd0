//! Addresses, labels, receive requests, locked outputs: what a person notes.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, Txid};
use bitcoin_ipc_draft::values::{AddressPurpose, OutputType};
use bitcoin_ipc_wallet::vault::VaultError;

use super::world::{COIN, Told, World, control, recipient, stranger};

#[test]
fn no_address_is_given_out_twice() {
    let mut world = World::new();
    let mut seen = HashSet::new();
    for _ in 0..3 {
        for _ in 0..5 {
            assert!(seen.insert(world.address()));
            assert!(seen.insert(world.vault().new_change_address().unwrap()));
        }
        world.reopen();
    }
}

#[test]
fn addresses_are_of_the_one_type() {
    let world = World::new();
    let address = world.vault().new_address(OutputType::Bech32, "x").unwrap();
    assert!(address.to_string().starts_with("bcrt1q"));
    for other in [OutputType::Legacy, OutputType::P2shSegwit, OutputType::Bech32m] {
        let error = world.vault().new_address(other, "x").unwrap_err();
        assert!(error.to_string().contains("bech32 only"), "{error}");
    }
    let info = world.vault().script_info(&address.script_pubkey()).unwrap().unwrap();
    assert_eq!(info.path.to_string(), "84'/1'/0'/0/0");
    assert!(
        !info.internal && info.descriptor.starts_with("wpkh([") && info.descriptor.contains("#")
    );
    assert_eq!(
        info.public_key.wpubkey_hash().unwrap().to_byte_array(),
        address.script_pubkey().as_bytes()[2..]
    );
    assert_eq!(world.vault().script_info(&stranger()).unwrap(), None);
}

#[test]
fn labels_stay() {
    let mut world = World::new();
    let told = Arc::new(Told::default());
    world.vault().set_listener(Some(told.clone()));
    let own = world.vault().new_address(OutputType::Bech32, "rent").unwrap().script_pubkey();
    world.vault().set_address_book(&own, "food", None).unwrap();
    world.vault().set_address_book(&stranger(), "shop", None).unwrap();
    assert_eq!(
        told.take(),
        ["New label rent mine true", "Updated label food mine true", "New label shop mine false"]
    );
    world.reopen();
    let entry = |script| {
        world
            .vault()
            .address(script)
            .unwrap()
            .map(|entry| (entry.label, entry.purpose, entry.is_mine))
    };
    assert_eq!(entry(&own), Some(("food".to_owned(), AddressPurpose::Receive, true)));
    assert_eq!(entry(&stranger()), Some(("shop".to_owned(), AddressPurpose::Send, false)));
    world.vault().set_address_book(&stranger(), "shop", Some(AddressPurpose::Refund)).unwrap();
    world.vault().set_address_book(&stranger(), "store", None).unwrap();
    assert_eq!(entry(&stranger()), Some(("store".to_owned(), AddressPurpose::Refund, false)));
    assert_eq!(world.vault().addresses().unwrap().len(), 2);

    world.vault().set_receive_request(&stranger(), b"1", b"please").unwrap();
    assert!(world.vault().del_address_book(&stranger()).unwrap());
    assert!(!world.vault().del_address_book(&stranger()).unwrap());
    assert_eq!(world.vault().receive_requests().unwrap().len(), 0);
    assert!(matches!(world.vault().del_address_book(&own), Err(VaultError::BadRequest(_))));
    assert_eq!(world.vault().addresses().unwrap().len(), 1);
}

#[test]
fn receive_requests_stay() {
    let mut world = World::new();
    let (own, vault) = (world.address().script_pubkey(), world.vault());
    assert!(vault.set_receive_request(&own, b"1", b"one").unwrap());
    assert!(vault.set_receive_request(&own, b"2", b"two").unwrap());
    assert!(vault.set_receive_request(&own, b"1", b"uno").unwrap());
    world.reopen();
    assert_eq!(world.vault().receive_requests().unwrap(), [b"uno", b"two"]);
    assert!(world.vault().set_receive_request(&own, b"1", b"").unwrap());
    assert!(!world.vault().set_receive_request(&own, b"1", b"").unwrap());
    assert_eq!(world.vault().receive_requests().unwrap(), [b"two"]);
}

#[test]
fn a_locked_output_is_not_spent() {
    let mut world = World::rich(2);
    let coins: Vec<OutPoint> =
        world.vault().coins().unwrap().iter().map(|coin| coin.outpoint).collect();
    assert!(world.vault().lock_coin(coins[0], true).unwrap());
    assert!(!world.vault().lock_coin(coins[0], false).unwrap());
    assert!(world.vault().lock_coin(coins[1], false).unwrap());
    assert_eq!(world.vault().locked_coins().len(), 2);
    let pay = |world: &World, select: &[OutPoint]| {
        let mut control = control(1_000);
        control.set_selected = select.to_vec();
        let recipients = [recipient(&stranger(), Amount::from_sat(COIN))];
        world.vault().create_transaction(&recipients, &control, true, None)
    };
    assert!(matches!(pay(&world, &[]), Err(VaultError::NotEnough { .. })));
    assert_eq!(world.vault().available_balance(&control(1)).unwrap(), Amount::ZERO);
    // Selected, it is.
    assert_eq!(pay(&world, &[coins[1]]).unwrap().tx.input[0].previous_output, coins[1]);

    world.reopen();
    assert_eq!(world.vault().locked_coins(), [coins[0]]);
    assert!(!world.vault().is_locked_coin(coins[1]));
    assert_eq!(pay(&world, &[]).unwrap().tx.input[0].previous_output, coins[1]);
    assert!(world.vault().unlock_coin(coins[0]).unwrap());
    assert!(!world.vault().unlock_coin(coins[0]).unwrap());
    world.reopen();
    let none: [OutPoint; 0] = [];
    assert_eq!(world.vault().locked_coins(), none);
}

#[test]
fn notes_on_a_transaction_stay() {
    let mut world = World::rich(1);
    let tx = world.create(stranger(), Amount::from_sat(COIN)).tx;
    let notes = [("comment".to_owned(), "shoes \"red\"".to_owned())].into();
    let form = vec![("order".to_owned(), "7".to_owned())];
    world.vault().commit_transaction(&tx, notes, form.clone()).unwrap();
    world.reopen();
    let details = world.vault().transaction(tx.compute_txid()).unwrap().unwrap();
    assert_eq!(details.value_map["comment"], "shoes \"red\"");
    assert_eq!(details.order_form, form);
    assert_eq!(world.vault().transactions().unwrap().last().unwrap().txid, details.txid);
    assert!(world.vault().transaction(Txid::all_zeros()).unwrap().is_none());
}
