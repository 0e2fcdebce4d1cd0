//! The log of calls: who called whom, with what, how long it took. The subscriber is the whole process's, so
//! this is a program of its own; its tests look at the lines of their own connections.

use std::io::Write;
use std::pin::pin;
use std::sync::{LazyLock, Mutex, Once};
use std::task::{Context, Waker};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error};
use multiprocess_tests::{Pair, pair, wait_until};
use tracing_subscriber::fmt::MakeWriter;

static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

/// Writes to the log, each event at once.
#[derive(Clone)]
struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for ToLog {
    type Writer = ToLog;

    fn make_writer(&self) -> ToLog {
        ToLog
    }
}

/// A pair whose calls are logged with everything.
fn logged() -> Pair {
    static START: Once = Once::new();
    START.call_once(|| {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        log.with_ansi(false).with_writer(ToLog).init();
    });
    pair()
}

/// The one line of a connection that has all of this.
fn line(conn: &Connection, parts: &[&str]) -> String {
    let connection = format!(" connection={} ", conn.number());
    let mut found = Vec::new();
    // A line of the server's comes after the answer.
    wait_until(parts[0], || {
        let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
        let of =
            |line: &&str| line.contains(&connection) && parts.iter().all(|it| line.contains(it));
        found = log.lines().filter(of).map(str::to_owned).collect();
        !found.is_empty()
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// A field whose value is in quotes.
fn quoted(line: &str, field: &str) -> String {
    let value = line.split_once(&format!(" {field}=\"")).unwrap_or_else(|| panic!("{line}")).1;
    value.split_once('"').unwrap().0.to_owned()
}

/// The size that a line tells.
fn bytes(line: &str) -> usize {
    let rest = line.split_once("bytes=").unwrap_or_else(|| panic!("{line}")).1;
    let digits = rest.chars().skip_while(|c| !c.is_ascii_digit());
    digits.take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn a_call_is_four_lines() {
    let Pair { serving, calling, lab, .. } = logged();
    calling.name_peer("the lab");
    assert_eq!(lab.text("hello").wait().unwrap(), "hello");
    let sent = line(&calling, &["IPC client send", "Lab.text$Params"]);
    assert!(sent.contains("TRACE") && sent.contains("multiprocess::calls"), "{sent}");
    assert!(sent.contains(r#"Lab.text$Params (text = "hello")"#), "{sent}");
    assert!(
        sent.contains("peer=the lab ") && sent.contains("thread=\"a_call_is_four_lines-"),
        "{sent}"
    );
    let received =
        line(&serving, &["IPC server recv request", r#"Lab.text$Params (text = "hello")"#]);
    assert!(received.contains("waited="), "{received}");
    // The number of the thread in this process; and the peer's thread, on this process's.
    let caller = quoted(&sent, "thread");
    let number = |name: &str, before: &str| {
        let number = name.strip_prefix(before).unwrap_or_else(|| panic!("{name} of {before}"));
        assert!(number.parse::<u32>().is_ok(), "{name} of {before}");
    };
    number(&caller, "a_call_is_four_lines-");
    number(&quoted(&received, "thread"), &format!("{caller}-"));
    let response = line(&serving, &["IPC server send response", "Lab.text$Results", "took="]);
    let answer = line(&calling, &["IPC client recv", "Lab.text$Results", "took="]);
    // As each side counts them: what a sender has drafted may have room left.
    for line in [&sent, &received, &response, &answer] {
        assert!((32..1000).contains(&bytes(line)), "{line}");
    }
}

#[test]
fn what_is_redacted_is_never_shown_and_errors_are() {
    let Pair { serving, calling, lab, .. } = logged();
    let error = lab.login("alice", "hunter2", vec![1, 0xab]).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
    let shown = r#"Lab.login$Params (user = "alice", password = <redacted>, hash = 01ab)"#;
    line(&calling, &["IPC client send", shown]);
    line(&serving, &["IPC server recv request", shown]);
    line(&serving, &["IPC server send response", "Lab.login failed: "]);
    line(&calling, &["IPC client recv", "Lab.login failed: "]);
    assert!(!String::from_utf8_lossy(&LOG.lock().unwrap()).contains("hunter2"));
}

#[test]
fn long_parameters_are_cut_off() {
    let Pair { serving, calling, lab, .. } = logged();
    lab.text("x".repeat(1 << 20)).wait().unwrap();
    let beginning = format!("Lab.text$Params (text = \"{}...)", "x".repeat(192));
    for line in [
        line(&calling, &["IPC client send", &beginning]),
        line(&serving, &["IPC server recv request", &beginning]),
    ] {
        assert!(line.len() < 600, "{line}");
        assert!((1 << 20..(1 << 20) + 1000).contains(&bytes(&line)), "{line}");
    }
}

/// Whatever the method returns: nobody gets it.
#[test]
fn a_call_that_timed_out_has_done_so_here_and_is_cancelled_there() {
    let soon = Duration::from_millis(1);
    for future in [false, true] {
        let Pair { serving, calling, lab, .. } = logged();
        calling.name_peer("the lab");
        let call = lab.block("gate").timeout(soon);
        let late = if future { block_on(call) } else { call.wait() };
        let Err(Error::Timeout(late)) = late else { panic!("{late:?}") };
        assert_eq!(late.to_string(), "no answer within 1ms to Lab.block from the lab");
        let end = "Lab.block timed out: no answer within 1ms";
        let line = line(&calling, &["IPC client recv", end]);
        assert_eq!(quoted(&line, "outcome"), "timed out");
        is_cancelled(&serving);
    }
}

#[test]
fn a_call_that_was_let_go_is_cancelled_on_both_sides() {
    for running in [false, true] {
        let Pair { server, serving, calling, lab } = logged();
        {
            let mut future = pin!(lab.block("gate"));
            let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            // Else it may be let go before its method begins.
            wait_until("it runs", || !running || server.is_blocked("gate"));
        }
        let line = line(&calling, &["IPC client recv", "Lab.block cancelled"]);
        assert_eq!(quoted(&line, "outcome"), "cancelled");
        is_cancelled(&serving);
    }
}

/// The method sees that, and returns results that nobody waits for; or it has not begun.
fn is_cancelled(serving: &Connection) {
    let line = line(serving, &["IPC server send response", "Lab.block"]);
    assert!(line.contains("Lab.block cancelled") && !line.contains("bytes="), "{line}");
    assert_eq!(quoted(&line, "outcome"), "cancelled");
}

#[test]
fn a_call_whose_connection_ends_is_lost_on_both_sides() {
    let Pair { server, serving, calling, lab } = logged();
    let call = lab.block("gate").start();
    wait_until("it runs", || server.is_blocked("gate"));
    calling.disconnect();
    assert!(call.wait().unwrap_err().is_disconnect());
    let ours = line(&calling, &["IPC client recv", "Lab.block lost: disconnected: this side"]);
    assert_eq!(ours.matches("disconnected: ").count(), 1, "{ours}");
    let theirs = line(&serving, &["IPC server send response", "Lab.block lost: disconnected: "]);
    for line in [ours, theirs] {
        assert_eq!(quoted(&line, "outcome"), "lost");
    }
}

#[test]
fn calls_that_are_answered_or_fail_say_so() {
    let Pair { serving, calling, lab, .. } = logged();
    lab.text("hello").wait().unwrap();
    lab.login("alice", "", vec![]).wait().unwrap_err();
    for (conn, what) in [(&calling, "IPC client recv"), (&serving, "IPC server send response")] {
        let answered = line(conn, &[what, "Lab.text$Results"]);
        assert_eq!(quoted(&answered, "outcome"), "answered");
        let failed = line(conn, &[what, "Lab.login failed: not implemented"]);
        assert_eq!(quoted(&failed, "outcome"), "failed");
    }
}
