//! Promises, results that stay with the callee, and releases in the RPC protocol: a raw peer sends
//! the messages of the C++ implementation in orders that are hard to get right.

mod circles;
mod elsewhere;
mod finished;
mod order;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use capnp_rpc::rpc_capnp::message;
use multiprocess::{Connection, Error, Result, current_call};
use multiprocess_tests::generated::lab::{
    Counter, CounterClient, Lab, LabClient, LabReadCounterResults,
};
use multiprocess_tests::generated::lab_capnp::{counter, lab};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{COUNTER, Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{eventually, pair, wait_until};

/// A counter that starts with this number is made only after its call has been cancelled.
const CANCELLED: i64 = 1_000_000;

const NEXT: (u64, u16) = (COUNTER, 1);

/// A lab that keeps the counters it is given, and returns them when the test allows it.
#[derive(Default)]
struct Keeper {
    kept: Mutex<Option<CounterClient>>,
    open: Mutex<bool>,
    opened: Condvar,
    /// A call that was to be cancelled was not.
    missed: AtomicBool,
}

impl Keeper {
    fn kept(&self) -> CounterClient {
        wait_until("a counter is kept", || self.kept.lock().unwrap().is_some());
        self.kept.lock().unwrap().clone().unwrap()
    }

    fn keep_own(&self) {
        *self.kept.lock().unwrap() = Some(CounterClient::new(Numbers(Mutex::new(0))));
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// Serves the keeper that the test has too.
struct Kept(Arc<Keeper>);

impl Lab for Kept {
    fn read_counter(&self, counter: CounterClient) -> Result<LabReadCounterResults> {
        *self.0.kept.lock().unwrap() = Some(counter);
        Ok(LabReadCounterResults { result: 0, is_local: false })
    }

    /// From zero on a new counter. For negative numbers the one that is kept, when the keeper is
    /// opened.
    fn make_counter(&self, start: i64) -> Result<CounterClient> {
        if start == CANCELLED {
            let call = current_call().ok_or_else(|| Error::failed("not in a call"))?;
            let was_cancelled = eventually(|| call.is_cancelled());
            self.0.missed.fetch_or(!was_cancelled, Ordering::SeqCst);
        }
        if start >= 0 {
            return Ok(CounterClient::new(Numbers(Mutex::new(start))));
        }
        let mut open = self.0.open.lock().unwrap();
        while !*open {
            open = self.0.opened.wait(open).unwrap();
        }
        Ok(self.0.kept())
    }
}

struct Numbers(Mutex<i64>);

impl Counter for Numbers {
    fn next(&self) -> Result<i64> {
        let mut next = self.0.lock().unwrap();
        *next += 1;
        Ok(*next - 1)
    }
}

/// A keeper that is served to a raw peer.
struct Bench {
    keeper: Arc<Keeper>,
    serving: Connection,
    peer: RawPeer,
    lab: Target,
}

/// `threads`: how many calls it serves at once.
fn bench(threads: u32) -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let keeper = Arc::new(Keeper::default());
    let object = LabClient::new(Kept(Arc::clone(&keeper)));
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let lab = Target::Bootstrap(peer.bootstrap());
    let map = peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    peer.ask(map, (THREAD_MAP, 1), &[], |content| {
        content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(threads);
    })
    .results();
    Bench { keeper, serving, peer, lab }
}

impl Bench {
    /// Asks for a counter; a negative one is the one that is kept, when the keeper is opened.
    fn make(&mut self, start: i64) -> u32 {
        self.peer.call(self.lab, (LAB, 13), &[], |content| {
            let mut params = content.init_as::<lab::make_counter_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_start(start);
        })
    }

    /// The number of a new counter of the keeper's.
    fn counter(&mut self) -> u32 {
        let question = self.make(0);
        self.peer.wait(question).export()
    }

    fn next(&mut self, target: Target) -> u32 {
        self.peer.call(target, NEXT, &[], next)
    }

    /// Has the keeper keep a counter.
    fn keep(&mut self, counter: Cap) -> CounterClient {
        let question = self.peer.call(self.lab, (LAB, 15), &[counter], |content| {
            let mut params = content.init_as::<lab::read_counter_params::Builder<'_>>();
            params.reborrow().init_context();
            params.set_counter(cap::<counter::Client>());
        });
        self.peer.wait(question).results();
        self.keeper.kept()
    }

    fn result(&mut self, question: u32) -> i64 {
        number(&self.peer.wait(question).results())
    }

    /// Waits until all that was sent before has been taken in.
    fn be_heard(&mut self) {
        let question = self.peer.bootstrap();
        self.peer.wait(question).results();
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        assert_eq!(self.serving.end_reason().map(|error| error.to_string()), None);
        self.counter();
    }

    #[track_caller]
    fn assert_misbehaved(self) {
        wait_until("the connection is ended", || !self.serving.is_connected());
        let reason = self.serving.end_reason();
        assert!(matches!(reason, Some(Error::PeerMisbehaved { .. })), "{reason:?}");
        pair().assert_alive();
    }
}

fn next(content: capnp::any_pointer::Builder<'_>) {
    content.init_as::<counter::next_params::Builder<'_>>().init_context();
}

/// The result of a `next`.
fn number(message: &multiprocess_tests::raw::Incoming) -> i64 {
    use capnp_rpc::rpc_capnp::return_;
    let message::Return(Ok(ret)) = multiprocess_tests::raw::which(message) else {
        panic!("not a return")
    };
    let Ok(return_::Results(Ok(payload))) = ret.which() else { panic!("no results") };
    payload.get_content().get_as::<counter::next_results::Reader<'_>>().unwrap().get_result()
}
