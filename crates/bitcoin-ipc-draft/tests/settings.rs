//! What a process is told when it is started: the node's settings.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bitcoin_ipc::common::{GlobalArgs, Pair, Settings};
use bitcoin_ipc_draft::chain::{Chain, ChainHandle};
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::wallet::WalletLoaderClient;
use multiprocess::{Connection, PeerVersion, Result};

struct Node;

impl Chain for Node {
    fn get_prune_height(&self) -> Result<Option<i32>> {
        Ok(Some(0))
    }
}

/// Keeps the settings that it gets.
struct Wallets(Arc<Mutex<GlobalArgs>>);

impl Init for Wallets {
    fn make_wallet_loader(
        &self,
        settings: GlobalArgs,
        chain: Option<ChainHandle>,
    ) -> Result<Option<WalletLoaderClient>> {
        assert_eq!(chain.unwrap().get_prune_height().wait()?, Some(0));
        *self.0.lock().unwrap() = settings;
        Ok(None)
    }
}

#[test]
fn settings_of_a_process_travel_whole() {
    let got = Arc::new(Mutex::new(GlobalArgs::default()));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let init = InitClient::new(Wallets(got.clone()));
    let _serving = Connection::builder().serve(init).start(theirs).unwrap();
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    PeerVersion::assume(&init, "2026-07").unwrap();

    let text = str::to_owned;
    let section = Pair::new(text("prune"), vec![text("550"), text("1")]);
    let settings = Settings::default()
        .forced_settings([(text("listen"), text("false"))].into())
        .command_line_options([(text("regtest"), vec![text("true")])].into())
        .rw_settings([(text("wallet"), text("[\"a\"]"))].into())
        .ro_config([(text("regtest"), vec![section])].into());
    let sent = GlobalArgs::default().settings(settings).config_path("/a/bitcoin.conf");
    let chain = ChainHandle::new(Node);
    assert!(init.make_wallet_loader(sent.clone(), Some(chain)).wait().unwrap().is_none());
    assert_eq!(*got.lock().unwrap(), sent);
}
