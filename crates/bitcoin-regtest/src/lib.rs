//! A regtest chain, in memory or on disk, for development.
//!
//! [`NodeInit`] serves Mining, BlockTemplate and Rpc, as Bitcoin Core does over IPC, from the chain
//! here: real blocks, in code that is small enough to read. It starts at the regtest genesis block
//! each time, or goes on where it was ([`Chain::open`]). It lets a pool, a template provider or a monitor be written and tested without a
//! Bitcoin Core. It is not a validating node and holds nobody's money.
//!
//! ```
//! use bitcoin_ipc::init::InitClient;
//! use bitcoin_regtest::{Chain, NodeInit};
//!
//! # fn main() -> bitcoin_ipc::Result<()> {
//! // Here, in this process; the programs of `bitcoin-ipc-cli` serve it to others.
//! let node = InitClient::new(NodeInit::new(Chain::regtest()));
//! let mining = node.make_mining().wait()?.expect("the node has Mining");
//! let tip = mining.get_tip().wait()?.expect("the chain has a tip");
//! assert_eq!(tip.height, 0);
//! # Ok(())
//! # }
//! ```
//!
//! [`RegtestNode`] serves one at a socket, for tests: it mines, reorganizes, goes away and comes back, is slow and
//! fails, all on order. [`SpawnedNode`] is the same in a process of its own, which can be killed; [`TestNode`] is
//! what both do.
//!
//! ```text
//! spawned ==a process==> program -> node
//! node -> server (faults)
//! server -----> rpc -----.
//!    |                   v
//!    |---------------> chain (one mutex, one condition variable), wait, view
//!    |                   ^   |-> branches: which blocks are the chain? -> coins, mempool -> policy, clock
//!    |                   |   |     |-> check: may this block be the next one? -> rejection
//!    |                   |   |     '-> events: what has happened, a queue for each subscriber
//!    |                   |   '-> store: the file
//!    '-> template, draft --'    (orders: what a test wants of the chain)
//!           '-> solve: the miner's part, which needs no chain; a client uses it too
//! ```
//!
//! Checks of a block, with Bitcoin Core's reject reasons: proof of work and regtest's fixed bits,
//! merkle root, size and weight, a coinbase with the right height (BIP 34) and no more than subsidy
//! and fees, witness commitment (BIP 141), time (BIP 113 median, two hours ahead at most), version,
//! lock times, and that inputs exist, are mature and cover the outputs.
//!
//! As in Bitcoin Core, the branch with the most work is the chain, blocks that leave it give their transactions
//! back to the memory pool, templates take the best paid ones from there, and a chain whose last block is
//! older than a day is one that still catches up: createNewBlock with `cooldown` waits for a block.
//! [`Chain::set_time`], [`Chain::submit_transaction`] and [`Chain::invalidate_block`] bring about what a test
//! needs.
//!
//! [`Chain::subscribe`] tells what happens, for a wallet that follows the chain. In the memory pool a transaction can be
//! replaced by one that pays more (BIP 125).
//!
//! Not checked: scripts and signatures, signature operations, relative lock times (BIP 68). There
//! are no peers.
//!
//! `server` provides the chain over IPC; all other modules are plain Rust over rust-bitcoin. Every
//! method may be called from any thread.

pub mod rpc;

mod branches;
mod chain;
mod check;
mod clock;
mod coins;
mod draft;
mod events;
mod faults;
mod mempool;
mod node;
mod orders;
mod own_dir;
mod policy;
pub mod program;
mod rejection;
mod server;
mod solve;
mod spawned;
mod store;
mod template;
mod test_node;
mod view;
mod wait;

#[cfg(test)]
mod testing;

pub use chain::{Chain, Tip};
pub use check::NextBlock;
pub use coins::{Coin, subsidy};
pub use events::{BlockEntry, Event, Removal, Subscription, SubscriptionControl};
pub use faults::Faults;
pub use mempool::{Acceptance, MempoolEntry};
pub use node::RegtestNode;
pub use policy::{INCREMENTAL_RELAY_FEE, MAX_RELATIVES, MIN_RELAY_FEE, fee_at};
pub use rejection::Rejection;
pub use server::NodeInit;
pub use solve::{anyone_can_spend, coinbase_transaction, merkle_path, merkle_root, solve};
pub use spawned::SpawnedNode;
pub use store::OpenError;
pub use template::{Template, TemplateOptions, TemplateTx, mine_block};
pub use test_node::TestNode;
pub use view::View;
