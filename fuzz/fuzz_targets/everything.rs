//! Arbitrary content as the parameters of each method of a schema that uses all features, and as
//! the results of callbacks: the generated code decodes it.
//!
//! The decoder can be reached only through a connection, so a peer writes the calls by hand. Each is
//! answered, with results or an exception, or ends the connection.

#![no_main]

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use capnp_rpc::rpc_capnp::{accept, message};
use fuzzing::{allow_panics_of_objects, call_with, return_with};
use libfuzzer_sys::fuzz_target;
use multiprocess::{Connection, Interface, Limits};
use multiprocess_everything::generated::calls::CallsClient;
use multiprocess_everything::generated::everything::EverythingClient;
use multiprocess_everything::generated::foo::FooClient;
use multiprocess_everything::generated::objects::ObjectsClient;
use multiprocess_everything::generated::values::ValuesClient;
use multiprocess_everything::server::EverythingServer;
use multiprocess_tests::raw::{Cap, RawPeer, THREAD_MAP, Target, placeholder, which};

/// A connection that is used for many calls.
struct Session {
    peer: RawPeer,
    _serving: Connection,
    bootstrap: u32,
    /// A thread of the server, which the content can name as the first capability.
    thread: u32,
    calls: u32,
}

const METHODS: [(u64, u16); 5] = [
    (ValuesClient::ID, 38),
    (FooClient::ID, 25),
    (ObjectsClient::ID, 23),
    (CallsClient::ID, 28),
    (EverythingClient::ID, 2),
];

/// Methods that wait for another call, or may be called only once.
const LEFT_OUT: [(u64, u16); 4] =
    [(CallsClient::ID, 18), (CallsClient::ID, 22), (FooClient::ID, 6), (EverythingClient::ID, 0)];

impl Session {
    fn new() -> Session {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let server = EverythingServer::new();
        // The content may name a thread that is promised and never known.
        let limits = Limits::default().unknown_thread(Duration::from_millis(20));
        let builder = Connection::builder().limits(limits).serve(server.client());
        let serving = builder.start(theirs).expect("it");
        let mut peer = RawPeer::new(ours);
        peer.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let bootstrap = peer.bootstrap();
        let construct = (EverythingClient::ID, 0);
        let to = Target::Bootstrap(bootstrap);
        let map = peer.ask(to, construct, &[Cap::Here(0)], |to| {
            let mut params = to.init_as::<accept::Builder<'_>>();
            params.reborrow().init_provision().set_as_capability(placeholder());
        });
        let map = Target::Export(map.export());
        let thread = peer.ask(map, (THREAD_MAP, 0), &[], |_| {}).export();
        Session { peer, _serving: serving, bootstrap, thread, calls: 0 }
    }

    /// Makes a call. Returns whether the connection still exists.
    fn call(&mut self, method: (u64, u16), answers: bool, content: &[u8]) -> bool {
        let question = self.peer.question();
        let call = call_with(question, self.bootstrap, method, self.thread, content);
        if self.peer.send_bytes(&call).is_err() {
            return false;
        }
        loop {
            let received = match self.peer.receive() {
                Ok(received) => received,
                Err(error) => {
                    assert!(!error.to_string().contains("temporarily"), "{method:?} hangs");
                    return false;
                }
            };
            match which(&received) {
                message::Return(Ok(ret)) if ret.get_answer_id() == question => {
                    self.peer.finish(question);
                    return true;
                }
                message::Call(Ok(call)) => {
                    let content = if answers { content } else { &[] };
                    let answer = return_with(call.get_question_id(), content);
                    if self.peer.send_bytes(&answer).is_err() {
                        return false;
                    }
                }
                message::Abort(_) => return false,
                _ => {}
            }
        }
    }
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

fuzz_target!(init: allow_panics_of_objects(), |data: &[u8]| {
    let [group, method, flags, content @ ..] = data else { return };
    let (interface, count) = METHODS[usize::from(group % 5)];
    let method = (interface, u16::from(*method) % count);
    if LEFT_OUT.contains(&method) {
        return;
    }
    SESSION.with_borrow_mut(|session| {
        let current = session.get_or_insert_with(Session::new);
        current.calls += 1;
        // A new session is started from time to time, because the objects keep some of the values.
        if !current.call(method, flags % 2 == 1, content) || current.calls > 500 {
            *session = None;
        }
    });
});
