//! Objects of this side that the peer ends within the call in which it got them, as a C++ peer does. Its
//! `destroy` comes before the answer, often in the same write, and has to run on the thread that made the
//! call. When the call returns, the destroy has run, whichever thread read the messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use multiprocess::Result;
use multiprocess_tests::generated::life::{Guest, GuestClient, HouseClient};
use multiprocess_tests::generated::life_capnp::guest;
use multiprocess_tests::raw::{Cap, Target, cap};
use multiprocess_tests::recorder::{Called, Given, Recorder};
use multiprocess_tests::{LONG, wait_until};

use super::{CALL, DESTROY, HOUSE, calling, given};

const TAKE: (u64, u16) = (HOUSE, 1);

/// Counts its calls and its destructor. A call ends when its gate lets it.
struct Own {
    calls: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Guest for Own {
    fn call(&self, number: i32) -> Result<i32> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let _ = self.gate.lock().unwrap().recv_timeout(LONG);
        Ok(number)
    }
}

fn own() -> (GuestClient, Arc<AtomicUsize>, Arc<AtomicUsize>, mpsc::Sender<()>) {
    let (calls, dropped) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (gate, opened) = mpsc::channel();
    let own =
        Own { calls: Arc::clone(&calls), dropped: Arc::clone(&dropped), gate: Mutex::new(opened) };
    (GuestClient::new(own), calls, dropped, gate)
}

/// Calls the object that was given, on the thread that waits for that call.
fn call_back(recorder: &mut Recorder, take: &Called, method: (u64, u16)) -> u32 {
    let Some(Given::There(thread)) = take.context.1 else { panic!("{take:?}") };
    let caps = [Cap::There(thread)];
    recorder.peer.call(Target::Export(given(take)), method, &caps, |content| {
        let params = content.init_as::<guest::call_params::Builder<'_>>();
        params.init_context().set_thread(cap());
    })
}

#[test]
fn its_destroy_runs_before_the_call_returns() {
    let (connection, mut recorder, house) = calling::<HouseClient>();
    for _ in 0..50 {
        let (own, _, dropped, _gate) = own();
        let house = house.clone();
        let caller = std::thread::spawn(move || {
            house.take(own).wait().unwrap();
            dropped.load(Ordering::SeqCst)
        });
        let (_, take) = recorder.call_of(TAKE);
        recorder.peer.gather();
        let destroy = call_back(&mut recorder, &take, DESTROY);
        recorder.answer_number(take.question, 0);
        recorder.peer.send_gathered().unwrap();
        assert_eq!(caller.join().unwrap(), 1);
        recorder.return_of(destroy);
        recorder.peer.finish(destroy);
    }
    assert!(connection.is_connected());
}

/// Calls that arrive while these run are not waited for, because a peer could keep the caller
/// forever.
#[test]
fn a_peer_that_goes_on_calling_does_not_keep_the_caller() {
    let (connection, mut recorder, house) = calling::<HouseClient>();
    let (own, calls, _, gate) = own();
    let caller = std::thread::spawn(move || house.take(own).wait().unwrap());
    let (_, take) = recorder.call_of(TAKE);
    recorder.peer.gather();
    let mut last = call_back(&mut recorder, &take, CALL);
    recorder.answer_number(take.question, 0);
    recorder.peer.send_gathered().unwrap();
    // Another call is there before each one ends.
    for round in 1..10 {
        wait_until("the next call runs", || {
            calls.load(Ordering::SeqCst) == round || caller.is_finished()
        });
        if caller.is_finished() {
            break;
        }
        last = call_back(&mut recorder, &take, CALL);
        recorder.hear();
        gate.send(()).unwrap();
    }
    caller.join().unwrap();
    // The calls that were read with the answer, and one more if another thread had read them.
    assert!(calls.load(Ordering::SeqCst) <= 2, "{calls:?}");
    // The rest are answered with an error, because the thread has ended.
    recorder.return_of(last);
    assert!(connection.is_connected());
}
