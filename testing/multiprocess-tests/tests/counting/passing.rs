//! File descriptors that are passed with calls, over a connection and within the process. Afterwards there are as
//! many in the process as before.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use multiprocess::{Error, Limit};
use multiprocess_tests::generated::porter::{Porter, PorterClient};
use multiprocess_tests::wait_until;

use super::desk::{Desk, Desks, allowing, assert_none_left, bag, desks, desks_over, file, text};
use super::{alone, settled_descriptors};

#[test]
fn files_go_both_ways_with_calls_and_results() {
    let _alone = alone();
    drop(desks(allowing(4), allowing(4)));
    let before = settled_descriptors();
    let Desks { desk, porter, calling, serving } = desks(allowing(4), allowing(4));
    assert_eq!(porter.read(file("there")).wait().unwrap(), "there");
    assert_eq!(text(porter.open("back").wait().unwrap()), "back");
    assert_eq!(porter.read_inline(file("inline")).wait().unwrap(), "inline");
    assert_eq!(text(porter.echo(Some(file("echo"))).wait().unwrap().unwrap()), "echo");
    assert!(porter.echo(None).wait().unwrap().is_none());
    // In structs and lists of them; each is the one that it was.
    let more = vec![bag("b", None, Some("3")), bag("c", Some("4"), None)];
    let packed = porter.pack(bag("a", Some("1"), Some("2")), more).wait().unwrap();
    assert_eq!(packed.count, 4);
    let content = |file: Option<OwnedFd>| file.map(text).unwrap_or_default();
    let bags = packed.bags.into_iter();
    let found: Vec<_> =
        bags.map(|bag| (bag.name, content(bag.first), content(bag.second))).collect();
    let expected = [("a", "1", "2"), ("b", "", "3"), ("c", "4", "")];
    assert_eq!(found, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    // With a callback.
    let own = PorterClient::from(Arc::new(Desk::default()) as Arc<dyn Porter>);
    assert_eq!(porter.call(Some(own), "called back").wait().unwrap(), "called back");
    drop((desk, porter, calling, serving));
    assert_none_left(before);
}

#[test]
fn within_the_process_a_file_is_moved() {
    let _alone = alone();
    let before = settled_descriptors();
    let porter = PorterClient::from(Arc::new(Desk::default()) as Arc<dyn Porter>);
    let sent = file("here");
    let number = sent.as_raw_fd();
    let back = porter.echo(Some(sent)).wait().unwrap().unwrap();
    assert_eq!(back.as_raw_fd(), number);
    assert_eq!(porter.read(back).wait().unwrap(), "here");
    drop(porter);
    assert_none_left(before);
}

/// Short and long messages, with and without files, of several threads at once: each gets its own.
#[test]
fn of_many_calls_at_once_each_has_its_own() {
    let _alone = alone();
    let before = settled_descriptors();
    let desks = desks(allowing(3), allowing(3));
    thread::scope(|scope| {
        for number in 0..4 {
            let porter = &desks.porter;
            scope.spawn(move || {
                for round in 0..100 {
                    let name = format!("{number}-{round}");
                    match round % 4 {
                        0 => assert!(porter.echo(None).wait().unwrap().is_none()),
                        1 => assert_eq!(porter.read(file(&name)).wait().unwrap(), name),
                        2 => assert_eq!(text(porter.open(name.as_str()).wait().unwrap()), name),
                        _ => {
                            let long = name.repeat(40_000);
                            let bag = bag(&long, Some(&name), Some("second"));
                            let mut packed = porter.pack(bag, vec![]).wait().unwrap();
                            let bag = packed.bags.remove(0);
                            assert!(bag.name == long);
                            assert_eq!(text(bag.first.unwrap()), name);
                            assert_eq!(text(bag.second.unwrap()), "second");
                        }
                    }
                }
            });
        }
    });
    drop(desks);
    assert_none_left(before);
}

/// What a call of `read` ends with, which must not reach the method.
#[track_caller]
fn refused(desks: &Desks, before: usize) -> String {
    let begun = desks.desk.begun.load(Ordering::SeqCst);
    let error = desks.porter.read(file("x")).wait().unwrap_err();
    assert_eq!(desks.desk.begun.load(Ordering::SeqCst), begun);
    // The copy that was to be sent is closed as well. Two sockets, and what threads wait with.
    assert!(super::settled_descriptors() <= before + 4);
    match error {
        Error::ApiMisuse { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_files_cannot_go_the_call_says_what_to_do() {
    let _alone = alone();
    let before = settled_descriptors();
    let neither = desks(allowing(0), allowing(0));
    let text = refused(&neither, before);
    assert!(text.contains("this side has to set Limits::descriptors"), "{text}");
    // Without a descriptor the connection is as it always was.
    assert!(neither.porter.echo(None).wait().unwrap().is_none());
    let error = neither.porter.open("x").wait().unwrap_err();
    assert!(error.to_string().contains("this side has to set"), "{error}");
    drop(neither);

    let caller = desks(allowing(2), allowing(0));
    let text = refused(&caller, before);
    assert!(text.contains("the other side takes none until it sets Limits::descriptors"), "{text}");
    drop(caller);

    let server = desks(allowing(0), allowing(2));
    let error = server.porter.open("x").wait().unwrap_err();
    assert!(error.to_string().contains("the other side takes none"), "{error}");
    drop(server);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let theirs = listener.accept().unwrap().0;
    drop(listener);
    let tcp = desks_over(ours.into(), theirs.into(), allowing(2), allowing(2));
    let text = refused(&tcp, before);
    assert!(text.contains("only a unix socket carries descriptors"), "{text}");
    drop(tcp);

    let few = desks(allowing(2), allowing(1));
    let error = few.porter.pack(bag("", Some("1"), Some("2")), vec![]).wait().unwrap_err();
    assert!(error.to_string().contains("more than 1 file descriptors"), "{error}");
    assert_eq!(few.porter.read(file("one")).wait().unwrap(), "one");
    drop(few);
    assert_none_left(before);
}

/// The first call of a connection may be sent before the other side has told that it takes none.
#[test]
fn a_file_for_who_takes_none_is_closed_there() {
    let _alone = alone();
    let before = settled_descriptors();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let desk: Arc<dyn Porter> = Arc::new(Desk::default());
    let serving = multiprocess::Connection::builder().serve(PorterClient::from(desk));
    let serving = serving.start(theirs).unwrap();
    let calling = multiprocess::Connection::builder().limits(allowing(2)).start(ours).unwrap();
    let porter: PorterClient = calling.bootstrap().unwrap();
    let error = porter.read_inline(file("x")).wait().unwrap_err();
    // Whichever was first.
    let texts = ["no file descriptor came with the object", "takes none until it sets"];
    assert!(texts.iter().any(|text| error.to_string().contains(text)), "{error}");
    assert!(error.to_string().contains("Limits::descriptors"), "{error}");
    drop((porter, calling, serving));
    assert_none_left(before);
}

#[test]
fn no_more_are_held_than_the_limit() {
    let _alone = alone();
    let before = settled_descriptors();
    let desks = desks(allowing(2), allowing(2).held_descriptors(3));
    let met = Limit::Descriptors.times_met();
    let held: Vec<_> = (0..3).map(|_| desks.porter.hold(file("held")).start()).collect();
    wait_until("all are held", || desks.desk.held() == 3);
    let error = desks.porter.read(file("one more")).wait().unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error:?}");
    assert!(error.to_string().contains("more than 3 file descriptors"), "{error}");
    let error = desks.porter.open("one more").wait().unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error:?}");
    assert!(Limit::Descriptors.times_met() >= met + 2);
    desks.desk.let_go();
    held.into_iter().for_each(|call| call.wait().unwrap());
    // Each time they are given back.
    for _ in 0..20 {
        assert_eq!(desks.porter.read(file("again")).wait().unwrap(), "again");
        assert_eq!(text(desks.porter.open("again").wait().unwrap()), "again");
    }
    drop(desks);
    assert_none_left(before);
}

#[test]
fn cancelled_and_failed_calls_close_theirs() {
    let _alone = alone();
    let before = settled_descriptors();
    let desks = desks(allowing(2), allowing(2).held_descriptors(200));
    let connected = settled_descriptors();
    for _ in 0..20 {
        drop(desks.porter.hold(file("cancelled")).start());
        drop(desks.porter.read(file("never sent")));
    }
    let late = desks.porter.hold(file("late")).timeout(Duration::from_millis(1)).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    desks.desk.let_go();
    // All that waited have ended, and threads that the calls had may have what they were woken with.
    assert_eq!(desks.porter.read(file("x")).wait().unwrap(), "x");
    wait_until("the cancelled calls' are closed", || desks.desk.held() == 0);
    wait_until("they are closed", || settled_descriptors() < connected + 10);
    // The end of a connection, with calls under way.
    let Desks { desk, porter, calling, serving } = desks;
    calling.disconnect();
    let error = porter.read(file("too late")).wait().unwrap_err();
    assert!(error.is_disconnect(), "{error}");
    drop((desk, porter, calling, serving));
    assert_none_left(before);
}

#[test]
fn the_end_of_a_connection_closes_all() {
    let _alone = alone();
    let before = settled_descriptors();
    for round in 0..10 {
        let Desks { desk, porter, calling, serving } = desks(allowing(2), allowing(2));
        let calls: Vec<_> = (0..8).map(|_| porter.hold(file("held")).start()).collect();
        wait_until("all are held", || desk.held() == 8);
        match round % 2 {
            0 => calling.disconnect(),
            _ => serving.disconnect(),
        }
        for call in calls {
            assert!(call.wait().is_err());
        }
        desk.let_go();
        assert!(serving.drain(Duration::from_secs(60)));
        drop((desk, porter, calling, serving));
    }
    assert_none_left(before);
}

/// What the handle is given is a file of the caller's own: `OwnedFd` and not a copy of the server's number.
#[test]
fn what_arrives_is_another_descriptor_of_the_same_file() {
    let _alone = alone();
    let desks = desks(allowing(1), allowing(1));
    let sent = file("same");
    let info = |file: &OwnedFd| rustix::fs::fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
    let expected = info(&sent).unwrap();
    let back = desks.porter.echo(Some(sent)).wait().unwrap().unwrap();
    assert_eq!(info(&back).unwrap(), expected);
    assert_eq!(text(back), "same");
}
