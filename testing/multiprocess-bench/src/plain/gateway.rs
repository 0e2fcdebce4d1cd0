//! Calls from threads.

use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::{Loop, echo};
use crate::{Failure, Peer};

type Request = (String, oneshot::Sender<capnp::Result<String>>);

/// Lets threads call through capnp-rpc, whose objects belong to one thread. That thread runs the
/// loop; other threads send it their calls over a channel, and wait for the answers on another
/// channel.
#[derive(Clone)]
pub struct Gateway(mpsc::UnboundedSender<Request>);

impl Gateway {
    /// Starts a server and the thread that talks to it, and returns the server's process id; both
    /// end with the last clone of the gateway.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn start() -> Result<(Gateway, u32, JoinHandle<()>), Failure> {
        let (sender, mut requests) = mpsc::unbounded_channel::<Request>();
        let (started, outcome) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let connected = || {
                let (child, socket) = Peer::Plain.start()?;
                let events = Loop::new()?;
                let bench = events.connect(socket)?;
                Ok::<_, Failure>((child, events, bench))
            };
            let (child, events, bench) = match connected() {
                Ok(connected) => connected,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let _ = started.send(Ok(child.id()));
            events.run(async move {
                while let Some((text, answer)) = requests.recv().await {
                    let bench = bench.clone();
                    tokio::task::spawn_local(async move {
                        let _ = answer.send(echo(&bench, &text).await);
                    });
                }
            });
        });
        let server = outcome.recv()??;
        Ok((Gateway(sender), server, thread))
    }

    /// Echoes a text, from any thread but that of a loop.
    ///
    /// # Errors
    /// The call failed.
    pub fn echo(&self, text: &str) -> Result<String, Failure> {
        let (answer, answered) = oneshot::channel();
        self.0.send((text.to_owned(), answer))?;
        Ok(answered.blocking_recv()??)
    }
}
