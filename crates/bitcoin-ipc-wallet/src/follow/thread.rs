//! The thread of one wallet: what it does with what the node tells it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc_draft::chain::{ChainHandle, ChainNotificationsClient};
use bitcoin_ipc_draft::handler::HandlerClient;
use multiprocess::Error;

use super::ANSWER;
use super::notifications::Notifications;
use super::queue::{Event, Queue, Work};
use super::scan::{Outcome, Scan};
use crate::events::Events;
use crate::open::{Closed, OpenVault};
use crate::vault::{BlockId, VaultError};

/// How often what is not confirmed is given to the node again.
const REBROADCAST: Duration = Duration::from_secs(5 * 60);
/// How soon something is tried again that failed; twice as long each time, up to [`MOST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// Why the thread cannot do something now.
pub(super) enum Trouble {
    /// The node is gone, the wallet is closed, or the thread is to end.
    End,
    /// Somebody ended it early.
    Aborted,
    /// A rescan cannot begin where it was to begin: it is not tried again, and the chain is followed without it.
    Refused(String),
    /// The node's answer, or the wallet's database: it is tried again.
    Again(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        match error.is_disconnect() {
            true => Trouble::End,
            false => Trouble::Again(error.to_string()),
        }
    }
}

impl From<VaultError> for Trouble {
    fn from(error: VaultError) -> Trouble {
        Trouble::Again(error.to_string())
    }
}

impl From<Closed> for Trouble {
    fn from(_: Closed) -> Trouble {
        Trouble::End
    }
}

/// How long the thread does nothing after so many failures of the same.
fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(MOST_PAUSE)
}

/// What the thread has.
pub(super) struct Thread {
    pub(super) name: String,
    pub(super) vault: Arc<OpenVault>,
    pub(super) chain: ChainHandle,
    pub(super) events: Arc<Events>,
    pub(super) queue: Arc<Queue>,
    pub(super) scan: Arc<Scan>,
}

/// Stops the queue when it is dropped.
struct Stops(Arc<Queue>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Thread {
    /// Follows the chain until the end.
    pub(super) fn run(self) {
        // Nobody waits for what is not done any more, also where this thread panics.
        let stops = Stops(Arc::clone(&self.queue));
        let subscription = self.follow();
        drop(stops);
        // Dropped, it ends as well; a node that is gone need not be told.
        if let Some(subscription) = subscription
            && let Err(error) = subscription.disconnect().timeout(ANSWER).wait()
        {
            tracing::debug!("the wallet {:?} could not end its subscription: {error}", self.name);
        }
        tracing::debug!("the wallet {:?} does not follow the chain any more", self.name);
    }

    /// Returns the subscription, if it was made.
    fn follow(&self) -> Option<HandlerClient> {
        let mut subscription = None;
        let mut rebroadcast = Instant::now() + REBROADCAST;
        loop {
            let work = self.queue.next(rebroadcast);
            let done = match work {
                Work::Stop => return subscription,
                Work::CatchUp { rescan } => {
                    self.subscribe(&mut subscription).and_then(|()| self.look(rescan))
                }
                Work::Mempool => self.look_at_mempool(),
                Work::Event(event) => self.take_in(event),
                Work::Time => {
                    rebroadcast = Instant::now() + REBROADCAST;
                    self.rebroadcast_if_ready()
                }
            };
            match done {
                Ok(()) => {}
                Err(Trouble::End) => return subscription,
                Err(Trouble::Aborted) => {
                    tracing::info!("{}: the rescan was ended early", self.title())
                }
                Err(Trouble::Refused(problem)) => {
                    tracing::warn!("{}: no rescan: {problem}", self.title());
                    self.queue.refused();
                }
                Err(Trouble::Again(problem)) => {
                    let pause = pause_after(self.queue.failed(&problem));
                    tracing::warn!("{}: {problem}; goes on in {pause:?}", self.title());
                    if !self.queue.pause(Instant::now() + pause) {
                        return subscription;
                    }
                }
            }
        }
    }

    /// Has the node tell of what happens from now on, unless it does already.
    fn subscribe(&self, subscription: &mut Option<HandlerClient>) -> Result<(), Trouble> {
        if self.queue.take_unsubscribed() && subscription.take().is_some() {
            tracing::warn!(
                "{}: the node has ended its notifications: subscribes again",
                self.title()
            );
            // Not in a loop, with a node that ends each at once.
            if !self.queue.pause(Instant::now() + FIRST_PAUSE) {
                return Err(Trouble::End);
            }
        }
        if subscription.is_none() {
            let notifications = Notifications::new(&self.queue);
            let notifications = ChainNotificationsClient::new(notifications);
            *subscription =
                self.chain.handle_notifications(Some(notifications)).timeout(ANSWER).wait()?;
            if subscription.is_none() {
                return Err(Trouble::Again("the node gives no notifications".to_owned()));
            }
        }
        Ok(())
    }

    /// Looks at the chain itself, and says how that ended.
    fn look(&self, rescan: Option<BlockId>) -> Result<(), Trouble> {
        let back = rescan.map_or(Ok(()), |from| {
            let refused = |error: VaultError| Trouble::Refused(error.to_string());
            self.vault.get()?.rewind_to(from).map_err(refused)
        });
        let looked = back.and_then(|()| self.catch_up(rescan.is_some()));
        let outcome = match &looked {
            Ok(()) => Outcome::Done,
            Err(Trouble::Aborted) => Outcome::Aborted,
            Err(Trouble::End) => {
                Outcome::Failed("the node is gone, or the wallet was unloaded".to_owned())
            }
            Err(Trouble::Again(problem) | Trouble::Refused(problem)) => {
                Outcome::Failed(problem.clone())
            }
        };
        self.scan.end(rescan.map(|_| outcome));
        looked
    }

    /// Takes in what the node has told.
    fn take_in(&self, event: Event) -> Result<(), Trouble> {
        let vault = self.vault.get()?;
        match event {
            Event::Connected { block, height } => {
                let tip = vault.tip();
                match u32::try_from(height) {
                    Ok(height) if block.header.prev_blockhash == tip.hash => {
                        Ok(vault.connect_block(&block, height)?)
                    }
                    _ if block.block_hash() == tip.hash => Ok(()),
                    // Seen already, or something before it was missed.
                    _ => {
                        drop(vault);
                        self.look(None)
                    }
                }
            }
            Event::Disconnected { hash, previous } => {
                let tip = vault.tip();
                if tip.hash == hash {
                    return Ok(vault.disconnect_block(hash, tip.height, previous)?);
                }
                drop(vault);
                self.look(None)
            }
            Event::Added(tx) => Ok(vault.transaction_added(&tx)?),
            Event::Removed(tx, reason) => Ok(vault.transaction_removed(tx.compute_txid(), reason)?),
        }
    }

    /// The wallet's name for a person.
    pub(super) fn title(&self) -> String {
        match self.name.as_str() {
            "" => "[default wallet]".to_owned(),
            name => format!("[{name}]"),
        }
    }
}
