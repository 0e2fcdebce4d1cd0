//! A connection to a node that outlives the node: lost, it is made again, with what the program needs over it.
//!
//! [`NodeSession`] connects, tells why the node is lost, connects again with growing delays, has a function of the
//! program's make its objects anew each time, and carries [streams](NodeSession::tips) of tips and templates
//! over the gap.
//!
//! ```
//! # use bitcoin_regtest::{Chain, NodeInit};
//! # use bitcoin_ipc::init::InitClient;
//! # use bitcoin_ipc::ipc::{Ipc, IpcOptions};
//! use std::time::Duration;
//! use bitcoin_ipc::session::{Event, NodeSession};
//!
//! # fn main() -> bitcoin_ipc::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let datadir = dir.path();
//! # let node = Ipc::new(IpcOptions::new("bitcoin-node", InitClient::new(NodeInit::new(Chain::regtest()))).datadir(datadir));
//! # node.listen_address("unix")?;
//! let options = IpcOptions::client("my-monitor").datadir(datadir);
//! let session = NodeSession::builder(options).wait_for_node(Duration::from_secs(10)).connect()?;
//! for event in session.tips() {
//!     match event? {
//!         Event::Next(tip) => println!("block {}: {}", tip.height, tip.hash),
//!         Event::Lost(why) => println!("{why}; what happens meanwhile is not told"),
//!     }
//! #   break;
//! }
//! session.close();
//! # Ok(())
//! # }
//! ```
//!
//! - `builder` describes a session, `node` is what a program has of one connection;
//! - `follow` is the one way over a gap, for all streams; `follow/` has what each of them follows;
//! - `closing` is the end in order.

mod builder;
mod closing;
mod follow;
mod handle;
mod node;

pub use builder::SessionBuilder;
pub use follow::{Event, Follow};
pub use handle::NodeSession;
pub use node::Node;
