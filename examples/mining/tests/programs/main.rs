//! The programs, with a node that goes and comes back.

mod client;
mod lines;
mod node;
mod notifier;
mod pool;
mod provider;
mod watcher;
