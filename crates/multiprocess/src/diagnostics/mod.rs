//! What this process is doing: its connections, the calls under way in both directions, and its threads.
//! For a person who looks for a call that is stuck.
//!
//! [`snapshot`] collects it; the result is plain data, and its `Display` is a text of a line for each
//! connection, call and thread. Collecting runs no code of the user's and waits for no lock: where another
//! thread has one for longer than some 20 ms, the snapshot has [`None`] there, and the text says `busy`.
//!
//! Times are exact to 10 ms, because calls note the time of the kernel's last tick.
//!
//! ```
//! use multiprocess::{Connection, diagnostics};
//!
//! # let (socket, _theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
//! let connection = Connection::new(socket)?;
//! let snapshot = diagnostics::snapshot();
//! let found = snapshot.connections.iter().flatten().find(|it| it.number == connection.number());
//! let inside = found.and_then(|it| it.inside.as_ref()).expect("nobody has its lock");
//! assert!(inside.calls.is_empty() && inside.serves.is_empty());
//! println!("{snapshot}");
//! # Ok::<(), multiprocess::Error>(())
//! ```

mod collect;
#[cfg(feature = "metrics")]
mod exported;
mod shown;
mod state;

pub use collect::snapshot;
pub use state::{CallNow, ConnectionNow, Inside, Snapshot, ThreadNow};
