//! What the programs tell the user, given to user interfaces.

use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::node::{
    InitMessageCallbackClient, InitWalletCallbackClient, MessageBoxCallbackClient,
    NotifyAlertChangedCallbackClient, NotifyNetworkActiveChangedCallbackClient,
    ShowNodeProgressCallbackClient,
};
use multiprocess::{Call, Result};

use super::subscribers;
use crate::messages::Message;
use crate::split_node::SplitNode;

/// How Bitcoin Core has a warning shown.
const WARNING: u32 = 1;
/// And an error: its icon, a button, and nothing else before it is read.
const ERROR: u32 = 1 << 1 | 0x400 | 0x1000_0000;

/// What is done while the programs start.
pub(super) fn init(node: &SplitNode, callback: InitMessageCallbackClient) -> Result<HandlerClient> {
    tell(node, move |message| match message {
        Message::Init(text) => Some(callback.call(text)),
        _ => None,
    })
}

/// Warnings and errors.
pub(super) fn boxes(node: &SplitNode, callback: MessageBoxCallbackClient) -> Result<HandlerClient> {
    tell(node, move |message| match message {
        Message::Warning(text) => Some(callback.call(text, WARNING)),
        Message::Error(text) => Some(callback.call(text, ERROR)),
        _ => None,
    })
}

/// How far something is.
pub(super) fn progress(
    node: &SplitNode,
    callback: ShowNodeProgressCallbackClient,
) -> Result<HandlerClient> {
    tell(node, move |message| match message {
        Message::Progress { title, percent, resume_possible } => {
            Some(callback.call(title, percent, resume_possible))
        }
        _ => None,
    })
}

/// That the wallets can be used, each time that the wallet process has come.
pub(super) fn wallets(
    node: &SplitNode,
    callback: InitWalletCallbackClient,
) -> Result<HandlerClient> {
    tell(node, move |message| match message {
        Message::Wallet { there: true } => Some(callback.call()),
        _ => None,
    })
}

/// Whether there are to be peers.
pub(super) fn network(
    node: &SplitNode,
    callback: NotifyNetworkActiveChangedCallbackClient,
) -> Result<HandlerClient> {
    tell(node, move |message| match message {
        Message::NetworkActive(active) => Some(callback.call(active)),
        _ => None,
    })
}

/// That the warnings of the node have changed: the only one there is tells that its wallet process is gone.
pub(super) fn alerts(
    node: &SplitNode,
    callback: NotifyAlertChangedCallbackClient,
) -> Result<HandlerClient> {
    tell(node, move |message| match message {
        Message::Wallet { .. } => Some(callback.call()),
        _ => None,
    })
}

/// Gives a process those messages of which `call` makes a call.
fn tell<T: Send + 'static>(
    node: &SplitNode,
    call: impl Fn(Message) -> Option<Call<T>> + Send + 'static,
) -> Result<HandlerClient> {
    let (number, messages) = node.messages().subscribe_numbered();
    let (node, patience) = (node.clone(), node.patience());
    subscribers::tell(
        move |_| messages.recv().ok(),
        move |message| match call(message) {
            Some(call) => call.timeout(patience).wait().map(drop),
            None => Ok(()),
        },
        move || node.messages().end(number),
    )
}
