//! What is shown of a snapshot, as plain data. Texts that the server sent have no control characters here.

use std::time::Duration;

use multiprocess::monitor::{CallNow, ConnectionNow, MethodCounts, Snapshot};

use crate::output::one_line;

/// One look at a server.
#[derive(Debug)]
pub(super) struct View {
    pub(super) pid: u32,
    pub(super) program: String,
    pub(super) busy: bool,
    pub(super) counted_for: Duration,
    /// Threads of the runtime, and those of the program that call or serve.
    pub(super) threads: [usize; 2],
    pub(super) limits: Vec<(String, u64)>,
    pub(super) connections: Vec<ConnectionRow>,
    /// The oldest first.
    pub(super) calls: Vec<CallRow>,
    pub(super) methods: Vec<MethodRow>,
}

#[derive(Debug)]
pub(super) struct ConnectionRow {
    pub(super) number: u64,
    pub(super) peer: String,
    pub(super) pid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) age: Duration,
    /// None: its lock was held, and what is inside is not known.
    pub(super) inside: Option<InsideRow>,
    pub(super) unsent: u64,
}

#[derive(Debug)]
pub(super) struct InsideRow {
    /// Calls that the server serves, and that it makes.
    pub(super) serves: usize,
    pub(super) calls: usize,
    /// Objects that the peer has, and that it has given.
    pub(super) objects: u64,
    pub(super) held: u64,
    pub(super) held_bytes: u64,
}

/// A call that is under way.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) connection: u64,
    pub(super) served: bool,
    pub(super) method: String,
    pub(super) age: Duration,
    pub(super) thread: String,
    pub(super) state: String,
}

/// The calls of one method that have ended.
#[derive(Debug, Clone)]
pub(super) struct MethodRow {
    pub(super) method: String,
    pub(super) served: bool,
    pub(super) calls: u64,
    /// Since the look before; at the first one, since they are counted.
    pub(super) per_second: f64,
    /// Failed, cancelled, timed out, lost.
    pub(super) ends: [u64; 4],
    pub(super) half: Duration,
    pub(super) most: Duration,
    pub(super) longest: Duration,
    pub(super) bytes: [u64; 2],
}

impl View {
    /// `before`: the snapshot before, from which on the rates are. One of another process is none.
    pub(super) fn new(now: Snapshot, before: Option<&Snapshot>) -> View {
        let before =
            before.filter(|before| before.pid == now.pid && before.counted_for < now.counted_for);
        let since = before.map_or(0, |before| before.counted_for);
        let seconds = Duration::from_nanos(now.counted_for - since).as_secs_f64();
        let method = |row: &MethodCounts| {
            let same = |old: &&MethodCounts| old.method == row.method && old.served == row.served;
            let old = before.and_then(|before| before.methods.iter().find(same));
            let new = row.calls().saturating_sub(old.map_or(0, MethodCounts::calls));
            method_row(row, if seconds > 0.0 { new as f64 / seconds } else { 0.0 })
        };
        let own = now.threads.iter().filter(|thread| thread.own).count();
        let mut calls: Vec<CallRow> = now.connections.iter().flat_map(calls_of).collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.age));
        View {
            pid: now.pid,
            program: one_line(&now.program),
            busy: now.busy,
            counted_for: Duration::from_nanos(now.counted_for),
            threads: [own, now.threads.len() - own],
            limits: now.limits.iter().map(|met| (one_line(&met.limit), met.times)).collect(),
            connections: now.connections.iter().map(connection_row).collect(),
            calls,
            methods: now.methods.iter().map(method).collect(),
        }
    }
}

fn connection_row(now: &ConnectionNow) -> ConnectionRow {
    let inside = InsideRow {
        serves: now.serves.len(),
        calls: now.calls.len(),
        objects: now.objects,
        held: now.held,
        held_bytes: now.held_bytes,
    };
    ConnectionRow {
        number: now.number,
        peer: one_line(&now.peer),
        pid: Some(now.pid).filter(|pid| now.has_credentials && *pid != 0),
        uid: Some(now.uid).filter(|_| now.has_credentials),
        age: Duration::from_nanos(now.age),
        inside: (!now.busy).then_some(inside),
        unsent: now.unsent,
    }
}

fn calls_of(now: &ConnectionNow) -> impl Iterator<Item = CallRow> {
    let row = move |served| {
        move |call: &CallNow| CallRow {
            connection: now.number,
            served,
            method: one_line(&call.method),
            age: Duration::from_nanos(call.age),
            thread: one_line(&call.thread),
            state: one_line(&call.state),
        }
    };
    now.serves.iter().map(row(true)).chain(now.calls.iter().map(row(false)))
}

fn method_row(row: &MethodCounts, per_second: f64) -> MethodRow {
    MethodRow {
        method: one_line(&row.method),
        served: row.served,
        calls: row.calls(),
        per_second,
        ends: [row.failed, row.cancelled, row.timed_out, row.lost],
        half: row.quantile(0.5),
        most: row.quantile(0.99),
        longest: Duration::from_nanos(row.longest),
        bytes: [row.parameter_bytes, row.result_bytes],
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A snapshot with these calls of a method that have been answered.
    pub(in super::super) fn snapshot(pid: u32, seconds: u64, answered: u64) -> Snapshot {
        let mut method = MethodCounts::default();
        method.method = "Mining.getTip".to_owned();
        method.served = true;
        method.answered = answered;
        method.longest = 900_000;
        method.buckets = vec![0, answered];
        let mut call = CallNow::default();
        call.method = "Mining.waitTipChanged".to_owned();
        call.age = 2_500_000_000;
        call.state = "runs".to_owned();
        let mut older = call.clone();
        (older.method, older.age) = ("Rpc.executeRpc".to_owned(), 3_000_000_000);
        let mut connection = ConnectionNow::default();
        (connection.number, connection.peer) = (4, "pool\x1b[2J".to_owned());
        (connection.has_credentials, connection.pid, connection.uid) = (true, 77, 1000);
        (connection.objects, connection.held_bytes) = (3, 4096);
        (connection.serves, connection.calls) = (vec![call], vec![older]);
        let mut snapshot = Snapshot::default();
        (snapshot.pid, snapshot.program) = (pid, "bitcoin-node".to_owned());
        snapshot.counted_for = seconds * 1_000_000_000;
        (snapshot.connections, snapshot.methods) = (vec![connection], vec![method]);
        snapshot
    }

    fn rate(now: Snapshot, before: Option<&Snapshot>) -> f64 {
        View::new(now, before).methods[0].per_second
    }

    #[test]
    fn rates_are_since_the_look_before() {
        let before = snapshot(1, 10, 100);
        assert_eq!(rate(before.clone(), None), 10.0);
        assert_eq!(rate(snapshot(1, 12, 110), Some(&before)), 5.0);
        // Another process, or the same number again.
        assert_eq!(rate(snapshot(2, 20, 100), Some(&before)), 5.0);
        assert_eq!(rate(snapshot(1, 5, 100), Some(&before)), 20.0);
        assert_eq!(rate(snapshot(1, 0, 100), None), 0.0, "they are not counted");
    }

    #[test]
    fn what_the_server_sent_is_harmless_and_the_oldest_call_comes_first() {
        let view = View::new(snapshot(1, 1, 4), None);
        assert_eq!(view.connections[0].peer, "pool\\u{1b}[2J");
        assert_eq!((view.connections[0].pid, view.connections[0].uid), (Some(77), Some(1000)));
        let calls: Vec<_> = view.calls.iter().map(|it| (it.method.as_str(), it.served)).collect();
        assert_eq!(calls, [("Rpc.executeRpc", false), ("Mining.waitTipChanged", true)]);
        // At the upper end of its bucket, and no more than the longest.
        assert_eq!(view.methods[0].half, Duration::from_micros(2).min(view.methods[0].longest));
    }
}
