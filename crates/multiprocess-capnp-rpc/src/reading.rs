//! Connections that the bridge's thread reads, by tokio's reactor.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;

use multiprocess::Connection;
use multiprocess::rt::{TaskRead, TaskReader};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::bridge::Bridge;

/// How many reads with something in them, one after the other, before the other tasks of this thread have their turn: a
/// peer that always has sent something more would have the thread to itself. After one call there is one.
const READS: usize = 2;

impl Bridge {
    /// Has the bridge's driver read this connection, on this thread, as capnp-rpc reads its own: a call then
    /// wakes no other thread of this process. Without it a thread of the runtime reads, and wakes this one.
    ///
    /// What arrives while this thread does something else waits for it, for other threads' futures as well;
    /// threads that `.wait()` read the connection themselves. So do not block this thread for something that a
    /// call over the connection is to bring.
    ///
    /// Ends with the connection, or with the driver; then the runtime reads again. For a connection that is read
    /// here already it does nothing.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one whose `enable_io` was not called.
    pub fn read_here(&self, connection: &Connection) {
        let (reader, number) = (TaskReader::new(connection), connection.number());
        if self.0.read_here.borrow().contains(&number) {
            return;
        }
        let Ok(socket) = watched(&reader) else {
            // The system has no descriptor left: the runtime goes on reading.
            return;
        };
        self.0.read_here.borrow_mut().insert(number);
        let shared = Rc::downgrade(&self.0);
        self.read(Box::pin(async move {
            read(&reader, &socket).await;
            if let Some(shared) = shared.upgrade() {
                shared.read_here.borrow_mut().remove(&number);
            }
        }));
    }
}

/// The connection's socket, to be watched by tokio. It is only watched, so its kind does not matter.
fn watched(reader: &TaskReader) -> io::Result<UnixStream> {
    UnixStream::from_std(StdStream::from(reader.socket().try_clone()?))
}

async fn read(reader: &TaskReader, socket: &UnixStream) {
    let mut reads = 0;
    while reader.acquire() && socket.readable().await.is_ok() {
        // Within tokio's own, so that it notices what arrives after there was nothing.
        let read = socket.try_io(Interest::READABLE, || match reader.read() {
            TaskRead::Nothing => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        });
        match read {
            Ok(TaskRead::Over) => return,
            Ok(_) => {
                reads += 1;
                if reads == READS {
                    reads = 0;
                    // Until tokio has looked after its timers and the other sockets.
                    tokio::task::yield_now().await;
                }
            }
            Err(_) => reads = 0,
        }
    }
}
