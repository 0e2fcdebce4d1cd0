//! File descriptors that cannot be closed at once: sockets whose close(2) lingers. Wherever one is thrown away, others
//! are served meanwhile, and only its own connection suffers.
//!
//! All is sent before there is a connection: then the kernel takes it, whatever the connection refuses later, and the
//! last descriptor of the socket is the one that was sent.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use multiprocess::process::Listener;
use multiprocess::{Connection, Limits, Server};
use multiprocess_tests::generated::porter::{Porter, PorterClient};
use multiprocess_tests::generated::porter_capnp::porter;
use multiprocess_tests::raw::{Answer, Cap, RawPeer, Target, call_bytes, placeholder};
use multiprocess_tests::wait_until;

use super::desk::{Desk, allowing, assert_none_left, desks, file};
use super::{alone, place, settled_descriptors};

const PORTER: u64 = <PorterClient as multiprocess::Interface>::ID;
const PACK: (u64, u16) = (PORTER, 4);
const READ_INLINE: (u64, u16) = (PORTER, 6);

/// A socket that is full and lingers for longer than any test, and its other end: when that is dropped, the socket
/// can be closed.
fn lingering() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let end = listener.accept().unwrap().0;
    socket.set_nonblocking(true).unwrap();
    while socket.write(&[0; 1 << 16]).is_ok() {}
    let long = Some(Duration::from_secs(3_600));
    rustix::net::sockopt::set_socket_linger(&socket, long).unwrap();
    (socket.into(), end)
}

/// A desk that is served to this peer from now on.
fn serve(theirs: UnixStream, limits: Limits) -> Connection {
    let object = PorterClient::from(Arc::new(Desk::default()) as Arc<dyn Porter>);
    Connection::builder().limits(limits).serve(object).start(theirs).unwrap()
}

#[track_caller]
fn assert_others_are_served() {
    let desks = desks(Limits::default(), Limits::default());
    let answer = desks.porter.echo(None).timeout(Duration::from_secs(60)).wait();
    assert!(answer.unwrap().is_none());
}

/// A call of `readInline`, with these capabilities. The first is the file to be read.
fn read(peer: &mut RawPeer, target: Target, caps: &[Cap]) -> (u32, Vec<u8>) {
    let question = peer.question();
    let bytes = call_bytes(question, target, READ_INLINE, caps, |content| {
        let mut params = content.init_as::<porter::read_inline_params::Builder<'_>>();
        params.reborrow().get_file().set_as_capability(placeholder());
    });
    (question, bytes)
}

/// `send` sends a call with a socket that lingers. What it returns is the call's question, and what its error says,
/// if it is to have one.
#[track_caller]
fn thrown_away(
    limits: Limits,
    send: impl Fn(&mut RawPeer, Target, BorrowedFd<'_>) -> (u32, Option<&'static str>),
) {
    let _alone = alone();
    assert_others_are_served();
    let before = settled_descriptors();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = RawPeer::new(ours);
    let target = Target::Bootstrap(peer.bootstrap());
    let (socket, end) = lingering();
    let (question, expected) = send(&mut peer, target, socket.as_fd());
    drop(socket);
    let serving = serve(theirs, limits);
    match (peer.wait(question), expected) {
        (Answer::Exception(text), Some(expected)) => assert!(text.contains(expected), "{text}"),
        (Answer::Results(_), None) => {}
        (Answer::Exception(text), None) => panic!("{text}"),
        (Answer::Results(_), Some(_)) => panic!("it has results"),
    }
    assert_others_are_served();
    // Its connection goes on as well.
    let (question, bytes) = read(&mut peer, target, &[Cap::Here(7)]);
    peer.send_bytes(&bytes).unwrap();
    assert!(matches!(peer.wait(question), Answer::Exception(_)));
    drop(peer);
    wait_until("the connection is over", || !serving.is_connected());
    drop(serving);
    assert_others_are_served();
    drop(end);
    assert_none_left(before);
}

const NONE_CAME: Option<&str> = Some("no file descriptor came with the object");

#[test]
fn where_none_are_taken() {
    thrown_away(Limits::default(), |peer, target, socket| {
        let (question, bytes) = read(peer, target, &[Cap::Carrying(1, 0)]);
        peer.send_with(&bytes, &[socket]);
        (question, NONE_CAME)
    });
}

#[test]
fn where_no_object_names_it() {
    thrown_away(allowing(2), |peer, target, socket| {
        let (question, bytes) = read(peer, target, &[Cap::Here(1)]);
        peer.send_with(&bytes, &[socket]);
        (question, NONE_CAME)
    });
}

/// As many as the kernel sends at once: none is left to it to be closed.
#[test]
fn beyond_those_that_a_message_may_have() {
    thrown_away(allowing(2), |peer, target, socket| {
        let (question, bytes) = read(peer, target, &[Cap::Carrying(1, 1)]);
        let (good, mut files) = (file("x"), vec![socket; 253]);
        files[1] = good.as_fd();
        peer.send_with(&bytes, &files);
        (question, None)
    });
}

/// With an object that nobody uses: it is let go with the call.
#[test]
fn with_an_object_that_is_released() {
    thrown_away(allowing(2), |peer, target, socket| {
        let caps = [Cap::Carrying(1, 0), Cap::Carrying(2, 1)];
        let (question, bytes) = read(peer, target, &caps);
        peer.send_with(&bytes, &[file("x").as_fd(), socket]);
        (question, None)
    });
}

/// In what was decoded before it turned out that the message is bad.
#[test]
fn in_a_message_that_is_bad_behind_it() {
    thrown_away(allowing(2), |peer, target, socket| {
        let question = peer.question();
        let caps = [Cap::Carrying(1, 0), Cap::Here(2)];
        let bytes = call_bytes(question, target, PACK, &caps, |content| {
            let mut bag = content.init_as::<porter::pack_params::Builder<'_>>().init_bag();
            bag.set_name("x");
            bag.reborrow().get_first().set_as_capability(placeholder());
            bag.get_second().set_as_capability(placeholder());
        });
        peer.send_with(&bytes, &[socket]);
        (question, NONE_CAME)
    });
}

/// The connection ends, and it came with the beginning of a message, or was never read.
#[test]
fn at_the_end_of_a_connection() {
    let _alone = alone();
    assert_others_are_served();
    let before = settled_descriptors();
    for unread in [false, true] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut peer = RawPeer::new(ours);
        let (socket, end) = lingering();
        let bad = [0xff; 64];
        let other = file("x");
        if unread {
            // A read ends behind what came with descriptors, and what is no message ends the connection.
            peer.send_with(&bad, &[other.as_fd()]);
            peer.send_with(&[0], &[socket.as_fd()]);
        } else {
            peer.send_with(&[0], &[socket.as_fd()]);
            peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        }
        drop((socket, other));
        let serving = serve(theirs, allowing(2));
        wait_until("the connection is over", || !serving.is_connected());
        drop((serving, peer));
        assert_others_are_served();
        drop(end);
    }
    assert_none_left(before);
}

/// Of a peer that is not let in.
#[test]
fn of_who_is_refused() {
    let _alone = alone();
    assert_others_are_served();
    let before = settled_descriptors();
    let path = place("lingering").join("socket");
    let listener = Listener::bind(&path).unwrap();
    let mut peer = RawPeer::new(UnixStream::connect(&path).unwrap());
    let (socket, end) = lingering();
    peer.send_with(&[0], &[socket.as_fd()]);
    drop(socket);
    let desk = PorterClient::from(Arc::new(Desk::default()) as Arc<dyn Porter>);
    let server = Server::builder().accept_if(|_| false).start(listener, desk).unwrap();
    assert!(peer.receive().is_ok(), "it is told why");
    assert_others_are_served();
    drop((server, peer, end));
    assert_none_left(before);
}

/// Behind one that cannot be closed come more. The connection ends, and keeps its place until they are closed.
#[test]
fn who_sends_more_than_can_be_closed_loses_the_connection() {
    let _alone = alone();
    assert_others_are_served();
    let before = settled_descriptors();
    let path = place("lingering").join("socket");
    let listener = Listener::bind(&path).unwrap();
    let mut peer = RawPeer::new(UnixStream::connect(&path).unwrap());
    let (socket, end) = lingering();
    // The beginning of a long message.
    peer.send_with(&[0, 0, 0, 0, 0xff, 0xff, 0, 0], &[socket.as_fd()]);
    drop(socket);
    let many = file("many");
    for _ in 0..100 {
        peer.send_with(&[0], &[many.as_fd(), many.as_fd()]);
    }
    let desk = PorterClient::from(Arc::new(Desk::default()) as Arc<dyn Porter>);
    let server = Server::builder().max_connections(1).start(listener, desk).unwrap();
    wait_until("it is accepted", || !server.connections().is_empty());
    let connection = server.connections().remove(0);
    connection.wait_disconnected();
    let reason = connection.end_reason().unwrap().to_string();
    assert!(reason.contains("file descriptors of which none could be closed"), "{reason}");
    assert!(server.connections().is_empty());
    assert_others_are_served();
    let call = || {
        let porter: PorterClient =
            Connection::new(UnixStream::connect(&path).unwrap()).unwrap().bootstrap().unwrap();
        porter.echo(None).timeout(Duration::from_secs(60)).wait()
    };
    let refused = call().unwrap_err().to_string();
    assert!(refused.contains("this server has 1 connection, its maximum"), "{refused}");
    drop(end);
    wait_until("its place is free", || call().is_ok());
    drop((server, peer, many, connection));
    assert_none_left(before);
}

/// Where a server takes none, the kernel refuses them from the beginning, if it can.
#[test]
fn a_server_that_takes_none_has_the_kernel_refuse_them() {
    let _alone = alone();
    let path = place("lingering").join("refusing");
    let desk = PorterClient::from(Arc::new(Desk::default()) as Arc<dyn Porter>);
    // All places are taken, so that nobody accepts this one.
    let server = Server::builder().max_connections(0).listen(&path, desk).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    let sent = [stream.as_fd()];
    control.push(rustix::net::SendAncillaryMessage::ScmRights(&sent));
    let slices = &[std::io::IoSlice::new(&[0])];
    let flags = rustix::net::SendFlags::NOSIGNAL;
    let outcome = rustix::net::sendmsg(&stream, slices, &mut control, flags);
    // Linux 6.16 and newer.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version >= (6, 16) {
        true => assert_eq!(outcome, Err(rustix::io::Errno::PERM)),
        false => assert_eq!(outcome, Ok(1)),
    }
    drop(server);
}
