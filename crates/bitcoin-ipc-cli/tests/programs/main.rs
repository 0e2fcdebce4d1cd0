//! The programs, as their users meet them: real processes on real sockets.

mod cli;
mod node;
mod steps;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The command line.
const IPC: &str = env!("CARGO_BIN_EXE_bitcoin-ipc");
/// The node: the same program by another name.
static NODE: LazyLock<String> = LazyLock::new(|| named("bitcoin-node"));
/// The wallet: the same program by another name.
static WALLET: LazyLock<String> = LazyLock::new(|| named("bitcoin-wallet"));

/// How long anything in these tests may take before it has failed.
const LONG: Duration = Duration::from_secs(20);

/// The path of a link to the command line's program that is called `name`. The programs with these
/// names are not built unless asked for.
fn named(name: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    // Put there in one step: other tests may be running the one that is there.
    let new = directory.join(format!("{name}.{}", std::process::id()));
    symlink(IPC, &new).unwrap();
    std::fs::rename(&new, &path).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// Waits until `done` is true; fails with `what` if that never comes.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there, be it as a zombie.
fn process_exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
