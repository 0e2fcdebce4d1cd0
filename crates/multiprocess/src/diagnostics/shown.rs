//! The text of a snapshot.

use std::fmt;
use std::time::Duration;

use super::state::{CallNow, ConnectionNow, Inside, Snapshot, ThreadNow};
use crate::count::Count;

/// What stands where a lock was not to be had.
const BUSY: &str = "busy: another thread has its lock";

/// As seconds with tenths.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "process {} ({})", self.pid, self.program)?;
        match &self.connections {
            None => writeln!(f, "connections: {BUSY}")?,
            Some(connections) => {
                connections.iter().try_for_each(|connection| connection.fmt(f))?;
            }
        }
        match &self.threads {
            None => writeln!(f, "threads: {BUSY}")?,
            Some(threads) => threads.iter().try_for_each(|thread| thread.fmt(f))?,
        }
        self.limits_met.iter().try_for_each(|(limit, times)| {
            writeln!(f, "limit met: {limit:?}, {}", Count(*times, "time"))
        })
    }
}

impl fmt::Display for ConnectionNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.number)?;
        if let Some(name) = &self.peer_name {
            write!(f, " to {name:?}")?;
        }
        if let Some(peer) = &self.peer {
            match peer.pid {
                Some(pid) if pid == std::process::id() => write!(f, " (a pair made here)")?,
                Some(pid) => write!(f, " (process {pid}, user {})", peer.uid)?,
                None => write!(f, " (user {})", peer.uid)?,
            }
        }
        write!(f, ", for {}", Seconds(self.age))?;
        match &self.ended {
            Some(why) => writeln!(f, ", ended: {why}")?,
            None => writeln!(f)?,
        }
        if self.unsent > 0 {
            let verb = if self.unsent == 1 { "waits" } else { "wait" };
            writeln!(f, "  {} {verb} for the peer to read", Count(self.unsent, "byte"))?;
        }
        for (what, age) in self.cleanup.iter().flatten() {
            writeln!(f, "  runs {what} for {}", Seconds(*age))?;
        }
        match &self.inside {
            None => writeln!(f, "  {BUSY}"),
            Some(inside) => inside.fmt(f),
        }
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [questions, answers, exports, imports] = self.tables;
        writeln!(
            f,
            "  {} served; {} of calls held; tables: {}, {}, {}, {}",
            Count(self.objects, "object"),
            Count(self.held_bytes, "byte"),
            Count(questions, "question"),
            Count(answers, "answer"),
            Count(exports, "export"),
            Count(imports, "import")
        )?;
        self.serves.iter().try_for_each(|call| writeln!(f, "  serves {call}"))?;
        self.calls.iter().try_for_each(|call| writeln!(f, "  calls {call}"))?;
        match self.wait_for_room {
            0 => Ok(()),
            1 => writeln!(f, "  1 call waits for room to be sent"),
            calls => writeln!(f, "  {calls} calls wait for room to be sent"),
        }
    }
}

impl fmt::Display for CallNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallNow { method, age, thread, state } = self;
        write!(f, "{method} for {}: {state}", Seconds(*age))?;
        match thread {
            Some(thread) => write!(f, " (thread {thread:?})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ThreadNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {:?}", self.name)?;
        if let Some(id) = self.system_id {
            write!(f, " ({id})")?;
        }
        for (conn, method, age) in &self.runs {
            write!(f, ", serves {method} of connection {conn} for {}", Seconds(*age))?;
        }
        for (conn, method, age) in &self.waits {
            write!(f, ", waits for {method} over connection {conn} for {}", Seconds(*age))?;
        }
        if self.runs.is_empty() && self.waits.is_empty() {
            write!(f, ", has no call")?;
        }
        writeln!(f)
    }
}
