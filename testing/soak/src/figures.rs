//! Measures, and asserts nothing: how soon calls end with their server, and children on request.

use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::process::Command;
use multiprocess::{Connection, Server};
use rustix::process::{Pid, Signal, kill_process};

use crate::beside;
use crate::child::{self, Role};
use crate::generated::soak::MillClient;
use crate::mill::{HANGS, MillServer};

const KILLS: usize = 200;
const CALLS: u64 = 50;

/// Prints all figures.
///
/// # Errors
/// What kept one of them from being measured.
pub(crate) fn print(seconds: u64) -> Result<(), String> {
    let mut ends = Vec::new();
    for _ in 0..KILLS {
        ends.extend(death()?);
    }
    println!("killed server to the end of a call: {} (target: p99 < 50 ms)", told(ends));
    let downs: Vec<_> = (0..10).map(|_| shutdown()).collect::<Result<_, _>>()?;
    println!("shutdown with {CALLS} clients in calls: {} (target: < 2 s)", told(downs));
    println!("a stopped child gone: {} (target: < 5 s)", told(vec![stuck(true)?]));
    println!("one that ignores SIGTERM: {} (target: < 5 s)", told(vec![stuck(false)?]));
    beside::print(seconds)
}

/// How many, the median, the 99th percentile and the most.
pub(crate) fn told(mut times: Vec<Duration>) -> String {
    let [median, most] = percentiles(&mut times, [50, 99]);
    let last = times.last().copied().unwrap_or_default();
    format!("{} times, p50 {median:.2?}, p99 {most:.2?}, most {last:.2?}", times.len())
}

/// Sorts the times.
pub(crate) fn percentiles<const N: usize>(
    times: &mut [Duration],
    which: [usize; N],
) -> [Duration; N] {
    times.sort_unstable();
    which.map(|percent| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn signal(id: u32, signal: Signal) -> Result<(), String> {
    let number = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    kill_process(number, signal).map_err(text)
}

/// The time from the kill to the end of each call that a thread waits for.
fn death() -> Result<Vec<Duration>, String> {
    let (child, socket) = child::start(Role::Serves)?;
    let mill: MillClient = Connection::new(socket).map_err(text)?.bootstrap().map_err(text)?;
    thread::scope(|scope| {
        let (sent, sends) = mpsc::channel();
        let callers: Vec<_> = (0..CALLS)
            .map(|ticket| {
                let (mill, sent) = (&mill, sent.clone());
                scope.spawn(move || {
                    let call = mill.block(ticket).timeout(HANGS).start();
                    let _ = sent.send(());
                    let outcome = call.wait();
                    (outcome.is_err_and(|error| error.is_disconnect()), Instant::now())
                })
            })
            .collect();
        sends.iter().take(CALLS as usize).for_each(drop);
        // When this is answered, the calls before it have arrived.
        mill.echo_inline(vec![1]).wait().map_err(text)?;
        let killed = Instant::now();
        signal(child.id(), Signal::KILL)?;
        callers
            .into_iter()
            .map(|caller| match caller.join() {
                Ok((true, ended)) => Ok(ended - killed),
                _ => Err("a call did not end with its server".to_owned()),
            })
            .collect()
    })
}

/// The time that a server takes to end while clients are in calls, and their calls with it.
fn shutdown() -> Result<Duration, String> {
    let dir = tempfile::tempdir().map_err(text)?;
    let mill = MillServer::new();
    let server = Server::listen(dir.path().join("socket"), mill.client()).map_err(text)?;
    let mut calls = Vec::new();
    for ticket in 0..CALLS {
        let socket = UnixStream::connect(server.path()).map_err(text)?;
        let client: MillClient =
            Connection::new(socket).map_err(text)?.bootstrap().map_err(text)?;
        calls.push(client.block(ticket).start());
        mill.wait_runs(ticket)?;
    }
    let began = Instant::now();
    if !server.disconnect_all(HANGS) {
        return Err("the server does not end".to_owned());
    }
    drop(server);
    for call in calls {
        if !call.timeout(HANGS).wait().is_err_and(|error| error.is_disconnect()) {
            return Err("a call did not end with its server".to_owned());
        }
    }
    mill.wait_idle()?;
    Ok(began.elapsed())
}

/// The time that a child takes to go which is stopped, or ignores SIGTERM.
fn stuck(stopped: bool) -> Result<Duration, String> {
    let script = if stopped {
        "echo >&$0; exec sleep 1000"
    } else {
        "trap '' TERM; echo >&$0; exec sleep 1000"
    };
    let (child, socket) = Command::new("/bin/bash").arg("-c").arg(script).spawn().map_err(text)?;
    // It has begun, and ignores the signal by now.
    let mut begun = [0];
    std::io::Read::read_exact(&mut &socket, &mut begun).map_err(text)?;
    if stopped {
        signal(child.id(), Signal::STOP)?;
    }
    let began = Instant::now();
    drop(socket);
    child.end().map_err(text)?;
    Ok(began.elapsed())
}
