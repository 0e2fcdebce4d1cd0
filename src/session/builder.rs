//! Describes a session before it begins.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use multiprocess::process::Backoff;
use multiprocess::{Error, ReconnectState, Result};

use super::handle::NodeSession;
use super::node::Made;
use crate::init::InitClient;
use crate::ipc::{Ipc, IpcOptions};

type OnLoss = Box<dyn FnMut(Error) + Send>;

/// Describes a [`NodeSession`], from [`NodeSession::builder`]: which node, how often it is tried, and who is told
/// of its loss. [`connect`](Self::connect) and [`start`](Self::start) begin.
#[must_use = "it does nothing before it is connected or started"]
pub struct SessionBuilder {
    options: IpcOptions,
    address: String,
    wait: Option<Duration>,
    backoff: Backoff,
    give_up_after: Option<Duration>,
    on_loss: Option<OnLoss>,
}

impl SessionBuilder {
    /// The delays between attempts unless told otherwise: from a tenth of a second to two, because an attempt
    /// at a socket of this machine costs next to nothing.
    pub const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        factor: 2.0,
        longest: Duration::from_secs(2),
        reset_after: Duration::from_secs(60),
        max_restarts: None,
    };

    pub(super) fn new(options: IpcOptions) -> SessionBuilder {
        SessionBuilder {
            options,
            address: "unix".to_owned(),
            wait: None,
            backoff: SessionBuilder::BACKOFF,
            give_up_after: None,
            on_loss: None,
        }
    }

    /// Where the node listens: an address as for [`Ipc::connect_address`]. `unix` unless set, which is `node.sock`
    /// in the data directory of the options.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Has [`connect`](Self::connect) try again for so long, until a node is there, instead of once: for a program
    /// that is started together with its node.
    pub fn wait_for_node(mut self, timeout: Duration) -> Self {
        self.wait = Some(timeout);
        self
    }

    /// The delays before attempts to connect again; half of each is left to chance. [`BACKOFF`](Self::BACKOFF)
    /// unless set.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Ends the session when the node was away for so long. Never, unless set.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = Some(time);
        self
    }

    /// Runs `hook` with the reason after each loss of the node, on a thread of the runtime, before the next attempt.
    /// Not for the end by this side, nor while it still runs for the loss before. [`NodeSession::connections`] tells the same as a stream.
    pub fn on_loss(mut self, hook: impl FnMut(Error) + Send + 'static) -> Self {
        self.on_loss = Some(Box::new(hook));
        self
    }

    /// Connects, and waits until the node has answered.
    ///
    /// # Errors
    /// Why the first attempt failed, in one line that says what to do; with
    /// [`wait_for_node`](Self::wait_for_node), why the last one did. [`Error::ApiMisuse`] for an address that asks
    /// for no connection.
    pub fn connect(self) -> Result<NodeSession> {
        self.connect_with(|_init| Ok(()))
    }

    /// The same for a program with objects of its own: `make` makes them over each connection, from the node's
    /// Init. It runs on a thread of the runtime and may make calls. An error of it is a failed attempt.
    ///
    /// ```
    /// # use bitcoin_regtest::{Chain, NodeInit};
    /// # use bitcoin_ipc::ipc::Ipc;
    /// use bitcoin_ipc::init::InitClient;
    /// use bitcoin_ipc::ipc::IpcOptions;
    /// use bitcoin_ipc::mining::MiningClient;
    /// use bitcoin_ipc::rpc::RpcClient;
    /// use bitcoin_ipc::session::NodeSession;
    /// use bitcoin_ipc::{Error, Result};
    /// use std::time::Duration;
    ///
    /// struct Objects {
    ///     mining: MiningClient,
    ///     rpc: RpcClient,
    /// }
    ///
    /// fn make(init: &InitClient) -> Result<Objects> {
    ///     let missing = || Error::failed("the node does not offer Mining and Rpc");
    ///     Ok(Objects {
    ///         mining: init.make_mining().wait()?.ok_or_else(missing)?,
    ///         rpc: init.make_rpc().wait()?.ok_or_else(missing)?,
    ///     })
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let datadir = dir.path();
    /// # let node = Ipc::new(IpcOptions::new("bitcoin-node", InitClient::new(NodeInit::new(Chain::regtest()))).datadir(datadir));
    /// # node.listen_address("unix")?;
    /// let options = IpcOptions::client("my-pool").datadir(datadir);
    /// let session = NodeSession::builder(options).connect_with(make)?;
    /// // Before each use: the objects of the present connection.
    /// let node = session.get(Duration::from_secs(10))?;
    /// assert!(node.mining.get_tip().wait()?.is_some());
    /// let height: u32 = node.rpc.call("getblockcount", ()).wait()?;
    /// # assert_eq!(height, 0);
    /// session.close();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and those of `make`.
    pub fn connect_with<T: Send + Sync + 'static>(
        self,
        make: impl FnMut(&InitClient) -> Result<T> + Send + 'static,
    ) -> Result<NodeSession<T>> {
        let wait = self.wait;
        let (session, was_connected) = self.begin(wait.is_some(), make)?;
        // One attempt ends by itself, and until there was a connection to give to the program there is one only.
        let got = session.get(wait.unwrap_or(Duration::MAX)).map(|_| {
            was_connected.store(true, Ordering::Release);
            session.state()
        });
        match got {
            // It was lost before that was noted.
            Ok(ReconnectState::Ended { reason, .. }) => Err(reason),
            Ok(_) => Ok(session),
            Err(error) => {
                session.close();
                Err(error)
            }
        }
    }

    /// Begins to connect and returns at once, whether the node is there or not.
    ///
    /// # Errors
    /// [`Error::Address`] or [`Error::ApiMisuse`] for an address that cannot be connected to.
    pub fn start(self) -> Result<NodeSession> {
        self.start_with(|_init| Ok(()))
    }

    /// The same with objects of the program's, as for [`connect_with`](Self::connect_with).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with<T: Send + Sync + 'static>(
        self,
        make: impl FnMut(&InitClient) -> Result<T> + Send + 'static,
    ) -> Result<NodeSession<T>> {
        self.begin(true, make).map(|(session, _)| session)
    }

    /// `patient`: whether it tries again before it was ever connected. The flag says that it was; if it is patient,
    /// it notes that itself.
    fn begin<T: Send + Sync + 'static>(
        self,
        patient: bool,
        mut make: impl FnMut(&InitClient) -> Result<T> + Send + 'static,
    ) -> Result<(NodeSession<T>, Arc<AtomicBool>)> {
        let SessionBuilder { options, address, backoff, give_up_after, on_loss, .. } = self;
        let reconnect = Ipc::new(options).reconnect_address(&address)?;
        let mut reconnect = reconnect.ok_or_else(|| {
            Error::misuse(format!(
                "the address {address:?} asks for no connection: give unix or unix:PATH"
            ))
        })?;
        let was_connected = Arc::new(AtomicBool::new(false));
        let (connected, noted) = (Arc::clone(&was_connected), Arc::clone(&was_connected));
        reconnect = reconnect.backoff(backoff).retry_if(move |error| {
            match connected.load(Ordering::Acquire) {
                true => may_pass(error),
                false => patient && may_pass(error) && !is_too_old(error),
            }
        });
        if let Some(hook) = on_loss {
            reconnect = reconnect.on_loss(hook);
        }
        if let Some(time) = give_up_after {
            reconnect = reconnect.give_up_after(time);
        }
        let reconnecting = reconnect.start(move |init: &InitClient| {
            let value = make(init)?;
            if patient {
                noted.store(true, Ordering::Release);
            }
            Ok(Made::new(init, value))
        })?;
        Ok((NodeSession::new(reconnecting), was_connected))
    }
}

/// Whether another attempt may succeed.
fn may_pass(error: &Error) -> bool {
    !matches!(error, Error::ApiMisuse { .. } | Error::Address { .. })
}

/// Whether only another node would help.
fn is_too_old(error: &Error) -> bool {
    matches!(error, Error::Unimplemented { .. } | Error::PeerTooOld { .. })
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder").field("address", &self.address).finish_non_exhaustive()
    }
}
