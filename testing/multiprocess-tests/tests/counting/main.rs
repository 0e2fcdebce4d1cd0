//! Tests that count the threads and descriptors of the process. They run one after the other, and
//! not beside other tests.

mod announced;
mod cancelled;
mod connects;
mod desk;
mod hung_up;
mod killed;
mod limited;
mod lingering;
mod many;
mod memory;
mod passed_badly;
mod passing;
mod reconnecting;
mod spawning;
mod stress;

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use multiprocess::Connection;
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{LAB, RawPeer, THREAD_MAP, Target};
use multiprocess_tests::{LabServer, Pair, Relay, pair, wait_until};

/// The threads of tests that run or wait for their turn, by their numbers. The harness starts them
/// when it likes.
static TESTS: Mutex<Vec<OsString>> = Mutex::new(Vec::new());

fn tests() -> MutexGuard<'static, Vec<OsString>> {
    TESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One test at a time.
struct Alone(OsString, Option<MutexGuard<'static, ()>>);

impl Drop for Alone {
    fn drop(&mut self) {
        tests().retain(|thread| *thread != self.0);
    }
}

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let thread = thread.file_name().unwrap().to_owned();
    tests().push(thread.clone());
    let mut alone = Alone(thread, None);
    alone.1 = Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner));
    // The driver thread and its descriptors come with the first connection and stay, and so does
    // the descriptor through which this thread is woken, which it gets when it first has to wait.
    let pair = pair();
    let server = pair.server.clone();
    let waits = thread::spawn(move || {
        wait_until("it waits", || server.is_blocked("first"));
        server.let_go("first");
    });
    assert!(pair.lab.block("first").wait().unwrap());
    waits.join().unwrap();
    drop(pair);
    wait_until("the server threads have ended", || count("server") + count("async") == 0);
    alone
}

/// The names of the process's threads, without idle pool threads.
fn threads() -> Vec<String> {
    all_threads().into_iter().filter(|name| name != "mp-pool").collect()
}

fn all_threads() -> Vec<String> {
    let mut names = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap();
        if tests().contains(&task.file_name()) {
            continue;
        }
        // A thread may end meanwhile.
        if let Ok(name) = std::fs::read_to_string(task.path().join("comm")) {
            names.push(name.trim_end().to_owned());
        }
    }
    names
}

/// How many threads have a name that begins so.
fn count(prefix: &str) -> usize {
    all_threads().iter().filter(|name| name.starts_with(prefix)).count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The number of descriptors once it stays the same: a thread that has answered gets the one through which it
/// is woken only when it begins to wait for its next call.
fn settled_descriptors() -> usize {
    const LOOKS: usize = 50;
    let (mut number, mut same) = (descriptors(), 0);
    wait_until("the number of descriptors stays the same", || {
        let now = descriptors();
        same = if now == number { same + 1 } else { 0 };
        number = now;
        std::thread::sleep(Duration::from_millis(5));
        same == LOOKS
    });
    number
}

/// A directory of one test's own.
fn place(name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let dir = std::env::temp_dir().join(format!("mp-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

/// Runs `work` on a thread of this name.
fn on_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::Builder::new().name(name.to_owned()).spawn(work).unwrap().join().unwrap()
}

#[test]
fn a_server_thread_ends_with_its_caller() {
    let _alone = alone();
    let pair = pair();
    for _ in 0..50 {
        let lab = pair.lab.clone();
        let name = on_thread("server-a", move || lab.thread_name().wait().unwrap());
        assert!(name.starts_with("server-a"), "{name}");
    }
    wait_until("the server threads have ended", || count("server-a") == 0);
    pair.assert_alive();
}

#[test]
fn many_callers_at_once_leave_no_threads() {
    let _alone = alone();
    let before = threads().len();
    let pair = pair();
    thread::scope(|scope| {
        for number in 0..50 {
            let lab = pair.lab.clone();
            thread::Builder::new()
                .name(format!("server-{number}"))
                .spawn_scoped(scope, move || {
                    for _ in 0..10 {
                        let callback = Relay::client(|lab, _| lab.unwrap().add_inline(1, 2).wait());
                        lab.call_back(callback, 1).wait().unwrap();
                    }
                })
                .unwrap();
        }
    });
    wait_until("the server threads have ended", || count("server") == 0);
    drop(pair);
    // The pool's threads end too, when they have been idle.
    wait_until("the pool is idle", || count("mp-pool") == 0);
    wait_until("as many threads as before", || threads().len() <= before);
}

/// The number of the process's mappings: each leaked stack adds one.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
fn a_spawned_process_leaves_nothing() {
    use multiprocess::process::Command;
    let _alone = alone();
    let spawn = |round: usize| {
        let program = if round.is_multiple_of(2) { "/bin/true" } else { "/none" };
        match Command::new(program).parent_death_signal(round.is_multiple_of(4)).spawn() {
            Ok((child, _socket)) => assert!(child.wait().unwrap().success()),
            Err(error) => assert!(error.to_string().starts_with("cannot run /none: "), "{error}"),
        }
    };
    // The first starts, because they leave a thread that never ends.
    (0..4).for_each(spawn);
    let (threads_before, before, mapped) = (threads().len(), settled_descriptors(), mappings());
    (0..200).for_each(spawn);
    assert_eq!(descriptors(), before);
    assert_eq!(threads().len(), threads_before);
    // The allocator may have got a little more.
    assert!(mappings() < mapped + 50, "{} after {mapped}", mappings());
    // No child is left, not even a zombie.
    let left = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
    assert!(matches!(left, Err(rustix::io::Errno::CHILD)), "{left:?}");
}

#[test]
fn a_connection_leaves_nothing() {
    let _alone = alone();
    let (threads_before, before) = (threads().len(), settled_descriptors());
    for round in 0..200 {
        let pair = pair();
        match round % 4 {
            0 => pair.assert_alive(),
            1 => drop(pair.lab.block("x").start()),
            2 => {
                let callback = Relay::client(|lab, _| lab.unwrap().add(1, 2).wait());
                pair.lab.hold(Some(callback.clone())).wait().unwrap();
                pair.lab.call_back(callback, 2).wait().unwrap();
            }
            _ => {}
        }
        match round % 3 {
            0 => pair.calling.disconnect(),
            1 => pair.serving.disconnect(),
            _ => {}
        }
    }
    wait_until("as many descriptors as before", || descriptors() <= before);
    wait_until("as many threads as before", || threads().len() <= threads_before);
}

#[test]
fn disconnecting_while_methods_run_leaves_no_thread() {
    let _alone = alone();
    let (threads_before, before) = (threads().len(), settled_descriptors());
    for _ in 0..20 {
        let Pair { server, serving, calling, lab } = pair();
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let lab = lab.clone();
                thread::spawn(move || lab.block("held").wait())
            })
            .collect();
        wait_until("all run", || server.blocked() == 8);
        calling.disconnect();
        for caller in callers {
            assert!(caller.join().unwrap().is_err());
        }
        assert!(serving.drain(Duration::from_secs(60)));
    }
    wait_until("as many threads as before", || threads().len() <= threads_before);
    wait_until("as many descriptors as before", || descriptors() <= before);
}

#[test]
fn a_caller_that_drops_everything_while_it_is_called_back() {
    let _alone = alone();
    let (threads_before, before) = (threads().len(), settled_descriptors());
    for _ in 0..20 {
        let Pair { server, serving, calling, lab } = pair();
        let own = Mutex::new(Some((calling, lab.clone())));
        let callback = Relay::client(move |lab, _| {
            drop(lab);
            if let Some((calling, lab)) = own.lock().unwrap().take() {
                calling.disconnect();
                drop((calling, lab));
            }
            Ok(1)
        });
        assert!(lab.call_back(callback, 1).wait().is_err());
        drop(lab);
        assert!(serving.drain(Duration::from_secs(60)));
        drop((server, serving));
    }
    wait_until("as many threads as before", || threads().len() <= threads_before);
    wait_until("as many descriptors as before", || descriptors() <= before);
}

#[test]
fn threads_made_by_a_raw_peer_start_when_used_and_end_with_it() {
    let _alone = alone();
    let server = LabServer::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let bootstrap = Target::Bootstrap(peer.bootstrap());
    let construct = peer.ask(bootstrap, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let threads = Target::Export(construct.export());
    let mut refused = 0;
    for _ in 0..2000 {
        let question = peer.call(threads, (THREAD_MAP, 0), &[], |content| {
            content
                .init_as::<multiprocess_tests::generated::proxy_capnp::thread_map::make_thread_params::Builder<'_>>()
                .set_name("server-raw");
        });
        if let multiprocess_tests::raw::Answer::Exception(_) = peer.wait(question) {
            refused += 1;
        }
    }
    assert_eq!(refused, 2000 - multiprocess::Limits::default().threads);
    assert!(count("server-raw") <= multiprocess::Limits::default().threads);
    drop(peer);
    wait_until("the connection is over", || !serving.is_connected());
    wait_until("the threads have ended", || count("server-raw") == 0);
}

#[test]
fn ten_thousand_cancelled_calls_leave_nothing() {
    let _alone = alone();
    let pair = pair();
    pair.assert_alive();
    for i in 0..10_000 {
        let call =
            if i % 2 == 0 { pair.lab.add(1, 2).start() } else { pair.lab.add_inline(1, 2).start() };
        drop(call);
        if i % 1000 == 0 {
            pair.assert_alive();
        }
    }
    pair.assert_alive();
    // At most the threads for futures, besides those of this thread.
    assert!(count("async") <= 64, "{:?}", threads());
    drop(pair);
    wait_until("the threads have ended", || count("async") == 0);
}

#[test]
fn connects_and_disconnects_half_of_them_in_the_handshake() {
    let _alone = alone();
    let dir = place("connects");
    let lab = LabServer::new();
    let server = multiprocess::Server::listen(dir.join("s"), lab.client()).unwrap();
    let before = settled_descriptors();
    for round in 0..5_000 {
        let stream = UnixStream::connect(server.path()).unwrap();
        match round % 4 {
            0 => drop(stream),
            1 => {
                use std::io::Write;
                let _ = (&stream).write_all(&[0, 0, 0, 0, 3]);
            }
            2 => drop(Connection::new(stream).unwrap().bootstrap::<LabClient>()),
            _ => {
                let lab: LabClient = Connection::new(stream).unwrap().bootstrap().unwrap();
                assert_eq!(lab.add_inline(1, 2).wait().unwrap(), 3);
            }
        }
    }
    wait_until("all are forgotten", || server.connections().is_empty());
    wait_until("as many descriptors as before", || descriptors() <= before);
    drop(server);
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_listener_goes_on_when_descriptors_are_there_again() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let _alone = alone();
    let place = place("limit");
    let lab = LabServer::new();
    let server = multiprocess::Server::listen(place.join("s"), lab.client()).unwrap();
    let other = pair();
    let limit = getrlimit(Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(descriptors() as u64 + 20), ..limit };
    setrlimit(Resource::Nofile, few).unwrap();
    // A descriptor of an earlier test may be closed meanwhile and make room: then it is tried
    // again.
    let refused = (0..50).any(|_| {
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        // One for this end; none is left for the other.
        held.pop();
        let calling = Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap();
        let call = calling.bootstrap::<LabClient>().unwrap().add(1, 2).start();
        for _ in 0..100 {
            other.assert_alive();
        }
        let refused = server.connections().is_empty();
        drop(held);
        assert_eq!(call.wait().unwrap(), 3);
        drop(calling);
        wait_until("it is forgotten", || server.connections().is_empty());
        refused
    });
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(refused, "no accept failed for lack of a descriptor");
    let _ = std::fs::remove_dir_all(place);
}
