//! The programs, with a node that goes and comes back.

mod lines;
mod node;
mod notifier;
mod pool;
mod provider;
