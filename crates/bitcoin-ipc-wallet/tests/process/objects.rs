//! A wallet as an object of the node's, as a user interface uses it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};

use bitcoin_ipc::bitcoin::absolute::LockTime;
use bitcoin_ipc::bitcoin::consensus::encode::deserialize;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::transaction::Version;
use bitcoin_ipc::bitcoin::{Amount, OutPoint, Sequence, Transaction, TxIn, TxOut, Txid};
use bitcoin_ipc::common::PsbtFillOptions;
use bitcoin_ipc_draft::chain::ChainClientClient;
use bitcoin_ipc_draft::values::{
    AddressPurpose, ChangeType, FeeReason, OutputType, PsbtError, SigningResult,
};
use bitcoin_ipc_draft::wallet::{
    AddressBookChangedCallbackClient, CoinControl, Recipient, StatusChangedCallbackClient,
    TransactionChangedCallbackClient, TxDestination, UnloadWalletCallbackClient, WalletClient,
};
use bitcoin_ipc_draft::{FeeRate, Passphrase};
use multiprocess::Error;
use serde_json::json;

use super::split::{LONG, Node, Process, nobody};

const OTHER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

fn other() -> TxDestination {
    TxDestination::from(&super::split::address(&json!(OTHER)))
}

fn control() -> CoinControl {
    CoinControl::default()
        .allow_other_inputs(true)
        .max_depth(9_999_999)
        .fee_rate(FeeRate::from_sat_per_kvb(3_000))
}

/// A wallet `a` with 50 bitcoins.
fn rich(node: &Node, process: &Process) -> WalletClient {
    let made = process.loader.create_wallet("a", Passphrase::default(), 0).wait().unwrap();
    let wallet = made.result.into_result().unwrap().unwrap();
    let own = wallet.get_new_destination(OutputType::Bech32, "mining").wait().unwrap();
    node.mine(1, &own.into_result().unwrap().script().unwrap());
    node.mine_empty(100);
    // So that it has seen them.
    assert_eq!(node.balance(), 50.0);
    wallet
}

#[test]
fn a_wallet_tells_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    assert_eq!(process.loader.get_wallet_dir().wait().unwrap(), dir.path().join("wallets"));
    assert!(wallet.hd_enabled().wait().unwrap() && wallet.can_get_addresses().wait().unwrap());
    assert!(!wallet.private_keys_disabled().wait().unwrap());
    assert_eq!(wallet.get_default_address_type().wait().unwrap(), OutputType::Bech32);
    assert_eq!(wallet.get_default_max_tx_fee().wait().unwrap(), Amount::from_sat(10_000_000));
    assert_eq!(wallet.get_confirm_target().wait().unwrap(), 6);
    let error = wallet.display_address(other()).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
    assert!(ChainClientClient::from(process.loader.clone()).verify().wait().unwrap());
}

#[test]
fn coins_and_balances_of_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    let fifty = Amount::from_int_btc(50);
    assert_eq!(wallet.get_balance().wait().unwrap(), fifty);
    let balances = wallet.try_get_balances().wait().unwrap();
    assert!(balances.result && balances.block_hash == Some(node.chain.tip().hash));
    assert_eq!(
        (balances.balances.balance, balances.balances.immature_balance),
        (fifty, Amount::ZERO)
    );
    assert_eq!(wallet.get_available_balance(control()).wait().unwrap(), fifty);

    let mut listed = wallet.list_coins().wait().unwrap();
    let group = listed.pop().unwrap();
    assert!(listed.is_empty() && group.value.len() == 1);
    let outpoint: OutPoint = deserialize(&group.value[0].key).unwrap();
    let coin = &group.value[0].value;
    let output: TxOut = deserialize(&coin.txout).unwrap();
    assert_eq!((output.value, coin.depth_in_main_chain, coin.is_spent), (fifty, 101, false));
    assert_eq!(group.key.script().unwrap(), output.script_pubkey);
    let unknown = OutPoint { txid: Txid::all_zeros(), vout: 0 };
    let coins = wallet.get_coins(vec![unknown, outpoint]).wait().unwrap();
    assert_eq!((coins[0].depth_in_main_chain, coins[1].depth_in_main_chain), (-1, 101));

    let spends = |previous_output| TxIn { previous_output, ..TxIn::default() };
    assert!(wallet.txin_is_mine(spends(outpoint)).wait().unwrap());
    assert!(!wallet.txin_is_mine(spends(unknown)).wait().unwrap());
    assert_eq!(wallet.get_debit(spends(outpoint)).wait().unwrap(), fifty);
    assert!(wallet.txout_is_mine(output.clone()).wait().unwrap());
    assert_eq!(wallet.get_credit(output.clone()).wait().unwrap(), fifty);
    let foreign = TxOut { script_pubkey: nobody(), ..output };
    assert!(!wallet.txout_is_mine(foreign.clone()).wait().unwrap());
    assert_eq!(wallet.get_credit(foreign).wait().unwrap(), Amount::ZERO);

    assert!(wallet.lock_coin(outpoint, false).wait().unwrap());
    assert!(wallet.is_locked_coin(outpoint).wait().unwrap());
    assert_eq!(wallet.list_locked_coins().wait().unwrap(), [outpoint]);
    let to = Recipient::new(Amount::ONE_BTC).dest(other());
    let refused = wallet.create_transaction(vec![to], control(), true, None).wait().unwrap();
    assert!(refused.into_result().is_err(), "its only coin is locked");
    assert!(wallet.unlock_coin(outpoint).wait().unwrap());
    assert!(wallet.list_locked_coins().wait().unwrap().is_empty());
}

#[test]
fn an_object_pays_and_raises_the_fee() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    assert_eq!(wallet.get_required_fee(1_000).wait().unwrap(), Amount::from_sat(1_000));
    let least = wallet.get_minimum_fee(200, control(), true, true).wait().unwrap();
    assert_eq!((least.result, least.reason), (Amount::from_sat(600), Some(FeeReason::None)));

    let to = Recipient::new(Amount::ONE_BTC).dest(other());
    let made = wallet.create_transaction(vec![to], control(), true, Some(0)).wait().unwrap();
    let made = made.into_result().unwrap();
    assert_eq!(made.change_pos, Some(0));
    let tx = made.tx.unwrap();
    let notes = BTreeMap::from([("comment".to_owned(), "lunch".to_owned())]);
    wallet.commit_transaction(tx.clone(), notes.clone(), Vec::new()).wait().unwrap();
    let txid = tx.compute_txid();
    assert!(node.chain.mempool_transaction(&txid).is_some());
    assert_eq!(wallet.get_tx(txid).wait().unwrap(), Some(tx.clone()));
    let own = wallet.get_wallet_tx(txid).wait().unwrap();
    assert_eq!((own.debit, &own.value_map), (Amount::from_int_btc(50), &notes));
    assert_eq!((own.txout_is_change, own.txout_is_mine), (vec![true, false], vec![true, false]));
    assert_eq!(own.credit, own.change);
    let details = wallet.get_wallet_tx_details(txid).wait().unwrap();
    assert!(details.in_mempool && details.num_blocks == 101);
    assert_eq!((details.tx_status.depth_in_main_chain, details.tx_status.is_trusted), (0, true));
    assert!(!wallet.transaction_can_be_abandoned(txid).wait().unwrap(), "the node has it");
    assert!(!wallet.abandon_transaction(txid).wait().unwrap());

    assert!(wallet.transaction_can_be_bumped(txid).wait().unwrap());
    let higher = control().fee_rate(FeeRate::from_sat_per_kvb(10_000));
    let bump = wallet.create_bump_transaction(txid, higher).wait().unwrap();
    assert!(bump.result && bump.new_fee > bump.old_fee, "{:?}", bump.errors);
    assert_eq!(bump.old_fee, made.fee);
    let signed = wallet.sign_bump_transaction(bump.mtx).wait().unwrap();
    assert!(signed.result);
    let stored = wallet.commit_bump_transaction(txid, signed.mtx).wait().unwrap();
    assert!(stored.result, "{:?}", stored.errors);
    let replacement = Txid::from_slice(&stored.bumped_txid).unwrap();
    assert!(node.chain.mempool_transaction(&txid).is_none());
    assert!(node.chain.mempool_transaction(&replacement).is_some());
    let mined = node.mine_empty(1);
    assert_eq!(
        node.call("gettransaction", json!([replacement.to_string()]))["blockhash"],
        json!(mined[0].to_string())
    );
    let status = wallet.try_get_tx_status(replacement).wait().unwrap();
    assert!(status.result && status.tx_status.is_in_main_chain);
    assert_eq!((status.num_blocks, status.tx_status.block_height), (102, 102));
    assert_eq!(wallet.get_wallet_txs().wait().unwrap().len(), 3);
    let none = wallet.get_wallet_tx(Txid::all_zeros()).wait().unwrap();
    assert_eq!(none.tx, None);
}

#[test]
fn the_address_book_of_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    assert!(wallet.set_address_book(other(), "Alice", AddressPurpose::Send).wait().unwrap());
    let entry = wallet.get_address(other(), true, true).wait().unwrap();
    assert!(entry.result);
    assert_eq!((entry.name.as_deref(), entry.purpose), (Some("Alice"), Some(AddressPurpose::Send)));
    let bare = wallet.get_address(other(), false, false).wait().unwrap();
    assert_eq!((bare.result, bare.name, bare.purpose), (true, None, None));
    let all = wallet.get_addresses().wait().unwrap();
    let mut names: Vec<_> = all.iter().map(|entry| (entry.name.as_str(), entry.is_mine)).collect();
    names.sort_unstable();
    assert_eq!(names, [("Alice", false), ("mining", true)]);
    assert!(!wallet.is_spendable(other()).wait().unwrap());
    let own = all.iter().find(|entry| entry.is_mine).unwrap().dest.clone();
    assert!(wallet.is_spendable(own.clone()).wait().unwrap());
    assert!(wallet.del_address_book(other()).wait().unwrap());
    assert!(!wallet.get_address(other(), true, true).wait().unwrap().result);
    assert!(
        wallet
            .set_address_receive_request(own.clone(), b"1".to_vec(), b"cake".to_vec())
            .wait()
            .unwrap()
    );
    assert_eq!(wallet.get_address_receive_requests().wait().unwrap(), [b"cake"]);
    let legacy = wallet.get_new_destination(OutputType::Legacy, "").wait().unwrap();
    assert!(legacy.into_result().is_err());
    let nobodys = wallet.is_spendable(TxDestination::default()).wait().unwrap_err();
    assert!(nobodys.to_string().contains("is empty"), "{nobodys}");
}

#[test]
fn an_object_signs() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    let own = node.address();
    let info = node.call("getaddressinfo", json!([own.to_string()]));
    let key: bitcoin_ipc::bitcoin::PublicKey = info["pubkey"].as_str().unwrap().parse().unwrap();
    let told = wallet.get_pub_key(nobody(), key.pubkey_hash()).wait().unwrap();
    assert!(told.result && told.pub_key == key.to_bytes());
    let signed = wallet.sign_message("hello", key.pubkey_hash()).wait().unwrap();
    assert_eq!(signed.result, SigningResult::Ok);
    assert_eq!(signed.signature.len(), 88, "65 bytes in base64");
    let stranger = bitcoin_ipc::bitcoin::PubkeyHash::all_zeros();
    assert!(!wallet.get_pub_key(nobody(), stranger).wait().unwrap().result);
    let refused = wallet.sign_message("hello", stranger).wait().unwrap();
    assert_eq!(
        (refused.result, refused.signature.as_str()),
        (SigningResult::PrivateKeyNotAvailable, "")
    );

    let to = Recipient::new(Amount::ONE_BTC).dest(other());
    let made = wallet.create_transaction(vec![to], control(), false, None).wait().unwrap();
    let tx = made.into_result().unwrap().tx.unwrap();
    let psbt = bitcoin_ipc::bitcoin::Psbt::from_unsigned_tx(tx).unwrap().serialize();
    let fill = |options| wallet.fill_psbt(options, 0, true, psbt.clone()).wait().unwrap();
    let mut options = PsbtFillOptions::default();
    let filled = fill(options);
    assert_eq!((filled.complete, filled.n_signed, filled.result), (true, Some(1), None));
    options.sign = false;
    let updated = fill(options);
    assert_eq!((updated.complete, updated.n_signed), (false, Some(0)));
    options.sighash_type = Some(3);
    let refused = fill(options);
    assert_eq!(refused.result.map(PsbtError::from), Some(PsbtError::SighashMismatch));
    let error = wallet.fill_psbt(PsbtFillOptions::default(), 0, false, vec![1]).wait().unwrap_err();
    assert!(error.to_string().contains("this is no PSBT"), "{error}");
}

fn all_told<T>(told: &Receiver<T>, count: usize) -> Vec<T> {
    (0..count).map(|_| told.recv_timeout(LONG).unwrap()).collect()
}

#[test]
fn an_object_tells_of_its_changes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    let (sender, transactions) = channel();
    let changed = TransactionChangedCallbackClient::from_fn(move |txid, change| {
        sender.send((txid, change)).unwrap();
        Ok(())
    });
    let first = wallet.handle_transaction_changed(Some(changed)).wait().unwrap().unwrap();
    let (sender, labels) = channel();
    let changed = AddressBookChangedCallbackClient::from_fn(
        move |_, label: String, is_mine, purpose, change| {
            sender.send((label, is_mine, purpose, change)).unwrap();
            Ok(())
        },
    );
    let _second = wallet.handle_address_book_changed(Some(changed)).wait().unwrap();
    let (sender, states) = channel();
    let changed = StatusChangedCallbackClient::from_fn(move || {
        sender.send(()).unwrap();
        Ok(())
    });
    let _third = wallet.handle_status_changed(Some(changed)).wait().unwrap();
    let (sender, unloaded) = channel();
    let changed = UnloadWalletCallbackClient::from_fn(move || {
        sender.send(()).unwrap();
        Ok(())
    });
    let _fourth = wallet.handle_unload(Some(changed)).wait().unwrap();

    let txid: Txid =
        node.call("sendtoaddress", json!([OTHER, 1])).as_str().unwrap().parse().unwrap();
    assert_eq!(all_told(&transactions, 1), [(txid, ChangeType::New)]);
    node.mine_empty(1);
    let is_confirmed = || wallet.try_get_tx_status(txid).wait().unwrap().tx_status.is_in_main_chain;
    while !is_confirmed() {
        let (changed, change) = transactions.recv_timeout(LONG).unwrap();
        assert_eq!((changed, change), (txid, ChangeType::Updated));
    }
    first.disconnect().wait().unwrap();
    node.call("setlabel", json!([OTHER, "Alice"]));
    let new = ("Alice".to_owned(), false, AddressPurpose::Send, ChangeType::New);
    assert_eq!(all_told(&labels, 1), [new]);
    wallet.encrypt_wallet(Passphrase::from("open".to_owned())).wait().unwrap();
    all_told(&states, 1);
    wallet.remove().wait().unwrap();
    all_told(&unloaded, 1);
}

#[test]
fn a_subscriber_whose_connection_ends_is_let_go_and_others_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    // One who never returns from its first call.
    let (hangs, forever) = channel::<()>();
    let forever = std::sync::Mutex::new(forever);
    let slow = AddressBookChangedCallbackClient::from_fn(move |_, _: String, _, _, _| {
        let _ = forever.lock().unwrap().recv();
        Ok(())
    });
    let _slow = wallet.handle_address_book_changed(Some(slow)).wait().unwrap();
    let (sender, labels) = channel();
    let quick = AddressBookChangedCallbackClient::from_fn(move |_, label: String, _, _, _| {
        sender.send(label).unwrap();
        Ok(())
    });
    let _quick = wallet.handle_address_book_changed(Some(quick)).wait().unwrap();
    for label in ["a", "b", "c"] {
        node.call("setlabel", json!([OTHER, label]));
    }
    assert_eq!(all_told(&labels, 3), ["a", "b", "c"]);
    drop(hangs);
}

#[test]
fn what_the_node_does_not_take_yet_is_given_to_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let process = node.start();
    let wallet = rich(&node, &process);
    let coin = wallet.list_coins().wait().unwrap().remove(0).value.remove(0).key;
    let input = TxIn {
        previous_output: deserialize(&coin).unwrap(),
        sequence: Sequence::ENABLE_LOCKTIME_NO_RBF,
        ..TxIn::default()
    };
    let value = Amount::from_btc(49.999).unwrap();
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::from_height(105).unwrap(),
        input: vec![input],
        output: vec![TxOut { value, script_pubkey: nobody() }],
    };
    let psbt = bitcoin_ipc::bitcoin::Psbt::from_unsigned_tx(tx).unwrap().serialize();
    let filled = wallet.fill_psbt(PsbtFillOptions::default(), 0, false, psbt).wait().unwrap();
    assert!(filled.complete);
    let psbt = bitcoin_ipc::bitcoin::Psbt::deserialize(&filled.psbtx).unwrap();
    let tx = psbt.extract_tx_unchecked_fee_rate();
    let txid = tx.compute_txid();
    wallet.commit_transaction(tx, BTreeMap::new(), Vec::new()).wait().unwrap();
    assert!(node.chain.mempool().is_empty(), "it is for a later block");
    assert_eq!(wallet.get_balance().wait().unwrap(), Amount::ZERO, "what it spends is spent");
    node.mine_empty(5);
    process.loader.scheduler_mock_forward(600).wait().unwrap();
    let is_there = || node.chain.mempool_transaction(&txid).is_some();
    super::split::wait_until("it is in the memory pool", is_there);
}
