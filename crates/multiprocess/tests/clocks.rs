//! Nothing in the runtime depends on the time of day, which a person or the network may set: deadlines, delays and
//! what is told of calls are by the monotonic clock.

use std::fs;
use std::path::{Path, PathBuf};

/// What code that reads the time of day, or waits until one, has in it, in small letters.
const SIGNS: &[&str] = &[
    "systemtime",
    "unix_epoch",
    // CLOCK_REALTIME, FUTEX_CLOCK_REALTIME, ClockId::Realtime, TimerfdClockId::RealtimeAlarm
    "realtime",
    "clock_tai",
    "clockid::tai",
    "gettimeofday",
    "libc::time(",
    "chrono::",
];

/// The lines of code that have one of the signs.
fn signs(text: &str) -> Vec<&str> {
    let code = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    code.filter(|line| {
        let line = line.to_lowercase();
        SIGNS.iter().any(|sign| line.contains(sign))
    })
    .collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_time_of_day_is_never_read() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ["multiprocess", "capnp-engine"] {
        let mut all = Vec::new();
        files(&crates.join(name).join("src"), &mut all);
        assert!(all.len() > 15, "the files of {name} are somewhere else");
        for path in all {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(signs(&text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn code_that_reads_it_is_found() {
    for line in [
        "use std::time::{Duration, SystemTime};",
        "let now = now.duration_since(UNIX_EPOCH);",
        "libc::clock_gettime(libc::CLOCK_REALTIME, &mut time)",
        "clock_gettime(ClockId::RealtimeCoarse)",
        "timerfd_create(TimerfdClockId::Realtime, flags)",
        "unsafe { libc::time(null) }",
    ] {
        assert_eq!(signs(&format!("fn f() {{\n    {line}\n}}")), [line]);
    }
    for line in [
        "// CLOCK_REALTIME would jump",
        "let now = Instant::now();",
        "libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time)",
        "let real = time(1);",
    ] {
        assert_eq!(signs(line), [""; 0]);
    }
}
