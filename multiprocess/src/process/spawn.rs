//! Starting a child that inherits one end of a socket pair.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};

use super::child::Child;
use super::descriptors;
use crate::{Error, Result};

/// How the number of the child's socket is put on its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FdArgs {
    /// A flag and then the number: with `Flag("-ipcfd")`, `PROGRAM -ipcfd 5`.
    Flag(&'static str),
    /// The number alone: `PROGRAM 5`.
    Bare,
}

/// A program to run with one end of a socket pair.
///
/// The child has descriptors 0, 1 and 2 as they are here, its end of the socket, and no other,
/// whatever this process has open. See the [module](super) for an example.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    arg0: Option<OsString>,
    args: Vec<Arg>,
    env: Vec<(OsString, OsString)>,
    parent_death_signal: bool,
}

#[derive(Debug, Clone)]
enum Arg {
    Text(OsString),
    Fd(FdArgs),
}

impl Command {
    /// A command that runs `program`, looked up in `PATH` where it has no `/`.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        Command {
            program: program.into(),
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            parent_death_signal: false,
        }
    }

    /// Adds an argument, after those added before.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Command {
        self.args.push(Arg::Text(arg.into()));
        self
    }

    /// Puts the socket's number at this place among the arguments. Without a call of this it is
    /// the last argument, [`FdArgs::Bare`].
    pub fn fd_args(mut self, form: FdArgs) -> Command {
        self.args.push(Arg::Fd(form));
        self
    }

    /// Sets the child's `argv[0]`, which is the program's path otherwise.
    pub fn arg0(mut self, name: impl Into<OsString>) -> Command {
        self.arg0 = Some(name.into());
        self
    }

    /// Sets an environment variable of the child, which inherits the others.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Whether the kernel kills the child (SIGKILL) when this process ends, even if the child is
    /// stuck and does not see its socket close. Off at first; on Linux and FreeBSD only, and
    /// ignored elsewhere.
    pub fn parent_death_signal(mut self, on: bool) -> Command {
        self.parent_death_signal = on;
        self
    }

    /// Starts the program, and gives the child and this process's end of the socket.
    ///
    /// # Errors
    ///
    /// [`Error::Spawn`], naming the program and the system's reason, where the program cannot be
    /// executed or a process or descriptor cannot be had. No process is left behind then.
    pub fn spawn(&self) -> Result<(Child, UnixStream)> {
        let spawned = if self.parent_death_signal {
            // The signal comes when the *thread* that forked ends: so one that never does.
            let this = self.clone();
            on_lasting_thread(move || this.spawn_here())
        } else {
            self.spawn_here()
        };
        spawned.map_err(|error| Error::Spawn {
            program: self.program.clone(),
            problem: error.to_string(),
        })
    }

    fn spawn_here(&self) -> io::Result<(Child, UnixStream)> {
        refuse_ignored_sigchld()?;
        let filled = descriptors::fill_standard()?;
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = self.std_command(theirs.as_raw_fd());

        let socket = theirs.as_raw_fd();
        let dies_with = self.parent_death_signal.then(std::process::id);
        let step = move || {
            if let Some(parent) = dies_with {
                die_with_parent_in_child(parent)?;
            }
            descriptors::keep_only_in_child(socket)
        };
        // SAFETY: the closure runs after fork, where only async-signal-safe calls are allowed.
        // It makes system calls only, and allocates nothing: its errors are bare errno values.
        unsafe { command.pre_exec(step) };

        // Returns after exec, or with the errno of what failed; the child is reaped then.
        let child = Child::new(command.spawn()?);
        // Not before: the child's pidfd must not get the number of a closed standard input.
        drop(filled);
        Ok((child, ours))
    }

    fn std_command(&self, socket: RawFd) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        if let Some(name) = &self.arg0 {
            command.arg0(name);
        }
        let at_end = [Arg::Fd(FdArgs::Bare)];
        let placed = self.args.iter().any(|arg| matches!(arg, Arg::Fd(_)));
        for arg in self.args.iter().chain(if placed { &[][..] } else { &at_end }) {
            match arg {
                Arg::Text(text) => command.arg(text),
                Arg::Fd(FdArgs::Flag(flag)) => command.arg(flag).arg(socket.to_string()),
                Arg::Fd(FdArgs::Bare) => command.arg(socket.to_string()),
            };
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }
}

/// The program `name` of the same installation as this one.
///
/// That is `argv[0]` with its file name replaced where it has a `/`, so that a symlink to this
/// program finds what is beside the symlink; otherwise `name` beside this program's file.
/// Whether it exists is not looked at.
///
/// # Errors
///
/// [`Error::Io`] where the system cannot tell this program's file.
pub fn sibling_executable(name: &str) -> Result<PathBuf> {
    sibling_of(std::env::args_os().next().as_deref(), name)
}

fn sibling_of(argv0: Option<&OsStr>, name: &str) -> Result<PathBuf> {
    match argv0 {
        Some(argv0) if argv0.as_encoded_bytes().contains(&b'/') => {
            Ok(Path::new(argv0).with_file_name(name))
        }
        _ => {
            let exe = std::env::current_exe()
                .map_err(|error| Error::io("find this program's own file", error))?;
            Ok(exe.with_file_name(name))
        }
    }
}

/// With SIGCHLD ignored the kernel reaps children itself: no exit status could ever be told, and
/// `std::process` panics when exec fails.
fn refuse_ignored_sigchld() -> io::Result<()> {
    // SAFETY: sigaction is a plain C struct for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only reads the present one, into a struct that lives here.
    let read = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut action) };
    if read == -1 {
        return Err(io::Error::last_os_error());
    }
    if action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0 {
        return Err(io::Error::other(
            "this process ignores SIGCHLD, so it cannot learn how a child exits; \
             set SIGCHLD to its default first",
        ));
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn die_with_parent_in_child(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The parent may have died before that took effect. Its number is hidden (none) in a new
    // pid namespace.
    match rustix::process::getppid() {
        Some(now) if i64::from(now.as_raw_nonzero().get()) != i64::from(parent) => {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
        _ => Ok(()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn die_with_parent_in_child(_parent: u32) -> io::Result<()> {
    Ok(())
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` on a thread that is started on first use and lives as long as this process.
fn on_lasting_thread<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    static THREAD: Mutex<Option<mpsc::Sender<Job>>> = Mutex::new(None);
    let (give, take) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || drop(give.send(job())));
    {
        let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*thread {
            Some(jobs) => jobs,
            None => {
                let (jobs, queue) = mpsc::channel::<Job>();
                let run = move || queue.into_iter().for_each(|job| job());
                std::thread::Builder::new().name("mp-spawn".into()).spawn(run)?;
                thread.insert(jobs)
            }
        };
        let _ = jobs.send(job);
    }
    // Fails only where the job could not be sent or panicked, and neither can be.
    take.recv().unwrap_or_else(|_| Err(io::Error::other("the spawning thread is gone")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only_test, wait_until};
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    fn sleeper() -> Command {
        Command::new("/bin/sleep").arg("1000")
    }

    /// The child's arguments. The kernel shows them a moment after it tells that exec went well.
    #[cfg(target_os = "linux")]
    fn argv(child: &Child) -> Vec<String> {
        let path = format!("/proc/{}/cmdline", child.id());
        let mut line = String::new();
        wait_until("the child has arguments", || {
            line = std::fs::read_to_string(&path).unwrap();
            !line.is_empty()
        });
        line.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
    }

    /// Whether the child has exactly 0, 1, 2 and its socket, whose number is its last argument.
    #[cfg(target_os = "linux")]
    fn has_only_its_own(child: &Child) -> bool {
        let socket = argv(child).pop().unwrap();
        let list = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        let mut fds: Vec<String> =
            list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        fds.sort_by_key(|fd| fd.parse::<u32>().unwrap());
        fds == ["0", "1", "2", &socket]
    }

    /// A copy of standard input that exec does not close.
    fn leaky() -> OwnedFd {
        use std::os::fd::FromRawFd;
        // SAFETY: dup gives a new descriptor, which nothing else owns.
        unsafe {
            let fd = libc::dup(0);
            assert_ne!(fd, -1);
            OwnedFd::from_raw_fd(fd)
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn child_has_its_socket_and_the_standard_three() {
        let _many: Vec<OwnedFd> = (0..500).map(|_| leaky()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let opener = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                drop(leaky());
            }
        });
        for _ in 0..10 {
            let (child, _socket) = sleeper().spawn().unwrap();
            // The loader opens and closes libraries first; what has leaked would stay.
            wait_until("the child has 0, 1, 2 and its socket", || has_only_its_own(&child));
            child.shutdown(Duration::ZERO).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        opener.join().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn arguments_are_in_the_order_given() {
        // Stays what it is, and leaves nothing behind.
        let shell = Command::new("/bin/sh").arg("-c").arg("kill -STOP $$");
        let (child, _socket) = shell.fd_args(FdArgs::Flag("-ipcfd")).arg("x").spawn().unwrap();
        let seen = argv(&child);
        child.shutdown(Duration::ZERO).unwrap();
        assert_eq!(seen[..4], ["/bin/sh", "-c", "kill -STOP $$", "-ipcfd"]);
        assert!(seen[4].parse::<u32>().unwrap() >= 3);
        assert_eq!(seen[5..], ["x"]);

        let (child, _socket) = sleeper().arg0("zzz").spawn().unwrap();
        let seen = argv(&child);
        child.shutdown(Duration::ZERO).unwrap();
        assert_eq!(seen[..2], ["zzz", "1000"]);
    }

    #[test]
    fn a_program_that_cannot_run_is_named_with_the_reason() {
        let problem = |program: &str| Command::new(program).spawn().unwrap_err().to_string();
        assert_eq!(
            problem("/nonexistent/prog"),
            "cannot run /nonexistent/prog: No such file or directory (os error 2)"
        );
        assert_eq!(
            problem("/etc/passwd"),
            "cannot run /etc/passwd: Permission denied (os error 13)"
        );
        let error = Command::new("/none").parent_death_signal(true).spawn().unwrap_err();
        assert!(matches!(error, Error::Spawn { .. }), "{error:?}");
    }

    #[test]
    fn ignored_sigchld_is_refused_with_a_reason() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(only_test("spawn::tests::helper_spawns"))
            .env("MP_TEST_SPAWN", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("cannot run /none: this process ignores SIGCHLD"), "{output:?}");
    }

    #[test]
    fn helper_spawns() {
        if std::env::var_os("MP_TEST_SPAWN").is_some() {
            // SAFETY: sets no handler; this process runs only this test.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            println!("{}", Command::new("/none").spawn().unwrap_err());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn closed_standard_input_and_error_are_null_in_the_child() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(only_test("spawn::tests::helper_closes"))
            .env("MP_TEST_CLOSE", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("\nno /none: No such file"), "{output:?}");
        assert!(text.contains("\nchild has /dev/null /dev/null\n"), "{output:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn helper_closes() {
        if std::env::var_os("MP_TEST_CLOSE").is_none() {
            return;
        }
        // SAFETY: nobody owns these numbers, and this process runs only this test.
        unsafe {
            libc::close(0);
            libc::close(2);
        }
        if let Error::Spawn { program, problem } = Command::new("/none").spawn().unwrap_err() {
            println!("\nno {}: {problem}", program.display());
        }
        // Must not outlive this process should it fail, holding its output open.
        let (child, _socket) = sleeper().parent_death_signal(true).spawn().unwrap();
        wait_until("the child has 0, 1, 2 and its socket", || has_only_its_own(&child));
        let target = |fd| std::fs::read_link(format!("/proc/{}/fd/{fd}", child.id())).unwrap();
        println!("child has {} {}", target(0).display(), target(2).display());
        assert!(!descriptors::is_open(0) && !descriptors::is_open(2));
        child.shutdown(Duration::ZERO).unwrap();
    }

    /// The whole way: the child takes its socket and echoes what comes until the end.
    #[test]
    fn child_serves_on_its_socket_until_it_closes() {
        let mut command = Command::new("/bin/sh")
            .arg("-c")
            .arg("MP_TEST_SOCKET=\"$0\" exec \"$@\" >/dev/null")
            .fd_args(FdArgs::Bare)
            .arg(std::env::current_exe().unwrap());
        for arg in only_test("spawn::tests::helper_echoes") {
            command = command.arg(arg);
        }
        let (child, mut socket) = command.spawn().unwrap();
        socket.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        assert!(child.try_wait().unwrap().is_none());
        drop(socket);
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn helper_echoes() {
        let Ok(number) = std::env::var("MP_TEST_SOCKET") else { return };
        let mut socket = super::super::inherited_socket(&number).unwrap();
        let mut output = socket.try_clone().unwrap();
        std::io::copy(&mut socket, &mut output).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn child_with_death_signal_outlives_the_thread_and_not_the_process() {
        // Spawned from a thread that ends: the child must not end with it.
        let spawn = || sleeper().parent_death_signal(true).spawn().unwrap();
        let (child, _socket) = std::thread::spawn(spawn).join().unwrap();
        assert!(child.wait_timeout(Duration::from_millis(50)).unwrap().is_none());
        child.shutdown(Duration::ZERO).unwrap();

        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(only_test("spawn::tests::helper_abandons"))
            .env("MP_TEST_ABANDON", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let pid = text.lines().find_map(|line| line.strip_prefix("pid ")).unwrap();
        let stat = format!("/proc/{pid}/stat");
        wait_until("the child died with its parent", || {
            // Its new parent may take a while to reap it.
            std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
        });
    }

    #[test]
    fn helper_abandons() {
        if std::env::var_os("MP_TEST_ABANDON").is_some() {
            // Output to nowhere, as the test above waits until the pipe is closed by everyone.
            let script = Command::new("/bin/sh").arg("-c").arg("exec sleep 1000 >/dev/null 2>&1");
            let (child, _socket) = script.parent_death_signal(true).spawn().unwrap();
            println!("\npid {}", child.id());
            std::process::exit(0);
        }
    }

    #[test]
    fn sibling_is_beside_argv0_or_the_executable() {
        let beside = |argv0: &str| sibling_of(Some(OsStr::new(argv0)), "b").unwrap();
        assert_eq!(beside("/opt/bin/a"), Path::new("/opt/bin/b"));
        assert_eq!(beside("./a"), Path::new("./b"));
        let exe = std::env::current_exe().unwrap();
        assert_eq!(beside("a"), exe.with_file_name("b"));
        assert_eq!(sibling_of(None, "b").unwrap(), exe.with_file_name("b"));
    }
}
