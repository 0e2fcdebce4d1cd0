//! A child in the hands of its parent: waiting, hooks, and the steps of its end. The children are real.

use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};

use rustix::process::Signal;

use super::super::testing::{block_on, only_test, wait_until};
use super::super::{Command, Exit};
use super::*;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn start(program: &str, args: &[&str]) -> Child {
    let command = Command::new(program);
    args.iter().fold(command, |command, arg| command.arg(*arg)).spawn().unwrap().0
}

fn sleeper() -> Child {
    start("/bin/sleep", &["1000"])
}

/// A sleeper that ignores SIGTERM already.
fn stubborn() -> Child {
    let child = start("/bin/sh", &["-c", "trap '' TERM; exec sleep 1000"]);
    let comm = format!("/proc/{}/comm", child.id());
    wait_until("the shell became sleep", || {
        std::fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n")
    });
    child
}

fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn status_is_told_to_everyone_who_waits() {
    let child = start("/bin/sh", &["-c", "sleep 0.05; exit 3"]);
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| child.wait().unwrap())).collect();
        for wait in waits {
            assert_eq!(wait.join().unwrap().code(), Some(3));
        }
    });
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(child.shutdown(LONG).unwrap().code(), Some(3));
    assert!(!exists(child.id()));
}

#[test]
fn waiting_works_without_a_pidfd() {
    let mut child = start("/bin/sh", &["-c", "exec sleep 0.05"]);
    Arc::get_mut(&mut child.process).unwrap().lose_pidfd();
    assert!(child.wait_timeout(Duration::from_millis(1)).unwrap().is_none());
    assert!(child.wait_timeout(Duration::MAX).unwrap().unwrap().success());
}

#[test]
fn crash_is_told_as_its_signal() {
    let child = start("/bin/sh", &["-c", "kill -SEGV $$"]);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGSEGV));
}

#[test]
fn shutdown_goes_from_waiting_to_term_to_kill() {
    assert!(start("/bin/true", &[]).shutdown(LONG).unwrap().success());
    assert_eq!(sleeper().shutdown(SOON).unwrap().signal(), Some(libc::SIGTERM));
    assert_eq!(stubborn().shutdown(SOON).unwrap().signal(), Some(libc::SIGKILL));
}

#[test]
fn stopped_child_ends_on_term_if_it_can_and_on_kill_if_not() {
    let child = sleeper();
    child.process.signal(Signal::STOP);
    assert_eq!(child.shutdown(SOON).unwrap().signal(), Some(libc::SIGTERM));

    let child = stubborn();
    child.process.signal(Signal::STOP);
    assert_eq!(child.shutdown(SOON).unwrap().signal(), Some(libc::SIGKILL));
    assert!(!exists(child.id()));
}

#[test]
fn shutdown_from_two_threads_agrees() {
    let child = sleeper();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| child.shutdown(SOON).unwrap());
        assert_eq!(child.shutdown(SOON).unwrap(), other.join().unwrap());
    });
}

#[test]
fn dropped_child_is_reaped_when_it_exits() {
    let child = start("/bin/sh", &["-c", "exec sleep 0.05"]);
    let id = child.id();
    drop(child);
    wait_until("the dropped child is reaped", || !exists(id));
}

/// From the drop, or the call of `end`, of a child that is stuck to its end takes less than 5 seconds.
#[test]
fn stuck_and_stopped_children_are_gone_within_five_seconds() {
    const BOUND: Duration = Duration::from_secs(5);
    let stopped_stubborn = || {
        let child = stubborn();
        child.process.signal(Signal::STOP);
        child
    };
    let stopped = || {
        let child = sleeper();
        child.process.signal(Signal::STOP);
        child
    };
    let starts: [&(dyn Fn() -> Child + Sync); 3] = [&stubborn, &stopped, &stopped_stubborn];
    std::thread::scope(|scope| {
        for start in starts {
            scope.spawn(move || {
                let (child, begin) = (start(), Instant::now());
                assert!(!child.end().unwrap().success());
                assert!(begin.elapsed() < BOUND, "end took {:?}", begin.elapsed());
                assert!(!exists(child.id()));
            });
            scope.spawn(move || {
                let (child, begin) = (start(), Instant::now());
                let id = child.id();
                drop(child);
                wait_until("the dropped child is gone", || !exists(id));
                assert!(begin.elapsed() < BOUND, "the end took {:?}", begin.elapsed());
            });
        }
    });
}

#[test]
fn grace_of_the_command_is_the_childs() {
    let grace = Grace { exit: SOON, terminate: SOON };
    let child = || {
        let command = Command::new("/bin/sh")
            .arg("-c")
            .arg("trap '' TERM; while true; do kill -STOP $$; done");
        command.grace(grace).spawn().unwrap().0
    };
    assert_eq!(child().grace(), grace);
    // In the default times neither could end that soon.
    let begin = Instant::now();
    let dropped = child();
    let id = dropped.id();
    drop(dropped);
    assert!(!child().end().unwrap().success());
    wait_until("the dropped child is gone", || !exists(id));
    assert!(begin.elapsed() < Grace::EXIT, "{:?}", begin.elapsed());
}

#[test]
fn hooks_get_the_exit_when_it_comes_and_when_it_was() {
    let (tell, told) = mpsc::channel();
    let hook = |name: &'static str| {
        let tell = tell.clone();
        move |exit: Exit| tell.send((name, exit.status().unwrap().code())).unwrap()
    };
    let (child, socket) =
        Command::new("/bin/bash").arg("-c").arg("read x <&$0; exit 3").spawn().unwrap();
    child.on_exit(hook("first"));
    child.on_exit(|_| panic!("a hook that panics, which the next one does not feel"));
    child.on_exit(hook("second"));
    assert!(told.try_recv().is_err(), "the child runs still");
    drop(socket);
    assert_eq!(told.recv_timeout(LONG).unwrap(), ("first", Some(3)));
    assert_eq!(told.recv_timeout(LONG).unwrap(), ("second", Some(3)));
    child.on_exit(hook("late"));
    assert_eq!(told.recv_timeout(LONG).unwrap(), ("late", Some(3)));
    assert!(told.try_recv().is_err(), "each hook runs once");
    assert!(!exists(child.id()), "the hook's notice reaps the child");
}

#[test]
fn hooks_run_if_somebody_waits_and_if_the_child_is_dropped() {
    let (tell, told) = mpsc::channel();
    let child = start("/bin/sh", &["-c", "exit 3"]);
    let hook = tell.clone();
    child.on_exit(move |exit| hook.send(exit).unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(told.recv_timeout(LONG).unwrap().status().unwrap().code(), Some(3));

    let command = Command::new("/bin/sleep").arg("1000");
    let (child, _socket) = command.grace(Grace { exit: SOON, terminate: LONG }).spawn().unwrap();
    child.on_exit(move |exit| tell.send(exit).unwrap());
    drop(child);
    assert_eq!(told.recv_timeout(LONG).unwrap().status().unwrap().signal(), Some(libc::SIGTERM));
}

/// Hooks that block hold up neither those of other children, nor the reaper, nor threads that wait.
#[test]
fn slow_hook_holds_up_nobody_else() {
    let (release, blocked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let slow = start("/bin/true", &[]);
    let begun = tell.clone();
    slow.on_exit(move |_| {
        begun.send("slow").unwrap();
        let _ = blocked.recv();
    });
    assert_eq!(told.recv_timeout(LONG), Ok("slow"));

    let other = start("/bin/true", &[]);
    other.on_exit(move |_| tell.send("other").unwrap());
    assert_eq!(told.recv_timeout(LONG), Ok("other"));
    let dropped = start("/bin/sh", &["-c", "exec sleep 0.05"]);
    let id = dropped.id();
    drop(dropped);
    wait_until("the dropped child is reaped", || !exists(id));
    assert!(slow.wait().unwrap().success());
    assert!(block_on(slow.exited()).success());
    drop(release);
}

#[test]
fn exit_is_a_future() {
    let child = start("/bin/sh", &["-c", "sleep 0.05; exit 3"]);
    let code = |exit: Exit| exit.status().unwrap().code();
    // One that was polled and dropped, several at once, and one after the exit.
    let mut dropped = child.exited();
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut dropped).poll(&mut context).is_pending());
    assert!(Pin::new(&mut dropped).poll(&mut context).is_pending());
    drop(dropped);
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| block_on(child.exited()))).collect();
        waits.into_iter().for_each(|wait| assert_eq!(code(wait.join().unwrap()), Some(3)));
    });
    assert_eq!(code(block_on(child.exited())), Some(3));
}

/// As on other systems: the reaper looks every now and then.
#[test]
fn hooks_and_futures_work_without_a_pidfd() {
    let mut child = start("/bin/sh", &["-c", "exec sleep 0.05"]);
    Arc::get_mut(&mut child.process).unwrap().lose_pidfd();
    let (tell, told) = mpsc::channel();
    child.on_exit(move |exit| tell.send(exit).unwrap());
    assert!(block_on(child.exited()).success());
    assert!(told.recv_timeout(LONG).unwrap().success());

    let mut child = sleeper();
    Arc::get_mut(&mut child.process).unwrap().lose_pidfd();
    assert_eq!(child.shutdown(SOON).unwrap().signal(), Some(libc::SIGTERM));
}

/// It comes with the child from one system call, and no program that is started later inherits it.
#[test]
fn pidfd_is_there_from_the_start_and_closed_by_exec() {
    let child = sleeper();
    let pidfd = child.process.exit_event().unwrap();
    let flags = rustix::io::fcntl_getfd(pidfd).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    let info = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&pidfd));
    let info = std::fs::read_to_string(info).unwrap();
    assert!(info.lines().any(|line| line == format!("Pid:\t{}", child.id())), "{info}");
    child.shutdown(Duration::ZERO).unwrap();
}

/// Neither for a pidfd nor for waking the reaper.
#[test]
fn children_are_started_and_reaped_without_a_descriptor_left() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(only_test("child::tests::helper_has_no_descriptor_left"))
        .env("MP_TEST_LIMIT", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\nstarted and reaped\n"), "{output:?}");
}

#[test]
fn helper_has_no_descriptor_left() {
    if std::env::var_os("MP_TEST_LIMIT").is_none() {
        return;
    }
    let free = std::fs::File::open("/dev/null").unwrap();
    let lowest = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&free)).unwrap();
    drop(free);
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // Room for the socket pair.
    limit.current = Some(lowest + 2);
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    // Must not outlive this process should it fail, holding its output open.
    let command = Command::new("/bin/sleep").arg("1000").parent_death_signal(true);
    let (child, socket) = command.spawn().unwrap();
    assert!(child.process.exit_event().is_none());
    // In the place of the child's end of the pair.
    let _last = rustix::io::dup(&socket).unwrap();
    assert_eq!(rustix::io::dup(&socket).unwrap_err(), rustix::io::Errno::MFILE);
    let (tell, told) = mpsc::channel();
    child.on_exit(move |exit| tell.send(exit).unwrap());
    assert_eq!(child.shutdown(Duration::ZERO).unwrap().signal(), Some(libc::SIGTERM));
    assert!(told.recv_timeout(LONG).unwrap().status().is_some());
    println!("\nstarted and reaped");
}
