//! Collects a snapshot, without waiting for a lock.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use super::state::{CallNow, ConnectionNow, Inside, Snapshot, ThreadNow};
use crate::connection::{ArcConn, try_connections};
use crate::forked::is_forked;
use crate::limits_met::ALL;
use crate::process::peer_credentials;
use crate::session::{Asked, Served, UnderWay, WhoWaits};
use crate::thread_list::{self, Listed};
use crate::threads::Place;

/// Collects what this process is doing. In a fork of the process there is nothing: what was there is the
/// parent's.
pub fn snapshot() -> Snapshot {
    let (mut connections, mut threads) = (None, None);
    if !is_forked() {
        let listed = patiently(thread_list::try_all);
        let names = listed.unwrap_or_default();
        let mut collected = Collected { now: BTreeMap::new(), names: &names };
        connections = patiently(try_connections)
            .map(|all| all.iter().map(|conn| collected.connection(conn)).collect());
        let found = collected.now;
        threads = (!names.is_empty()).then(|| threads_now(&names, found));
    }
    let met = ALL.iter().map(|limit| (*limit, limit.times_met()));
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default();
    Snapshot {
        pid: std::process::id(),
        program: program.to_string_lossy().into_owned(),
        connections,
        threads,
        limits_met: met.filter(|(_, times)| *times > 0).collect(),
    }
}

/// Tries for some 20 ms: locks are held for less than that, unless something is wrong.
fn patiently<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..20 {
        if let Some(seen) = look() {
            return Some(seen);
        }
        sleep(Duration::from_millis(1));
    }
    look()
}

/// What a thread runs and waits for: connection, method, age.
type Work = (u64, &'static str, Duration);

struct Collected<'a> {
    names: &'a BTreeMap<u64, Listed>,
    now: BTreeMap<u64, (Vec<Work>, Vec<Work>)>,
}

impl Collected<'_> {
    fn connection(&mut self, conn: &ArcConn) -> ConnectionNow {
        let inside = patiently(|| conn.try_look(|core| core.under_way()));
        ConnectionNow {
            number: conn.number(),
            peer_name: conn.peer_name().map(str::to_owned),
            peer: peer_credentials(&***conn.socket()).ok(),
            age: conn.since().elapsed(),
            ended: conn.ended().map(ToString::to_string),
            unsent: conn.unsent(),
            cleanup: patiently(|| conn.cleanup().try_running()).map(|(running, _)| running),
            inside: inside.map(|inside| self.inside(conn.number(), inside)),
        }
    }

    fn inside(&mut self, number: u64, inside: UnderWay) -> Inside {
        let UnderWay { tables, held_bytes, objects, asked, wait_for_room, served } = inside;
        let calls = asked.iter().map(|asked| self.call(number, asked)).collect();
        let serves = served.iter().map(|served| self.serve(number, served)).collect();
        Inside { tables, objects, held_bytes, calls, wait_for_room, serves }
    }

    fn call(&mut self, conn: u64, asked: &Asked) -> CallNow {
        let Asked { method, since, thread, waits, sent } = *asked;
        let age = since.elapsed();
        let state = match (waits, sent) {
            (_, false) => "waits for streaming calls before it",
            (WhoWaits::Thread, _) => "a thread waits for the answer",
            (WhoWaits::Future, _) => "a future waits for the answer",
            (WhoWaits::Nobody, _) => "nobody waits for the answer yet",
            (WhoWaits::Cancelled, _) => "cancelled, and the peer has not ended it",
            (WhoWaits::Unknown, _) => "under way",
        };
        if waits == WhoWaits::Thread {
            self.now.entry(thread).or_default().1.push((conn, method, age));
        }
        CallNow { method, age, thread: self.name(thread), state: state.to_owned() }
    }

    fn serve(&mut self, conn: u64, served: &Served) -> CallNow {
        let Served { about, place, names, cancelled } = served;
        let (method, age) = (about.method, about.since.elapsed());
        let mut state = match (place, names) {
            (Place::Thread(_), _) => "runs".to_owned(),
            (Place::Future, _) => "a future, which its executor polls".to_owned(),
            (Place::Queued, Some(name)) => format!("waits for its turn on the thread {name:?}"),
            (Place::Queued, None) => "waits for its turn".to_owned(),
        };
        if *cancelled {
            state.push_str(", cancelled");
        }
        let mut thread = None;
        if let Place::Thread(number) = *place {
            self.now.entry(number).or_default().0.push((conn, method, age));
            thread = self.name(number);
        }
        CallNow { method, age, thread, state }
    }

    fn name(&self, thread: u64) -> Option<String> {
        self.names.get(&thread).map(|listed| listed.name.clone())
    }
}

fn threads_now(
    names: &BTreeMap<u64, Listed>,
    mut found: BTreeMap<u64, (Vec<Work>, Vec<Work>)>,
) -> Vec<ThreadNow> {
    let thread = |(number, listed): (&u64, &Listed)| {
        let (runs, waits) = found.remove(number).unwrap_or_default();
        let Listed { name, own, system_id } = listed.clone();
        ThreadNow { name, system_id, own, runs, waits }
    };
    names.iter().map(thread).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::snapshot;

    /// Neither does it wait for a lock that is held, even by the thread that asks.
    #[test]
    fn where_a_lock_is_held_it_says_busy() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let conn = crate::session::start(ours.into(), Default::default(), None).unwrap();
        let number = conn.number();
        let find = |busy: bool| {
            let snapshot = snapshot();
            let mut all = snapshot.connections.iter().flatten();
            let found = all.find(|found| found.number == number).expect("it is on the list");
            assert_eq!(found.inside.is_none(), busy);
            assert_eq!(format!("{found}").contains("busy"), busy, "{found}");
        };
        find(false);
        conn.enter(|_core| find(true));
        find(false);
    }
}
