use std::sync::mpsc::channel;
use std::thread;

use bitcoin_ipc::bitcoin::{Network, Txid};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::values::{ChangeType, OutputType};
use bitcoin_regtest::{Chain, mine_block};
use bitcoin_split::SplitNode;

use super::*;
use crate::vault::{AddressBookChange, Listener, Vault, WalletsDir};

const LONG: Duration = Duration::from_secs(60);

/// A listener that fails on the wallet's thread.
struct Panics;

impl Listener for Panics {
    fn address_book_changed(&self, _change: &AddressBookChange) {}

    fn transaction_changed(&self, _txid: Txid, _change: ChangeType) {
        panic!("as a defect would");
    }

    fn status_changed(&self) {}
}

#[test]
fn those_who_wait_are_woken_by_a_panic_of_the_wallets_thread() {
    let dir = tempfile::tempdir().unwrap();
    let node = SplitNode::new(Chain::regtest(), dir.path().to_owned()).unwrap();
    let wallets = WalletsDir::open(dir.path(), Network::Regtest).unwrap();
    let vault = Vault::create(&wallets, "a", &Passphrase::default(), 0, None).unwrap();
    let own = vault.new_address(OutputType::Bech32, "").unwrap();
    vault.set_listener(Some(Arc::new(Panics)));
    let follower = Arc::new(Follower::new(node.chain_handle()));
    let vault = Arc::new(OpenVault::new(vault));
    follower.start("a", vault, Arc::new(Events::new())).unwrap();
    assert_eq!(follower.sync(), Ok(()));

    mine_block(node.chain(), own.script_pubkey()).unwrap();
    let (sender, answered) = channel();
    let waiting = Arc::clone(&follower);
    thread::spawn(move || sender.send(waiting.sync()));
    let problem = answered.recv_timeout(LONG).unwrap().unwrap_err();
    assert!(problem.contains("load it again"), "{problem}");
    // It ends in order all the same.
    follower.stop();
}
