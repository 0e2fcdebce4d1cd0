//! A snapshot as it is sent.

use std::time::Duration;

use super::generated::monitor::{
    CallNow, ConnectionNow, LimitMet, MethodCounts, Snapshot, ThreadNow,
};
use crate::diagnostics;
use crate::stats::{self, MethodStats, Side};

pub(super) fn of(now: diagnostics::Snapshot) -> Snapshot {
    let busy = now.connections.is_none() || now.threads.is_none();
    let limits = now.limits_met.iter();
    let limits =
        limits.map(|(limit, times)| LimitMet { limit: format!("{limit:?}"), times: *times });
    Snapshot {
        pid: now.pid,
        program: now.program,
        counted_for: stats::enabled_for().map_or(0, nanos),
        busy,
        connections: now.connections.unwrap_or_default().into_iter().map(connection).collect(),
        threads: now.threads.unwrap_or_default().into_iter().map(thread).collect(),
        limits: limits.collect(),
        methods: stats::methods().iter().map(method).collect(),
    }
}

/// For five hundred years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn connection(now: diagnostics::ConnectionNow) -> ConnectionNow {
    let seen = ConnectionNow {
        number: now.number,
        peer: now.peer_name.unwrap_or_default(),
        has_credentials: now.peer.is_some(),
        pid: now.peer.and_then(|peer| peer.pid).unwrap_or(0),
        uid: now.peer.map_or(0, |peer| peer.uid),
        age: nanos(now.age),
        ended: now.ended.unwrap_or_default(),
        unsent: now.unsent as u64,
        busy: now.inside.is_none(),
        ..ConnectionNow::default()
    };
    let Some(inside) = now.inside else { return seen };
    let [_, _, _, held] = inside.tables;
    ConnectionNow {
        objects: inside.objects as u64,
        held: held as u64,
        held_bytes: inside.held_bytes as u64,
        calls: inside.calls.into_iter().map(call).collect(),
        serves: inside.serves.into_iter().map(call).collect(),
        ..seen
    }
}

fn call(now: diagnostics::CallNow) -> CallNow {
    CallNow {
        method: now.method.to_owned(),
        age: nanos(now.age),
        thread: now.thread.unwrap_or_default(),
        state: now.state,
    }
}

fn thread(now: diagnostics::ThreadNow) -> ThreadNow {
    // The innermost is what it does now.
    let last = |work: Vec<(u64, &'static str, Duration)>| {
        work.last().map(|(_, method, _)| (*method).to_owned()).unwrap_or_default()
    };
    ThreadNow { name: now.name, own: now.own, runs: last(now.runs), waits: last(now.waits) }
}

fn method(counted: &MethodStats) -> MethodCounts {
    MethodCounts {
        method: counted.method.to_owned(),
        served: counted.side == Side::Served,
        answered: counted.answered,
        failed: counted.failed,
        cancelled: counted.cancelled,
        timed_out: counted.timed_out,
        lost: counted.lost,
        parameter_bytes: counted.parameter_bytes,
        result_bytes: counted.result_bytes,
        time: nanos(counted.latency.sum()),
        longest: nanos(counted.latency.max()),
        buckets: counted.latency.buckets().to_vec(),
    }
}
