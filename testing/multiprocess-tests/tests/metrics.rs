//! What the recorder of the crate `metrics` gets. It is the whole process's, so this is a program of its own.

use metrics::{Key, Label, SharedString, Unit};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use multiprocess::{diagnostics, stats};
use multiprocess_tests::{Pair, pair, wait_until};

type All = Vec<(CompositeKey, Option<Unit>, Option<SharedString>, DebugValue)>;

/// The value of the metric of this name with exactly these labels.
#[track_caller]
fn value<'a>(all: &'a All, name: &str, labels: &[(&str, &str)]) -> &'a DebugValue {
    let has = |it: &Label| labels.contains(&(it.key(), it.value()));
    let fits = |key: &Key| {
        key.name() == name && key.labels().len() == labels.len() && key.labels().all(has)
    };
    let found = all.iter().find(|(key, ..)| fits(key.key()));
    found.map(|(_, _, _, value)| value).unwrap_or_else(|| panic!("no {name} of {labels:?}"))
}

#[test]
fn a_recorder_gets_each_call_and_the_gauges() {
    let recorder = DebuggingRecorder::new();
    let all = recorder.snapshotter();
    recorder.install().unwrap();
    let Pair { server, lab, serving: _serving, .. } = pair();
    lab.text("before it is on").wait().unwrap();
    assert!(all.snapshot().into_vec().is_empty());
    stats::enable();
    lab.text("x".repeat(1000)).wait().unwrap();
    lab.fail("no").wait().unwrap_err();
    let counted = || stats::methods().iter().map(stats::MethodStats::calls).sum::<u64>();
    wait_until("both sides have noted both", || counted() == 4);
    // It empties the histograms, so all is read from this one.
    let snapshot = all.snapshot().into_vec();
    for side in ["called", "served"] {
        for (method, outcome) in [("Lab.text", "answered"), ("Lab.fail", "failed")] {
            let labels = [("method", method), ("side", side), ("outcome", outcome)];
            assert_eq!(
                *value(&snapshot, "multiprocess_calls_total", &labels),
                DebugValue::Counter(1)
            );
            let DebugValue::Histogram(times) =
                value(&snapshot, "multiprocess_call_duration_seconds", &labels)
            else {
                panic!("no histogram")
            };
            assert!(times.len() == 1 && times[0].0 > 0.0 && times[0].0 < 20.0, "{times:?}");
        }
        let labels = [("method", "Lab.text"), ("side", side)];
        for name in ["multiprocess_parameter_bytes_total", "multiprocess_result_bytes_total"] {
            let DebugValue::Counter(bytes) = value(&snapshot, name, &labels) else {
                panic!("no counter")
            };
            assert!((1000..2000).contains(bytes), "{name}: {bytes}");
        }
    }

    let blocked = lab.block("exported").start();
    wait_until("it runs", || server.is_blocked("exported"));
    diagnostics::snapshot().export();
    let snapshot = all.snapshot().into_vec();
    for (name, labels, expected) in [
        ("multiprocess_connections", &[][..], 2.0),
        ("multiprocess_calls_under_way", &[("side", "called")], 1.0),
        ("multiprocess_calls_under_way", &[("side", "served")], 1.0),
        ("multiprocess_unsent_bytes", &[], 0.0),
        ("multiprocess_objects", &[], 1.0),
    ] {
        let found = value(&snapshot, name, labels);
        assert_eq!(*found, DebugValue::Gauge(expected.into()), "{name} {labels:?}");
    }
    server.let_go("exported");
    blocked.wait().unwrap();
}
