//! What the programs tell the user.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use bitcoin_ipc::common::BilingualStr;

use crate::split_node::lock;

/// How many messages a subscriber may be behind.
const CAPACITY: usize = 1_000;

/// Something that a user should see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// What is done while the programs start.
    Init(String),
    /// Something that does not keep the programs from starting.
    Warning(BilingualStr),
    /// Why a program does not start.
    Error(BilingualStr),
    /// How far something is.
    Progress {
        /// What it is.
        title: String,
        /// 0 to 100, where 100 ends it.
        percent: i32,
        /// Whether it goes on where it was if it is interrupted.
        resume_possible: bool,
    },
    /// The wallet process has come, or is gone.
    Wallet {
        /// Whether it is there.
        there: bool,
    },
}

/// The messages for the user: to the log, and to those who have subscribed.
#[derive(Debug, Default)]
pub struct Messages {
    subscribers: Mutex<Vec<SyncSender<Message>>>,
}

impl Messages {
    /// What is told from now on, until the receiver is dropped. A subscriber that is 1,000 messages behind is let
    /// go: its receiver ends after what it has.
    pub fn subscribe(&self) -> Receiver<Message> {
        let (sender, receiver) = sync_channel(CAPACITY);
        lock(&self.subscribers).push(sender);
        receiver
    }

    /// Tells the log and all subscribers. Waits for none of them.
    pub fn send(&self, message: Message) {
        log(&message);
        lock(&self.subscribers).retain(|subscriber| match subscriber.try_send(message.clone()) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(_)) => {
                tracing::warn!("who shows messages is {CAPACITY} behind, and gets no more");
                false
            }
        });
    }
}

fn log(message: &Message) {
    match message {
        Message::Init(text) => tracing::info!("init message: {text}"),
        Message::Warning(text) => tracing::warn!("{}", text.original),
        Message::Error(text) => tracing::error!("{}", text.original),
        Message::Progress { title, percent, .. } => tracing::info!("{title}: {percent} %"),
        Message::Wallet { there: true } => tracing::info!("the wallet process is there"),
        Message::Wallet { there: false } => tracing::info!("there is no wallet process"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(percent: i32) -> Message {
        Message::Progress { title: "rescan".to_owned(), percent, resume_possible: false }
    }

    #[test]
    fn each_subscriber_gets_what_is_told_from_then_on() {
        let messages = Messages::default();
        messages.send(progress(0));
        let first = messages.subscribe();
        messages.send(progress(1));
        let second = messages.subscribe();
        messages.send(progress(2));
        assert_eq!(first.try_iter().collect::<Vec<_>>(), [progress(1), progress(2)]);
        drop(first);
        messages.send(progress(3));
        assert_eq!(second.try_iter().collect::<Vec<_>>(), [progress(2), progress(3)]);
        assert_eq!(lock(&messages.subscribers).len(), 1);
    }

    #[test]
    fn who_does_not_read_is_let_go() {
        let messages = Messages::default();
        let (slow, quick) = (messages.subscribe(), messages.subscribe());
        for _ in 0..=CAPACITY {
            messages.send(progress(0));
            assert_eq!(quick.try_recv(), Ok(progress(0)));
        }
        assert_eq!(slow.iter().count(), CAPACITY);
        messages.send(progress(1));
        assert_eq!(quick.try_recv(), Ok(progress(1)));
    }
}
