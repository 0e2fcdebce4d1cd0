//! Measures an honest client beside an idle one, and beside hostile ones at full speed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::process::Child;
use multiprocess::{Connection, Server};

use crate::child::{self, BOOTSTRAP, Role};
use crate::figures::{percentiles, told};
use crate::generated::soak::MillClient;
use crate::mill::{HANGS, MillServer};
use crate::world::peak_of;

/// What a hostile client does to the server at a path. None when the server has closed.
type Attack = fn(&Path) -> Option<()>;

/// The kinds of hostile clients.
const KINDS: [(&str, Attack); 6] = [
    ("garbage bytes", garbage),
    ("unread answers", unread),
    ("connects", connects),
    ("partial messages", partial),
    ("threads", threads),
    ("cancels", cancels),
];

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Prints the honest client's times, for so many seconds in all. Beside each attack on its server stands
/// the same one on another server: what that costs is the machine's share, not the server's.
pub(crate) fn print(seconds: u64) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(text)?;
    let (path, other) = (dir.path().join("socket"), dir.path().join("other"));
    let (server, alive) = serve_at(&path)?;
    let (another, other_alive) = serve_at(&other)?;
    let socket = UnixStream::connect(&path).map_err(text)?;
    let mill: MillClient = Connection::new(socket).map_err(text)?.bootstrap().map_err(text)?;
    let each = Duration::from_secs(seconds.max(13)) / (2 * KINDS.len() as u32 + 1);
    let mut idle = measure(&mill, each)?;
    let [_, before] = percentiles(&mut idle, [50, 99]);
    println!("honest calls beside an idle client: {}", told(idle));
    for (name, _) in KINDS {
        let mut elsewhere = beside(name, &other, &mill, each)?;
        let mut here = beside(name, &path, &mill, each)?;
        let [own, machines] =
            [&mut here, &mut elsewhere].map(|times| percentiles(times, [99])[0].as_secs_f64());
        println!("beside {name}: {}", told(here));
        println!(
            "  p99 x {:.1} (target: 5), x {:.1} of that beside the same attack on another server; \
             most memory so far {} MiB",
            own / before.as_secs_f64(),
            own / machines,
            peak_of(server.id()) >> 10
        );
    }
    drop((alive, other_alive));
    another.end().map_err(text)?;
    server.end().map(drop).map_err(text)
}

/// The honest client's times beside an attack on the server at a path.
fn beside(
    name: &str,
    path: &Path,
    mill: &MillClient,
    each: Duration,
) -> Result<Vec<Duration>, String> {
    let hostile = child::start_at(Role::Hostile, path, name)?;
    let times = measure(mill, each)?;
    stop(hostile)?;
    Ok(times)
}

/// Starts a process that serves at a path while the returned socket is open.
fn serve_at(path: &Path) -> Result<(Child, UnixStream), String> {
    let (server, mut alive) = child::start_at(Role::ServesAt, path, "")?;
    alive.read_exact(&mut [0]).map_err(text)?;
    Ok((server, alive))
}

/// The time of each call.
fn measure(mill: &MillClient, time: Duration) -> Result<Vec<Duration>, String> {
    let (until, mut times) = (Instant::now() + time, Vec::new());
    while Instant::now() < until {
        let began = Instant::now();
        mill.echo(vec![1; 100]).timeout(HANGS).wait().map_err(text)?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn stop((child, socket): (Child, UnixStream)) -> Result<(), String> {
    if child.try_wait().map_err(text)?.is_some() {
        return Err("the hostile client ended by itself".to_owned());
    }
    drop(socket);
    child.shutdown(Duration::ZERO).map(drop).map_err(text)
}

/// The main function of the server's process: tells its parent that it listens, and serves until the
/// parent goes.
pub(crate) fn serve(mut parent: UnixStream, path: &Path) -> Result<(), String> {
    let server = Server::listen(path, MillServer::new().client()).map_err(text)?;
    parent.write_all(&[1]).map_err(text)?;
    let _ = parent.read(&mut [0]);
    drop(server);
    Ok(())
}

/// The main function of a hostile client's process, which its parent ends.
pub(crate) fn attack(path: &Path, kind: &str) -> Result<(), String> {
    let named = KINDS.iter().find(|(name, _)| *name == kind);
    let (_, attack) = named.ok_or_else(|| format!("no kind {kind}"))?;
    loop {
        // An attack that the server ended begins again.
        let _ = attack(path);
    }
}

fn garbage(path: &Path) -> Option<()> {
    let mut stream = UnixStream::connect(path).ok()?;
    let mut state = u64::from(std::process::id());
    loop {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let bytes: Vec<u8> = (0..512).flat_map(|_| next().to_le_bytes()).collect();
        stream.write_all(&bytes).ok()?;
    }
}

fn unread(path: &Path) -> Option<()> {
    let mut stream = UnixStream::connect(path).ok()?;
    let mut question = 0_u32;
    loop {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            let mut message = BOOTSTRAP;
            message[32..36].copy_from_slice(&question.to_le_bytes());
            bytes.extend(message);
            question += 1;
        }
        stream.write_all(&bytes).ok()?;
    }
}

fn connects(path: &Path) -> Option<()> {
    UnixStream::connect(path).ok().map(drop)
}

/// Sixteen messages of 60 MiB, of which the last byte is missing.
fn partial(path: &Path) -> Option<()> {
    let words = (60_u32 << 20) / 8;
    let mut streams = Vec::new();
    for _ in 0..16 {
        let mut stream = UnixStream::connect(path).ok()?;
        stream.write_all(&[0; 4]).ok()?;
        stream.write_all(&words.to_le_bytes()).ok()?;
        streams.push(stream);
    }
    let piece = vec![0; 64 << 10];
    for _ in 0..60 * 16 - 1 {
        streams.retain_mut(|stream| stream.write_all(&piece).is_ok());
    }
    Some(())
}

fn client(path: &Path) -> Option<MillClient> {
    Connection::new(UnixStream::connect(path).ok()?).ok()?.bootstrap().ok()
}

/// Each thread that calls asks for a thread of the server's.
fn threads(path: &Path) -> Option<()> {
    let mill = client(path)?;
    loop {
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| mill.echo(vec![1]).wait().is_ok());
            }
        });
    }
}

fn cancels(path: &Path) -> Option<()> {
    let mill = client(path)?;
    for ticket in 0..100_000 {
        drop(mill.block(ticket).start());
    }
    Some(())
}
