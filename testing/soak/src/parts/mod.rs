//! The parts of the soak, in the order in which they run.

mod calls;
mod cancels;
mod connects;
mod kills;
mod relayed;
mod spawns;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::Connection;

use crate::generated::soak::MillClient;
use crate::mill::{HANGS, MillServer};
use crate::part::Part;

/// All parts, with the counts of the whole soak.
pub(crate) const PARTS: [Part; 6] = [
    Part { name: "calls", count: 1_000_000, run: calls::run },
    Part { name: "connects", count: 100_000, run: connects::run },
    Part { name: "kills in a call", count: 10_000, run: kills::run },
    Part { name: "spawns", count: 10_000, run: spawns::run },
    Part { name: "cancels", count: 100_000, run: cancels::run },
    Part { name: "relayed cancels", count: 10_000, run: relayed::run },
];

/// What a part needs that ends without a trace: as text, for the table.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A served mill and both ends of the connection to it.
pub(crate) struct Pair {
    /// The object.
    pub(crate) server: Arc<MillServer>,
    serving: Connection,
    calling: Connection,
    /// The calling end's handle on the mill.
    pub(crate) mill: MillClient,
    /// The tables of both ends after the first call.
    tables: [[usize; 5]; 2],
}

impl Pair {
    /// A connection that has answered a call.
    pub(crate) fn new() -> Result<Pair, String> {
        let (ours, theirs) = UnixStream::pair().map_err(text)?;
        let server = MillServer::new();
        let serving = Connection::builder().serve(server.client()).start(theirs).map_err(text)?;
        let calling = Connection::new(ours).map_err(text)?;
        let mill: MillClient = calling.bootstrap().map_err(text)?;
        mill.echo(vec![1]).wait().map_err(text)?;
        let mut pair = Pair { server, serving, calling, mill, tables: [[0; 5]; 2] };
        pair.tables = pair.sizes();
        Ok(pair)
    }

    fn sizes(&self) -> [[usize; 5]; 2] {
        [self.calling.table_sizes(), self.serving.table_sizes()]
    }

    /// Waits until both ends' tables are as after the first call. Threads that the connection keeps
    /// for futures, at most 64, may have come in between.
    ///
    /// # Errors
    /// What they hold.
    pub(crate) fn wait_empty(&self) -> Result<(), String> {
        let until = Instant::now() + HANGS;
        loop {
            let now = self.sizes();
            let mut pairs = now.iter().flatten().zip(self.tables.iter().flatten()).enumerate();
            // Exports and imports are the third and the fourth of each side.
            let room = |place: usize| if matches!(place % 5, 2 | 3) { 64 } else { 0 };
            if pairs.all(|(place, (now, before))| *now <= before + room(place)) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the tables hold {now:?}, {:?} before", self.tables));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
