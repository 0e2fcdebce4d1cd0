//! The node behind the relay, which may be away for a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::session::NodeSession;
use multiprocess::{Error, ReconnectState, Result};

/// Calls of all clients that the node has not ended.
const MOST_CALLS: usize = 1024;

/// The node behind the relay.
pub(super) struct Upstream(NodeSession);

impl Upstream {
    pub(super) fn new(session: NodeSession) -> Upstream {
        Upstream(session)
    }

    /// Waits until the first attempt to connect has ended, in either way, for this time at most.
    pub(super) fn wait_first_attempt(&self, most: Duration) {
        let end = Instant::now() + most;
        while matches!(self.0.state(), ReconnectState::Connecting { last_error: None, .. })
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its Init now, with the number of the connection.
    pub(super) fn init(&self) -> Result<(u64, InitClient)> {
        match self.0.try_get() {
            Some(node) => Ok((node.generation(), node.init().clone())),
            None => Err(self.away()),
        }
    }

    /// What a client is told while the node is away. It is the kind of error with which a lost node's calls end:
    /// what goes on over losses, such as the streams of a `NodeSession`, does so over the relay, too. The client's own
    /// connection stays.
    fn away(&self) -> Error {
        let why = match self.0.state() {
            ReconnectState::Connected { .. } => "it has just come back: try again".to_owned(),
            ReconnectState::Connecting { last_error: Some(why), .. }
            | ReconnectState::Ended { reason: why, .. } => why.to_string(),
            _ => "no attempt has ended yet".to_owned(),
        };
        Error::disconnected(format!(
            "the node behind the relay is away; the relay connects again ({why})"
        ))
    }

    /// Refuses a call while the node has too many that it has not ended. Clients may have given them up: Bitcoin
    /// Core runs such calls on, so their number is not bounded by what clients wait for.
    pub(super) fn check_load(&self) -> Result<()> {
        let Some(node) = self.0.try_get() else { return Ok(()) };
        let [questions, ..] = node.connection().table_sizes();
        match questions < MOST_CALLS {
            true => Ok(()),
            false => Err(Error::failed(format!(
                "the node has {questions} calls of the relay's to end: try again later"
            ))),
        }
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// An object of the node's that is made again over each connection.
pub(super) struct Remade<T>(Mutex<Option<(u64, T)>>);

impl<T> Default for Remade<T> {
    fn default() -> Remade<T> {
        Remade(Mutex::new(None))
    }
}

impl<T: Clone> Remade<T> {
    /// The object over the present connection, which `make` makes if there is none yet.
    pub(super) fn get(
        &self,
        upstream: &Upstream,
        make: impl FnOnce(&InitClient) -> Result<Option<T>>,
    ) -> Result<T> {
        let (generation, init) = upstream.init()?;
        let made = |of: &Option<(u64, T)>| {
            of.as_ref().filter(|(of, _)| *of == generation).map(|(_, object)| object.clone())
        };
        if let Some(object) = made(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(object);
        }
        // Without the lock: others' calls do not wait for the node. If two make one, one of them is dropped.
        let object = make(&init)?.ok_or_else(|| Error::failed("the node does not offer that"))?;
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = made(&place) {
            return Ok(object);
        }
        // It may have been made over an earlier connection, while another call made one over the present one.
        if place.as_ref().is_none_or(|(of, _)| *of < generation) {
            *place = Some((generation, object.clone()));
        }
        Ok(object)
    }
}

/// The error of a call of the node's as the relay's client is to see it: a loss is that of the node behind the relay,
/// and not of the client's own connection.
pub(super) fn to_client(error: Error) -> Error {
    match error {
        lost if lost.is_disconnect() => {
            Error::disconnected(format!("the node behind the relay has gone: {lost}"))
        }
        Error::Remote { message, .. } => Error::failed(message),
        other => other,
    }
}
