//! A thread that waits for one peer runs nothing for others meanwhile.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use capnp_rpc::rpc_capnp::message;
use multiprocess::{Connection, Error, Result};
use multiprocess_tests::generated::lab::{CallbackClient, Lab, LabClient};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{LabServer, Relay, pair, wait_until};

/// Threads that pass wait until it is opened.
#[derive(Default)]
struct Door(Mutex<(bool, bool)>, Condvar);

impl Door {
    fn pass(&self) {
        let mut state = self.0.lock().unwrap();
        state.1 = true;
        drop(self.1.wait_while(state, |state| !state.0).unwrap());
    }

    fn is_reached(&self) -> bool {
        self.0.lock().unwrap().1
    }

    fn open(&self) {
        self.0.lock().unwrap().0 = true;
        self.1.notify_all();
    }
}

/// A raw peer with a thread of the lab's, on which it can call at any time.
struct Raw {
    server: Arc<LabServer>,
    _serving: Connection,
    peer: RawPeer,
    lab: Target,
    thread: Cap,
}

fn raw() -> Raw {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let lab = Target::Bootstrap(peer.bootstrap());
    let map = peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let made = peer.ask(Target::Export(map.export()), (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    let thread = Cap::There(made.export());
    Raw { server, _serving: serving, peer, lab, thread }
}

impl Raw {
    /// Calls the callback that the lab keeps.
    fn poke(&mut self) -> u32 {
        self.peer.call(self.lab, (LAB, 10), &[self.thread], |content| {
            let mut params: lab::poke_params::Builder<'_> = content.init_as();
            params.reborrow().init_context().set_thread(cap());
            params.set_value(1);
        })
    }

    fn add(&mut self) -> u32 {
        self.peer.call(self.lab, (LAB, 1), &[self.thread], |content| {
            let mut params: lab::add_params::Builder<'_> = content.init_as();
            params.reborrow().init_context().set_thread(cap());
        })
    }

    /// The question that is answered next.
    fn next_answer(&mut self) -> u32 {
        self.peer.find(|message| match message {
            message::Return(Ok(answer)) => Some(answer.get_answer_id()),
            _ => None,
        })
    }
}

#[test]
fn a_call_for_a_thread_that_waits_for_another_peer_is_behind_what_it_does() {
    let other = pair();
    let door = Arc::new(Door::default());
    let passes = Arc::clone(&door);
    let callback = Relay::client(move |_, value| {
        passes.pass();
        Ok(value)
    });
    other.lab.hold(Some(callback)).wait().unwrap();
    let mut raw = raw();
    raw.server.clone().client().hold(other.server.kept()).wait().unwrap();
    let poke = raw.poke();
    wait_until("the thread waits for the other peer", || door.is_reached());
    let add = raw.add();
    // It would run by now.
    std::thread::sleep(Duration::from_millis(100));
    assert!(raw.server.sums().is_empty(), "it ran in a wait for another peer");
    door.open();
    assert_eq!([raw.next_answer(), raw.next_answer()], [poke, add]);
    assert_eq!(raw.server.sums(), [0]);
    other.assert_alive();
}

/// Calls back twice for one call.
struct Twice;

impl Lab for Twice {
    fn call_back(&self, callback: CallbackClient, depth: i32) -> Result<i32> {
        callback.call(None, depth).wait()?;
        callback.call(None, depth).wait()
    }
}

/// A callback of the peer that is waited for may take longer than the deadline. Then the wait is over.
#[test]
fn no_callback_begins_after_the_deadline() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(LabClient::new(Twice)).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let short = Duration::from_millis(100);
    let callback = Relay::client(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(3 * short);
        Ok(0)
    });
    let late = lab.call_back(callback, 1).timeout(short).wait().unwrap_err();
    assert!(matches!(late, Error::Timeout(_)), "{late}");
    // Where this thread was late itself, not even the first one began.
    assert!(ran.load(Ordering::SeqCst) <= 1);
}
