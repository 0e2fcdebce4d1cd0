//! The node's side over a real socket pair, called with the draft's own handles.

mod blocks;
mod commands;
mod death;
mod mempool;
mod notifications;
mod settings;
mod support;
