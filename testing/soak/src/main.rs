//! The soak: calls, connections, processes and cancels by the million, and what is left of them.
//!
//! `tests/soak/run` builds and starts it.

mod beside;
mod child;
mod figures;
mod generated;
mod mill;
mod part;
mod parts;
mod world;

use std::path::Path;
use std::process::ExitCode;

use part::{Part, report};
use world::World;

const USAGE: &str =
    "usage: soak [--scale SCALE | --short] [PART...]\n       soak --figures [--seconds SECONDS]";
/// The scale of `--short`.
const SHORT: f64 = 0.05;

/// What the command line says.
#[derive(Debug, PartialEq)]
enum Options {
    /// Run these parts, or all if there are none, at this scale.
    Soak(f64, Vec<String>),
    /// Measure, beside a hostile client for so many seconds.
    Figures(u64),
    /// Be the other process: a role, a path, a kind of harm, the number of a socket.
    Child([String; 4]),
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1).collect()) {
        None => {
            eprintln!("{USAGE}\nparts: {}", parts::PARTS.map(|part| part.name).join(", "));
            ExitCode::from(2)
        }
        Some(Options::Child([role, path, kind, socket])) => {
            match child::main(&role, Path::new(&path), &kind, &socket) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Some(Options::Figures(seconds)) => match figures::print(seconds) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                println!("FAILED: {problem}");
                ExitCode::FAILURE
            }
        },
        Some(Options::Soak(scale, named)) => soak(scale, &named),
    }
}

fn options(args: Vec<String>) -> Option<Options> {
    if args.first().is_some_and(|first| first == "child") {
        return args[1..].to_vec().try_into().ok().map(Options::Child);
    }
    if args.first().is_some_and(|first| first == "--figures") {
        return match &args[1..] {
            [] => Some(Options::Figures(60)),
            [name, number] if name == "--seconds" => number.parse().ok().map(Options::Figures),
            _ => None,
        };
    }
    let (mut scale, mut named, mut args) = (1.0, Vec::new(), args.into_iter());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--short" => scale = SHORT,
            "--scale" => {
                scale = args.next()?.parse().ok().filter(|scale| *scale > 0.0)?;
            }
            name if parts::PARTS.iter().any(|part| part.name == name) => named.push(arg),
            _ => return None,
        }
    }
    Some(Options::Soak(scale, named))
}

fn soak(scale: f64, named: &[String]) -> ExitCode {
    // The first of each kind leaves threads and descriptors that stay: they are there at the start.
    for part in &parts::PARTS {
        if let Err(problem) = part.try_few() {
            println!("{}: FAILED before the start: {problem}", part.name);
            return ExitCode::FAILURE;
        }
    }
    let start = match World::at_rest() {
        Ok(start) => start,
        Err(problem) => {
            println!("FAILED before the start: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let chosen = |part: &&Part| named.is_empty() || named.iter().any(|name| name == part.name);
    let rows: Vec<_> =
        parts::PARTS.iter().filter(chosen).map(|part| part.run(scale, &start)).collect();
    if report(&start, &rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
