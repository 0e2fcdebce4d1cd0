//! The spans of calls: what they say, and that what a method logs is within its own. The subscriber is the whole
//! process's, so this is a program of its own; its tests look at the lines of their own methods or connections.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{LazyLock, Mutex, Once};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Result};
use multiprocess_tests::generated::waits::{SumAsync, WaitsAsync, WaitsClient};
use multiprocess_tests::{Pair, Relay, pair, wait_until};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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

/// From now on there are spans, each with a line when it ends, and this program's own events.
fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
        let log = log.with_ansi(false).with_writer(ToLog).with_span_events(FmtSpan::CLOSE);
        let wanted = |target: &str| target == "multiprocess::call" || target.starts_with("spans");
        log.finish().with(filter_fn(move |it| wanted(it.target()))).init();
    });
}

fn pair_with_spans() -> Pair {
    start();
    pair()
}

/// The one line of a connection that has all of this, when it is there.
fn line(conn: &Connection, parts: &[&str]) -> String {
    let connection = format!(" connection={} ", conn.number());
    let mut found = Vec::new();
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

fn number(line: &str, field: &str) -> u64 {
    let rest = line.split_once(&format!(" {field}=")).unwrap_or_else(|| panic!("{line}")).1;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn a_call_has_a_span_on_either_side() {
    let Pair { serving, calling, lab, .. } = pair_with_spans();
    calling.name_peer("the lab");
    lab.text("a secret ".repeat(10)).wait().unwrap();
    let called = line(&calling, &["close", r#"call{side="called" method="Lab.text""#]);
    assert!(called.contains(r#"peer="the lab""#), "{called}");
    let served = line(&serving, &["close", r#"call{side="served" method="Lab.text""#]);
    for line in [&called, &served] {
        assert!(line.contains("DEBUG") && line.contains(r#" outcome="answered""#), "{line}");
        assert!((90..1000).contains(&number(line, "parameter_bytes")), "{line}");
        assert!((90..1000).contains(&number(line, "result_bytes")), "{line}");
        number(line, "duration_us");
    }
    assert!(!String::from_utf8_lossy(&LOG.lock().unwrap()).contains("a secret"));
}

/// As `trace_id` and `parent_id`, on either side.
#[test]
fn a_span_has_the_trace_of_its_call() {
    let Pair { serving, calling, lab, .. } = pair_with_spans();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    lab.add(1, 2).trace(trace).wait().unwrap();
    lab.text("none").wait().unwrap();
    for conn in [&calling, &serving] {
        let traced = line(conn, &["close", r#"method="Lab.add""#]);
        assert!(traced.contains(" trace_id=4bf92f3577b34da6a3ce929d0e0e4736 "), "{traced}");
        assert!(traced.contains(" parent_id=00f067aa0ba902b7 "), "{traced}");
        let other = line(conn, &["close", r#"method="Lab.text""#]);
        assert!(!other.contains("trace_id") && !other.contains("parent_id"), "{other}");
    }
}

#[test]
fn it_says_how_the_call_ended() {
    let Pair { serving, calling, lab, .. } = pair_with_spans();
    lab.fail("no").wait().unwrap_err();
    lab.block("gate").timeout(Duration::from_millis(1)).wait().unwrap_err();
    for (conn, method, outcome) in [
        (&calling, "Lab.fail", "failed"),
        (&serving, "Lab.fail", "failed"),
        (&calling, "Lab.block", "timed out"),
    ] {
        let method = format!("method=\"{method}\"");
        let line = line(conn, &["close", &method, &format!(r#" outcome="{outcome}""#)]);
        assert!(!line.contains("result_bytes"), "{line}");
    }
}

/// Also where it calls on: then the call's span is within that of the call that it serves.
#[test]
fn what_a_method_logs_is_within_its_span() {
    let Pair { serving, calling, lab, .. } = pair_with_spans();
    let callback = Relay::client(|_, depth| {
        tracing::info!("in the callback");
        Ok(depth)
    });
    assert_eq!(lab.call_back(callback, 1).wait().unwrap(), 1);
    let inside = line(&calling, &["in the callback"]);
    assert!(inside.contains(r#"call{side="served" method="Callback.call""#), "{inside}");
    let within = [
        r#"call{side="served" method="Lab.callBack""#,
        r#"}:call{side="called" method="Callback.call""#,
        "close",
    ];
    line(&serving, &within);
}

struct Adds;

impl SumAsync for Adds {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        tracing::info!("begins to add");
        tokio::task::yield_now().await;
        tracing::info!("has added");
        Ok(a + b)
    }
}

impl WaitsAsync for Adds {}

#[test]
fn a_method_that_is_a_future_has_its_span_whenever_it_is_polled() {
    start();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let spawn = |task| drop(std::thread::spawn(|| block_on(task)));
    let serving = Connection::builder().serve(WaitsClient::new_async(Adds, spawn)).start(theirs);
    let serving = serving.unwrap();
    let calling = Connection::new(ours).unwrap();
    let sum: WaitsClient = calling.bootstrap().unwrap();
    assert_eq!(block_on(async { sum.add(1, 2).await }).unwrap(), 3);
    for event in ["begins to add", "has added"] {
        let line = line(&serving, &[event]);
        assert!(line.contains(r#"call{side="served" method="Sum.add""#), "{line}");
    }
    line(&serving, &["close", r#"method="Sum.add""#, r#" outcome="answered""#]);
}
