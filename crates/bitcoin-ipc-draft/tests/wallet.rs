//! Wallets that are served to a node over a socket pair, in the order in which a node calls them.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bitcoin_ipc::bitcoin::constants::genesis_block;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::{Amount, Network, ScriptBuf, Transaction, WPubkeyHash};
use bitcoin_ipc::common::{BilingualStr, GlobalArgs, Pair, PsbtFillOptions, UtilResult};
use bitcoin_ipc_draft::chain::{Chain, ChainClient, ChainClientClient, ChainHandle};
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::values::{ChangeType, OutputType, PsbtError, wallet_flags};
use bitcoin_ipc_draft::wallet::{
    CoinControl, CreatedTransactionResult, LoadWalletCallbackClient, Recipient,
    TransactionChangedCallbackClient, TxDestination, Wallet, WalletBalances, WalletClient,
    WalletFillPSBTResults, WalletLoader, WalletLoaderClient, WalletLoaderCreateWalletResults,
    WalletTxOut,
};
use bitcoin_ipc_draft::{FeeRate, Passphrase};
use multiprocess::{Connection, PeerVersion, Result};

type Noted = Arc<Mutex<Vec<String>>>;

fn note(noted: &Noted, what: impl Into<String>) {
    noted.lock().unwrap().push(what.into());
}

fn take(noted: &Noted) -> Vec<String> {
    std::mem::take(&mut noted.lock().unwrap())
}

fn tx() -> Transaction {
    genesis_block(Network::Regtest).txdata[0].clone()
}

fn destination() -> TxDestination {
    let hash = WPubkeyHash::from_byte_array([4; 20]);
    TxDestination::from(&ScriptBuf::new_p2wpkh(&hash))
}

/// A wallet process.
struct Process(Noted);

impl Init for Process {
    fn make_wallet_loader(
        &self,
        settings: GlobalArgs,
        chain: Option<ChainHandle>,
    ) -> Result<Option<WalletLoaderClient>> {
        note(&self.0, format!("settings of {}", settings.config_path));
        let chain = chain.expect("a chain");
        Ok(Some(WalletLoaderClient::new(Loader { chain, noted: self.0.clone() })))
    }
}

struct Loader {
    chain: ChainHandle,
    noted: Noted,
}

impl ChainClient for Loader {
    fn verify(&self) -> Result<bool> {
        note(&self.noted, "verify");
        Ok(true)
    }

    fn load(&self) -> Result<bool> {
        Ok(self.chain.get_height().wait()? == Some(5))
    }

    fn start(&self) -> Result<()> {
        note(&self.noted, "start");
        Ok(())
    }

    fn set_mock_time(&self, time: i64) -> Result<()> {
        note(&self.noted, format!("time {time}"));
        Ok(())
    }
}

impl WalletLoader for Loader {
    fn create_wallet(
        &self,
        name: String,
        passphrase: Passphrase,
        flags: u64,
    ) -> Result<WalletLoaderCreateWalletResults> {
        if name.is_empty() {
            let failed = UtilResult::failed("it needs a name");
            return Ok(WalletLoaderCreateWalletResults::default().result(failed));
        }
        note(&self.noted, format!("{name} {:?} {flags:#x}", passphrase.as_bytes()));
        let wallet = WalletClient::new(Purse(self.noted.clone()));
        Ok(WalletLoaderCreateWalletResults::default()
            .result(UtilResult::new(Some(wallet)))
            .warning(vec![BilingualStr::from("empty")]))
    }

    fn get_wallet_dir(&self) -> Result<PathBuf> {
        Ok("/home/me/w\u{e4}llets".into())
    }

    fn list_wallet_dir(&self) -> Result<Vec<Pair<String, String>>> {
        Ok(vec![Pair::new("a".to_owned(), "sqlite".to_owned())])
    }

    fn get_wallets(&self) -> Result<Vec<Option<WalletClient>>> {
        Ok(vec![Some(WalletClient::new(Purse(self.noted.clone()))), None])
    }

    fn handle_load_wallet(
        &self,
        callback: Option<LoadWalletCallbackClient>,
    ) -> Result<Option<bitcoin_ipc_draft::handler::HandlerClient>> {
        let wallet = WalletClient::new(Purse(self.noted.clone()));
        callback.expect("a callback").call(Some(wallet)).wait()?;
        Ok(None)
    }
}

struct Purse(Noted);

impl Wallet for Purse {
    fn unlock(&self, passphrase: Passphrase) -> Result<bool> {
        Ok(passphrase.as_bytes() == b"\xffopen")
    }

    fn get_new_destination(
        &self,
        output_type: OutputType,
        label: String,
    ) -> Result<UtilResult<TxDestination>> {
        Ok(match output_type {
            OutputType::Bech32 => UtilResult::new(destination()),
            other => UtilResult::failed(format!("no {other:?} for {label}")),
        })
    }

    fn create_transaction(
        &self,
        recipients: Vec<Recipient>,
        coin_control: CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<UtilResult<CreatedTransactionResult>> {
        let (dest, amount) = (&recipients[0].dest, recipients[0].amount);
        let told = (dest == &destination(), amount, coin_control.fee_rate, sign, change_pos);
        note(&self.0, format!("{told:?}"));
        let made = CreatedTransactionResult::default().tx(Some(tx())).fee(Amount::from_sat(141));
        Ok(UtilResult::new(made.change_pos(0)))
    }

    fn commit_transaction(
        &self,
        _tx: Transaction,
        values: BTreeMap<String, String>,
        order: Vec<Pair<String, String>>,
    ) -> Result<()> {
        note(&self.0, format!("{values:?} {} {}", order[0].key, order[0].value));
        Ok(())
    }

    fn fill_psbt(
        &self,
        options: PsbtFillOptions,
        _n_signed: u64,
        want_n_signed: bool,
        psbt: Vec<u8>,
    ) -> Result<WalletFillPSBTResults> {
        assert!(options.sign && options.finalize && !options.bip32_derivs);
        let results = WalletFillPSBTResults::default().psbtx(psbt);
        Ok(match options.sighash_type {
            Some(_) => results.result(i32::from(PsbtError::SighashMismatch)),
            None => results.n_signed(want_n_signed.then_some(2)).complete(true),
        })
    }

    fn get_balances(&self) -> Result<WalletBalances> {
        Ok(WalletBalances::default().balance(Amount::ONE_BTC).nonmempool_balance(-3))
    }

    fn list_coins(&self) -> Result<Vec<Pair<TxDestination, Vec<Pair<Vec<u8>, WalletTxOut>>>>> {
        let coin = WalletTxOut::default().depth_in_main_chain(2);
        Ok(vec![Pair::new(destination(), vec![Pair::new(vec![1], coin)])])
    }

    fn handle_transaction_changed(
        &self,
        callback: Option<TransactionChangedCallbackClient>,
    ) -> Result<Option<bitcoin_ipc_draft::handler::HandlerClient>> {
        callback.expect("a callback").call(tx().compute_txid(), ChangeType::Updated).wait()?;
        Ok(None)
    }
}

struct Node;

impl Chain for Node {
    fn get_height(&self) -> Result<Option<i32>> {
        Ok(Some(5))
    }
}

fn serve() -> (WalletLoaderClient, Noted, Connection) {
    let noted = Noted::default();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let init = InitClient::new(Process(noted.clone()));
    let serving = Connection::builder().serve(init).start(theirs).unwrap();
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    PeerVersion::assume(&init, "2026-07").unwrap();
    let settings = GlobalArgs::default().config_path("/a/bitcoin.conf");
    let loader = init.make_wallet_loader(settings, Some(ChainHandle::new(Node))).wait().unwrap();
    assert_eq!(take(&noted), ["settings of /a/bitcoin.conf"]);
    (loader.unwrap(), noted, serving)
}

#[test]
fn a_node_starts_a_wallet_process() {
    let (loader, noted, _serving) = serve();
    // The node has it among others that it starts.
    let client = ChainClientClient::from(loader);
    assert!(client.verify().wait().unwrap());
    assert!(client.load().wait().unwrap(), "it asks the node's chain");
    client.start().wait().unwrap();
    client.set_mock_time(1_700_000_000).wait().unwrap();
    assert_eq!(take(&noted), ["verify", "start", "time 1700000000"]);
}

#[test]
fn a_wallet_is_made_or_it_is_said_why_not() {
    let (loader, noted, _serving) = serve();
    let flags = wallet_flags::DESCRIPTORS | wallet_flags::BLANK_WALLET;
    let made = loader.create_wallet("a", Passphrase::from("pass".to_owned()), flags);
    let made = made.wait().unwrap();
    assert_eq!(take(&noted), ["a [112, 97, 115, 115] 0x600000000"]);
    assert_eq!(made.warning, [BilingualStr::from("empty")]);
    let wallet = made.result.into_result().unwrap().expect("a wallet");
    assert_eq!(wallet.get_balances().wait().unwrap().nonmempool_balance, -3);

    let refused = loader.create_wallet("", Passphrase::default(), 0).wait().unwrap();
    assert!(refused.warning.is_empty());
    let error = refused.result.into_result().unwrap_err();
    assert_eq!(error, BilingualStr::from("it needs a name"));
}

#[test]
fn wallets_are_listed_and_told_of() {
    let (loader, _noted, _serving) = serve();
    assert_eq!(loader.get_wallet_dir().wait().unwrap(), PathBuf::from("/home/me/w\u{e4}llets"));
    let listed = loader.list_wallet_dir().wait().unwrap();
    assert_eq!(listed, [Pair::new("a".to_owned(), "sqlite".to_owned())]);
    let wallets = loader.get_wallets().wait().unwrap();
    assert!(matches!(wallets.as_slice(), [Some(_), None]), "{wallets:?}");
    let told = Noted::default();
    let noted = told.clone();
    let callback = LoadWalletCallbackClient::from_fn(move |wallet: Option<WalletClient>| {
        let balance = wallet.expect("a wallet").get_balances().wait()?.balance;
        note(&noted, balance.to_string());
        Ok(())
    });
    assert!(loader.handle_load_wallet(Some(callback)).wait().unwrap().is_none());
    assert_eq!(take(&told), ["1 BTC"]);
}

#[test]
fn a_wallet_pays() {
    let (loader, noted, _serving) = serve();
    let wallet = loader.get_wallets().wait().unwrap().remove(0).unwrap();
    assert!(wallet.unlock(Passphrase::from(b"\xffopen".to_vec())).wait().unwrap());
    assert!(!wallet.unlock(Passphrase::default()).wait().unwrap());

    let new = wallet.get_new_destination(OutputType::Bech32, "a").wait().unwrap();
    assert_eq!(new.into_result().unwrap(), destination());
    let refused = wallet.get_new_destination(OutputType::Unknown(9), "a").wait().unwrap();
    assert_eq!(refused.into_result().unwrap_err().original, "no Unknown(9) for a");

    let recipient = Recipient::new(Amount::from_sat(7)).dest(destination());
    let control = CoinControl::default().fee_rate(FeeRate::from_sat_per_kvb(2000));
    let made =
        wallet.create_transaction(vec![recipient.clone()], control, true, Some(1)).wait().unwrap();
    let made = made.into_result().unwrap();
    assert_eq!((made.tx, made.fee, made.change_pos), (Some(tx()), Amount::from_sat(141), Some(0)));
    wallet.create_transaction(vec![recipient], CoinControl::default(), false, None).wait().unwrap();
    assert_eq!(
        take(&noted),
        ["(true, 7 SAT, Some(FeeRate(2000)), true, Some(1))", "(true, 7 SAT, None, false, None)",]
    );

    let values = BTreeMap::from([("comment".to_owned(), "lunch".to_owned())]);
    let order = vec![Pair::new("Message".to_owned(), "hi".to_owned())];
    wallet.commit_transaction(tx(), values, order).wait().unwrap();
    assert_eq!(take(&noted), ["{\"comment\": \"lunch\"} Message hi"]);
}

#[test]
fn what_a_wallet_tells_of_itself_arrives() {
    let (loader, _noted, _serving) = serve();
    let wallet = loader.get_wallets().wait().unwrap().remove(0).unwrap();
    let coins = wallet.list_coins().wait().unwrap();
    let coin = WalletTxOut::default().depth_in_main_chain(2);
    assert_eq!(coins, [Pair::new(destination(), vec![Pair::new(vec![1], coin)])]);

    let filled = wallet.fill_psbt(PsbtFillOptions::default(), 0, true, vec![5]).wait().unwrap();
    assert_eq!((filled.n_signed, filled.complete, filled.result), (Some(2), true, None));
    assert_eq!(filled.psbtx, [5]);
    let options = PsbtFillOptions::default().sighash_type(1);
    let refused = wallet.fill_psbt(options, 0, true, vec![5]).wait().unwrap();
    assert_eq!(refused.result.map(PsbtError::from), Some(PsbtError::SighashMismatch));
    let unasked = wallet.fill_psbt(PsbtFillOptions::default(), 0, false, vec![]).wait().unwrap();
    assert_eq!(unasked.n_signed, None);

    let told = Noted::default();
    let noted = told.clone();
    let callback = TransactionChangedCallbackClient::from_fn(move |txid, change| {
        note(&noted, format!("{} {change:?}", txid == tx().compute_txid()));
        Ok(())
    });
    wallet.handle_transaction_changed(Some(callback)).wait().unwrap();
    assert_eq!(take(&told), ["true Updated"]);
}
