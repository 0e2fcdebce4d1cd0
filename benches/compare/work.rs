//! The rows: the kinds of work that are measured.

/// The unit of a row's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds a call.
    Time,
    /// Calls in a second.
    Rate,
    /// Bytes of memory, of both processes.
    Bytes,
}

/// One row. A mapped call is one that is waited for by a thread and runs on that thread's own
/// thread in the server, if the side knows such a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// 110 bytes there and back in a mapped call. Raw: a blocking write and read on either side.
    /// capnp-rpc, tarpc: awaited in one event loop, and run in the server's.
    Mapped,
    /// The same by a method without a context, which runs on any thread.
    Inline,
    /// The mapped call, awaited one at a time in an executor of the `futures` crate.
    Async,
    /// A mapped call whose method calls an object of the caller's and returns what that says: two
    /// round trips, one within the other. The callback runs on the thread that waits.
    Callback,
    /// One thread that keeps this many mapped calls under way. Raw: frames, read and written as
    /// they come.
    InFlight(usize),
    /// The same, the calls spread over this many connections to one server process.
    OverConnections(usize, usize),
    /// Threads that make mapped calls over one connection. Raw: each has a connection and a server
    /// thread for itself. capnp-rpc: they hand their calls to the thread of the connection, and so
    /// does tarpc's client by itself.
    Threads(usize),
    /// A mapped call with this many bytes there and back.
    Echo(usize),
    /// From starting the server's process (the same program for all) until the answer of its first
    /// call is there. Raw is thus the cost of a program that only returns one frame.
    Spawn,
    /// From connecting to a server that listens until the answer of the first call is there.
    Connect,
    /// Memory of a connection over which one mapped call was made.
    Connection,
    /// Memory of a handle that this process holds on an object of the server's, with the object.
    Handle,
}

impl Work {
    /// The rows of the table.
    pub(crate) const TABLE: [Work; 15] = [
        Work::Mapped,
        Work::Inline,
        Work::Async,
        Work::Callback,
        Work::InFlight(64),
        Work::OverConnections(64, 8),
        Work::Threads(8),
        Work::Threads(64),
        Work::Echo(4 << 10),
        Work::Echo(1 << 20),
        Work::Echo(32 << 20),
        Work::Spawn,
        Work::Connect,
        Work::Connection,
        Work::Handle,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Work::Mapped => "mapped call".into(),
            Work::Inline => "inline call".into(),
            Work::Async => "async call".into(),
            Work::Callback => "callback".into(),
            Work::InFlight(calls) => format!("{calls} in flight"),
            Work::OverConnections(calls, over) => format!("{calls} in flight, {over} connections"),
            Work::Threads(count) => format!("{count} threads"),
            Work::Echo(bytes) => format!("{} echo", size(bytes)),
            Work::Spawn => "spawn to first call".into(),
            Work::Connect => "connect to first call".into(),
            Work::Connection => "memory per connection".into(),
            Work::Handle => "memory per handle".into(),
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Work::InFlight(_) | Work::OverConnections(..) | Work::Threads(_) => Unit::Rate,
            Work::Connection | Work::Handle => Unit::Bytes,
            _ => Unit::Time,
        }
    }

    /// The row of the table with this name.
    pub(crate) fn named(name: &str) -> Option<Work> {
        Work::TABLE.into_iter().find(|work| work.name() == name)
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
