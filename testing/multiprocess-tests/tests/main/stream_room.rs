//! Streaming calls of many objects together have more bytes than the connection has room for: they wait, in
//! their order, and none is refused.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use futures_executor::block_on;
use futures_util::future::join_all;
use multiprocess::{Connection, Error, Limits, Result, diagnostics};
use multiprocess_tests::generated::flow::{
    Flow, FlowClient, Listener, ListenerClient, Sink, SinkClient,
};
use multiprocess_tests::{wait_until, within_time};

const MIB: usize = 1 << 20;
const SINKS: u32 = 12;
/// The number that sinks refuse.
const FAILS: u32 = 666;

#[derive(Default)]
struct Seen {
    /// What each sink was given, by its place.
    numbers: Mutex<Vec<Vec<u32>>>,
    open: AtomicBool,
    running: AtomicUsize,
    dropped: AtomicUsize,
}

struct Slow(Arc<Seen>, usize);

impl Sink for Slow {
    fn write(&self, number: u32, _: Vec<u8>) -> Result<()> {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        wait_until("the sinks are open", || self.0.open.load(Ordering::SeqCst));
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if number == FAILS {
            return Err(Error::failed("that number is refused"));
        }
        self.0.numbers.lock().unwrap()[self.1].push(number);
        Ok(())
    }

    fn weigh(&self, data: Vec<u8>) -> Result<u32> {
        Ok(data.len() as u32)
    }

    fn tell(&self, number: u32, listener: ListenerClient) -> Result<()> {
        listener.hear(number).wait()
    }

    fn count(&self) -> Result<u32> {
        Ok(self.0.numbers.lock().unwrap()[self.1].len() as u32)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

struct Opens(Arc<Seen>);

impl Flow for Opens {
    fn open(&self) -> Result<SinkClient> {
        let mut numbers = self.0.numbers.lock().unwrap();
        numbers.push(Vec::new());
        Ok(SinkClient::new(Slow(Arc::clone(&self.0), numbers.len() - 1)))
    }
}

struct Bench {
    seen: Arc<Seen>,
    calling: Connection,
    serving: Connection,
    sinks: Vec<SinkClient>,
}

fn bench() -> Bench {
    bench_with(4 * MIB)
}

/// With so many bytes under way at once.
fn bench_with(call_bytes: usize) -> Bench {
    let limits = Limits::default().message(2 * MIB).call_bytes(call_bytes);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let seen = Arc::new(Seen::default());
    let flow = FlowClient::new(Opens(Arc::clone(&seen)));
    let serving = Connection::builder().limits(limits.clone()).serve(flow).start(theirs).unwrap();
    let calling = Connection::builder().limits(limits).start(ours).unwrap();
    let flow: FlowClient = calling.bootstrap().unwrap();
    let sinks = (0..SINKS).map(|_| flow.open().wait().unwrap()).collect();
    Bench { seen, calling, serving, sinks }
}

/// Each sink gets a large call, a small one and a large one.
fn size(number: u32) -> usize {
    if number == 1 { 8 } else { MIB }
}

#[test]
fn futures_wait_and_stay_in_order() {
    let Bench { seen, sinks, serving, calling } = bench();
    let writes = move || {
        let writes = sinks
            .iter()
            .flat_map(|sink| (0..3).map(move |number| sink.write(number, vec![0; size(number)])));
        block_on(join_all(writes))
    };
    let written = thread::spawn(writes);
    // All that fit are there; the others are not sent.
    wait_until("some run", || seen.running.load(Ordering::SeqCst) >= 2);
    assert!(seen.running.load(Ordering::SeqCst) < SINKS as usize);
    seen.open.store(true, Ordering::SeqCst);
    for end in within_time(move || written.join().unwrap()) {
        end.unwrap();
    }
    let all = || seen.numbers.lock().unwrap().iter().all(|numbers| numbers[..] == [0, 1, 2]);
    wait_until("all have arrived in order", all);
    assert!(serving.is_connected() && calling.is_connected());
}

#[test]
fn threads_wait_and_other_calls_come_after() {
    let Bench { seen, sinks, serving, .. } = bench();
    seen.open.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        for sink in &sinks {
            scope.spawn(move || {
                for number in 0..10 {
                    sink.write(number, vec![0; size(number)]).wait().unwrap();
                }
                // Behind those that are not answered, and not sent perhaps.
                assert_eq!(sink.count().wait().unwrap(), 10);
            });
        }
    });
    assert!(serving.is_connected());
}

/// The handles are dropped while their streaming calls wait: those are sent before the object ends.
#[test]
fn dropped_handles_end_their_objects_after_what_waits() {
    let Bench { seen, sinks, calling, serving } = bench();
    for sink in &sinks {
        (0..2).for_each(|number| drop(sink.write(number, vec![0; MIB]).start()));
    }
    drop(sinks);
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 0);
    seen.open.store(true, Ordering::SeqCst);
    wait_until("all have ended", || seen.dropped.load(Ordering::SeqCst) == SINKS as usize);
    assert!(seen.numbers.lock().unwrap().iter().all(|numbers| numbers[..] == [0, 1]));
    wait_until("nothing is left", || calling.table_sizes()[0] == 0);
    assert!(serving.is_connected());
}

#[test]
fn the_end_of_the_connection_ends_what_waits() {
    let Bench { seen, sinks, serving, .. } = bench();
    let writes = move || {
        // The third of each waits in any case.
        let writes = sinks
            .iter()
            .flat_map(|sink| (0..3).map(move |number| sink.write(number, vec![0; MIB])));
        let ends = block_on(join_all(writes));
        let failed = ends.iter().filter(|end| matches!(end, Err(Error::Disconnected { .. })));
        (failed.count(), sinks[0].count().wait())
    };
    let written = thread::spawn(writes);
    wait_until("some run", || seen.running.load(Ordering::SeqCst) >= 1);
    serving.disconnect();
    let (failed, after) = within_time(move || written.join().unwrap());
    assert!(failed > 0);
    assert!(matches!(after, Err(Error::Disconnected { .. })), "{after:?}");
    seen.open.store(true, Ordering::SeqCst);
}

/// It has no use for the room that it was told of, and others have.
#[test]
fn a_call_whose_stream_has_failed_gives_its_room_to_the_next() {
    let Bench { seen, sinks, serving: _serving, .. } = bench_with(2 * MIB);
    let large = || vec![0; 2 * MIB - 1000];
    let fails = sinks[0].write(FAILS, large()).start();
    wait_until("it runs", || seen.running.load(Ordering::SeqCst) == 1);
    let after = sinks[0].write(1, large()).start();
    let other = sinks[1].weigh(large()).start();
    seen.open.store(true, Ordering::SeqCst);
    assert_eq!(within_time(move || other.wait()).unwrap() as usize, large().len());
    drop((fails, after));
    assert!(sinks[0].count().wait().is_err(), "the first error is told");
}

/// Writes to a sink when it is told of a number.
struct Writes(SinkClient);

impl Listener for Writes {
    fn hear(&self, number: u32) -> Result<()> {
        drop(self.0.write(number, vec![0; 5000]).start());
        Ok(())
    }
}

/// There is room for calls that serve calls, but the stream's earlier call has none.
#[test]
fn a_streaming_call_of_a_callback_comes_after_those_that_wait() {
    let Bench { seen, sinks, serving: _serving, .. } = bench_with(2 * MIB);
    let other = sinks[1].write(9, vec![0; 2 * MIB - 1000]).start();
    let waits: Vec<_> =
        (0..2).map(|number| sinks[0].write(number, vec![0; 5000]).start()).collect();
    let listener = ListenerClient::new(Writes(sinks[0].clone()));
    let told = sinks[5].clone();
    within_time(move || told.tell(2, listener).wait()).unwrap();
    seen.open.store(true, Ordering::SeqCst);
    wait_until("all have arrived", || seen.numbers.lock().unwrap()[0].len() == 3);
    assert_eq!(seen.numbers.lock().unwrap()[0], [0, 1, 2]);
    drop((other, waits));
}

/// Whether it would have had to wait for room or not.
#[test]
fn a_call_that_is_too_large_fails_and_its_stream_goes_on() {
    let Bench { seen, sinks, serving, .. } = bench();
    let too_large = || {
        let error = sinks[0].write(7, vec![0; 2 * MIB]).wait().unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error:?}");
        assert!(error.to_string().contains("(Limits::message)"), "{error}");
    };
    too_large();
    let writes: Vec<_> =
        (0..6).map(|number| sinks[number % 3].write(0, vec![0; MIB]).start()).collect();
    too_large();
    seen.open.store(true, Ordering::SeqCst);
    writes.into_iter().for_each(|write| write.wait().unwrap());
    sinks[0].write(1, vec![0; 8]).wait().unwrap();
    assert_eq!(sinks[0].count().wait().unwrap(), 3);
    assert_eq!(seen.numbers.lock().unwrap()[0], [0, 0, 1]);
    assert!(serving.is_connected());
}

/// Weighs much in another sink when it is told of a number.
struct Weighs(SinkClient, mpsc::Sender<Result<u32>>);

impl Listener for Weighs {
    fn hear(&self, _: u32) -> Result<()> {
        let weight = self.0.weigh(vec![0; MIB + MIB / 2]).wait();
        self.1.send(weight).unwrap();
        Ok(())
    }
}

/// The call waits behind a streaming call, which waits for room: it has not taken that room.
#[test]
fn a_call_behind_streaming_calls_takes_no_room_from_them() {
    let Bench { seen, sinks, serving, .. } = bench_with(2 * MIB);
    let first = sinks[0].write(0, vec![0; MIB]).start();
    let second = sinks[0].write(1, vec![0; MIB + MIB / 2]).start();
    wait_until("the first runs", || seen.running.load(Ordering::SeqCst) == 1);
    let (weighed, weight) = mpsc::channel();
    // It is called within a call of the server's, so that its own call need not wait for room.
    let listener = ListenerClient::new(Weighs(sinks[0].clone(), weighed));
    sinks[1].tell(0, listener).wait().unwrap();
    let weighs = || diagnostics::snapshot().to_string().contains("calls Sink.weigh for ");
    wait_until("the call waits behind the second", weighs);
    seen.open.store(true, Ordering::SeqCst);
    let weight = within_time(move || weight.recv().unwrap());
    assert_eq!(weight.unwrap() as usize, MIB + MIB / 2);
    first.wait().unwrap();
    second.wait().unwrap();
    assert_eq!(seen.numbers.lock().unwrap()[0], [0, 1]);
    assert!(serving.is_connected());
}
