//! The bootstrap object: for clients of Bitcoin Core's releases, of this draft, and of the one before.

use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc::mining::BlockCreateOptions;
use bitcoin_ipc_draft::wallet::{WalletLoader, WalletLoaderClient};
use multiprocess::Result;
use old_draft::init as old_init;

use crate::support::{connect, serve};

#[test]
fn a_client_of_a_release_has_what_it_knows() {
    let served = serve();
    served.mine(2);
    let (init, _peer, _serving) = connect::<bitcoin_ipc::init::InitClient>(&served.node);
    assert_eq!(init.make_echo().wait().unwrap().unwrap().echo("x").wait().unwrap(), "x");
    let mining = init.make_mining().wait().unwrap().unwrap();
    assert_eq!(mining.get_tip().wait().unwrap().unwrap().height, 2);
    let template = mining.create_new_block(BlockCreateOptions::default(), false).wait().unwrap();
    assert_eq!(served.node.released().live_templates(), 1);
    drop(template);
    let error = init.make_mining_old2().wait().unwrap_err();
    assert!(error.to_string().contains("Bitcoin Core 30's"), "{error}");

    let rpc = init.make_rpc().wait().unwrap().unwrap();
    let count: u32 = rpc.call("getblockcount", ()).wait().unwrap();
    assert_eq!(count, 2);
    // What a test orders of the node is met through it, too.
    served.node.released().faults().fail("Rpc.executeRpc", 1, "out of order");
    let error = rpc.call::<u32>("getblockcount", ()).wait().unwrap_err();
    assert!(error.to_string().contains("out of order"), "{error}");
    served.node.released().faults().fail("Init.makeRpc", 1, "no Rpc");
    assert!(init.make_rpc().wait().map(drop).unwrap_err().to_string().contains("no Rpc"));
}

#[derive(Clone)]
struct Wallets;

impl bitcoin_ipc_draft::chain::ChainClient for Wallets {}

impl WalletLoader for Wallets {
    fn is_encrypted(&self, name: String) -> Result<bool> {
        Ok(name == "a")
    }
}

#[test]
fn a_user_interface_gets_the_wallets_of_the_wallet_process() {
    let served = serve();
    let node = served.ui_node();
    let asks = || {
        let args = GlobalArgs::default();
        [served.init.make_wallet_loader(args, None).wait(), node.custom_wallet_loader().wait()]
    };
    for none in asks() {
        let error = none.map(drop).unwrap_err().to_string();
        assert!(error.contains("no wallet process: start it with -wallet"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    served.node.set_wallet_loader(Some(WalletLoaderClient::new(Wallets)));
    for loader in asks() {
        let loader = loader.unwrap().unwrap();
        assert!(loader.is_encrypted("a").wait().unwrap());
        assert!(!loader.is_encrypted("b").wait().unwrap());
    }
    served.node.set_wallet_loader(None);
    assert!(asks().iter().all(Result::is_err));
    // Its chain is there for whoever asks, such as a wallet process that connects by itself.
    served.mine(3);
    let chain = served.init.make_chain().wait().unwrap().unwrap();
    assert_eq!(chain.get_height().wait().unwrap(), Some(3));
}

/// By the first call that only that version can have made, it is seen.
#[test]
fn a_user_interface_of_february_calls_by_its_own_ordinals() {
    let served = serve();
    served.mine(4);
    served.node.set_wallet_loader(Some(WalletLoaderClient::new(Wallets)));
    let (init, _peer, _serving) = connect::<old_init::InitClient>(&served.node);
    let loader = init.make_wallet_loader(GlobalArgs::default(), None).wait().unwrap().unwrap();
    assert!(loader.is_encrypted("a").wait().unwrap());
    // These are two ordinals on which the versions have different methods.
    let node = init.make_node().wait().unwrap().unwrap();
    assert_eq!(node.get_num_blocks().wait().unwrap(), 4);
    let chain = init.make_chain().wait().unwrap().unwrap();
    assert_eq!(chain.get_height().wait().unwrap(), Some(4));
}
