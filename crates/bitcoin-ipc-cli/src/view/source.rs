//! The node that is looked at, and what it tells.
//!
//! Everything that a process tells goes into one queue; the thread that has the source waits for that, and then asks for
//! what has changed. So nothing is asked for within a callback, and a node that tells much is not asked for each.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::bitcoin::{Network, Txid};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::init::InitClient;
use bitcoin_ipc_draft::node::{
    BlockTip, InitMessageCallbackClient, MessageBoxCallbackClient, NodeClient,
    NotifyAlertChangedCallbackClient, NotifyBlockTipCallbackClient, ShowNodeProgressCallbackClient,
};
use bitcoin_ipc_draft::values::ChangeType;
use multiprocess::process::connect_timeout;
use multiprocess::{Call, Connection, Error, PeerVersion, Result};
use serde_json::json;

use super::asking::{Asking, Wait};
use super::look::{Look, NodeLook};
use super::news::{News, What, of_wallets};
use super::wallets::{Wallets, Wanted};
use crate::Failure;
use crate::args::Args;
use crate::output::one_line;
use crate::peer::socket_path;

/// So much of what is told may wait; the rest is only noted as missed.
const CAPACITY: usize = 1_000;

/// How often a node that is away is connected to, at least.
const AGAIN: Duration = Duration::from_secs(1);

/// What has changed.
#[derive(Debug, PartialEq)]
pub(super) enum Update {
    Look(Box<Look>),
    News(News),
}

/// What a process has told.
pub(super) enum Noticed {
    Tip(BlockTip),
    Transaction {
        wallet: String,
        txid: Txid,
        change: ChangeType,
    },
    /// All of this wallet is to be asked for.
    Wallet(String),
    /// This wallet is unloaded.
    Unloaded(String),
    /// The node has another wallet process, or none.
    Process,
    /// Something for the user.
    Said(String),
    /// What is asked for each time is to be asked for now.
    Look,
    /// The wallet process has answered.
    Answered,
}

/// Where callbacks put what they are told.
#[derive(Clone)]
pub(super) struct Tell {
    queue: SyncSender<Noticed>,
    missed: Arc<AtomicBool>,
}

impl Tell {
    /// Waits for nobody.
    pub(super) fn tell(&self, noticed: Noticed) {
        if self.queue.try_send(noticed).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(super) struct Patience(pub(super) Duration);

impl Patience {
    pub(super) fn ask<T: Send + 'static>(self, call: Call<T>) -> Result<T> {
        call.timeout(self.0).wait()
    }
}

/// The node, connected or not.
pub(super) struct Source {
    path: PathBuf,
    patience: Patience,
    tell: Tell,
    noticed: Receiver<Noticed>,
    connected: Option<Connected>,
    /// What was seen last, and that the node is away was told.
    before: Option<Look>,
    away: bool,
}

/// What there is of a node that is connected.
struct Connected {
    node: NodeClient,
    wallets: Asking,
    /// Its tip when the wallets were asked.
    hash: String,
    connection: Connection,
    /// As long as these are there, the node tells.
    _handlers: Vec<HandlerClient>,
}

impl Source {
    pub(super) fn find(args: &Args) -> Result<Source, Failure> {
        let (queue, noticed) = sync_channel(CAPACITY);
        Ok(Source {
            path: socket_path(args)?,
            patience: Patience(args.patience()),
            tell: Tell { queue, missed: Arc::default() },
            noticed,
            connected: None,
            before: None,
            away: false,
        })
    }

    /// The first look. A node that cannot be looked at now will hardly be later.
    pub(super) fn first(&mut self) -> Result<Look, Failure> {
        let look = self.look(&[], Wait::Long).map_err(|error| match error {
            Error::Unimplemented { .. } | Error::PeerTooOld { .. } => Failure(self.has_none()),
            other => other.into(),
        })?;
        self.before = Some(look.clone());
        Ok(look)
    }

    /// What has changed: waits until something is told, for this time at most.
    pub(super) fn next(&mut self, most: Duration) -> Vec<Update> {
        if self.away {
            // A node that takes connections and ends them at once is not asked all the time.
            thread::sleep(most.min(AGAIN));
        }
        let mut noticed = Vec::new();
        if !self.away {
            noticed.extend(self.noticed.recv_timeout(most));
        }
        noticed.extend(self.noticed.try_iter());
        let answered = noticed.iter().all(|it| matches!(it, Noticed::Answered));
        if answered && !noticed.is_empty() && !self.away && !self.waits_for_wallets() {
            // The look that asked has waited for it.
            return Vec::new();
        }
        let mut news: Vec<What> = noticed.iter().filter_map(what).collect();
        let looked = self.look(&noticed, Wait::Short);
        match &looked {
            Ok(now) => {
                if std::mem::take(&mut self.away) {
                    news.push(What::Back);
                }
                news.extend(self.before.iter().flat_map(|before| of_wallets(before, now)));
            }
            Err(why) if !std::mem::replace(&mut self.away, true) => {
                news.push(What::Away(one_line(&why.to_string())));
            }
            Err(_) => {}
        }
        let mut updates: Vec<_> =
            news.into_iter().map(|what| Update::News(News::now(what))).collect();
        match looked {
            Ok(now) if self.before.as_ref() != Some(&now) => {
                updates.push(Update::Look(Box::new(now.clone())));
                self.before = Some(now);
            }
            _ => {}
        }
        updates
    }

    fn waits_for_wallets(&self) -> bool {
        self.connected.as_ref().is_some_and(|connected| connected.wallets.is_under_way())
    }

    /// Asks both processes. The node is connected to first, if it is not.
    fn look(&mut self, noticed: &[Noticed], wait: Wait) -> Result<Look> {
        let mut wanted = Wanted::of(noticed);
        if self.tell.missed.swap(false, Ordering::AcqRel) {
            wanted.forget();
        }
        let looked = self.connected().and_then(|(connected, patience)| {
            let node = look_at(&connected.node, patience)?;
            if connected.hash != node.hash {
                connected.hash.clone_from(&node.hash);
                wanted.want_all();
            }
            let wallets = connected.wallets.look(wanted, wait);
            // If it is the node that is gone, nothing of this counts.
            if let Some(end) = connected.connection.end_reason() {
                return Err(end);
            }
            Ok(Look { node, wallets })
        });
        if looked.is_err() {
            self.connected = None;
        }
        looked
    }

    fn connected(&mut self) -> Result<(&mut Connected, Patience)> {
        let connected = match self.connected.take() {
            Some(connected) => connected,
            None => self.connect()?,
        };
        Ok((self.connected.insert(connected), self.patience))
    }

    fn connect(&self) -> Result<Connected> {
        let connection = Connection::new(connect_timeout(&self.path, self.patience.0)?)?;
        let tell = self.tell.clone();
        connection.on_disconnect(move |_| tell.tell(Noticed::Look));
        let init: InitClient = connection.bootstrap()?;
        PeerVersion::assume(&init, "2026-07")?;
        let node = self.patience.ask(init.make_node())?;
        let node = node.ok_or_else(|| Error::failed("the node has no Node"))?;
        let handlers = subscribe(&node, self.patience, &self.tell)?;
        let network = network(&node, self.patience)?;
        let wallets = Wallets::new(self.patience, self.tell.clone(), network);
        let wallets = Asking::start(wallets, node.clone(), self.tell.clone())?;
        let hash = String::new();
        Ok(Connected { node, wallets, hash, connection, _handlers: handlers })
    }

    fn has_none(&self) -> String {
        let path = self.path.display();
        format!(
            "the node at {path} has no interface for a user interface (Init.makeNode): no release of Bitcoin Core has it. \
             Start one of this project's: bitcoin-node -ipcbind=unix -wallet"
        )
    }
}

/// By which addresses are written.
fn network(node: &NodeClient, patience: Patience) -> Result<Network> {
    let info = patience.ask(node.execute_rpc("getblockchaininfo", json!([]), ""))?;
    let name = info["chain"].as_str().unwrap_or_default();
    let network = Network::from_core_arg(name);
    network.map_err(|_| {
        Error::failed(format!("the node follows a chain that is not known here: {name:?}"))
    })
}

/// What a user should see of it.
fn what(noticed: &Noticed) -> Option<What> {
    match noticed {
        Noticed::Tip(tip) => {
            let hash = tip.block_hash.map(|hash| hash.to_string()).unwrap_or_default();
            Some(What::Block { height: tip.block_height, hash })
        }
        Noticed::Transaction { wallet, txid, change } => {
            Some(What::Transaction { wallet: wallet.clone(), txid: *txid, change: *change })
        }
        Noticed::Said(text) => Some(What::Said(one_line(text))),
        Noticed::Wallet(_)
        | Noticed::Unloaded(_)
        | Noticed::Process
        | Noticed::Look
        | Noticed::Answered => None,
    }
}

fn look_at(node: &NodeClient, patience: Patience) -> Result<NodeLook> {
    Ok(NodeLook {
        height: patience.ask(node.get_num_blocks())?,
        hash: patience.ask(node.get_best_block_hash())?.to_string(),
        time: patience.ask(node.get_last_block_time())?,
        progress: patience.ask(node.get_verification_progress())?,
        catching_up: patience.ask(node.is_initial_block_download())?,
        transactions: patience.ask(node.get_mempool_size())?,
        bytes: patience.ask(node.get_mempool_dynamic_usage())?,
        warning: one_line(&patience.ask(node.get_warnings())?.original),
    })
}

/// Has the node tell what happens. The callbacks run on threads of the connection.
fn subscribe(node: &NodeClient, patience: Patience, tell: &Tell) -> Result<Vec<HandlerClient>> {
    let tips = tell.clone();
    let tips = NotifyBlockTipCallbackClient::from_fn(move |_state, tip, _progress| {
        tips.tell(Noticed::Tip(tip));
        Ok(())
    });
    let alerts = tell.clone();
    let alerts = NotifyAlertChangedCallbackClient::from_fn(move || {
        // The only thing that it warns of.
        alerts.tell(Noticed::Process);
        Ok(())
    });
    let inits = tell.clone();
    let inits = InitMessageCallbackClient::from_fn(move |text: String| {
        inits.tell(Noticed::Said(text));
        Ok(())
    });
    let boxes = tell.clone();
    let boxes = MessageBoxCallbackClient::from_fn(
        move |text: bitcoin_ipc::common::BilingualStr, _style| {
            boxes.tell(Noticed::Said(text.original));
            Ok(true)
        },
    );
    let steps = tell.clone();
    let steps = ShowNodeProgressCallbackClient::from_fn(move |title: String, percent, _resumes| {
        steps.tell(Noticed::Said(format!("{title}: {percent} %")));
        Ok(())
    });
    let handlers = [
        patience.ask(node.handle_notify_block_tip(Some(tips)))?,
        patience.ask(node.handle_notify_alert_changed(Some(alerts)))?,
        patience.ask(node.handle_init_message(Some(inits)))?,
        patience.ask(node.handle_message_box(Some(boxes)))?,
        patience.ask(node.handle_show_progress(Some(steps)))?,
    ];
    Ok(handlers.into_iter().flatten().collect())
}
