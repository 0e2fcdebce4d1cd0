//! What a peer sends is too large for the memory that this process may have: that ends the call or the
//! connection, and nothing else. Its limit of memory is why this is a program of its own, with one test.

use std::env;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Mutex;

use multiprocess::{Connection, Error, Result};
use multiprocess_tests::generated::lab::{Lab, LabClient};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{LAB, RawPeer, Target, call_bytes};
use multiprocess_tests::{LabServer, pair, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const MIB: usize = 1 << 20;
/// The least that a page can be: of larger ones the limit is lower.
const PAGE: usize = 4096;
/// `Lab.release` and `Lab.addInline`, which name no thread.
const RELEASE: (u64, u16) = (LAB, 12);
const ADD: (u64, u16) = (LAB, 2);

#[test]
fn a_message_or_value_without_memory_for_it_is_an_error_and_the_process_goes_on() {
    // Without these, glibc's allocator keeps and reserves so much that the limit is not met.
    let allocator = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072")];
    if allocator.iter().any(|(name, value)| env::var(name).as_deref() != Ok(*value)) {
        let this = env::current_exe().unwrap();
        let status = Command::new(this).arg("--nocapture").envs(allocator).status().unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let other = pair();
    other.assert_alive();
    let server = LabServer::new();
    let (mut peer, serving) = connected(&server);

    // Allowed is a buffer for the message of 40 MiB, and no text of 40 MiB beside it.
    let lab = Target::Bootstrap(peer.bootstrap());
    let question = peer.question();
    let message = call_bytes(question, lab, RELEASE, &[], |content| {
        content.init_as::<lab::release_params::Builder<'_>>().init_name((40 * MIB) as u32);
    });
    let unlimited = allow(70 * MIB);
    peer.send_bytes(&message).unwrap();
    let text = peer.wait(question).exception();
    assert!(text.contains("no memory is left for a value of 41943040 bytes"), "{text}");
    other.assert_alive();
    // The same connection goes on.
    peer.ask(lab, ADD, &[], |content| {
        content.init_as::<lab::add_inline_params::Builder<'_>>();
    })
    .results();
    setrlimit(Resource::As, unlimited).unwrap();
    // Not before: this process would have had the room of it.
    drop((message, peer, serving));

    // Allowed is the text that is there already, and no message for it: as results, and as a call.
    let pair = pair();
    pair.lab.release("").wait().unwrap();
    let text = "x".repeat(40 * MIB);
    allow(20 * MIB);
    let error = pair.lab.text(text).wait().unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert!(error.to_string().contains("no memory is left for a message of 4"), "{error}");
    pair.assert_alive();
    setrlimit(Resource::As, unlimited).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let large = LabClient::new(Large(Mutex::new(Some("x".repeat(40 * MIB)))));
    let _large = Connection::builder().serve(large).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    allow(20 * MIB);
    let error = lab.text("").wait().unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert!(error.to_string().contains("no memory is left for a message of 4"), "{error}");
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    other.assert_alive();
    setrlimit(Resource::As, unlimited).unwrap();

    // Allowed is not even the message.
    let (mut peer, serving) = connected(&server);
    let message = vec![0; 60 * MIB];
    allow(20 * MIB);
    let header = [0_u32.to_le_bytes(), (60_u32 << 17).to_le_bytes()].concat();
    // It is not read to its end.
    let _ = peer.send_bytes(&header).and_then(|()| peer.send_bytes(&message));
    wait_until("the connection has ended", || !serving.is_connected());
    other.assert_alive();
    setrlimit(Resource::As, unlimited).unwrap();
}

/// Its text is there before memory is short.
struct Large(Mutex<Option<String>>);

impl Lab for Large {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }

    fn text(&self, _: String) -> Result<String> {
        Ok(self.0.lock().unwrap().take().unwrap_or_default())
    }
}

/// A peer that has got an answer already.
fn connected(server: &LabServer) -> (RawPeer, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let heard = peer.bootstrap();
    peer.wait(heard).results();
    (peer, serving)
}

/// Allows this process so many more bytes than it has. Returns the limit as it was.
fn allow(more: usize) -> Rlimit {
    let before = getrlimit(Resource::As);
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = sizes.split(' ').next().unwrap().parse().unwrap();
    let limit = PAGE * pages + more;
    setrlimit(Resource::As, Rlimit { current: Some(limit as u64), ..before }).unwrap();
    before
}
