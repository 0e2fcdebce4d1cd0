//! Arbitrary bytes, and arbitrary messages, to one end of a socket whose other end is a connection
//! that serves the lab of the runtime's tests. This covers reading the stream and cutting it into
//! messages, the protocol, and the threads that serve.
//!
//! The connection ends when the peer's end is closed, and its threads with it.

#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use fuzzing::{Message, allow_panics_of_objects};
use libfuzzer_sys::fuzz_target;
use multiprocess::{Connection, Limits};
use multiprocess_tests::LabServer;
use multiprocess_tests::raw::{LAB, THREAD_MAP};

/// The next bytes to write.
#[derive(Debug, Arbitrary)]
enum Piece {
    Bytes(Vec<u8>),
    /// A message; if it is a call, to the bootstrap object.
    Lab(Message),
    ThreadMap(Message),
    /// A message with bytes cut off or repeated.
    Damaged {
        message: Message,
        from: u8,
        to: u8,
    },
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::Lab(message) => message.to_words(LAB),
            Piece::ThreadMap(message) => message.to_words(THREAD_MAP),
            Piece::Damaged { message, from, to } => {
                let mut bytes = message.to_words(LAB);
                let from = usize::from(*from).min(bytes.len() - 1);
                bytes[from] = *to;
                bytes
            }
        }
    }
}

/// Threads of this process; some are kept for the next connection.
const THREADS: usize = 200;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn run(data: &[u8]) -> arbitrary::Result<()> {
    let mut data = Unstructured::new(data);
    let whole: bool = data.arbitrary()?;
    let mut bytes = Vec::new();
    if whole {
        bytes.extend(data.take_rest());
    } else {
        while !data.is_empty() {
            bytes.extend(Piece::arbitrary(&mut data)?.bytes());
        }
    }
    // As much as fits into a socket that nobody reads yet.
    bytes.truncate(64 << 10);

    let (mut ours, theirs) = UnixStream::pair().expect("sockets");
    let lab = LabServer::new();
    let limits = Limits::default().message(1 << 20).calls(16).threads(8);
    let builder = Connection::builder().limits(limits).serve(lab.client());
    let serving = builder.start(theirs).expect("a connection");
    // The other side may have closed already, because of earlier bytes.
    let _ = ours.write_all(&bytes);
    let _ = ours.shutdown(std::net::Shutdown::Write);
    ours.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut buffer = [0; 1 << 14];
    loop {
        match ours.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            // By the fuzzer's own alarm.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("the connection did not end: {error}"),
        }
    }
    let begun = Instant::now();
    while serving.is_connected() || threads() > THREADS {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} threads", threads());
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

fuzz_target!(init: allow_panics_of_objects(), |data: &[u8]| {
    let _ = run(data);
});
