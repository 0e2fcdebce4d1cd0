//! Makes descriptors where the process may have only a few more, and then none, one, two and so on:
//! each time this is an error, or goes well, and everything else goes on.
//!
//! It is started with a low limit (`ulimit -n`).

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use multiprocess::process::{Command, connect};
use multiprocess::{Connection, Error, Result, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, Pair, pair, wait_until};

fn main() {
    let directory = std::env::args().nth(1).expect("a directory");
    let path = Path::new(&directory).join("s");
    // The first connection of a process starts the driver.
    let first = exhaust("the first connection", None, socket, |(ours, theirs)| {
        Ok((Connection::new(ours)?, theirs))
    });
    drop(first);

    let other = pair();
    other.assert_alive();
    let files = || std::fs::read_dir(&directory).expect("a directory").count();
    let (other, lab) = (Some(&other), LabServer::new());
    let server = exhaust(
        "listening",
        other,
        || assert_eq!(files(), 0, "a failure leaves no file"),
        |()| Server::listen(&path, lab.client()),
    );
    let stream = exhaust("connecting", other, || (), |()| connect(&path));
    let calling = Connection::new(stream).expect("a connection");
    let client: LabClient = calling.bootstrap().expect("a lab");
    assert_eq!(client.add(1, 2).wait().expect("a sum"), 3);
    drop((client, calling, server));
    // They are closed on other threads. Only the other connection's are left.
    let left = if other.is_some() { 2 } else { 0 };
    wait_until("the sockets are closed", || sockets() == left);

    for dies_with_parent in [false, true] {
        let command = Command::new("/bin/true").parent_death_signal(dies_with_parent);
        let (child, socket) = exhaust("starting a process", other, || (), |()| command.spawn());
        drop(socket);
        assert!(child.wait().expect("a status").success());
    }
    threads_that_wait(other.expect("it is there"));
}

fn socket() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a socket pair")
}

/// Every descriptor that this process may have.
fn all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list").count()
}

fn sockets() -> usize {
    let all = std::fs::read_dir("/proc/self/fd").expect("a list").flatten();
    let links = all.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// How often each failure is produced: a descriptor that it left would be left so many times.
const TIMES: usize = 20;

/// Does `work` with no descriptor left, then with one, and so on until it does not fail. What it is
/// given is made before.
fn exhaust<G, T>(
    what: &str,
    other: Option<&Pair>,
    give: impl Fn() -> G,
    work: impl Fn(G) -> Result<T>,
) -> T {
    for room in 0.. {
        let before = open();
        for _ in 0..TIMES {
            let given = give();
            let mut held = all();
            held.truncate(held.len().checked_sub(room).expect("it needs few descriptors"));
            let done = work(given);
            // Whether it went well or not.
            if let Some(other) = other {
                other.assert_alive();
            }
            drop(held);
            match done {
                Ok(done) => {
                    assert_ne!(room, 0, "{what} takes no descriptor");
                    println!("{what}: {room} needed");
                    return done;
                }
                Err(error) => assert_lack_of_descriptors(what, &error),
            }
        }
        // Threads of the runtime may have made one each, to be woken through.
        wait_until("nothing is left of the failures", || open() < before + TIMES / 2);
    }
    unreachable!("each number was tried")
}

fn assert_lack_of_descriptors(what: &str, error: &Error) {
    let of_this_side =
        matches!(error, Error::Io { .. } | Error::Address { .. } | Error::Spawn { .. });
    let text = error.to_string();
    assert!(of_this_side && text.contains("os error 24"), "{what}: {text}");
}

/// A thread that waits for the first time makes a descriptor; it waits without one as well.
fn threads_that_wait(other: &Pair) {
    let held = all();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let name = number.to_string();
                    let call = other.lab.block(&*name).start();
                    wait_until("it runs", || other.server.is_blocked(&name));
                    other.server.let_go(&name);
                    assert!(call.wait().expect("it was let go"));
                    assert_eq!(other.lab.add(number, 1).wait().expect("a sum"), number + 1);
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().expect("a thread"));
    });
    drop(held);
    println!("threads without a descriptor: answered");
}
