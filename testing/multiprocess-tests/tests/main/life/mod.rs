//! One life per object: open, closing, closed. This side sends nothing for an object of the peer's after
//! its `destroy`, which itself waits for the calls that were sent before. Dropping the last handle sends
//! `destroy`, too. A raw peer gives the objects, and records what it is sent and in which order.

mod closing;
mod dropping;
mod ended_by_the_peer;
mod given_twice;
mod interrupted;
mod local;
mod racing;
mod served;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use multiprocess::{Connection, Error, Interface, Result};
use multiprocess_tests::LONG;
use multiprocess_tests::generated::life::{GuestClient, House, HouseClient, PlainClient};
use multiprocess_tests::generated::life_capnp::{guest, house, plain};
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Cap, THREAD_MAP, Target, cap, placeholder};
use multiprocess_tests::recorder::{Called, Event, Given, Outcome, Recorder};

const HOUSE: u64 = HouseClient::ID;
const GUEST: u64 = GuestClient::ID;
const PLAIN: u64 = PlainClient::ID;

const DESTROY: (u64, u16) = (GUEST, 0);
const CALL: (u64, u16) = (GUEST, 1);
const WAIT: (u64, u16) = (GUEST, 3);
const INTERRUPT: (u64, u16) = (GUEST, 4);
const AGAIN: (u64, u16) = (GUEST, 5);

/// What a method of the house does with the guest that it is given.
type Then = Box<dyn FnOnce(GuestClient) -> Result<i32> + Send>;

/// Keeps the guests that it is given, unless the test sets what to do with the next one.
#[derive(Default)]
struct Hall {
    guests: Mutex<Vec<GuestClient>>,
    plain: Mutex<Vec<PlainClient>>,
    then: Mutex<Option<Then>>,
}

impl Hall {
    fn then(&self, then: impl FnOnce(GuestClient) -> Result<i32> + Send + 'static) {
        *self.then.lock().unwrap() = Some(Box::new(then));
    }
}

/// Serves the hall that the test has too.
struct Served(Arc<Hall>);

impl House for Served {
    fn take(&self, guest: GuestClient) -> Result<i32> {
        let then = self.0.then.lock().unwrap().take();
        match then {
            Some(then) => then(guest),
            None => {
                self.0.guests.lock().unwrap().push(guest);
                Ok(0)
            }
        }
    }

    fn take_inline(&self, guest: GuestClient) -> Result<i32> {
        self.take(guest)
    }

    fn take_plain(&self, plain: PlainClient) -> Result<i32> {
        self.0.plain.lock().unwrap().push(plain);
        Ok(0)
    }

    fn fetch(&self) -> Result<GuestClient> {
        self.0.guests.lock().unwrap().pop().ok_or_else(|| Error::failed("there is no guest"))
    }
}

/// A house that is served to a raw peer.
struct Bench {
    hall: Arc<Hall>,
    serving: Connection,
    recorder: Recorder,
    house: Target,
    /// The number of the thread that this side made for the peer.
    thread: u32,
}

fn bench() -> Bench {
    let hall = Arc::new(Hall::default());
    bench_of(HouseClient::new(Served(Arc::clone(&hall))), hall)
}

fn bench_of(object: HouseClient, hall: Arc<Hall>) -> Bench {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let mut recorder = Recorder::new(ours);
    let house = Target::Bootstrap(recorder.peer.bootstrap());
    // The peer gives no ThreadMap, so calls of this side name no thread of the peer.
    let map = recorder.peer.ask(house, (HOUSE, 0), &[], |content| {
        content.init_as::<house::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    let thread = recorder.peer.ask(map, (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    Bench { hall, serving, recorder, house, thread: thread.export() }
}

impl Bench {
    /// Calls `take` with an object of this peer, on the thread that was made for it. The peer's own
    /// thread for callbacks is its object 99.
    fn take(&mut self, export: u32) -> u32 {
        let caps = [Cap::There(self.thread), Cap::Here(99), Cap::Here(export)];
        self.recorder.peer.call(self.house, (HOUSE, 1), &caps, |content| {
            let mut params = content.init_as::<house::take_params::Builder<'_>>();
            let mut context = params.reborrow().init_context();
            context.set_thread(cap_at(0));
            context.set_callback_thread(cap_at(1));
            params.set_guest(cap_at(2));
        })
    }

    /// A handle of this side's on an object of the peer's.
    fn guest(&mut self, export: u32) -> GuestClient {
        let question = self.take(export);
        self.assert_results(question);
        self.hall.guests.lock().unwrap().pop().expect("it was taken")
    }

    /// The same of the interface without `destroy`.
    fn plain(&mut self, export: u32) -> PlainClient {
        let caps = [Cap::There(self.thread), Cap::Here(export)];
        let question = self.recorder.peer.call(self.house, (HOUSE, 3), &caps, |content| {
            let mut params = content.init_as::<house::take_plain_params::Builder<'_>>();
            params.reborrow().init_context().set_thread(cap_at(0));
            params.set_plain(cap_at(1));
        });
        self.assert_results(question);
        self.hall.plain.lock().unwrap().pop().expect("it was taken")
    }

    #[track_caller]
    fn assert_results(&mut self, question: u32) {
        let (_, outcome) = self.recorder.return_of(question);
        assert!(matches!(outcome, Outcome::Results(_)), "{outcome:?}");
        self.recorder.peer.finish(question);
    }

    /// Waits for the destroy of an object of the peer's.
    #[track_caller]
    fn destroy_of(&mut self, export: u32) -> (usize, Called) {
        let (place, call) = self.recorder.call_of(DESTROY);
        assert_eq!(call.target, Target::Export(export));
        (place, call)
    }

    /// Answers the calls of an object until its destroy comes, and then that; as Bitcoin Core does,
    /// which ends a wait when it is interrupted, and not when it is finished. Asserts that the
    /// destroy came when all calls before were answered, and that nothing comes after it.
    #[track_caller]
    fn serve_until_destroyed(&mut self, export: u32) {
        let mut waiting = Vec::new();
        loop {
            let place = self.recorder.find(
                |event| matches!(event, Event::Call(call) if call.target == Target::Export(export)),
            );
            let Event::Call(call) = self.recorder.log()[place].clone() else { unreachable!() };
            match call.method {
                WAIT => waiting.push(call.question),
                INTERRUPT => {
                    self.recorder.answer_nothing(call.question);
                    for question in waiting.drain(..) {
                        self.recorder.answer_nothing(question);
                    }
                }
                DESTROY => {
                    assert_eq!(waiting, [], "destroyed while calls of it run");
                    self.recorder.answer_nothing(call.question);
                    self.assert_nothing_after(place, export);
                    return;
                }
                _ => self.recorder.answer_number(call.question, call.number),
            }
        }
    }

    /// No call of an object came after this place in the log.
    #[track_caller]
    fn assert_nothing_after(&mut self, place: usize, export: u32) {
        self.recorder.hear();
        let late: Vec<_> = self.recorder.log()[place + 1..]
            .iter()
            .filter(
                |event| matches!(event, Event::Call(call) if call.target == Target::Export(export)),
            )
            .collect();
        assert!(late.is_empty(), "after the destroy: {late:?}");
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        self.recorder.hear();
        assert_eq!(self.serving.end_reason().map(|error| error.to_string()), None);
    }
}

/// The capability at this place of a message's table, for a builder's setter. Capabilities have to
/// be set in the order of the table.
fn cap_at<C: capnp::capability::FromClientHook>(_place: usize) -> C {
    cap()
}

/// A raw peer whose bootstrap object is called here. It does not answer a house's `construct`, nor calls
/// of the ThreadMap in its results; nobody waits for those.
fn calling<I: Interface>() -> (Connection, Recorder, I) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let connection = Connection::new(theirs).unwrap();
    let object = connection.bootstrap().unwrap();
    let mut recorder = Recorder::new(ours);
    let place = recorder.find(|event| matches!(event, Event::Bootstrap(_)));
    let Event::Bootstrap(question) = recorder.log()[place] else { unreachable!() };
    recorder.peer.answer(question, &[Cap::Here(1)], |mut content| {
        content.reborrow().set_as_capability(placeholder());
    });
    (connection, recorder, object)
}

/// The number of the object that was given as an argument: the last of the call's capabilities.
fn given(call: &Called) -> u32 {
    let Some(Given::There(export)) = call.caps.last() else { panic!("{call:?}") };
    *export
}

/// Closes on a thread of its own.
fn close(guest: &GuestClient) -> JoinHandle<Result<()>> {
    let guest = guest.clone();
    std::thread::spawn(move || guest.close().timeout(LONG).wait())
}

#[track_caller]
fn assert_misuse<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    let Err(Error::ApiMisuse { problem, .. }) = outcome else { panic!("{outcome:?}") };
    problem
}

/// The parameters of a `call`, and of all methods that have no more than a context.
fn numbered(number: i32) -> impl FnOnce(capnp::any_pointer::Builder<'_>) {
    move |content| {
        let mut params = content.init_as::<guest::call_params::Builder<'_>>();
        params.set_number(number);
        params.init_context();
    }
}

/// The results of a `call`.
fn number_result(number: i32) -> impl FnOnce(capnp::any_pointer::Builder<'_>) {
    move |content| content.init_as::<guest::call_results::Builder<'_>>().set_result(number)
}

/// The result of a `give`: nothing.
fn nothing(content: capnp::any_pointer::Builder<'_>) {
    content.init_as::<plain::give_results::Builder<'_>>();
}
