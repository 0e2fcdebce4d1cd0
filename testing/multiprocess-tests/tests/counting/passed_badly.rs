//! A peer that passes file descriptors by hand: as C++ does it, and as no honest peer does. Afterwards there are as
//! many descriptors as before.

use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_capnp::{message, return_};
use multiprocess::{Connection, Limits};
use multiprocess_tests::generated::porter::{Porter, PorterClient};
use multiprocess_tests::generated::porter_capnp::porter;
use multiprocess_tests::generated::proxy_capnp::thread_map::make_pool_params;
use multiprocess_tests::raw::{Answer, Cap, THREAD_MAP, Target, call_bytes, placeholder};
use multiprocess_tests::wait_until;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::desk::{Desk, allowing, assert_none_left, file, text, wait_until_read};
use super::{RawPeer, alone, descriptors, settled_descriptors};

const PORTER: u64 = <PorterClient as multiprocess::Interface>::ID;
const CONSTRUCT: (u64, u16) = (PORTER, 0);
const PACK: (u64, u16) = (PORTER, 4);
const HOLD: (u64, u16) = (PORTER, 5);
const READ_INLINE: (u64, u16) = (PORTER, 6);
const OPEN_INLINE: (u64, u16) = (PORTER, 7);
const READ_ANY: (u64, u16) = (PORTER, 9);

/// A desk that is served to a raw peer.
struct Raw {
    desk: Arc<Desk>,
    serving: Connection,
    peer: RawPeer,
    /// The desk.
    target: Target,
    /// The desk's end of the socket.
    theirs: OwnedFd,
}

fn raw(limits: Limits) -> Raw {
    raw_after(limits, |_, _| ()).0
}

/// The same, where the peer has sent something before the connection is there.
fn raw_after<T>(limits: Limits, send: impl FnOnce(&mut RawPeer, Target) -> T) -> (Raw, T) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let kept = theirs.as_fd().try_clone_to_owned().unwrap();
    let mut peer = RawPeer::new(ours);
    let target = Target::Bootstrap(peer.bootstrap());
    let sent = send(&mut peer, target);
    let desk = Arc::new(Desk::default());
    let object = PorterClient::from(Arc::clone(&desk) as Arc<dyn Porter>);
    let serving = Connection::builder().limits(limits).serve(object).start(theirs).unwrap();
    (Raw { desk, serving, peer, target, theirs: kept }, sent)
}

/// A call of `readInline` with this object. Its question and its bytes.
fn read(peer: &mut RawPeer, target: Target, cap: Cap) -> (u32, Vec<u8>) {
    let question = peer.question();
    let bytes = call_bytes(question, target, READ_INLINE, &[cap], |content| {
        let mut params = content.init_as::<porter::read_inline_params::Builder<'_>>();
        params.reborrow().get_file().set_as_capability(placeholder());
    });
    (question, bytes)
}

impl Raw {
    fn read(&mut self, cap: Cap) -> (u32, Vec<u8>) {
        read(&mut self.peer, self.target, cap)
    }

    /// Sends such a call with these files.
    fn send(&mut self, cap: Cap, files: &[OwnedFd]) -> u32 {
        let (question, bytes) = self.read(cap);
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        self.peer.send_with(&bytes, &files);
        question
    }

    /// A file of the desk's with this text, as the peer gives it back.
    fn open(&mut self, text: &str) -> Cap {
        let opened = self.peer.ask(self.target, OPEN_INLINE, &[], |content| {
            content.init_as::<porter::open_inline_params::Builder<'_>>().set_text(text);
        });
        Cap::There(opened.export())
    }

    #[track_caller]
    fn assert_reads(&mut self, question: u32, expected: &str) {
        match self.peer.wait(question) {
            Answer::Results(results) => {
                let root: message::Reader<'_> = results.get_root().unwrap();
                let Ok(message::Return(Ok(ret))) = root.which() else { panic!("no Return") };
                let Ok(return_::Results(Ok(payload))) = ret.which() else { panic!("no results") };
                let results: porter::read_inline_results::Reader<'_> =
                    payload.get_content().get_as().unwrap();
                assert_eq!(results.get_text().unwrap().to_str().unwrap(), expected);
            }
            Answer::Exception(text) => panic!("{text}"),
        }
    }

    #[track_caller]
    fn assert_refused(&mut self, question: u32, expected: &str) {
        match self.peer.wait(question) {
            Answer::Exception(text) => assert!(text.contains(expected), "{text}"),
            Answer::Results(_) => panic!("it has results"),
        }
    }

    /// It still serves: what came before has harmed nothing.
    #[track_caller]
    fn assert_serves(&mut self) {
        let question = self.send(Cap::Carrying(9, 0), &[file("well")]);
        self.assert_reads(question, "well");
    }

    #[track_caller]
    fn end(self, before: usize) {
        let Raw { desk, serving, peer, theirs, .. } = self;
        drop((peer, theirs));
        wait_until("the connection is over", || !serving.is_connected());
        drop((serving, desk));
        assert_none_left(before);
    }
}

const NONE_CAME: &str = "no file descriptor came with the object";

/// As Cap'n Proto's C++ implementation sends them: with the first byte of their message.
#[test]
fn as_it_should_be() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    let question = raw.send(Cap::Carrying(1, 0), &[file("first")]);
    raw.assert_reads(question, "first");
    let question = raw.send(Cap::Carrying(1, 1), &[file("first"), file("second")]);
    raw.assert_reads(question, "second");
    // The first that an object had stays, as the protocol says, while the object is held; then it is a new one.
    raw.assert_serves();
    raw.end(before);
}

/// An object whose interface the schema leaves open has the file that came with it.
#[test]
fn an_object_of_any_interface_with_a_file() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    for (cap, expected) in [(Cap::Carrying(1, 0), "its own"), (Cap::Here(2), "")] {
        let question = raw.peer.question();
        let bytes = call_bytes(question, raw.target, READ_ANY, &[cap], |content| {
            let mut params = content.init_as::<porter::read_any_params::Builder<'_>>();
            params.reborrow().get_object().set_as_capability(placeholder());
        });
        raw.peer.send_with(&bytes, &[file("its own").as_fd()]);
        raw.assert_reads(question, expected);
    }
    raw.end(before);
}

#[test]
fn files_that_no_object_names_are_closed() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    for _ in 0..50 {
        let question = raw.send(Cap::Here(1), &[file("a"), file("b")]);
        raw.assert_refused(question, NONE_CAME);
    }
    wait_until("they are closed", || descriptors() < before + 20);
    raw.assert_serves();
    raw.end(before);
}

#[test]
fn an_index_beyond_the_files_is_none() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    for index in [1, 2, 7, 254] {
        let question = raw.send(Cap::Carrying(1, index), &[file("a")]);
        raw.assert_refused(question, NONE_CAME);
    }
    let (question, bytes) = raw.read(Cap::Carrying(1, 0));
    raw.peer.send_bytes(&bytes).unwrap();
    raw.assert_refused(question, NONE_CAME);
    raw.assert_serves();
    raw.end(before);
}

/// The kernel closes those that have no room. Its room is for one more than an odd limit.
#[test]
fn more_than_the_limit_are_closed() {
    let _alone = alone();
    let before = settled_descriptors();
    for limit in [1, 2, 3] {
        let mut raw = raw(allowing(limit));
        for count in [limit + 1, limit + 2, 100] {
            let files: Vec<_> = (0..count).map(|number| file(&number.to_string())).collect();
            let last = limit as u8 - 1;
            let question = raw.send(Cap::Carrying(1, last), &files);
            raw.assert_reads(question, &last.to_string());
            let files: Vec<_> = (0..count).map(|number| file(&number.to_string())).collect();
            let question = raw.send(Cap::Carrying(1, last + 1), &files);
            raw.assert_refused(question, NONE_CAME);
        }
        raw.assert_serves();
        raw.end(before);
    }
}

#[test]
fn files_in_the_middle_of_a_message_are_closed() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    let (question, bytes) = raw.read(Cap::Carrying(1, 0));
    raw.peer.send_bytes(&bytes[..9]).unwrap();
    wait_until_read(&raw.theirs);
    raw.peer.send_with(&bytes[9..], &[file("late").as_fd()]);
    raw.assert_refused(question, NONE_CAME);
    raw.assert_serves();
    raw.end(before);
}

/// A message is begun, and in its middle come more files than the process could have.
#[test]
fn a_long_message_with_files_at_each_byte_holds_none() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    let question = raw.peer.question();
    let mut bytes = call_bytes(question, raw.target, OPEN_INLINE, &[], |content| {
        let long = "x".repeat(3_000);
        content.init_as::<porter::open_inline_params::Builder<'_>>().set_text(&long[..]);
    });
    let rest = bytes.split_off(2_000);
    let shared = file("many");
    raw.peer.send_bytes(&bytes[..8]).unwrap();
    for byte in bytes[8..].chunks(1) {
        raw.peer.send_with(byte, &[shared.as_fd(), shared.as_fd()]);
    }
    wait_until_read(&raw.theirs);
    wait_until("they are closed", || descriptors() < before + 20);
    raw.peer.send_bytes(&rest).unwrap();
    assert!(matches!(raw.peer.wait(question), Answer::Results(_)));
    drop(shared);
    raw.assert_serves();
    raw.end(before);
}

/// Files of the beginning of a message that comes in two pieces are its own.
#[test]
fn a_message_in_pieces_has_the_files_of_its_first_byte() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    for cut in [1, 8, 20] {
        let (question, bytes) = raw.read(Cap::Carrying(1, 0));
        raw.peer.send_with(&bytes[..cut], &[file("cut").as_fd()]);
        wait_until_read(&raw.theirs);
        raw.peer.send_bytes(&bytes[cut..]).unwrap();
        raw.assert_reads(question, "cut");
    }
    raw.end(before);
}

/// What is written in one system call with files: they belong to the message that names them.
#[test]
fn of_several_messages_in_one_write_the_one_that_names_them_has_them() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    let (without, mut bytes) = raw.read(Cap::Here(1));
    let (with, more) = raw.read(Cap::Carrying(2, 0));
    bytes.extend(more);
    let (after, more) = raw.read(Cap::Carrying(3, 0));
    bytes.extend(more);
    raw.peer.send_with(&bytes, &[file("named").as_fd()]);
    raw.assert_refused(without, NONE_CAME);
    raw.assert_reads(with, "named");
    raw.assert_refused(after, NONE_CAME);
    raw.assert_serves();
    raw.end(before);
}

/// Bytes that were written before are read together with a message that has files.
#[test]
fn messages_before_and_behind_do_not_take_them() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    for _ in 0..20 {
        let (first, mut bytes) = raw.read(Cap::Here(1));
        let (second, more) = raw.read(Cap::Here(1));
        bytes.extend(more);
        raw.peer.send_bytes(&bytes).unwrap();
        let own = raw.send(Cap::Carrying(2, 0), &[file("own")]);
        let (behind, bytes) = raw.read(Cap::Here(1));
        raw.peer.send_bytes(&bytes).unwrap();
        for other in [first, second, behind] {
            raw.assert_refused(other, NONE_CAME);
        }
        raw.assert_reads(own, "own");
    }
    raw.end(before);
}

/// Sent before there is a connection, so that the kernel does not refuse them yet.
#[test]
fn a_connection_that_takes_none_closes_them() {
    let _alone = alone();
    let before = settled_descriptors();
    let (mut raw, questions) = raw_after(Limits::default(), |peer, target| {
        let files = [file("a"), file("b")];
        let mut send = || {
            let (question, bytes) = read(peer, target, Cap::Carrying(1, 0));
            peer.send_with(&bytes, &files.each_ref().map(AsFd::as_fd));
            question
        };
        (0..50).map(|_| send()).collect::<Vec<_>>()
    });
    for question in questions {
        raw.assert_refused(question, NONE_CAME);
    }
    wait_until("they are closed", || descriptors() < before + 20);
    assert_eq!(raw.desk.begun.load(Ordering::SeqCst), 0);
    raw.end(before);
}

/// One descriptor, and more pointers to it than the process could have descriptors.
#[test]
fn a_file_that_a_message_names_often_is_given_once() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(1));
    // As the peer's object, and as this side's that comes back.
    let own = raw.open("own");
    for cap in [Cap::Carrying(1, 0), own] {
        let question = raw.peer.question();
        let caps = vec![cap; 2_000];
        let bytes = call_bytes(question, raw.target, PACK, &caps, |content| {
            let mut params = content.init_as::<porter::pack_params::Builder<'_>>();
            params.reborrow().init_bag().set_name("");
            let mut more = params.init_more(caps.len() as u32);
            for at in 0..caps.len() as u32 {
                let mut bag = more.reborrow().get(at);
                bag.set_name("");
                bag.get_first().set_as_capability(placeholder());
            }
        });
        raw.peer.send_with(&bytes, &[file("one").as_fd()]);
        raw.assert_refused(question, "a file descriptor is named twice in one message");
    }
    // Each message may name it.
    let question = raw.send(own, &[]);
    raw.assert_reads(question, "own");
    raw.assert_serves();
    raw.end(before);
}

/// Copies of one that comes back count as those that come.
#[test]
fn no_more_copies_are_held_than_the_limit() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(1).held_descriptors(3));
    let own = raw.open("own");
    let map = raw.peer.ask(raw.target, CONSTRUCT, &[], |content| {
        content.init_as::<porter::construct_params::Builder<'_>>();
    });
    raw.peer.ask(Target::Export(map.export()), (THREAD_MAP, 1), &[], |content| {
        content.init_as::<make_pool_params::Builder<'_>>().set_count(2);
    });
    let hold = |raw: &mut Raw| {
        raw.peer.call(raw.target, HOLD, &[own], |content| {
            let mut params = content.init_as::<porter::hold_params::Builder<'_>>();
            params.reborrow().get_file().set_as_capability(placeholder());
        })
    };
    let held = [hold(&mut raw), hold(&mut raw)];
    let more = hold(&mut raw);
    raw.assert_refused(more, "more than 3 file descriptors are held");
    raw.desk.let_go();
    for question in held {
        raw.peer.wait(question).results();
    }
    let again = hold(&mut raw);
    raw.peer.wait(again).results();
    raw.end(before);
}

/// It asks for files and never gives the objects back that they came with.
#[test]
fn a_peer_that_releases_nothing_gets_as_many_as_may_be_held() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2).held_descriptors(5));
    let mut refused = 0;
    for _ in 0..20 {
        let answer = raw.peer.ask(raw.target, OPEN_INLINE, &[], |content| {
            content.init_as::<porter::open_inline_params::Builder<'_>>().set_text("x");
        });
        match answer {
            Answer::Results(_) => {}
            Answer::Exception(text) => {
                assert!(text.contains("more than 5 file descriptors"), "{text}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 15);
    raw.end(before);
}

/// The end comes before the rest of a message with files, and with calls that wait.
#[test]
fn the_end_in_the_middle_closes_them() {
    let _alone = alone();
    let before = settled_descriptors();
    for cut in [1, 9, 60] {
        let mut raw = raw(allowing(2));
        let (_, bytes) = raw.read(Cap::Carrying(1, 0));
        raw.peer.send_with(&bytes[..cut], &[file("a").as_fd(), file("b").as_fd()]);
        wait_until_read(&raw.theirs);
        raw.end(before);
    }
    // What is no message at all.
    let mut raw = raw(allowing(2));
    raw.peer.send_with(&[0xff; 64], &[file("a").as_fd(), file("b").as_fd()]);
    let mut rest = Vec::new();
    raw.peer.stream.read_to_end(&mut rest).unwrap();
    raw.end(before);
}

/// What this side sends: a reader that asks for the first word of a message, as C++ does, gets its files with it.
#[test]
fn what_is_sent_comes_with_the_first_byte_of_its_message() {
    let _alone = alone();
    let before = settled_descriptors();
    let mut raw = raw(allowing(2));
    // The bootstrap's Return.
    drop(raw.peer.receive().unwrap());
    for round in 0..3 {
        raw.peer.gather();
        for at in 0..3 {
            let name = format!("{round}-{at}");
            raw.peer.call(raw.target, OPEN_INLINE, &[], |content| {
                content.init_as::<porter::open_inline_params::Builder<'_>>().set_text(&name[..]);
            });
        }
        raw.peer.send_gathered().unwrap();
        for at in 0..3 {
            let (message, mut files) = receive_with(&raw.peer.stream);
            let root: message::Reader<'_> = message.get_root().unwrap();
            let Ok(message::Return(Ok(ret))) = root.which() else { panic!("no Return") };
            let Ok(return_::Results(Ok(payload))) = ret.which() else { panic!("no results") };
            assert_eq!(payload.get_cap_table().unwrap().get(0).get_attached_fd(), 0);
            assert_eq!(files.len(), 1);
            assert_eq!(text(files.remove(0)), format!("{round}-{at}"));
        }
    }
    raw.end(before);
}

/// Reads one message in the way of C++: its first word, with the files that come with that, then the rest.
fn receive_with(mut stream: &UnixStream) -> (multiprocess_tests::raw::Incoming, Vec<OwnedFd>) {
    let mut first = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut first)];
    let received = recvmsg(stream, slices, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert_eq!(received.bytes, 8);
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    let mut both = Read::chain(&first[..], &mut stream);
    (capnp::serialize::read_message(&mut both, ReaderOptions::new()).unwrap(), files)
}
