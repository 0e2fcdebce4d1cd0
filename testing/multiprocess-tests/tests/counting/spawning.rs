//! Starting a process from one that is busy: while its threads allocate and open files, with many
//! descriptors open, and with as high a limit on them as there can be.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use multiprocess::process::{Child, Command};
use multiprocess_tests::{pair, wait_until, within_time};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::alone;

const CHILDREN: usize = 20;

/// Also where the test fails: the threads that it stops would go on for ever.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A descriptor that exec does not close.
fn leaky(file: &File) -> OwnedFd {
    rustix::io::dup(file).unwrap()
}

/// The numbers of what a process has open, and the socket's number, which is its last argument.
fn open(child: &Child) -> (Vec<String>, String) {
    let list = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let mut numbers: Vec<_> =
        list.filter_map(|entry| entry.unwrap().file_name().into_string().ok()).collect();
    numbers.sort_by_key(|number| number.parse::<u32>().unwrap());
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
    (numbers, line.trim_end_matches('\0').rsplit('\0').next().unwrap_or_default().to_owned())
}

#[test]
fn a_busy_process_starts_others_which_get_their_socket_only() {
    let _alone = alone();
    let other = pair();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let file = File::open("/dev/null").unwrap();
    let many: Vec<_> = (0..500).map(|_| leaky(&file)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                let mut held = BTreeMap::new();
                for number in 0_usize.. {
                    held.insert(number % 100, vec![0_u8; number % 10_000]);
                    drop(leaky(&file));
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        for number in 0..CHILDREN {
            let (child, socket) = within_time(move || {
                let command = Command::new("/bin/sleep").arg("1000");
                command.parent_death_signal(number % 2 == 0).spawn().unwrap()
            });
            // Its loader opens and closes libraries first; what has leaked would stay.
            wait_until("it has 0, 1, 2 and its socket", || {
                let (numbers, own) = open(&child);
                numbers == ["0", "1", "2", &own]
            });
            drop(socket);
            child.shutdown(Duration::ZERO).unwrap();
        }
    });
    drop(many);
    setrlimit(Resource::Nofile, limit).unwrap();
    other.assert_alive();
}
