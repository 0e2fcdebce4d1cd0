//! What a call can carry and how it can end: mapped to a thread or inline, errors of each kind,
//! several results, long data, odd text.

use std::os::unix::net::UnixStream;

use capnp_rpc::rpc_capnp::message;
use multiprocess::{Connection, Error};
use multiprocess_tests::generated::lab::{LabClient, LabReadCounterResults};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{Cap, LAB, RawPeer, Target, placeholder, which};
use multiprocess_tests::{LabServer, pair};

#[test]
fn mapped_and_inline() {
    let pair = pair();
    assert_eq!(pair.lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(pair.lab.add_inline(3, 4).wait().unwrap(), 7);
    assert_eq!(pair.server.sums(), [1]);
}

#[test]
fn a_failed_call_brings_its_text() {
    let pair = pair();
    let error = pair.lab.fail("out of ink").wait().unwrap_err();
    assert!(matches!(&error, Error::Remote { message, .. } if message == "out of ink"), "{error}");
    assert!(!error.is_disconnect());
    pair.assert_alive();
}

#[test]
fn a_panic_fails_only_its_call() {
    let pair = pair();
    let before = pair.lab.thread_name().wait().unwrap();
    let error = pair.lab.panics().wait().unwrap_err();
    let Error::Remote { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("panicked: as it was asked to"), "{message}");
    // The same server thread goes on.
    assert_eq!(pair.lab.thread_name().wait().unwrap(), before);
    let threads = pair.server.take_threads();
    assert_eq!(threads[0], threads[1]);
}

#[test]
fn a_method_left_at_its_default_is_unimplemented() {
    let pair = pair();
    let error = pair.lab.missing().wait().unwrap_err();
    let Error::Unimplemented { method, .. } = &error else { panic!("{error}") };
    assert!(method.contains("Lab.missing"), "{method}");
    pair.assert_alive();
}

#[test]
fn several_results() {
    let pair = pair();
    let counter = pair.lab.make_counter(5).wait().unwrap();
    let read = pair.lab.read_counter(counter).wait().unwrap();
    assert_eq!(read, LabReadCounterResults { result: 5, is_local: true });
}

#[test]
fn long_data_comes_back_whole() {
    let pair = pair();
    for size in [0, 1, 1 << 20, 20 << 20] {
        let data: Vec<u8> = (0..size).map(|i: usize| (i % 251) as u8).collect();
        assert!(pair.lab.bytes(data.clone()).wait().unwrap() == data, "{size} bytes");
    }
}

#[test]
fn data_larger_than_a_message_may_be_is_an_error_of_that_call() {
    let pair = pair();
    let error = pair.lab.bytes(vec![1; 70 << 20]).wait().unwrap_err();
    assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    pair.assert_alive();
}

#[test]
fn nul_and_more_in_text() {
    let pair = pair();
    for text in ["", "\0", "a\0b", "\u{1f980} \u{7ff}", "line\nline\r\n"] {
        assert_eq!(pair.lab.text(text).wait().unwrap(), text);
    }
    let error = pair.lab.fail("a\0b").wait().unwrap_err();
    assert!(matches!(&error, Error::Remote { message, .. } if message == "a\0b"), "{error}");
}

#[test]
fn calls_of_many_handles_on_one_connection() {
    let pair = pair();
    let counters: Vec<_> = (0..100).map(|i| pair.lab.make_counter(i).wait().unwrap()).collect();
    for (i, counter) in (0..).zip(&counters) {
        assert_eq!(counter.next().wait().unwrap(), i);
        assert_eq!(counter.next().wait().unwrap(), i + 1);
    }
}

#[test]
fn a_call_keeps_its_connection() {
    let pair = pair();
    let call = pair.lab.add(1, 2).start();
    drop((pair.lab, pair.calling));
    assert_eq!(call.wait().unwrap(), 3);
}

#[test]
fn a_handle_made_in_passing_can_be_called() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let _serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let sum = Connection::new(ours).unwrap().bootstrap::<LabClient>().unwrap().add(1, 2).wait();
    assert_eq!(sum.unwrap(), 3);
}

#[test]
fn a_call_that_was_never_waited_for_is_never_made() {
    let pair = pair();
    drop(pair.lab.add(1, 1));
    pair.lab.add(2, 2).cancel();
    pair.assert_alive();
    assert_eq!(pair.server.sums(), [40]);
}

/// A peer that answers `makeCounter` with a null counter, which the schema forbids.
#[test]
fn a_result_that_does_not_decode_names_the_field() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let calling = Connection::new(ours).unwrap();
    let peer = std::thread::spawn(move || {
        let mut peer = RawPeer::new(theirs);
        loop {
            let Ok(incoming) = peer.receive() else { return };
            match which(&incoming) {
                message::Bootstrap(Ok(bootstrap)) => {
                    let question = bootstrap.get_question_id();
                    peer.answer(question, &[Cap::Here(0)], |mut content| {
                        content.set_as_capability(placeholder());
                    });
                }
                message::Call(Ok(call)) => {
                    let question = call.get_question_id();
                    peer.answer(question, &[], |content| {
                        content.init_as::<lab::make_counter_results::Builder<'_>>();
                    });
                }
                _ => {}
            }
        }
    });
    let lab: LabClient = calling.bootstrap().unwrap();
    let error = lab.make_counter(1).wait().unwrap_err();
    let Error::Decode { path, problem, .. } = &error else { panic!("{error}") };
    assert_eq!(path, "Lab.makeCounter.result");
    assert!(problem.contains("null"), "{problem}");
    // Only that call is lost.
    assert!(lab.no_counter().wait().unwrap().is_none());
    drop((lab, calling));
    peer.join().unwrap();
}

/// Arguments that do not fit the schema, from a raw peer.
#[test]
fn arguments_that_do_not_decode_name_the_field() {
    let server = LabServer::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let bootstrap = peer.bootstrap();
    let lab = Target::Bootstrap(bootstrap);

    let text = peer
        .ask(lab, (LAB, 15), &[], |content| {
            content.init_as::<lab::read_counter_params::Builder<'_>>().init_context();
        })
        .exception();
    assert_eq!(text, "cannot decode Lab.readCounter.counter: the Counter is null");

    let text = peer
        .ask(lab, (LAB, 12), &[], |content| {
            let mut params: lab::release_params::Builder<'_> = content.init_as();
            params.set_name(capnp::text::Reader(b"\xff\xfe"));
        })
        .exception();
    assert!(text.starts_with("cannot decode Lab.release.name: the text is not UTF-8"), "{text}");

    let text = peer.ask(lab, (LAB, 2), &[], |mut content| {
        content.set_as("no struct").unwrap();
    });
    assert!(text.exception().starts_with("cannot decode"));

    // The connection stands.
    let question = peer.call(lab, (LAB, 2), &[], |content| {
        let mut params: lab::add_inline_params::Builder<'_> = content.init_as();
        params.set_a(1);
        params.set_b(2);
    });
    peer.wait(question).results();
}
