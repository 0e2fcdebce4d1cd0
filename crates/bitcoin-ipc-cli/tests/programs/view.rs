//! `bitcoin-ipc view`: a third process, which has the objects of two others.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut, Txid, WPubkeyHash, transaction};
use bitcoin_ipc::common::Pair;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc_draft::chain::ChainClient;
use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use bitcoin_ipc_draft::values::ChangeType;
use bitcoin_ipc_draft::wallet::{
    TransactionChangedCallbackClient, TxDestination, UnloadWalletCallbackClient, Wallet,
    WalletBalances, WalletClient, WalletLoader, WalletLoaderClient, WalletTryGetTxStatusResults,
    WalletTx, WalletTxOut, WalletTxStatus,
};
use bitcoin_regtest::{Chain, RegtestNode, anyone_can_spend, mine_block};
use bitcoin_split::{Message, SplitNode};
use multiprocess::{Error, Result};
use rustix::process::Signal;
use rustix::termios::LocalModes;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::split::{Split, kill};
use crate::running::{Running, node, socket_in};
use crate::terminal::OnTerminal;
use crate::{IPC, LONG};

fn view(socket: &Path, args: &[&str]) -> Command {
    let mut view = Command::new(IPC);
    view.args(["view", "--connect"]).arg(format!("unix:{}", socket.display())).args(args);
    view
}

/// A view that runs, and the lines that it writes.
struct Shown {
    program: Running,
    lines: Receiver<String>,
}

impl Shown {
    fn start(socket: &Path) -> Shown {
        // Longer than what a test waits for: nothing is shown because something was waited for too long.
        let mut view = view(socket, &["--timeout", "600", "--json", "--interval", "0.05"]);
        let mut program =
            Running(view.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
        let (read, written) = mpsc::channel();
        // On a thread of its own, so that a line that does not come is no test that hangs.
        thread::spawn(move || {
            lines.map_while(|line| line.ok()).try_for_each(|line| read.send(line))
        });
        Shown { program, lines: written }
    }

    /// Reads on to the line for which this holds.
    #[track_caller]
    fn line(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(LONG).unwrap_or_else(|why| panic!("{what}: {why}"));
            let line: Value = serde_json::from_str(&line).unwrap();
            if holds(&line) {
                return line;
            }
        }
    }

    #[track_caller]
    fn kind(&mut self, kind: &str) -> Value {
        self.line(kind, |it| it["kind"] == kind)
    }
}

type Subscribers = Arc<Mutex<Vec<TransactionChangedCallbackClient>>>;

/// Wallets of this process, as another one would have them.
#[derive(Clone, Default)]
struct Wallets {
    names: Arc<Mutex<Vec<&'static str>>>,
    subscribers: Subscribers,
    unloads: Arc<Mutex<Vec<UnloadWalletCallbackClient>>>,
    /// What is immature in the wallets that are given out from now on, in bitcoins.
    immature: Arc<AtomicU64>,
    /// While it is held, the process does not say which wallets it has.
    stopped: Arc<Mutex<()>>,
}

impl ChainClient for Wallets {}

impl WalletLoader for Wallets {
    fn get_wallets(&self) -> Result<Vec<Option<WalletClient>>> {
        drop(self.stopped.lock().unwrap());
        let names = self.names.lock().unwrap().clone();
        let immature = 50 + self.immature.load(Ordering::SeqCst);
        let wallet = |name| Purse { name, immature, wallets: self.clone() };
        Ok(names.into_iter().map(|name| Some(WalletClient::new(wallet(name)))).collect())
    }
}

struct Purse {
    name: &'static str,
    immature: u64,
    wallets: Wallets,
}

/// It pays the wallet 1.5 BTC and has cost it 0.25.
fn payment() -> Transaction {
    let script = ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array([4; 20]));
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![],
        output: vec![TxOut { value: Amount::from_sat(150_000_000), script_pubkey: script }],
    }
}

impl Wallet for Purse {
    fn get_wallet_name(&self) -> Result<String> {
        Ok(self.name.to_owned())
    }

    fn is_crypted(&self) -> Result<bool> {
        Ok(true)
    }

    fn is_locked(&self) -> Result<bool> {
        Ok(self.name == "savings")
    }

    fn get_balances(&self) -> Result<WalletBalances> {
        let balances = WalletBalances::default().balance(Amount::from_sat(150_000_000));
        Ok(balances.immature_balance(Amount::from_int_btc(self.immature)))
    }

    fn get_wallet_txs(&self) -> Result<Vec<WalletTx>> {
        let paid = WalletTx::default().tx(Some(payment())).credit(Amount::from_sat(150_000_000));
        Ok(vec![paid.debit(Amount::from_sat(25_000_000)).time(1_800_000_000)])
    }

    fn try_get_tx_status(&self, txid: Txid) -> Result<WalletTryGetTxStatusResults> {
        if txid != payment().compute_txid() {
            return Err(Error::failed("it is not the wallet's"));
        }
        let status = status().depth_in_main_chain(7);
        Ok(WalletTryGetTxStatusResults::default().tx_status(status).result(true))
    }

    fn list_coins(&self) -> Result<Vec<Pair<TxDestination, Vec<Pair<Vec<u8>, WalletTxOut>>>>> {
        let payment = payment();
        let outpoint = OutPoint { txid: payment.compute_txid(), vout: 0 };
        let coin = WalletTxOut::default().txout(serialize(&payment.output[0]));
        let coin = Pair::new(serialize(&outpoint), coin.depth_in_main_chain(7));
        Ok(vec![Pair::new(TxDestination::from(&payment.output[0].script_pubkey), vec![coin])])
    }

    fn handle_transaction_changed(
        &self,
        callback: Option<TransactionChangedCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        self.wallets.subscribers.lock().unwrap().extend(callback);
        Ok(Some(HandlerClient::new(Subscribed)))
    }

    fn handle_unload(
        &self,
        callback: Option<UnloadWalletCallbackClient>,
    ) -> Result<Option<HandlerClient>> {
        self.wallets.unloads.lock().unwrap().extend(callback);
        Ok(Some(HandlerClient::new(Subscribed)))
    }
}

fn status() -> WalletTxStatus {
    WalletTryGetTxStatusResults::default().tx_status
}

struct Subscribed;

impl Handler for Subscribed {}

/// A node in this process, with its socket.
struct Served {
    node: SplitNode,
    wallets: Wallets,
    socket: PathBuf,
    _ipc: Ipc,
    _dir: TempDir,
}

fn serve() -> Served {
    let dir = TempDir::new().unwrap();
    let node = SplitNode::new(Chain::regtest(), dir.path().to_owned()).unwrap();
    let options = IpcOptions::with_bootstrap("bitcoin-node", bitcoin_split::init(&node));
    let ipc = Ipc::new(options.datadir(dir.path()));
    let socket = ipc.listen_address("unix").unwrap();
    let wallets = Wallets::default();
    wallets.names.lock().unwrap().push("savings");
    node.set_wallet_loader(Some(WalletLoaderClient::new(wallets.clone())));
    Served { node, wallets, socket, _ipc: ipc, _dir: dir }
}

impl Served {
    fn mine(&self) {
        mine_block(self.node.chain(), anyone_can_spend()).unwrap();
    }
}

#[test]
fn it_shows_the_node_and_its_wallets() {
    let served = serve();
    served.mine();
    let once = view(&served.socket, &["--once", "--json"]).output().unwrap();
    let errors = String::from_utf8(once.stderr).unwrap();
    assert!(once.status.success() && errors.is_empty(), "{errors}");
    let state: Value = serde_json::from_slice(&once.stdout).unwrap();
    assert_eq!((&state["kind"], &state["height"]), (&json!("state"), &json!(1)), "{state:#}");
    assert_eq!(state["hash"], served.node.chain().tip().hash.to_string());
    assert_eq!(state["mempool"], json!({ "transactions": 0, "bytes": 0 }));
    let wallet = &state["wallets"][0];
    assert_eq!((&wallet["name"], &wallet["keys"]), (&json!("savings"), &json!("locked")));
    assert_eq!(
        (&wallet["balance"], &wallet["immature"]),
        (&json!(150_000_000), &json!(5_000_000_000_u64))
    );
    let txid = payment().compute_txid().to_string();
    let transaction = &wallet["transactions"][0];
    assert_eq!(transaction["txid"], txid);
    assert_eq!(
        (&transaction["amount"], &transaction["confirmations"]),
        (&json!(125_000_000), &json!(7))
    );
    let coin = &wallet["coins"][0];
    assert_eq!(coin["outpoint"], format!("{txid}:0"));
    // An address of the chain that the node follows.
    assert!(coin["address"].as_str().unwrap().starts_with("bcrt1q"), "{coin:#}");
    assert_eq!(wallet["problem"], Value::Null);

    let table = view(&served.socket, &["--once"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    for part in ["block 1 of ", "\nsavings  locked  1.50000000", "1.25000000", "bcrt1q", &txid] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }

    // Without its wallet process the node is shown all the same.
    served.node.set_wallet_loader(None);
    let once = view(&served.socket, &["--once", "--json"]).output().unwrap();
    let state: Value = serde_json::from_slice(&once.stdout).unwrap();
    assert_eq!((&state["wallets"], &state["height"]), (&Value::Null, &json!(1)));
    assert!(state["no_wallets"].as_str().unwrap().contains("start it with -wallet"), "{state:#}");
    assert!(state["warning"].as_str().unwrap().contains("wallet process is gone"), "{state:#}");
}

#[test]
fn what_happens_in_both_processes_is_a_line_each() {
    let served = serve();
    let mut shown = Shown::start(&served.socket);
    shown.kind("state");
    served.mine();
    let block = shown.kind("block");
    assert_eq!(
        (&block["height"], &block["hash"]),
        (&json!(1), &json!(served.node.chain().tip().hash.to_string()))
    );
    let state =
        shown.line("the state is of that block", |it| it["height"] == 1 && it["kind"] == "state");
    assert_eq!(state["hash"], block["hash"]);

    let told = served.wallets.subscribers.lock().unwrap()[0].clone();
    told.call(payment().compute_txid(), ChangeType::Updated).wait().unwrap();
    let transaction = shown.kind("transaction");
    assert_eq!((&transaction["wallet"], &transaction["change"]), (&json!("savings"), &json!(1)));
    assert_eq!(transaction["txid"], payment().compute_txid().to_string());

    served.wallets.names.lock().unwrap().push("spending");
    assert_eq!(shown.kind("wallet loaded")["wallet"], "spending");
    served.wallets.names.lock().unwrap().remove(0);
    assert_eq!(shown.kind("wallet unloaded")["wallet"], "savings");
    served.node.messages().send(Message::Init("Loading".to_owned()));
    assert_eq!(shown.kind("message")["text"], "Loading");

    served.node.set_wallet_loader(None);
    shown.kind("wallets gone");
    served.node.set_wallet_loader(Some(WalletLoaderClient::new(served.wallets.clone())));
    shown.kind("wallets there");
    let state = shown.kind("state");
    assert_eq!(state["wallets"][0]["name"], "spending", "{state:#}");
    shown.program.ends_on_interrupt();
}

#[test]
fn a_wallet_that_is_unloaded_and_loaded_between_two_looks_is_another() {
    let served = serve();
    let mut shown = Shown::start(&served.socket);
    let immature = |it: &Value| it["wallets"][0]["immature"].as_u64();
    assert_eq!(immature(&shown.kind("state")), Some(5_000_000_000));
    served.wallets.immature.store(25, Ordering::SeqCst);
    let unloaded = served.wallets.unloads.lock().unwrap()[0].clone();
    unloaded.call().wait().unwrap();
    shown.line("the coins of the other", |it| immature(it) == Some(7_500_000_000));
    shown.program.ends_on_interrupt();
}

#[test]
fn a_wallet_process_that_does_not_answer_does_not_hold_up_the_node() {
    let served = serve();
    let mut shown = Shown::start(&served.socket);
    shown.kind("state");
    let stopped = served.wallets.stopped.lock().unwrap();
    for height in 1..4 {
        served.mine();
        let state = shown.line("the block", |it| it["kind"] == "state" && it["height"] == height);
        assert_eq!(state["wallets"][0]["name"], "savings", "as it was: {state:#}");
    }
    served.wallets.names.lock().unwrap().push("spending");
    drop(stopped);
    assert_eq!(shown.kind("wallet loaded")["wallet"], "spending");
    shown.program.ends_on_interrupt();
}

#[test]
fn it_goes_on_when_the_node_is_back() {
    let dir = TempDir::new().unwrap();
    socket_in(dir.path());
    let (socket, first) = node(dir.path(), "lost.sock");
    let mut shown = Shown::start(&socket);
    shown.kind("state");
    drop(first);
    assert!(shown.kind("lost")["why"].is_string());
    let (_, _second) = node(dir.path(), "lost.sock");
    shown.kind("back");
}

/// It fails, with this in its one line.
#[track_caller]
fn is_refused(output: &Output, why: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains(why), "{error}");
}

/// It has what Bitcoin Core's release has.
#[test]
fn a_node_without_an_interface_for_it_is_named() {
    let node = RegtestNode::start().unwrap();
    let output = Command::new(IPC).args(["view", "--once", "--connect", &node.address()]).output();
    is_refused(&output.unwrap(), "no release of Bitcoin Core has it. Start one of this project's");
}

#[test]
fn it_takes_the_terminal_and_gives_it_back() {
    let served = serve();
    for signal in [None, Some(Signal::TERM)] {
        let mut shown = OnTerminal::start(view(&served.socket, &["--interval", "0.05"]));
        shown.wait_for("IMMATURE");
        shown.wait_for("savings");
        assert!(!shown.modes().contains(LocalModes::ICANON), "keys come one by one");
        match signal {
            None => shown.terminal.write_all(b"?q").unwrap(),
            Some(signal) => shown.program.signal(signal),
        }
        let status = shown.program.0.wait().unwrap();
        assert!(status.success(), "{signal:?}: {status}");
        assert!(shown.modes().contains(LocalModes::ICANON | LocalModes::ECHO), "{signal:?}");
    }
}

/// Three programs: the node, the wallet process that it starts, and the view.
#[test]
fn a_wallet_process_that_is_killed_is_seen_to_go_and_come_back() {
    let dir = TempDir::new().unwrap();
    let split = Split::start(dir.path());
    split.call("", "createwallet", json!(["w"]));
    let mut shown = Shown::start(&dir.path().join("regtest/node.sock"));
    let has_wallet = |it: &Value| it["kind"] == "state" && it["wallets"][0]["name"] == "w";
    shown.line("it has the wallet", has_wallet);
    let address = split.call("w", "getnewaddress", json!([]));
    split.call("", "generatetoaddress", json!([1, address]));
    shown.line("the reward is seen", |it| {
        has_wallet(it) && it["wallets"][0]["immature"] == 5_000_000_000_u64
    });
    kill(split.wallet_process().unwrap());
    shown.kind("wallets gone");
    shown.kind("wallets there");
    shown.line("the reward is still there", |it| {
        has_wallet(it) && it["wallets"][0]["immature"] == 5_000_000_000_u64
    });
}
