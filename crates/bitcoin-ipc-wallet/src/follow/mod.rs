//! How a wallet follows the chain.
//!
//! Each wallet has a thread (`wallet-NAME`). It subscribes to the node's notifications first, then follows the chain
//! from the wallet's own tip to the chain's ([`catch_up`]), and then takes in the notifications, which the node's
//! calls have put into the wallet's [`queue`] meanwhile. A block that does not follow the wallet's tip, because the
//! wallet has seen it already or has missed one before it, makes it look at the chain itself again. So there is one
//! way by which a wallet gets to the chain's tip, whatever has happened, and notifications are only the quick one.
//!
//! What is in the queue has numbers, by which commands wait for what has happened before them. What fails is tried
//! again under its number, so they wait on, until it has failed too often.
//!
//! The thread ends with [`Follower::stop`], or when the node is gone.

mod catch_up;
mod mempool;
mod notifications;
mod queue;
mod scan;
mod thread;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bitcoin_ipc::bitcoin::BlockHash;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc_draft::chain::ChainHandle;
use multiprocess::Error;

use crate::events::Events;
use crate::open::OpenVault;
use crate::vault::BlockId;
use queue::Queue;
use scan::Scan;
use thread::Thread;

pub(crate) use scan::{Outcome, Scanning};

/// How long the node may take for an answer. Then what was asked for is tried again later.
const ANSWER: Duration = Duration::from_secs(60);

/// A wallet's thread that follows the chain, from outside.
pub(crate) struct Follower {
    chain: ChainHandle,
    queue: Arc<Queue>,
    scan: Arc<Scan>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Follower {
    /// One that does not follow yet.
    pub(crate) fn new(chain: ChainHandle) -> Follower {
        let queue = Arc::<Queue>::default();
        // For who asks before it begins.
        queue.catch_up(true);
        Follower { chain, queue, scan: Arc::default(), thread: Mutex::default() }
    }

    /// Begins.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn start(
        &self,
        name: &str,
        vault: Arc<OpenVault>,
        events: Arc<Events>,
    ) -> Result<(), Error> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() {
            return Ok(());
        }
        let follows = Thread {
            name: name.to_owned(),
            vault,
            chain: self.chain.clone(),
            events,
            queue: Arc::clone(&self.queue),
            scan: Arc::clone(&self.scan),
        };
        let started = std::thread::Builder::new()
            .name(format!("wallet-{name}"))
            .spawn(move || follows.run())
            .map_err(|error| Error::failed(format!("cannot start the wallet's thread: {error}")))?;
        *thread = Some(started);
        Ok(())
    }

    /// Ends it, and waits until its thread has ended.
    pub(crate) fn stop(&self) {
        self.queue.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("a wallet's thread has panicked");
        }
    }

    /// Waits until the wallet has taken in what has happened so far; if it is far behind, as after a restart, for as
    /// long as that takes. Does not wait for a rescan that somebody has asked for.
    ///
    /// # Errors
    /// It does not get there: a text of one line.
    pub(crate) fn sync(&self) -> Result<(), String> {
        self.sync_unless(|| self.scan.is_rescan())
    }

    /// The same for who wants to know how it is: does not wait for any look at the chain that takes long.
    ///
    /// # Errors
    /// It does not get there: a text of one line.
    pub(crate) fn sync_unless_scanning(&self) -> Result<(), String> {
        self.sync_unless(|| self.scan.under_way().is_some())
    }

    fn sync_unless(&self, enough: impl Fn() -> bool) -> Result<(), String> {
        if enough() {
            return Ok(());
        }
        // So that all of it is in the queue.
        let mut waited = self.chain.wait_for_notifications().timeout(ANSWER).wait();
        if let Err(Error::PeerTooOld { .. } | Error::Unimplemented { .. }) = waited {
            // A node of February has only the other form, which waits where the tip is not this block.
            let none = BlockHash::all_zeros();
            let wait = self.chain.wait_for_notifications_if_tip_changed(none);
            waited = wait.timeout(ANSWER).wait();
        }
        if let Err(error) = waited {
            tracing::debug!("the node's notifications are not waited for: {error}");
            self.queue.catch_up(false);
        }
        self.queue.wait_done(enough).map_err(|why| why.to_string())
    }

    /// Waits until the first look at the chain has ended, however long it takes.
    ///
    /// # Errors
    /// The wallet does not get to the chain's tip: a text of one line. That is tried again.
    pub(crate) fn wait_caught_up(&self) -> Result<(), String> {
        match self.follows() {
            true => self.queue.wait_done(|| false).map_err(|why| why.to_string()),
            false => Ok(()),
        }
    }

    /// Goes back to this block, and follows the chain from there; returns how that ended.
    pub(crate) fn rescan(&self, from: BlockId) -> Outcome {
        if !self.follows() {
            return Outcome::Failed("the wallet does not follow the chain yet".to_owned());
        }
        self.queue.rescan(from);
        match self.queue.wait_done(|| false) {
            Ok(()) => self.scan.outcome().unwrap_or(Outcome::Done),
            Err(why) => Outcome::Failed(why.to_string()),
        }
    }

    /// A look at the chain that takes long, if one is under way.
    pub(crate) fn scanning(&self) -> Option<Scanning> {
        self.scan.under_way()
    }

    /// Ends it early. False if there is none.
    pub(crate) fn abort_rescan(&self) -> bool {
        self.scan.abort()
    }

    /// Has it look at the memory pool again.
    pub(crate) fn look_at_mempool(&self) {
        self.queue.catch_up(true);
    }

    /// Has it do now what is due later: to give the node again what is not confirmed.
    pub(crate) fn hurry(&self) {
        self.queue.hurry();
    }

    fn follows(&self) -> bool {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
mod tests;
