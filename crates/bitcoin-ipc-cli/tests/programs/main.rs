//! The programs, as their users meet them: real processes on real sockets.

mod cli;
mod client30;
mod connecting;
mod kills;
mod log;
mod node;
mod relay;
mod relay_core30;
mod running;
mod split;
mod steps;
mod stuck;
mod systemd;
mod terminal;
mod top;
mod view;

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

/// The longest time that anything in these tests may take.
const LONG: Duration = Duration::from_secs(60);

/// The path of a link called `name` to the command line's program. The real programs with these
/// names are built only on request.
fn named(name: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    // Replaced atomically, because other tests may be running the present one.
    let new = directory.join(format!("{name}.{}", std::process::id()));
    symlink(IPC, &new).unwrap();
    std::fs::rename(&new, &path).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// Waits until `done` is true; panics with `what` if it takes too long.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process exists, including zombies.
fn process_exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
