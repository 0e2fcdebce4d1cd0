//! Two ends of one connection in one process, optionally with a wire between them that tests can
//! inspect.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use multiprocess::{Connection, Interface, Limits, Result};

use crate::generated::everything::EverythingClient;
use crate::server::EverythingServer;

/// An object that is served over a socket, and a handle on it from the other end.
pub struct Pair<I> {
    /// The serving end.
    pub serving: Connection,
    /// The calling end.
    pub calling: Connection,
    /// The calling end's handle on the object.
    pub object: I,
}

/// A served `EverythingServer`, and a handle on it.
///
/// # Errors
/// The system gives no sockets.
pub fn pair() -> Result<(Arc<EverythingServer>, Pair<EverythingClient>)> {
    let server = EverythingServer::new();
    let pair = serve(server.client())?;
    Ok((server, pair))
}

/// Serves `object` to a peer that uses it as a `J`.
///
/// # Errors
/// The system gives no sockets.
pub fn serve<I: Interface, J: Interface>(object: I) -> Result<Pair<J>> {
    let (ours, theirs) = sockets()?;
    connect(object, &Limits::default(), ours, theirs)
}

/// The same over a wire that tests can inspect.
///
/// # Errors
/// The system gives no sockets.
pub fn serve_watched<I: Interface, J: Interface>(object: I) -> Result<(Pair<J>, Wire)> {
    serve_watched_with(object, &Limits::default())
}

/// The same with limits of both ends.
///
/// # Errors
/// The system gives no sockets.
pub fn serve_watched_with<I: Interface, J: Interface>(
    object: I,
    limits: &Limits,
) -> Result<(Pair<J>, Wire)> {
    let ((ours, near), (far, theirs)) = (sockets()?, sockets()?);
    let wire = Wire::between(near, far).map_err(failed)?;
    Ok((connect(object, limits, ours, theirs)?, wire))
}

fn connect<I: Interface, J: Interface>(
    object: I,
    limits: &Limits,
    ours: UnixStream,
    theirs: UnixStream,
) -> Result<Pair<J>> {
    let builder = Connection::builder().limits(limits.clone());
    let serving = builder.serve(object).start(theirs)?;
    let calling = Connection::builder().limits(limits.clone()).start(ours)?;
    let object = calling.bootstrap()?;
    Ok(Pair { serving, calling, object })
}

fn sockets() -> Result<(UnixStream, UnixStream)> {
    UnixStream::pair().map_err(failed)
}

fn failed(error: io::Error) -> multiprocess::Error {
    multiprocess::Error::failed(error.to_string())
}

/// The two directions between a caller and a server. It keeps the messages that went to the server,
/// and can hold back the answers.
pub struct Wire(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole messages to the server, in order.
    asked: Vec<Vec<u8>>,
    held: bool,
    over: bool,
}

impl Wire {
    fn between(near: UnixStream, far: UnixStream) -> io::Result<Wire> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let there = (near.try_clone()?, far.try_clone()?, Arc::clone(&shared));
        std::thread::spawn(move || {
            let (mut from, mut to, shared) = there;
            let passed = pass(&mut from, &mut to, |message| {
                shared.state().asked.push(message.to_vec());
                shared.changed.notify_all();
            });
            drop(passed);
            shared.end(&from, &to);
        });
        let back = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (mut from, mut to) = (far, near);
            let passed = pass(&mut from, &mut to, |_| back.wait_until(|state| !state.held));
            drop(passed);
            back.end(&from, &to);
        });
        Ok(Wire(shared))
    }

    /// Holds back the server's messages from now on.
    pub fn hold(&self) {
        self.0.state().held = true;
    }

    /// Delivers them.
    pub fn let_go(&self) {
        self.0.state().held = false;
        self.0.changed.notify_all();
    }

    /// Forgets the messages that went to the server so far.
    pub fn forget(&self) {
        self.0.state().asked.clear();
    }

    /// The messages that went to the server.
    pub fn asked(&self) -> Vec<Vec<u8>> {
        self.0.state().asked.clone()
    }

    /// Waits until `enough` holds for the messages that went to the server, or the wire is cut.
    pub fn wait_until(&self, enough: impl Fn(&[Vec<u8>]) -> bool) {
        self.0.wait_until(|state| enough(&state.asked));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let mut state = self.state();
        while !state.over && !condition(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One direction has ended: ends the other one.
    fn end(&self, from: &UnixStream, to: &UnixStream) {
        let _ = from.shutdown(std::net::Shutdown::Both);
        let _ = to.shutdown(std::net::Shutdown::Both);
        self.state().over = true;
        self.changed.notify_all();
    }
}

/// Forwards whole messages, each after `look` has seen it.
fn pass(from: &mut impl Read, to: &mut impl Write, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        let mut message = vec![0; 4];
        from.read_exact(&mut message)?;
        let segments = 1 + word(&message, 0) as usize;
        // The table of segments is padded to whole words.
        message.resize(4 * (1 + segments).next_multiple_of(2), 0);
        from.read_exact(&mut message[4..])?;
        let words: usize = (1..=segments).map(|index| word(&message, index) as usize).sum();
        let table = message.len();
        message.resize(table + 8 * words, 0);
        from.read_exact(&mut message[table..])?;
        look(&message);
        to.write_all(&message)?;
    }
}

fn word(message: &[u8], index: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&message[4 * index..4 * index + 4]);
    u32::from_le_bytes(bytes)
}
