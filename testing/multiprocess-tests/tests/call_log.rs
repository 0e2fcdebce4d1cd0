//! The log of calls: who called whom, with what, how long it took. The subscriber is the whole process's, so
//! this is a program of its own; its tests look at the lines of their own connections.

use std::io::Write;
use std::pin::pin;
use std::sync::{LazyLock, Mutex, Once};
use std::task::{Context, Waker};
use std::time::Duration;

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
    assert!(
        received.contains("thread=\"a_call_is_fo"),
        "of the thread that the peer named: {received}"
    );
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

#[test]
fn calls_that_end_otherwise_are_told() {
    let Pair { server, serving, calling, lab } = logged();
    let error = lab.block("gate").timeout(Duration::from_millis(1)).wait().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)));
    line(&calling, &["IPC client recv", "Lab.block failed: no answer within 1ms"]);
    // As a future that is dropped.
    {
        let mut future = pin!(lab.hold(None));
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    line(&calling, &["IPC client recv", "Lab.hold "]);
    server.let_go("gate");
    line(&serving, &["IPC server send response", "Lab.block"]);
}
