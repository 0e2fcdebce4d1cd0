//! How many system calls one of our calls makes, in the client's process and in the server's. They
//! are counted with strace, which slows the processes down, so that threads may block more often
//! than without it.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use multiprocess_bench::Failure;

use crate::measure::Amount;
use crate::sides::Column;
use crate::work::{Unit, Work};

/// Whether there is an strace that can trace.
pub(crate) fn can_be_counted() -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "true"]).stdin(Stdio::null());
    strace.stdout(Stdio::null()).stderr(Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

/// The counts of the client and of the server; None for work that starts a server for each call.
pub(crate) fn count(work: Work) -> Result<Option<[f64; 2]>, Failure> {
    let calls = match work {
        Work::Spawn | Work::Connect => return Ok(None),
        _ if work.unit() == Unit::Bytes => return Ok(None),
        Work::Echo(size) if size > 1 << 20 => 4,
        Work::Echo(size) if size > 1 << 16 => 40,
        _ => 400,
    };
    per_call(work, calls).map(Some)
}

/// Prints the same, from a run of that many calls and one of twice as many.
pub(crate) fn print_count(work: &str, calls: usize) -> Result<(), Failure> {
    let work = Work::named(work).ok_or("no such row")?;
    let [client, server] = per_call(work, calls)?;
    println!("{client:.2} {server:.2}");
    Ok(())
}

fn per_call(work: Work, calls: usize) -> Result<[f64; 2], Failure> {
    // System calls at the start and the end are in both counts, and cancel out.
    let once = traced(work, calls)?;
    let twice = traced(work, 2 * calls)?;
    Ok([0, 1].map(|process| (twice[process] - once[process]) / calls as f64))
}

fn traced(work: Work, calls: usize) -> Result<[f64; 2], Failure> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    let output = Command::new("strace")
        .args(["-f", "-q", "-o"])
        .arg(&log)
        .arg(std::env::current_exe()?)
        .args(["--count", &work.name(), &calls.to_string()])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    let server: u32 = String::from_utf8(output.stdout)?.trim().parse()?;
    counted(&log, server)
}

/// Runs under strace: makes the calls and prints the server's process id.
pub(crate) fn print(work: &str, calls: usize) -> Result<(), Failure> {
    let work = Work::named(work).ok_or("no such row")?;
    let mut ours = Column::Ours.side(None);
    let sample = ours.measure(work, Amount::Calls(calls))?.ok_or("nothing to count")?;
    println!("{}", sample.watch.server.ok_or("no one server")?);
    Ok(())
}

fn counted(log: &Path, server: u32) -> Result<[f64; 2], Failure> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let lines = || text.lines().filter_map(|line| line.split_once(' '));
    let mut parents = HashMap::new();
    for (thread, what) in lines() {
        // A system call that was interrupted by another thread's output ends in a line of its own.
        let clone = ["clone", "<... clone", "fork", "vfork", "<... vfork"];
        if clone.iter().any(|name| what.trim_start().starts_with(name))
            && let Some((_, made)) = what.rsplit_once(" = ")
            && let (Ok(thread), Ok(made)) = (thread.parse::<u32>(), made.trim().parse::<u32>())
        {
            parents.insert(made, thread);
        }
    }
    let is_servers = |thread: u32| {
        let ancestors = std::iter::successors(Some(thread), |thread| parents.get(thread).copied());
        // Thread ids may be reused, so the number of steps is limited to the number of threads.
        ancestors.take(parents.len() + 1).any(|thread| thread == server)
    };
    let mut counts = [0.0; 2];
    for (thread, what) in lines() {
        let what = what.trim_start();
        if !what.starts_with(['<', '-', '+']) {
            counts[usize::from(is_servers(thread.parse()?))] += 1.0;
        }
    }
    Ok(counts)
}
