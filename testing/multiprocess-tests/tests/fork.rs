//! Processes that fork: the child may use nothing of the parent's, and harms nothing of it.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::{Command, ExitCode, exit};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use multiprocess::process::{self, Backoff, ChildState, Exit, Exited, Supervisor};
use multiprocess::{Connection, Error, Reconnect, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, pair, within_time};

/// Runs `child` in a fork of this process, which then exits as programs do. Returns its exit status.
fn in_a_fork(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child has one thread. It allocates, which the C library allows after a fork, and takes
    // no lock that another thread of this process may have: that is what is tested.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => exit(if child() { 0 } else { 1 }),
        pid => within_time(move || {
            let mut status = 0;
            // SAFETY: writes the status.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status), "status {status}");
            libc::WEXITSTATUS(status)
        }),
    }
}

fn says_why(error: &Error) -> bool {
    matches!(error, Error::ApiMisuse { problem, .. } if problem.contains("was forked from one"))
}

#[test]
fn a_fork_gets_errors_and_harms_nothing() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let path = std::env::temp_dir().join(format!("mp-fork-{}.sock", std::process::id()));
    let lab = LabServer::new();
    let server = Server::listen(&path, lab.client()).unwrap();
    let connect = || -> LabClient {
        Connection::new(UnixStream::connect(&path).unwrap()).unwrap().bootstrap().unwrap()
    };
    let connected = connect();
    assert_eq!(connected.add(1, 2).wait().unwrap(), 3);
    let again = Reconnect::to_path(&path).start(|lab: &LabClient| Ok(lab.clone())).unwrap();
    assert_eq!(again.wait_connected().unwrap().add(1, 2).wait().unwrap(), 3);
    let end = pair.calling.disconnected();
    let mut mine = Some((pair, counter, server, connected, again, end));
    let status = in_a_fork(|| {
        // Of the child's copy: here they are still there.
        let (pair, counter, server, connected, again, end) = mine.take().unwrap();
        let start = Reconnect::to_path("/nowhere").start(|lab: &LabClient| Ok(lab.clone()));
        let errors = [
            again.wait_connected().unwrap_err(),
            futures_executor::block_on(again.connected()).unwrap_err(),
            start.unwrap_err(),
            futures_executor::block_on(end),
            pair.lab.add(1, 2).wait().unwrap_err(),
            pair.lab.add(1, 2).start().wait().unwrap_err(),
            counter.next().wait().unwrap_err(),
            pair.calling.bootstrap::<LabClient>().unwrap_err(),
            Connection::new(UnixStream::pair().unwrap().0).unwrap_err(),
        ];
        pair.calling.disconnect();
        pair.serving.wait_disconnected();
        let gone = again.try_get().is_none() && !again.close(LONG);
        drop((pair, counter, server, connected, again));
        gone && errors.iter().all(says_why)
    });
    assert_eq!(status, 0);
    let (pair, counter, server, connected, again, _end) = mine.unwrap();
    assert_eq!(again.wait_connected().unwrap().add(1, 2).wait().unwrap(), 3);
    assert_eq!(again.try_get().unwrap().generation(), 1);
    assert_eq!(pair.lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(counter.next().wait().unwrap(), 1);
    assert_eq!(connected.add(1, 2).wait().unwrap(), 3);
    assert!(path.exists());
    assert_eq!(connect().add(1, 2).wait().unwrap(), 3);
    drop(server);
    assert!(!path.exists());
}

/// Starts a program that exits with status 3 when its socket is closed.
fn until_closed() -> process::Command {
    process::Command::new("/bin/bash").arg("-c").arg("read x <&$0; exit 3")
}

fn poll(exited: &mut Exited) -> Poll<Exit> {
    Pin::new(exited).poll(&mut Context::from_waker(Waker::noop()))
}

/// Children are those of the process that has started them, and so is who waits for them.
#[test]
fn a_fork_cannot_wait_for_its_parents_children_and_does_not_end_them() {
    let (child, socket) = until_closed().spawn().unwrap();
    let (tell, told) = mpsc::channel();
    let by_hook = tell.clone();
    child.on_exit(move |exit| by_hook.send((std::process::id(), exit)).unwrap());
    let mut exited = child.exited();
    assert!(poll(&mut exited).is_pending());
    let (give, started) = mpsc::channel();
    let supervisor = Supervisor::start(until_closed(), Backoff::default(), move |child, socket| {
        give.send((child, socket)).unwrap();
    })
    .unwrap();
    let supervised = started.recv_timeout(LONG).unwrap();
    let mut mine = Some((child, exited, supervisor));
    let status = in_a_fork(|| {
        let (child, mut exited, supervisor) = mine.take().unwrap();
        let unknown = poll(&mut exited) == Poll::Ready(Exit::Unknown)
            && child.state() == ChildState::Exited(Exit::Unknown);
        let errors = [
            child.try_wait().unwrap_err(),
            child.wait().unwrap_err(),
            child.wait_timeout(LONG).unwrap_err(),
            child.end().unwrap_err(),
            child.shutdown(Duration::ZERO).unwrap_err(),
        ];
        let own = tell.clone();
        child.on_exit(move |exit| own.send((0, exit)).unwrap());
        let over = supervisor.is_over()
            && supervisor.child().is_none()
            && supervisor.state() == ChildState::Exited(Exit::Unknown)
            && supervisor.wait().is_none();
        supervisor.disarm();
        drop((exited, child));
        drop(supervisor);
        // Nothing of the parent's was told here, nor is it about to be: no thread was started for it.
        unknown
            && over
            && errors.iter().all(says_why)
            && has_one_thread()
            && told.try_recv().is_err()
    });
    assert_eq!(status, 0);
    let (child, mut exited, supervisor) = mine.unwrap();
    assert!(child.try_wait().unwrap().is_none() && poll(&mut exited).is_pending());
    assert_eq!((supervisor.restarts(), supervisor.is_over()), (0, false));
    assert_eq!(supervisor.child().unwrap().id(), supervised.0.id());
    drop(socket);
    let (by, exit) = told.recv_timeout(LONG).unwrap();
    assert_eq!((by, exit.status().unwrap().code()), (std::process::id(), Some(3)));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    supervisor.disarm();
    drop(supervised);
    assert_eq!(supervisor.stop().unwrap().status().unwrap().code(), Some(3));
}

fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Locks that other threads have at the moment of the fork stay taken in it for ever.
#[test]
fn a_fork_drops_what_other_threads_use_at_that_moment() {
    let path = std::env::temp_dir().join(format!("mp-fork-busy-{}.sock", std::process::id()));
    let server = Server::listen(&path, LabServer::new().client()).unwrap();
    let (child, _socket) = until_closed().spawn().unwrap();
    let mut exited = Some(child.exited());
    assert!(poll(exited.as_mut().unwrap()).is_pending());
    let supervisor = Supervisor::start(until_closed(), Backoff::default(), |child, socket| {
        let _ = (child.wait(), socket);
    })
    .unwrap();
    let mine = Arc::new((server, child, supervisor));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (used, stop) = (Arc::clone(&mine), Arc::clone(&stop));
            std::thread::spawn(move || {
                let (server, child, supervisor) = &*used;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    server.connections();
                    child.try_wait().unwrap();
                    supervisor.restarts();
                }
            })
        })
        .collect();
    // Many forks, as each has its own moment.
    for _ in 0..200 {
        let status = in_a_fork(|| {
            let (server, child, supervisor) = &*mine;
            let none = server.connections().is_empty() && !server.disconnect_all(LONG);
            let error = says_why(&child.try_wait().unwrap_err());
            supervisor.disarm();
            // It has left a waker.
            drop(exited.take());
            none && error && supervisor.child().is_none() && poll(&mut child.exited()).is_ready()
        });
        assert_eq!(status, 0);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    drop(exited);
}

/// Without a connection there are threads, too: for children, and for local calls that were started.
#[test]
fn a_fork_starts_no_children_and_no_local_calls_where_its_parent_did() -> ExitCode {
    alone("a_fork_starts_no_children_and_no_local_calls_where_its_parent_did", || {
        let lab = LabServer::new().client();
        assert_eq!(lab.add(1, 2).start().wait().unwrap(), 3);
        let lasting = || until_closed().parent_death_signal(true).spawn();
        let mine = lasting().unwrap();
        let status = in_a_fork(|| {
            let errors = [
                lab.add(1, 2).start().wait().unwrap_err(),
                futures_executor::block_on(lab.add(1, 2)).unwrap_err(),
                lasting().unwrap_err(),
                until_closed().spawn().unwrap_err(),
            ];
            // What needs no thread is as ever.
            errors.iter().all(says_why) && lab.add(1, 2).wait().is_ok_and(|sum| sum == 3)
        });
        assert_eq!(lab.add(1, 2).start().wait().unwrap(), 3);
        drop(mine);
        drop(lasting().unwrap());
        status
    })
}

/// A program that becomes a daemon before its first connection.
#[test]
fn a_fork_before_the_first_connection_is_as_any_process() -> ExitCode {
    alone("a_fork_before_the_first_connection_is_as_any_process", || {
        in_a_fork(|| {
            let pair = pair();
            pair.lab.add(1, 2).wait().is_ok_and(|sum| sum == 3)
        })
    })
}

/// Runs a test in a process of its own, in which nothing else has used the runtime.
fn alone(name: &str, test: impl FnOnce() -> i32) -> ExitCode {
    const VARIABLE: &str = "MP_TEST_ALONE";
    if std::env::var_os(VARIABLE).is_some() {
        return ExitCode::from(u8::try_from(test()).unwrap_or(2));
    }
    let mut program = Command::new(std::env::current_exe().unwrap());
    let status = program.args(["--exact", name]).env(VARIABLE, "1").status().unwrap();
    assert!(status.success(), "{status}");
    ExitCode::SUCCESS
}
