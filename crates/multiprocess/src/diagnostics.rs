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

mod shown;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use crate::connection::{Conn, try_connections};
use crate::limits_met::{ALL, Limit};
use crate::process::{PeerCredentials, is_forked, peer_credentials};
use crate::session::{Asked, Served, UnderWay, WhoWaits};
use crate::thread_list::{self, Listed};
use crate::threads::Place;

/// What this process was doing at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The process.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
    /// Its connections by their numbers. None: busy.
    pub connections: Option<Vec<ConnectionNow>>,
    /// The threads that the runtime has started, and the program's that call or serve. None: busy.
    pub threads: Option<Vec<ThreadNow>>,
    /// The limits that were met since the process began, and how often.
    pub limits_met: Vec<(Limit, u64)>,
}

/// One connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionNow {
    /// Its [number](crate::Connection::number).
    pub number: u64,
    /// The peer's process and user, as the socket tells them. Of a child that was given one end of a pair
    /// of sockets these are its parent's.
    pub peer: Option<PeerCredentials>,
    /// The peer's [name](crate::Connection::name_peer), or that of its process.
    pub peer_name: Option<String>,
    /// How long it has existed.
    pub age: Duration,
    /// Why it has ended, if it has.
    pub ended: Option<String>,
    /// Bytes that are not written, because the peer does not read them.
    pub unsent: usize,
    /// Destructors and hooks of the user that run, each with its time. None: busy.
    pub cleanup: Option<Vec<(&'static str, Duration)>>,
    /// What its lock guards. None: busy.
    pub inside: Option<Inside>,
}

/// What the lock of a connection guards.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inside {
    /// The sizes of the protocol's tables: this side's questions, the peer's, what this side has given, what
    /// it was given.
    pub tables: [usize; 4],
    /// Objects of this process that the peer can call.
    pub objects: usize,
    /// Bytes of the peer's calls that count against [`Limits::call_bytes`](crate::Limits::call_bytes).
    pub held_bytes: usize,
    /// This side's calls, in no order.
    pub calls: Vec<CallNow>,
    /// This side's calls that wait for room before they are sent.
    pub wait_for_room: usize,
    /// The peer's calls, in no order.
    pub serves: Vec<CallNow>,
}

/// One call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallNow {
    /// `Interface.method`, or what it is if it is the runtime's own.
    pub method: &'static str,
    /// How long ago it was sent or arrived.
    pub age: Duration,
    /// Of this side's calls the thread that made it. Of the peer's the thread that runs it; before one does,
    /// and where it is a future, none.
    pub thread: Option<String>,
    /// What it waits for, or who waits for it.
    pub state: String,
}

/// One thread.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ThreadNow {
    /// Its name.
    pub name: String,
    /// Its number in the system.
    pub system_id: Option<u32>,
    /// The runtime has started it.
    pub own: bool,
    /// The peers' calls that it runs (more than one: callbacks within each other), each with its connection
    /// and its age.
    pub runs: Vec<(u64, &'static str, Duration)>,
    /// The calls that it made and waits for.
    pub waits: Vec<(u64, &'static str, Duration)>,
}

/// Collects what this process is doing. In a fork of the process there is nothing: what was there is the
/// parent's.
pub fn snapshot() -> Snapshot {
    let (mut connections, mut threads) = (None, None);
    if !is_forked() {
        let listed = patiently(thread_list::try_all);
        let names = listed.unwrap_or_default();
        let mut collected = Collected { now: BTreeMap::new(), names: &names };
        connections = patiently(try_connections)
            .map(|all| all.iter().map(|conn| collected.connection(conn)).collect());
        let found = collected.now;
        threads = (!names.is_empty()).then(|| threads_now(&names, found));
    }
    let met = ALL.iter().map(|limit| (*limit, limit.times_met()));
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default();
    Snapshot {
        pid: std::process::id(),
        program: program.to_string_lossy().into_owned(),
        connections,
        threads,
        limits_met: met.filter(|(_, times)| *times > 0).collect(),
    }
}

/// Tries for some 20 ms: locks are held for less than that, unless something is wrong.
fn patiently<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..20 {
        if let Some(seen) = look() {
            return Some(seen);
        }
        sleep(Duration::from_millis(1));
    }
    look()
}

/// What a thread runs and waits for: connection, method, age.
type Work = (u64, &'static str, Duration);

struct Collected<'a> {
    names: &'a BTreeMap<u64, Listed>,
    now: BTreeMap<u64, (Vec<Work>, Vec<Work>)>,
}

impl Collected<'_> {
    fn connection(&mut self, conn: &Conn) -> ConnectionNow {
        let peer = peer_credentials(conn.socket()).ok();
        let inside = patiently(|| conn.try_look(|core| core.under_way()));
        ConnectionNow {
            number: conn.number(),
            peer_name: peer_name(conn, peer),
            peer,
            age: conn.since().elapsed(),
            ended: conn.ended().map(ToString::to_string),
            unsent: conn.unsent(),
            cleanup: patiently(|| conn.cleanup().try_running()).map(|(running, _)| running),
            inside: inside.map(|inside| self.inside(conn.number(), inside)),
        }
    }

    fn inside(&mut self, number: u64, inside: UnderWay) -> Inside {
        let UnderWay { tables, held_bytes, objects, asked, wait_for_room, served } = inside;
        let calls = asked.iter().map(|asked| self.call(number, asked)).collect();
        let serves = served.iter().map(|served| self.serve(number, served)).collect();
        Inside { tables, objects, held_bytes, calls, wait_for_room, serves }
    }

    fn call(&mut self, conn: u64, asked: &Asked) -> CallNow {
        let Asked { method, since, thread, waits, sent } = *asked;
        let age = since.elapsed();
        let state = match (waits, sent) {
            (_, false) => "waits for streaming calls before it",
            (WhoWaits::Thread, _) => "a thread waits for the answer",
            (WhoWaits::Future, _) => "a future waits for the answer",
            (WhoWaits::Nobody, _) => "nobody waits for the answer yet",
            (WhoWaits::Cancelled, _) => "cancelled, and the peer has not ended it",
            (WhoWaits::Unknown, _) => "under way",
        };
        if waits == WhoWaits::Thread {
            self.now.entry(thread).or_default().1.push((conn, method, age));
        }
        CallNow { method, age, thread: self.name(thread), state: state.to_owned() }
    }

    fn serve(&mut self, conn: u64, served: &Served) -> CallNow {
        let Served { about, place, names, cancelled } = served;
        let (method, age) = (about.method, about.since.elapsed());
        let mut state = match (place, names) {
            (Place::Thread(_), _) => "runs".to_owned(),
            (Place::Future, _) => "a future, which its executor polls".to_owned(),
            (Place::Queued, Some(name)) => format!("waits for its turn on the thread {name:?}"),
            (Place::Queued, None) => "waits for its turn".to_owned(),
        };
        if *cancelled {
            state.push_str(", cancelled");
        }
        let mut thread = None;
        if let Place::Thread(number) = *place {
            self.now.entry(number).or_default().0.push((conn, method, age));
            thread = self.name(number);
        }
        CallNow { method, age, thread, state }
    }

    fn name(&self, thread: u64) -> Option<String> {
        self.names.get(&thread).map(|listed| listed.name.clone())
    }
}

fn threads_now(
    names: &BTreeMap<u64, Listed>,
    mut found: BTreeMap<u64, (Vec<Work>, Vec<Work>)>,
) -> Vec<ThreadNow> {
    let thread = |(number, listed): (&u64, &Listed)| {
        let (runs, waits) = found.remove(number).unwrap_or_default();
        let Listed { name, own, system_id } = listed.clone();
        ThreadNow { name, system_id, own, runs, waits }
    };
    names.iter().map(thread).collect()
}

/// What the program calls the peer, or else the name of its process. A peer that has this process's number
/// is at the other end of a pair that was made here: nothing is known of it.
fn peer_name(conn: &Conn, peer: Option<PeerCredentials>) -> Option<String> {
    if let Some(name) = conn.peer_name().get() {
        return Some(name.clone());
    }
    let pid = peer?.pid.filter(|pid| *pid != std::process::id())?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::snapshot;
    use crate::Limits;

    /// Neither does it wait for a lock that is held, even by the thread that asks.
    #[test]
    fn where_a_lock_is_held_it_says_busy() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let conn = crate::session::start(ours.into(), Limits::default(), None).unwrap();
        let number = conn.number();
        let find = |busy: bool| {
            let snapshot = snapshot();
            let mut all = snapshot.connections.iter().flatten();
            let found = all.find(|found| found.number == number).expect("it is on the list");
            assert_eq!(found.inside.is_none(), busy);
            assert_eq!(format!("{found}").contains("busy"), busy, "{found}");
        };
        find(false);
        conn.enter(|_core| find(true));
        find(false);
    }
}
