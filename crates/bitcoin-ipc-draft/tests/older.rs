//! Peers that have the draft of February: called through the handles of July, and served by its objects.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bitcoin_ipc::bitcoin::Amount;
use bitcoin_ipc::common::{GlobalArgs, UtilResult};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::chain::{Chain, ChainClient, ChainHandle};
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::wallet::{CoinControl, WalletLoader, WalletLoaderClient};
use multiprocess::{Connection, Error, Interface, PeerVersion, Result};
use old_draft::{chain as old_chain, init as old_init, wallet as old_wallet};
use serde_json::json;

/// Notes which of its methods are called.
#[derive(Clone, Default)]
struct Old(Arc<Mutex<Vec<String>>>);

impl Old {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl old_init::Init for Old {
    fn make_chain(&self) -> Result<Option<old_chain::ChainHandle>> {
        self.note("makeChain");
        Ok(Some(old_chain::ChainHandle::new(self.clone())))
    }

    fn make_wallet_loader(
        &self,
        settings: GlobalArgs,
        _chain: Option<old_chain::ChainHandle>,
    ) -> Result<Option<old_wallet::WalletLoaderClient>> {
        self.note(format!("makeWalletLoader {}", settings.config_path));
        Ok(Some(old_wallet::WalletLoaderClient::new(self.clone())))
    }
}

impl old_chain::Chain for Old {
    fn get_height(&self) -> Result<Option<i32>> {
        self.note("getHeight");
        Ok(Some(7))
    }

    fn get_setting(&self, name: String) -> Result<Value> {
        self.note(format!("getSetting {name}"));
        Ok(json!(550))
    }

    fn has_assumed_valid_chain(&self) -> Result<bool> {
        self.note("hasAssumedValidChain");
        Ok(true)
    }
}

impl old_chain::ChainClient for Old {}

impl old_wallet::WalletLoader for Old {
    fn get_wallets(&self) -> Result<Vec<Option<old_wallet::WalletClient>>> {
        Ok(vec![Some(old_wallet::WalletClient::new(self.clone()))])
    }
}

impl old_wallet::Wallet for Old {
    fn create_transaction(
        &self,
        _recipients: Vec<old_wallet::Recipient>,
        _coin_control: old_wallet::CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<UtilResult<old_wallet::CreatedTransactionResult>> {
        self.note(format!("createTransaction {sign} {change_pos:?}"));
        Ok(UtilResult::failed("no money"))
    }

    fn get_balances(&self) -> Result<old_wallet::WalletBalances> {
        Ok(old_wallet::WalletBalances { balance: Amount::from_sat(5), ..Default::default() })
    }

    fn fill_psbt(
        &self,
        sighash_type: i32,
        sign: bool,
        bip32derivs: bool,
        want_n_signed: bool,
    ) -> Result<old_wallet::WalletFillPSBTResults> {
        self.note(format!("fillPSBT {sighash_type} {sign} {bip32derivs}"));
        Ok(old_wallet::WalletFillPSBTResults {
            n_signed: want_n_signed.then_some(3),
            psbt: vec![6],
            complete: true,
            ..Default::default()
        })
    }
}

/// A peer of February, of which nobody knows that yet.
fn serve() -> (InitClient, Old, Connection) {
    let old = Old::default();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let init = old_init::InitClient::new(old.clone());
    let serving = Connection::builder().serve(init).start(theirs).unwrap();
    (Connection::new(ours).unwrap().bootstrap().unwrap(), old, serving)
}

#[test]
fn no_method_is_taken_for_another_before_the_version_is_known() {
    let (init, old, _serving) = serve();
    // Their ordinals are those of makeNode and makeTracing there.
    for error in [
        init.make_chain().wait().map(drop).unwrap_err(),
        init.make_wallet_loader(GlobalArgs::default(), None).wait().map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("PeerVersion::assume"), "{error}");
    }
    assert_eq!(old.take(), Vec::<String>::new());
}

#[test]
fn a_chain_of_february_is_called_by_the_same_handles() {
    let (init, old, _serving) = serve();
    PeerVersion::assume(&init, "2026-02").unwrap();
    let chain: ChainHandle = init.make_chain().wait().unwrap().unwrap();
    assert_eq!(chain.get_height().wait().unwrap(), Some(7));
    assert_eq!(chain.get_setting("prune").wait().unwrap(), json!(550));
    assert!(chain.has_assumed_valid_chain().wait().unwrap());
    let called = ["makeChain", "getHeight", "getSetting prune", "hasAssumedValidChain"];
    assert_eq!(old.take(), called);
    // What it does not have.
    for error in [
        chain.wait_for_notifications().wait().unwrap_err(),
        init.make_rpc().wait().map(drop).unwrap_err(),
    ] {
        let too_old = matches!(error, Error::PeerTooOld { .. } | Error::Unimplemented { .. });
        assert!(too_old, "{error}");
    }
    assert_eq!(old.take(), Vec::<String>::new());
}

#[test]
fn a_wallet_of_february_is_called_by_the_same_handles() {
    let (init, old, _serving) = serve();
    PeerVersion::assume(&init, "2026-02").unwrap();
    let settings = GlobalArgs::default().config_path("/a");
    let loader = init.make_wallet_loader(settings, None).wait().unwrap().unwrap();
    let wallet = loader.get_wallets().wait().unwrap().remove(0).unwrap();
    let made =
        wallet.create_transaction(vec![], CoinControl::default(), true, Some(4)).wait().unwrap();
    assert_eq!(made.into_result().unwrap_err().original, "no money");
    let balances = wallet.get_balances().wait().unwrap();
    assert_eq!((balances.balance, balances.used_balance), (Amount::from_sat(5), 0));
    let filled = wallet.fill_psbt_v2026_02(1, true, false, true).wait().unwrap();
    assert_eq!((filled.n_signed, filled.psbt, filled.complete), (Some(3), vec![6], true));
    let calls = ["makeWalletLoader /a", "createTransaction true Some(4)", "fillPSBT 1 true false"];
    assert_eq!(old.take(), calls);
    let error = wallet.fill_psbt(Default::default(), 0, false, vec![]).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. } | Error::PeerTooOld { .. }), "{error}");
    assert_eq!(old.take(), Vec::<String>::new());
}

/// A wallet process, as a node of either version starts it. It is not told which.
struct WalletProcess;

impl Init for WalletProcess {
    fn make_wallet_loader(
        &self,
        settings: GlobalArgs,
        chain: Option<ChainHandle>,
    ) -> Result<Option<WalletLoaderClient>> {
        assert_eq!(settings.config_path, "/a");
        let chain = chain.ok_or_else(|| Error::failed("no chain"))?;
        Ok(Some(WalletLoaderClient::new(Loader { chain })))
    }
}

struct Loader {
    chain: ChainHandle,
}

impl ChainClient for Loader {
    fn load(&self) -> Result<bool> {
        // In February at another ordinal, at which July has something else.
        Ok(self.chain.get_setting("prune").wait()? == json!(550))
    }
}

impl WalletLoader for Loader {}

/// Serves the wallet process to a node, whose Init it is asked for.
fn wallet_process<I: Interface>() -> (I, Connection, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let init = InitClient::new(WalletProcess);
    let serving = Connection::builder().serve(init).start(theirs).unwrap();
    let connection = Connection::new(ours).unwrap();
    (connection.bootstrap().unwrap(), connection, serving)
}

#[test]
fn a_node_of_february_starts_the_wallet_of_july() {
    let (init, _connection, _serving) = wallet_process::<old_init::InitClient>();
    let old = Old::default();
    let chain = old_chain::ChainHandle::new(old.clone());
    let settings = GlobalArgs::default().config_path("/a");
    let loader = init.make_wallet_loader(settings, Some(chain)).wait().unwrap().unwrap();
    assert!(loader.load().wait().unwrap());
    assert_eq!(old.take(), ["getSetting prune"]);
}

#[test]
fn a_node_of_july_starts_it_as_well() {
    struct Settings;
    impl Chain for Settings {
        fn get_setting(&self, name: String) -> Result<Value> {
            assert_eq!(name, "prune");
            Ok(json!(550))
        }
    }
    let (init, _connection, _serving) = wallet_process::<InitClient>();
    PeerVersion::assume(&init, "2026-07").unwrap();
    let chain = ChainHandle::new(Settings);
    let settings = GlobalArgs::default().config_path("/a");
    let loader = init.make_wallet_loader(settings, Some(chain)).wait().unwrap().unwrap();
    assert!(loader.load().wait().unwrap());
}

/// A node of July whose wallet process is of February: its Chain has February's ordinals for that one.
#[test]
fn a_wallet_of_february_calls_the_chain_of_july() {
    struct Settings;
    impl Chain for Settings {
        fn get_setting(&self, name: String) -> Result<Value> {
            Ok(json!(name))
        }
    }
    struct OldWallet;
    impl old_init::Init for OldWallet {
        fn make_wallet_loader(
            &self,
            _settings: GlobalArgs,
            chain: Option<old_chain::ChainHandle>,
        ) -> Result<Option<old_wallet::WalletLoaderClient>> {
            assert_eq!(chain.unwrap().get_setting("prune").wait()?, json!("prune"));
            Ok(None)
        }
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let init = old_init::InitClient::new(OldWallet);
    let _serving = Connection::builder().serve(init).start(theirs).unwrap();
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    PeerVersion::assume(&init, "2026-02").unwrap();
    let chain = ChainHandle::new(Settings);
    assert!(init.make_wallet_loader(GlobalArgs::default(), Some(chain)).wait().unwrap().is_none());
}
