//! A snapshot: plain data.

use std::time::Duration;

use crate::limits_met::Limit;
use crate::process::PeerCredentials;

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
    /// Its name and its number in this process, `main-1`. A thread that serves one of a peer's has the peer's name
    /// of it, and then its own number.
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
