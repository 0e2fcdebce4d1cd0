//! Calls that a peer cancels before they start, while they run and after their end: each leaves its
//! server with the threads and the memory that it had.

use std::os::unix::net::UnixStream;

use capnp::any_pointer;
use multiprocess::{Connection, Limits};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::generated::proxy_capnp::{context, thread_map};
use multiprocess_tests::raw::{Answer, Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{LabServer, pair, wait_until};

use crate::memory::assert_leaves_less;
use crate::{alone, threads};

fn on_thread(mut context: context::Builder<'_>) {
    context.set_thread(cap());
}

fn block(content: any_pointer::Builder<'_>, name: &str) {
    let mut params = content.init_as::<lab::block_params::Builder<'_>>();
    params.set_name(name);
    on_thread(params.init_context());
}

fn add(content: any_pointer::Builder<'_>) {
    on_thread(content.init_as::<lab::add_params::Builder<'_>>().init_context());
}

/// A peer with one thread of the lab's.
struct Bench {
    server: std::sync::Arc<LabServer>,
    peer: RawPeer,
    lab: Target,
    thread: Cap,
}

impl Bench {
    /// A second call waits for the thread of the first, which is then cancelled as well.
    fn cancel_before_it_starts_and_while_it_runs(&mut self) {
        let (lab, thread) = (self.lab, self.thread);
        let first = self.peer.call(lab, (LAB, 11), &[thread], |content| block(content, "first"));
        let second = self.peer.call(lab, (LAB, 1), &[thread], add);
        wait_until("the first runs", || self.server.is_blocked("first"));
        self.peer.finish(second);
        // When this is answered, the finish has been taken in.
        let heard = self.peer.bootstrap();
        self.peer.wait(heard).results();
        self.peer.finish(heard);
        self.peer.finish(first);
        for question in [first, second] {
            assert_eq!(self.peer.wait(question).exception(), "canceled");
        }
        assert_eq!(self.server.blocked(), 0);
        assert!(self.server.sums().is_empty(), "the second has not run");
    }

    fn cancel_after_its_end(&mut self) {
        let lab = self.lab;
        let question = self.peer.call(lab, (LAB, 2), &[], |content| {
            content.init_as::<lab::add_inline_params::Builder<'_>>();
        });
        let answer = self.peer.wait(question);
        assert!(matches!(answer, Answer::Results(_)));
        self.peer.finish(question);
    }
}

#[test]
fn calls_cancelled_at_any_time_leave_nothing() {
    let _alone = alone();
    let other = pair();
    other.assert_alive();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    // Each call that left its place taken would be one of these ten.
    let limits = Limits::default().calls(10);
    let _serving =
        Connection::builder().limits(limits).serve(server.client()).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let lab = Target::Bootstrap(peer.bootstrap());
    let map = peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let thread = peer.ask(Target::Export(map.export()), (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    let thread = Cap::There(thread.export());
    let mut bench = Bench { server, peer, lab, thread };
    bench.cancel_before_it_starts_and_while_it_runs();
    let before = threads().len();
    // Three cancelled calls each time, ten thousand in all. The lab itself keeps the names of the
    // calls that were cancelled: 5 bytes, in a String.
    assert_leaves_less(64, 3_400, || {
        bench.cancel_before_it_starts_and_while_it_runs();
        bench.cancel_after_its_end();
    });
    wait_until("as many threads as before", || threads().len() <= before);
    other.assert_alive();
}
