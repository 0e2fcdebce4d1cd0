//! Peers that break the protocol, or use up what they can: each loses its own connection or its
//! own call, and another peer still gets answers.

mod bytes;
mod calls;
mod ends;
mod limits;
mod pieces;
mod places;
mod processes;
mod promises;
mod servers;
mod shutdown;
mod threads;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use capnp::any_pointer;
use multiprocess::{Connection, Error, Limits};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::generated::proxy_capnp::{context, thread_map};
use multiprocess_tests::raw::{Answer, Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{LabServer, Pair, pair, wait_until};

/// A lab that serves a raw peer, and a well-behaved one.
struct Bench {
    server: Arc<LabServer>,
    serving: Connection,
    peer: RawPeer,
    other: Pair,
}

fn bench() -> Bench {
    bench_with(Limits::default())
}

fn bench_with(limits: Limits) -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving =
        Connection::builder().limits(limits).serve(server.client()).start(theirs).unwrap();
    let other = pair();
    Bench { server, serving, peer: RawPeer::new(ours), other }
}

impl Bench {
    /// Asserts that this connection has ended, by the peer's fault, and no other.
    #[track_caller]
    fn assert_closed(&mut self) {
        wait_until("the connection is closed", || !self.serving.is_connected());
        assert!(self.peer.is_closed());
        self.other.assert_alive();
        assert!(self.serving.drain(Duration::from_secs(60)));
    }

    fn misbehaved(&self) -> bool {
        matches!(self.serving.end_reason(), Some(Error::PeerMisbehaved { .. }))
    }

    fn lab(&mut self) -> Target {
        Target::Bootstrap(self.peer.bootstrap())
    }

    /// The number of the lab's ThreadMap.
    fn thread_map(&mut self, lab: Target) -> Target {
        let answer = self.peer.ask(lab, (LAB, 0), &[], |content| {
            content.init_as::<lab::construct_params::Builder<'_>>();
        });
        Target::Export(answer.export())
    }

    fn make_thread(&mut self, threads: Target) -> Answer {
        self.peer.ask(threads, (THREAD_MAP, 0), &[], |content| {
            content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
        })
    }

    fn make_pool(&mut self, threads: Target, count: u32) -> Answer {
        self.peer.ask(threads, (THREAD_MAP, 1), &[], |content| {
            content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(count);
        })
    }

    fn add(&mut self, lab: Target, caps: &[Cap]) -> Answer {
        let question = self.peer.call(lab, (LAB, 1), caps, |content| add(content, 1, 2, caps));
        self.peer.wait(question)
    }

    /// The peer still gets answers.
    #[track_caller]
    fn assert_alive(&mut self, lab: Target) {
        let question = self.peer.call(lab, (LAB, 2), &[], add_inline);
        self.peer.wait(question).results();
        self.other.assert_alive();
    }
}

fn add(content: any_pointer::Builder<'_>, a: i32, b: i32, caps: &[Cap]) {
    let mut params: lab::add_params::Builder<'_> = content.init_as();
    params.set_a(a);
    params.set_b(b);
    on_thread(params.init_context(), caps);
}

/// The first capability is the thread, the second the thread for callbacks.
fn on_thread(mut context: context::Builder<'_>, caps: &[Cap]) {
    if !caps.is_empty() {
        context.set_thread(cap());
    }
    if caps.len() > 1 {
        context.set_callback_thread(cap());
    }
}

fn add_inline(content: any_pointer::Builder<'_>) {
    content.init_as::<lab::add_inline_params::Builder<'_>>();
}

fn block(content: any_pointer::Builder<'_>, name: &str, caps: &[Cap]) {
    let mut params: lab::block_params::Builder<'_> = content.init_as();
    params.set_name(name);
    on_thread(params.init_context(), caps);
}
