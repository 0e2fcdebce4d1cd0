//! The wallets of the wallet process, which is reached through the node: their objects are that process's, and are passed
//! on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bitcoin_ipc::bitcoin::consensus::deserialize;
use bitcoin_ipc::bitcoin::{Network, OutPoint, TxOut};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::node::NodeClient;
use bitcoin_ipc_draft::wallet::{
    LoadWalletCallbackClient, StatusChangedCallbackClient, TransactionChangedCallbackClient,
    TxDestination, UnloadWalletCallbackClient, WalletClient, WalletLoaderClient, WalletTx,
};
use multiprocess::{Call, Error, Result};

use super::look::{CoinRow, Keys, ROWS, TransactionRow, WalletLook};
use super::source::{Noticed, Patience, Tell};
use crate::output::one_line;

/// What is to be asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Which wallets there are.
    names: bool,
    /// All of each wallet.
    all: bool,
    /// All of these.
    of: BTreeSet<String>,
    /// These were unloaded: one of the name that is there now is another.
    unloaded: BTreeSet<String>,
    /// What is held may be of a process that the node has no more.
    forget: bool,
}

impl Wanted {
    /// What is to be asked for after this, and if nothing has happened for long.
    pub(super) fn of(noticed: &[Noticed]) -> Wanted {
        let mut wanted = Wanted { names: noticed.is_empty(), ..Wanted::default() };
        for noticed in noticed {
            wanted.names |= !matches!(noticed, Noticed::Answered);
            match noticed {
                Noticed::Transaction { wallet, .. } | Noticed::Wallet(wallet) => {
                    wanted.of.insert(wallet.clone());
                }
                Noticed::Unloaded(wallet) => {
                    wanted.unloaded.insert(wallet.clone());
                }
                Noticed::Process => wanted.forget = true,
                Noticed::Tip(_) | Noticed::Said(_) | Noticed::Look | Noticed::Answered => {}
            }
        }
        wanted
    }

    /// All of each wallet, too.
    pub(super) fn want_all(&mut self) {
        (self.names, self.all) = (true, true);
    }

    /// And nothing of what is held.
    pub(super) fn forget(&mut self) {
        (self.names, self.forget) = (true, true);
    }

    pub(super) fn add(&mut self, other: Wanted) {
        self.names |= other.names;
        self.all |= other.all;
        self.of.extend(other.of);
        self.unloaded.extend(other.unloaded);
        self.forget |= other.forget;
    }

    /// Whether anything is.
    pub(super) fn is_any(&self) -> bool {
        self.names
    }
}

/// What this process has of the wallet process.
pub(super) struct Wallets {
    patience: Patience,
    tell: Tell,
    network: Network,
    /// None: it is not there, or has not been asked for.
    loader: Option<Loader>,
}

struct Loader {
    client: WalletLoaderClient,
    held: BTreeMap<String, Held>,
    /// Tells of wallets that are loaded.
    _handler: Option<HandlerClient>,
}

/// A wallet that is loaded.
struct Held {
    wallet: WalletClient,
    seen: Option<WalletLook>,
    /// As long as these are there, it tells.
    _handlers: Vec<HandlerClient>,
}

impl Wallets {
    pub(super) fn new(patience: Patience, tell: Tell, network: Network) -> Wallets {
        Wallets { patience, tell, network, loader: None }
    }

    /// Asks the wallet process: for the names of its wallets, and for all of those of which that is wanted.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) fn look(
        &mut self,
        node: &NodeClient,
        wanted: &Wanted,
    ) -> Result<Vec<WalletLook>, String> {
        if wanted.forget {
            // The node is asked for its wallet process again.
            self.loader = None;
        }
        let looked = self.try_look(node, wanted);
        looked.map_err(|why| {
            self.loader = None;
            match why.is_disconnect() {
                true => "the wallet process is gone".to_owned(),
                false => one_line(&reason(&why)),
            }
        })
    }

    fn try_look(&mut self, node: &NodeClient, wanted: &Wanted) -> Result<Vec<WalletLook>> {
        let (patience, network) = (self.patience, self.network);
        let mut loader = match self.loader.take() {
            Some(loader) => loader,
            None => self.find(node)?,
        };
        loader.held.retain(|name, _| !wanted.unloaded.contains(name));
        let mut held = BTreeMap::new();
        for wallet in patience.ask(loader.client.get_wallets())?.into_iter().flatten() {
            let name = patience.ask(wallet.get_wallet_name())?;
            let known = loader.held.remove(&name);
            let mut known = match known {
                Some(known) => known,
                None => self.hold(wallet, &name)?,
            };
            if wanted.all || known.seen.is_none() || wanted.of.contains(&name) {
                known.seen = Some(look_at(&known.wallet, &name, patience, network)?);
            }
            held.insert(name, known);
        }
        loader.held = held;
        let looks = loader.held.values().filter_map(|held| held.seen.clone()).collect();
        self.loader = Some(loader);
        Ok(looks)
    }

    fn find(&self, node: &NodeClient) -> Result<Loader> {
        let client = self.patience.ask(node.custom_wallet_loader())?;
        let client = client.ok_or_else(|| Error::failed("the node has no wallet process"))?;
        let tell = self.tell.clone();
        let loaded = LoadWalletCallbackClient::from_fn(move |_wallet| {
            tell.tell(Noticed::Look);
            Ok(())
        });
        let handler = self.subscribe(client.handle_load_wallet(Some(loaded)))?;
        Ok(Loader { client, held: BTreeMap::new(), _handler: handler })
    }

    /// Has a wallet tell what happens to it.
    fn hold(&self, wallet: WalletClient, name: &str) -> Result<Held> {
        let (tell, of) = (self.tell.clone(), name.to_owned());
        let transactions = TransactionChangedCallbackClient::from_fn(move |txid, change| {
            tell.tell(Noticed::Transaction { wallet: of.clone(), txid, change });
            Ok(())
        });
        let (tell, of) = (self.tell.clone(), name.to_owned());
        let status = StatusChangedCallbackClient::from_fn(move || {
            tell.tell(Noticed::Wallet(of.clone()));
            Ok(())
        });
        let (tell, of) = (self.tell.clone(), name.to_owned());
        let unloaded = UnloadWalletCallbackClient::from_fn(move || {
            tell.tell(Noticed::Unloaded(of.clone()));
            Ok(())
        });
        let handlers = [
            self.subscribe(wallet.handle_transaction_changed(Some(transactions)))?,
            self.subscribe(wallet.handle_status_changed(Some(status)))?,
            self.subscribe(wallet.handle_unload(Some(unloaded)))?,
        ];
        let handlers = handlers.into_iter().flatten().collect();
        Ok(Held { wallet, seen: None, _handlers: handlers })
    }

    /// What a process does not tell is seen when it is asked.
    fn subscribe(&self, call: Call<Option<HandlerClient>>) -> Result<Option<HandlerClient>> {
        match self.patience.ask(call) {
            Err(Error::Unimplemented { .. }) => Ok(None),
            other => other,
        }
    }
}

/// The words of the process that failed, without those of the runtime.
fn reason(error: &Error) -> String {
    match error {
        Error::Remote { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// Asks for all of a wallet. Where it cannot tell a part of it, the rest is shown.
///
/// # Errors
/// Its process is gone.
fn look_at(
    wallet: &WalletClient,
    name: &str,
    patience: Patience,
    network: Network,
) -> Result<WalletLook> {
    let mut look = WalletLook { name: one_line(name), ..WalletLook::default() };
    let keys = patience.ask(wallet.is_crypted()).and_then(|crypted| {
        Ok(match crypted && patience.ask(wallet.is_locked())? {
            true => Keys::Locked,
            false if crypted => Keys::Unlocked,
            false => Keys::Open,
        })
    });
    set(&mut look.keys, keys, &mut look.problem)?;
    set(&mut look.balances, patience.ask(wallet.get_balances()), &mut look.problem)?;
    let transactions = patience.ask(wallet.get_wallet_txs());
    let mut all = Vec::new();
    set(&mut all, transactions, &mut look.problem)?;
    look.all_transactions = all.len();
    all.sort_by_key(|transaction| Reverse(transaction.time));
    for transaction in all.iter().take(ROWS) {
        look.transactions.extend(row(wallet, transaction, patience)?);
    }
    let coins = patience.ask(wallet.list_coins()).map(|coins| {
        let each = coins.into_iter().flat_map(|pair| {
            let address = address(&pair.key, network);
            pair.value.into_iter().filter_map(move |coin| {
                let outpoint: OutPoint = deserialize(&coin.key).ok()?;
                let output: TxOut = deserialize(&coin.value.txout).ok()?;
                let (address, amount) = (address.clone(), output.value);
                let confirmations = coin.value.depth_in_main_chain;
                Some(CoinRow { outpoint, address, amount, confirmations })
            })
        });
        each.collect::<Vec<_>>()
    });
    set(&mut look.coins, coins, &mut look.problem)?;
    look.all_coins = look.coins.len();
    look.coins.sort_by_key(|coin| (coin.confirmations, coin.outpoint));
    look.coins.truncate(ROWS);
    Ok(look)
}

/// Takes what was asked for, or notes why it is not known.
fn set<T>(place: &mut T, asked: Result<T>, problem: &mut Option<String>) -> Result<()> {
    match asked {
        Ok(value) => *place = value,
        Err(error) if error.is_disconnect() => return Err(error),
        Err(error) => drop(problem.get_or_insert_with(|| one_line(&reason(&error)))),
    }
    Ok(())
}

fn row(wallet: &WalletClient, of: &WalletTx, patience: Patience) -> Result<Option<TransactionRow>> {
    let Some(transaction) = &of.tx else { return Ok(None) };
    let txid = transaction.compute_txid();
    let confirmations = match patience.ask(wallet.try_get_tx_status(txid)) {
        Ok(status) => status.result.then_some(status.tx_status.depth_in_main_chain),
        Err(error) if error.is_disconnect() => return Err(error),
        Err(_) => None,
    };
    let signed =
        |amount: bitcoin_ipc::bitcoin::Amount| i64::try_from(amount.to_sat()).unwrap_or(i64::MAX);
    Ok(Some(TransactionRow {
        txid,
        time: of.time,
        amount: signed(of.credit).saturating_sub(signed(of.debit)),
        confirmations,
        coinbase: of.is_coinbase,
    }))
}

fn address(destination: &TxDestination, network: Network) -> String {
    match (destination.address(network), destination.script()) {
        (Ok(address), _) => address.to_string(),
        (_, Ok(script)) => script.to_hex_string(),
        _ => "-".to_owned(),
    }
}
