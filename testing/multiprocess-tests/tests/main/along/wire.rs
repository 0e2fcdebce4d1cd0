//! Deadline and trace in messages: other implementations neither get nor tell them.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use capnp_rpc::rpc_capnp::message;
use multiprocess::rt::{Interface, Task};
use multiprocess::{Connection, Result, TraceContext};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::generated::proxy_capnp::thread_map::make_thread_params;
use multiprocess_tests::generated::told_capnp as told;
use multiprocess_tests::generated::waits::{SumAsync, SumClient, WaitsAsync, WaitsClient};
use multiprocess_tests::raw::{Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{LabServer, wait_until};

use super::Tells;

const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Marks the limits in a Bootstrap.
const MARK: u64 = 0x6c69_6d69_7473_0001;

/// The next call of `Lab.text` that a raw peer gets: its number, the words of its Context with the two pointers, and
/// what travels along with it.
fn next_call(peer: &mut RawPeer) -> (u32, u64, (u64, String)) {
    peer.find(|message| {
        let message::Call(Ok(call)) = message else { return None };
        if (call.get_interface_id(), call.get_method_id()) != (LAB, 17) {
            return None;
        }
        let content = call.get_params().unwrap().get_content();
        let context = content.get_as::<told::said::Reader<'_>>().unwrap().get_context().unwrap();
        let (high, low) = (context.get_trace_high(), context.get_trace_low());
        let (span, flags) = (context.get_span(), context.get_flags());
        let trace = format!("00-{high:016x}{low:016x}-{span:016x}-{flags:02x}");
        let words = context.total_size().unwrap().word_count;
        Some((call.get_question_id(), words, (context.get_remaining(), trace)))
    })
}

#[test]
fn a_peer_of_another_kind_gets_neither_once_that_is_known() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = RawPeer::new(theirs);
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let trace: TraceContext = EXAMPLE.parse().unwrap();
    let call = || lab.text("").trace(trace).timeout(Duration::from_secs(3600)).start();

    let first = call();
    let bootstrap = peer.find(|message| match message {
        message::Bootstrap(Ok(bootstrap)) => Some(bootstrap.get_question_id()),
        _ => None,
    });
    let (question, words, (remaining, traced)) = next_call(&mut peer);
    assert_eq!((words, traced.as_str()), (5 + 2, EXAMPLE));
    assert!((1_800_000_000..=3_600_000_001).contains(&remaining), "{remaining} us");

    // Its answers are the first that it says, and no limits are among them.
    peer.answer(bootstrap, &[Cap::Here(0)], |mut content| content.set_as_capability(cap()));
    peer.answer(question, &[], |content| {
        content.init_as::<lab::text_results::Builder<'_>>().set_result("yes");
    });
    assert_eq!(first.wait().unwrap(), "yes");
    let _second = call();
    let (_, words, (remaining, _)) = next_call(&mut peer);
    assert_eq!((words, remaining), (2, 0), "only the pointers");
}

/// Data in its Context is something that this side does not know.
#[test]
fn what_a_peer_of_another_kind_writes_there_is_not_read() {
    let (mut peer, _serving) = serve(LabClient::new(Tells));
    let (lab, threads) = peer.lab_with_threads(1);
    assert_eq!(ask(&mut peer, lab, &threads), "none");
}

#[test]
fn what_a_peer_of_this_kind_writes_there_is_read() {
    let (mut peer, _serving) = serve(LabClient::new(Tells));
    say_limits(&mut peer);
    let (lab, threads) = peer.lab_with_threads(1);
    assert_eq!(ask(&mut peer, lab, &threads), EXAMPLE);
}

/// It was cancelled by its caller, if the message about that was not on its way yet.
#[test]
fn a_call_whose_deadline_passes_in_a_queue_is_not_begun() {
    let server = LabServer::new();
    let (mut peer, _serving) = serve(server.client());
    say_limits(&mut peer);
    let (lab, threads) = peer.lab_with_threads(1);
    let gate = peer.call(lab, (LAB, 11), &threads, |content| {
        let mut params = content.init_as::<lab::block_params::Builder<'_>>();
        params.set_name("gate");
        params.init_context().set_thread(cap());
    });
    wait_until("the thread is busy", || server.is_blocked("gate"));
    let mut add = |number: i32, remaining: u64| {
        peer.call(lab, (LAB, 1), &threads, |content| {
            let mut params = content.init_as::<told::sum::Builder<'_>>();
            params.set_a(number);
            let mut context = params.init_context();
            context.set_remaining(remaining);
            context.get_thread().set_as_capability(cap());
        })
    };
    let (late, never, endless) = (add(1, 1), add(2, 0), add(3, u64::MAX));
    // They have arrived when what was sent behind them has been done.
    peer.ask(lab, (LAB, 12), &[], |content| {
        content.init_as::<lab::release_params::Builder<'_>>().set_name("gate");
    });
    peer.wait(gate).results();
    assert!(peer.wait(late).exception().contains("cancel"));
    peer.wait(never).results();
    peer.wait(endless).results();
    assert_eq!(server.sums(), [2, 3]);
}

struct Adds(Arc<AtomicBool>);

impl SumAsync for Adds {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.0.store(true, Ordering::SeqCst);
        Ok(a + b)
    }
}

impl WaitsAsync for Adds {}

/// The same where the method is a future, in its executor's queue.
#[test]
fn a_future_whose_deadline_passes_before_it_is_polled_is_not_begun() {
    let (begun, (queue, tasks)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
    let spawn = move |task| queue.send(task).unwrap();
    let waits = WaitsClient::new_async(Adds(Arc::clone(&begun)), spawn);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(waits).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    say_limits(&mut peer);
    let first = Target::Bootstrap(peer.bootstrap());
    let map = peer.ask(first, (WaitsClient::ID, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    let thread = peer.ask(map, (THREAD_MAP, 0), &[], |content| {
        content.init_as::<make_thread_params::Builder<'_>>().set_name("raw");
    });
    let thread = [Cap::There(thread.export())];
    for (remaining, runs) in [(1, false), (u64::MAX, true)] {
        let question = peer.call(first, (SumClient::ID, 0), &thread, |content| {
            let mut context = content.init_as::<told::sum::Builder<'_>>().init_context();
            context.set_remaining(remaining);
            context.get_thread().set_as_capability(cap());
        });
        let task: Task = tasks.recv_timeout(Duration::from_secs(60)).unwrap();
        // Longer than the deadline of the first.
        std::thread::sleep(Duration::from_millis(1));
        futures_executor::block_on(task);
        match runs {
            true => drop(peer.wait(question).results()),
            false => assert!(peer.wait(question).exception().contains("cancel")),
        }
        assert_eq!(begun.load(Ordering::SeqCst), runs);
    }
}

fn serve(lab: LabClient) -> (RawPeer, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (RawPeer::new(ours), Connection::builder().serve(lab).start(theirs).unwrap())
}

/// Asks for the first object as a peer of this runtime does.
fn say_limits(peer: &mut RawPeer) {
    let question = peer.question();
    let mut message = capnp::message::Builder::new_default();
    let mut root = message.init_root::<told::message::Builder<'_>>();
    root.set_kind(8);
    let mut ask = root.init_content();
    ask.set_question(u64::from(question));
    ask.set_mark(MARK);
    ask.set_message(1 << 20);
    ask.set_bytes(1 << 20);
    peer.send_bytes(&capnp::serialize::write_message_to_words(&message)).unwrap();
    // Before the answer comes what a raw peer does not know: the other side's limits.
    while !told_limits(&mut peer.stream) {}
}

/// Whether the next message is the one with the limits.
fn told_limits(stream: &mut UnixStream) -> bool {
    let message = capnp::serialize::read_message(stream, Default::default()).unwrap();
    message.get_root::<told::message::Reader<'_>>().unwrap().get_kind() == 0xffff
}

/// Calls `Lab.text` with a trace.
fn ask(peer: &mut RawPeer, lab: Target, threads: &[Cap]) -> String {
    let answer = peer.ask(lab, (LAB, 17), threads, |content| {
        let mut params = content.init_as::<told::said::Builder<'_>>();
        params.set_text("");
        let mut context = params.init_context();
        context.set_trace_high(0x4bf9_2f35_77b3_4da6);
        context.set_trace_low(0xa3ce_929d_0e0e_4736);
        context.set_span(0x00f0_67aa_0ba9_02b7);
        context.set_flags(1);
        context.get_thread().set_as_capability(cap());
    });
    let results = answer.results();
    let message::Return(Ok(ret)) = multiprocess_tests::raw::which(&results) else { panic!() };
    let Ok(capnp_rpc::rpc_capnp::return_::Results(Ok(payload))) = ret.which() else { panic!() };
    let results = payload.get_content().get_as::<lab::text_results::Reader<'_>>().unwrap();
    results.get_result().unwrap().to_string().unwrap()
}
