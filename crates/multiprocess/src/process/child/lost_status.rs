//! Children whose exit status this program cannot have. Each way of losing it concerns a whole process,
//! so each runs in one of its own.

use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions};

use super::super::testing::{block_on, only_test, wait_until};
use super::super::{Command, Exit, Grace};
use super::*;

const LONG: Duration = Duration::from_secs(20);

fn in_its_own_process(how: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(only_test("child::lost_status::helper_loses_status"))
        .env("MP_TEST_LOSE", how)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\nall is well\n"), "{how}: {output:?}");
}

#[test]
fn child_that_others_reaped_has_exited_with_an_unknown_status() {
    in_its_own_process("waitpid");
}

#[test]
fn ignored_sigchld_loses_the_status_and_nothing_else() {
    in_its_own_process("SIG_IGN");
    in_its_own_process("SA_NOCLDWAIT");
}

#[test]
fn helper_loses_status() {
    let Some(how) = std::env::var_os("MP_TEST_LOSE") else { return };
    let steal: fn(u32) = match how.to_str() {
        Some("waitpid") => take_status_of,
        Some("SIG_IGN") => {
            set_sigchld(libc::SIG_IGN, 0);
            |_| ()
        }
        _ => {
            set_sigchld(libc::SIG_DFL, libc::SA_NOCLDWAIT);
            |_| ()
        }
    };
    // In another thread, so that one that hangs is told.
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        check(steal, false);
        check(steal, true);
        tell.send(()).unwrap();
    });
    told.recv_timeout(LONG).expect("nothing hangs or panics");
    println!("\nall is well");
}

/// As code does that waits for any child of the process.
fn take_status_of(id: u32) {
    wait_until("the child was reaped", || {
        let reaped = rustix::process::wait(WaitOptions::empty()).unwrap();
        reaped.is_some_and(|(pid, _)| pid.as_raw_pid().unsigned_abs() == id)
    });
}

fn set_sigchld(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: a plain C struct for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: sets no handler; this process runs only this test.
    assert_eq!(unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) }, 0);
}

fn is_gone(id: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{id}")).exists()
}

fn check(steal: fn(u32), without_pidfd: bool) {
    let sh = |script: &str| {
        let command = Command::new("/bin/bash").arg("-c").arg(script);
        let grace = Grace { exit: Duration::ZERO, terminate: LONG };
        let (mut child, socket) = command.grace(grace).spawn().unwrap();
        if without_pidfd {
            Arc::get_mut(&mut child.process).unwrap().lose_pidfd();
        }
        (child, socket)
    };
    let unknown = |error: crate::Error| {
        let text = error.to_string();
        assert!(text.contains("its status is unknown"), "{text}");
    };

    // It has exited before anyone asks.
    let (child, _socket) = sh("exit 3");
    steal(child.id());
    unknown(child.wait().unwrap_err());
    unknown(child.try_wait().unwrap_err());
    unknown(child.wait_timeout(LONG).unwrap_err());
    unknown(child.shutdown(LONG).unwrap_err());
    wait_until("no zombie is left", || is_gone(child.id()));
    let (tell, told) = mpsc::channel();
    child.on_exit(move |exit| tell.send(exit).unwrap());
    assert_eq!(told.recv_timeout(LONG), Ok(Exit::Unknown));

    // Everyone waits already when it exits. The thread that steals may be too late.
    let (child, socket) = sh("read x <&$0");
    let (tell, told) = mpsc::channel();
    child.on_exit(move |exit| tell.send(exit).unwrap());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| child.wait_exit());
        let future = scope.spawn(|| block_on(child.exited()));
        drop(socket);
        let exit = waits.join().unwrap();
        assert_eq!(future.join().unwrap(), exit);
        assert_eq!(told.recv_timeout(LONG), Ok(exit));
    });
    wait_until("no zombie is left", || is_gone(child.id()));

    // It is ended, or dropped.
    let (child, _socket) = sh("exec sleep 1000");
    child.process.terminate();
    steal(child.id());
    unknown(child.end().unwrap_err());
    let (child, _socket) = sh("exec sleep 1000");
    let id = child.id();
    drop(child);
    wait_until("no zombie is left", || is_gone(id));

    // Nothing was started.
    let error = Command::new("/none").spawn().unwrap_err().to_string();
    assert_eq!(error, "cannot run /none: No such file or directory (os error 2)");
}

/// After others have reaped a child, its number can be another process's. That one is never signalled,
/// nor taken for the child.
#[test]
fn process_that_got_the_number_is_left_alone() {
    let start = || std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    let (reaped, mut other) = (start(), start());
    let child = Process::new(Pid::from_child(&reaped)).with_number(Pid::from_child(&other));
    // It reaches the child itself, and that is so also if it is reaped at this very moment.
    child.kill();
    take_status_by_number(&reaped);
    child.terminate();
    child.kill();
    assert_eq!(child.try_wait(), Some(Exit::Unknown));
    // A signal that was sent is there before a later one.
    rustix::process::kill_process(Pid::from_child(&other), rustix::process::Signal::USR1).unwrap();
    let status = other.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGUSR1));
}

fn take_status_by_number(child: &std::process::Child) {
    let pid = Some(Pid::from_child(child));
    wait_until("the child was reaped", || {
        rustix::process::waitpid(pid, WaitOptions::NOHANG).unwrap().is_some()
    });
}
