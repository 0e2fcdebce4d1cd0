//! A process of its own for `tests/chaos`, which runs it under faults: `everything-process ROLE ARGUMENT...`.
//!
//! | role | what it does |
//! |---|---|
//! | `listen PATH` | serves everything at a path until its standard input ends |
//! | `steady PATH` | calls that server all the time; tells how often when it is asked by a line on its standard input |
//! | `call PATH ROUNDS` | calls that server so many rounds, each answer is checked |
//! | `spawn PROGRAM` | starts a program that serves everything, and checks all of it |
//!
//! It ends with a status of 0, or says in one line what is wrong.

use std::io::{self, BufRead};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use multiprocess::process::{Command, FdArgs, connect_timeout};
use multiprocess::{Connection, Error, Result, Server};
use multiprocess_everything::client;
use multiprocess_everything::generated::everything::EverythingClient;
use multiprocess_everything::server::EverythingServer;

/// No call and no end takes so long unless something hangs.
const GUARD: Duration = Duration::from_secs(50);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["listen", path] => listen(path),
        ["steady", path] => steady(path),
        ["call", path, rounds] => call(path, rounds),
        ["spawn", program] => spawn(program),
        _ => {
            eprintln!(
                "Usage: everything-process listen|steady PATH | call PATH ROUNDS | spawn PROGRAM"
            );
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("everything-process: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(path: &str) -> Result<()> {
    let object = EverythingServer::new();
    object.set_functions(|| (), |arg| arg * 2);
    let server = Server::listen(path, object.client())?;
    println!("listening");
    read_to_end();
    match server.disconnect_all(GUARD) {
        true => Ok(()),
        false => Err(Error::failed("something is served still")),
    }
}

/// Standard input is at its end when whoever started this wants it to end, or is gone.
fn read_to_end() {
    for _ in io::stdin().lock().lines() {}
}

fn reach(path: &str) -> Result<EverythingClient> {
    Connection::new(connect_timeout(Path::new(path), GUARD)?)?.bootstrap()
}

/// The calls are made on a thread of their own, one after the other, with a short rest so that they leave
/// the processors to others. The first that fails ends the process.
fn steady(path: &str) -> Result<()> {
    let object = reach(path)?;
    let (calls, over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                if let Err(error) = client::check_on_one_thread(&object) {
                    eprintln!(
                        "everything-process: after {} rounds: {error}",
                        calls.load(Ordering::SeqCst)
                    );
                    std::process::exit(1);
                }
                calls.fetch_add(1, Ordering::SeqCst);
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        for _ in io::stdin().lock().lines() {
            println!("{}", calls.load(Ordering::SeqCst));
        }
        over.store(true, Ordering::SeqCst);
        caller.thread().unpark();
    });
    Ok(())
}

fn call(path: &str, rounds: &str) -> Result<()> {
    let rounds: u32 = rounds.parse().map_err(|_| Error::failed("ROUNDS is not a number"))?;
    let object = reach(path)?;
    for round in 0..rounds {
        client::check_shared(&object, 1 + 40_000 * (round as usize % 10))?;
    }
    Ok(())
}

fn spawn(program: &str) -> Result<()> {
    let (child, socket) = Command::new(program).fd_args(FdArgs::Flag("-ipcfd")).spawn()?;
    let child = Arc::new(child);
    let connection = Connection::new(socket)?;
    let checked = connection
        .bootstrap_child(&child, GUARD)
        .and_then(|object: EverythingClient| client::check_all(&object));
    connection.disconnect();
    drop(connection);
    let status = child.shutdown(GUARD);
    checked?;
    match status? {
        status if status.success() => Ok(()),
        status => Err(Error::failed(format!("the program ended with {status}"))),
    }
}
