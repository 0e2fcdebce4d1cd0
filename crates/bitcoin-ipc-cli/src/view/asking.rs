//! The wallet process is asked on a thread of its own (`wallets`), so that one that does not answer holds up nothing else.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use bitcoin_ipc_draft::node::NodeClient;
use multiprocess::{Error, Result};

use super::look::WalletLook;
use super::source::{Noticed, Tell};
use super::wallets::{Wallets, Wanted};

/// So long a look waits for the wallets, that they are of the same moment as the node. What comes later is of the next.
const MOMENT: Duration = Duration::from_millis(250);

/// The wallets, or why there are none.
type Answer = std::result::Result<Vec<WalletLook>, String>;

/// The thread, from outside. It ends when this is dropped and what it asks for is answered, or was waited for too long.
pub(super) struct Asking {
    ask: Sender<Wanted>,
    answers: Receiver<Answer>,
    /// Something is asked for.
    under_way: bool,
    /// What is to be asked for after that.
    wanted: Wanted,
    last: Answer,
}

/// How long a look waits for the wallets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until they are there, or the wallet process has had its time.
    Long,
    /// For a moment.
    Short,
}

impl Asking {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn start(mut wallets: Wallets, node: NodeClient, tell: Tell) -> Result<Asking> {
        let (ask, asked) = channel::<Wanted>();
        let (answer, answers) = channel();
        let run = move || {
            for wanted in asked {
                if answer.send(wallets.look(&node, &wanted)).is_err() {
                    return;
                }
                tell.tell(Noticed::Answered);
            }
        };
        let started = thread::Builder::new().name("wallets".to_owned()).spawn(run);
        started.map_err(|error| {
            Error::failed(format!("cannot start the thread that asks for wallets: {error}"))
        })?;
        let last = Err("the wallet process has not answered yet".to_owned());
        Ok(Asking { ask, answers, under_way: false, wanted: Wanted::default(), last })
    }

    /// Whether it is asked and has not answered, as far as was looked.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// The wallets as they are, or as they were when they last answered.
    pub(super) fn look(&mut self, wanted: Wanted, wait: Wait) -> Answer {
        self.wanted.add(wanted);
        self.take(Duration::ZERO);
        if !self.under_way && self.wanted.is_any() {
            // The answers of a thread that is gone are seen to end.
            let _ = self.ask.send(std::mem::take(&mut self.wanted));
            self.under_way = true;
            self.take(match wait {
                Wait::Long => Duration::MAX,
                Wait::Short => MOMENT,
            });
        }
        self.last.clone()
    }

    /// Takes what it has answered within this time.
    fn take(&mut self, within: Duration) {
        if !self.under_way {
            return;
        }
        match self.answers.recv_timeout(within) {
            Ok(answer) => (self.last, self.under_way) = (answer, false),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                self.last = Err("a defect of this program has ended its thread".to_owned());
                self.under_way = false;
            }
        }
    }
}
