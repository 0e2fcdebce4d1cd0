//! The cost of starting a process, depending on the memory that the parent uses.
//!
//! ```text
//! cargo build --release -p multiprocess-tests --examples
//! target/release/examples/spawn_cost              parents of 0, 1 and 4 GiB
//! target/release/examples/spawn_cost 0 2          of 0 and 2 GiB
//! ```
//!
//! Figures are medians in microseconds. Each row is a parent's size (several fresh processes that
//! have written to that much memory); the columns are measured in turn within each round. Sizes
//! that would leave less than 1 GiB of the machine's memory are left out.
//!
//! - `spawn`: until `Command::spawn` has returned, which is when the program runs;
//! - `std empty`: an empty Rust program started with `std::process`, until its end is known;
//! - `empty`: the same started with `Command`;
//! - `byte`: this program, until the byte arrives that it first writes to its socket;
//! - `first call`: this program started as a server, until its first answer arrives;
//! - `cold`: the same as the first call of its parent, which includes starting the parent's
//!   threads;
//! - `call`: one more call of that server, a round trip;
//! - `ratio`: `first call` divided by the sum of `std empty` and `call`; it should be 1.3 at most.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use multiprocess::Connection;
use multiprocess::process::{Child, Command, FdArgs, inherited_socket};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const GIB: usize = 1 << 30;
/// Fresh parents of each size, and rounds in each.
const PARENTS: usize = 7;
const ROUNDS: usize = 40;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-ipcfd", fd] => serve(fd),
        ["-byte", fd] => Ok(inherited_socket(fd)?.write_all(b"x")?),
        ["--parent", size] => measure(size.parse()?),
        [] => table(&[0, 1, 4]),
        sizes => {
            let sizes: Result<Vec<_>, _> = sizes.iter().map(|size| size.parse()).collect();
            table(&sizes?)
        }
    }
}

fn serve(fd: &str) -> Result<(), Failure> {
    let connection = Connection::builder().serve(LabServer::new().client());
    connection.start(inherited_socket(fd)?)?.wait_disconnected();
    Ok(())
}

/// The columns, which are also the order in which a parent prints them.
const COLUMNS: [&str; 7] = ["spawn", "std empty", "empty", "byte", "first call", "cold", "call"];

fn table(sizes: &[usize]) -> Result<(), Failure> {
    print!("parent  ");
    COLUMNS.iter().for_each(|column| print!("{column:>11}"));
    println!("{:>11}", "ratio");
    for size in sizes {
        if free().is_some_and(|free| free < (size + 1) * GIB) {
            println!("{size:>4} GiB  not enough memory");
            continue;
        }
        let mut figures = vec![Vec::new(); COLUMNS.len()];
        for _ in 0..PARENTS {
            let mut parent = std::process::Command::new(std::env::current_exe()?);
            let output = parent.args(["--parent", &size.to_string()]).stderr(Stdio::inherit());
            let output = String::from_utf8(output.output()?.stdout)?;
            let medians = output.split_whitespace().map(str::parse);
            for (column, median) in figures.iter_mut().zip(medians) {
                column.push(median?);
            }
        }
        let figures: Vec<f64> = figures.into_iter().map(median).collect();
        print!("{size:>4} GiB");
        figures.iter().for_each(|figure| print!("{figure:>11.0}"));
        println!("{:>11.2}", figures[4] / (figures[1] + figures[6]));
    }
    Ok(())
}

/// Prints the figures of a parent of this size.
fn measure(size: usize) -> Result<(), Failure> {
    let memory = touched(size);
    let (server, empty) = (std::env::current_exe()?, beside("empty")?);
    let mut figures = vec![Vec::new(); COLUMNS.len()];
    let mut add = |column: usize, time: Duration| figures[column].push(time.as_secs_f64() * 1e6);

    let (first, _, started) = first_call(&server)?;
    add(5, first);
    end(started)?;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let (child, _socket) = Command::new(&empty).spawn()?;
        add(0, start.elapsed());
        child.wait()?;
        add(2, start.elapsed());

        let start = Instant::now();
        std::process::Command::new(&empty).spawn()?.wait()?;
        add(1, start.elapsed());

        let start = Instant::now();
        let (child, mut socket) = Command::new(&server).fd_args(FdArgs::Flag("-byte")).spawn()?;
        socket.read_exact(&mut [0])?;
        add(3, start.elapsed());
        child.wait()?;

        let (first, call, started) = first_call(&server)?;
        add(4, first);
        add(6, call);
        end(started)?;
    }
    std::hint::black_box(memory);
    figures.into_iter().for_each(|column| print!("{} ", median(column)));
    println!();
    Ok(())
}

/// Starts the server and calls it. Returns the time until the first answer, that of one more call,
/// and the server to end.
fn first_call(server: &Path) -> Result<(Duration, Duration, (Child, LabClient)), Failure> {
    let start = Instant::now();
    let (child, socket) = Command::new(server).fd_args(FdArgs::Flag("-ipcfd")).spawn()?;
    let lab: LabClient = Connection::new(socket)?.bootstrap()?;
    lab.add(1, 2).wait()?;
    let first = start.elapsed();
    let start = Instant::now();
    lab.add(1, 2).wait()?;
    Ok((first, start.elapsed(), (child, lab)))
}

fn end((child, lab): (Child, LabClient)) -> Result<(), Failure> {
    drop(lab);
    child.shutdown(LONG)?;
    Ok(())
}

/// Memory of this many GiB, with every page written.
fn touched(size: usize) -> Vec<u8> {
    let mut memory = vec![0; size * GIB];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    memory
}

fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        return Err(format!("{} is not built: build all examples", path.display()).into());
    }
    Ok(path)
}

/// Free memory in bytes, if the system provides it.
fn free() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(1024)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
