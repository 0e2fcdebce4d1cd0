//! Children are real programs here; what must not run among other tests runs in a process of its own.

use super::super::fork;
use super::super::testing::{only_test, wait_until};
use super::*;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
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

/// Starts sleepers from several threads of a process that has many descriptors open, while other
/// threads open and close more, and looks at what each child has.
#[cfg(target_os = "linux")]
fn children_have_only_their_own(spawn: fn() -> (Child, UnixStream)) {
    let _many: Vec<OwnedFd> = (0..500).map(|_| leaky()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(leaky());
                }
            });
        }
        let spawn_some = || {
            for _ in 0..5 {
                let (child, _socket) = spawn();
                // The loader opens and closes libraries first; what has leaked would stay.
                wait_until("the child has 0, 1, 2 and its socket", || has_only_its_own(&child));
                child.shutdown(Duration::ZERO).unwrap();
            }
        };
        let spawners: Vec<_> = (0..4).map(|_| scope.spawn(spawn_some)).collect();
        let ended: Vec<_> = spawners.into_iter().map(|spawner| spawner.join()).collect();
        stop.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn child_has_its_socket_and_the_standard_three() {
    children_have_only_their_own(|| sleeper().spawn().unwrap());
}

/// As systems other than Linux do it.
fn spawn_by_fork(command: &Command) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let process = command.start_with(&theirs, fork::start)?;
    Ok((Child::new(process, command.name(), command.grace), ours))
}

#[cfg(target_os = "linux")]
#[test]
fn forked_child_has_its_socket_and_the_standard_three() {
    children_have_only_their_own(|| spawn_by_fork(&sleeper()).unwrap());
}

#[test]
fn fork_tells_why_a_program_cannot_run() {
    let errno = |program: &str| spawn_by_fork(&Command::new(program)).unwrap_err().raw_os_error();
    assert_eq!(errno("/nonexistent/prog"), Some(libc::ENOENT));
    assert_eq!(errno("/etc/passwd"), Some(libc::EACCES));
}

/// The line of /proc/PID/status that begins so, as bits: the lowest is signal 1.
#[cfg(target_os = "linux")]
fn signals(child: &Child, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

/// A child inherits what the calling thread blocks and what is ignored, but has SIGPIPE as it was
/// before Rust's start code ignored it; this thread's mask stays.
#[cfg(target_os = "linux")]
#[test]
fn child_gets_signals_and_the_parent_keeps_its_mask() {
    extern "C" fn handler(_signal: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = handler;
    let bit = |signal: libc::c_int| 1_u64 << (signal - 1);
    // SAFETY: no other test uses these two signals, and the set is filled in before it is used.
    let mask = || unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        [libc::SIGUSR1, libc::SIGUSR2].map(|signal| libc::sigismember(&mask, signal))
    };
    // SAFETY: as above; the handler does nothing.
    unsafe {
        libc::signal(libc::SIGUSR2, handler as libc::sighandler_t);
        libc::signal(libc::SIGWINCH, libc::SIG_IGN);
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut blocked, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, std::ptr::null_mut());
    }
    let spawns: [fn() -> (Child, UnixStream); 2] =
        [|| sleeper().spawn().unwrap(), || spawn_by_fork(&sleeper()).unwrap()];
    for spawn in spawns {
        let (child, _socket) = spawn();
        assert_eq!(mask(), [1, 0]);
        assert_eq!(signals(&child, "SigBlk"), bit(libc::SIGUSR1));
        // The C library keeps signals of its own, beyond those that have names.
        assert_eq!(signals(&child, "SigCgt") & u64::from(u32::MAX >> 1), 0);
        let ignored = signals(&child, "SigIgn");
        assert_eq!(ignored & (bit(libc::SIGPIPE) | bit(libc::SIGWINCH)), bit(libc::SIGWINCH));
        child.shutdown(Duration::ZERO).unwrap();
    }
    assert!(Command::new("/none").spawn().is_err());
    assert_eq!(mask(), [1, 0]);
}

/// Programs without a `/` are looked for in the child's `PATH`, and see the child's environment.
#[test]
fn program_is_found_in_the_childs_path_and_has_its_environment() {
    let problem = |path: &str| {
        let error = Command::new("mp-none").env("PATH", path).spawn().unwrap_err();
        error.to_string()
    };
    assert!(problem("/:/bin").ends_with("No such file or directory (os error 2)"));
    // Found where it may not be run, and nowhere else.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mp-none"), "").unwrap();
    let path = format!("/etc/passwd:{}:/", dir.path().display());
    assert!(problem(&path).ends_with("Permission denied (os error 13)"));

    let script = "test \"$MP_TEST_ENV\" = second && test -n \"$PATH\" && exit 7";
    let command = Command::new("sh").env("MP_TEST_ENV", "first").env("MP_TEST_ENV", "second");
    let (child, _socket) = command.arg("-c").arg(script).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let error = Command::new("sh").env("MP_TEST_ENV", "a\0b").spawn().unwrap_err();
    assert!(error.to_string().starts_with("cannot run sh: "), "{error}");
}

/// Runs it in either way; what it wrote to standard output, which a pipe is.
fn outputs(make: impl Fn() -> Command) -> [String; 2] {
    let output = |spawn: &dyn Fn(&Command) -> (Child, UnixStream)| {
        let (mut output, theirs) = std::io::pipe().unwrap();
        let command = make().stdout(theirs);
        let (child, _socket) = spawn(&command);
        drop(command);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
        text
    };
    [
        output(&|command| command.spawn().unwrap()),
        output(&|command| spawn_by_fork(command).unwrap()),
    ]
}

#[test]
fn variables_are_left_out_and_all_of_them() {
    let shell = |script: &str| Command::new("/bin/sh").arg("-c").arg(script);
    // Cargo sets it for tests.
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
    let script = "echo ${CARGO_PKG_NAME-none} ${A-none} ${B-none}";
    let some =
        || shell(script).env("A", "a").env("B", "b").env_remove("A").env_remove("CARGO_PKG_NAME");
    assert_eq!(outputs(some), ["none none b\n"; 2]);
    let last = || shell(script).env_remove("A").env("A", "a");
    assert_eq!(outputs(last), ["multiprocess a none\n"; 2]);
    let all = || shell(script).env("A", "a").env_clear().env("B", "b");
    assert_eq!(outputs(all), ["none none b\n"; 2]);
    // Without a PATH it is looked up where programs are.
    assert_eq!(outputs(|| Command::new("true").env_clear()), ["", ""]);
}

#[test]
fn a_child_begins_in_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::write(dir.join("mp-here"), "#!/bin/sh\npwd -P\n").unwrap();
    let here = std::env::current_dir().unwrap();
    std::process::Command::new("/bin/chmod").arg("+x").arg(dir.join("mp-here")).status().unwrap();
    // Also the program is looked for there.
    let there = outputs(|| Command::new("./mp-here").current_dir(&dir));
    assert_eq!(there, [format!("{}\n", dir.display()), format!("{}\n", dir.display())]);
    assert_eq!(std::env::current_dir().unwrap(), here);
    let nowhere = Command::new("/bin/true").current_dir(dir.join("none"));
    let error = nowhere.spawn().unwrap_err().to_string();
    assert_eq!(error, "cannot run /bin/true: No such file or directory (os error 2)");
    assert_eq!(spawn_by_fork(&nowhere).unwrap_err().raw_os_error(), Some(libc::ENOENT));
}

/// Standard descriptors and further ones, of one command for several children.
#[test]
fn a_child_has_the_descriptors_that_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("told");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
    std::fs::write(dir.path().join("input"), "in").unwrap();
    let input = || std::fs::File::open(dir.path().join("input")).unwrap();
    // Both are the same file; $3 is the number of it again, and $1 that of the socket.
    let script = r#"test "$0" = -fd && test "$2" = -told || exit 1
        echo told >>"/dev/fd/$3"; echo error >&2; read -r word; echo "out $word"
        test -e "/dev/fd/$1" || exit 2"#;
    let numbered = || {
        let command = Command::new("/bin/sh").arg("-c").arg(script).fd_args(FdArgs::Flag("-fd"));
        let told = file.try_clone().unwrap();
        command.stdin(input()).stderr(told.try_clone().unwrap()).fd(told, FdArgs::Flag("-told"))
    };
    assert_eq!(outputs(numbered), ["out in\n", "out in\n"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "told\nerror\n".repeat(2));

    // Nothing of it is left open here, and nothing else gets there.
    let pipe = std::io::pipe().unwrap();
    let command = sleeper().stdin(Stdio::null()).stderr(pipe.1).fd_args(FdArgs::Bare);
    let (mut reader, first) = (pipe.0, command.spawn().unwrap().0);
    let (second, _socket) = command.spawn().unwrap();
    drop(command);
    #[cfg(target_os = "linux")]
    for child in [&first, &second] {
        wait_until("the child has 0, 1, 2 and its socket", || has_only_its_own(child));
        let input = std::fs::read_link(format!("/proc/{}/fd/0", child.id())).unwrap();
        assert_eq!(input, Path::new("/dev/null"));
    }
    first.shutdown(Duration::ZERO).unwrap();
    second.shutdown(Duration::ZERO).unwrap();
    let mut nothing = Vec::new();
    assert_eq!(reader.read_to_end(&mut nothing).unwrap(), 0);
}

/// The child takes a descriptor that is no socket.
#[test]
fn a_given_descriptor_is_taken_once() {
    let (mut told, theirs) = std::io::pipe().unwrap();
    let mut command = Command::new("/bin/sh")
        .arg("-c")
        .arg("MP_TEST_FD=\"$1\" exec \"$2\" \"$3\" \"$4\" \"$5\" \"$6\" \"$7\" >/dev/null")
        .fd_args(FdArgs::Bare)
        .fd(theirs, FdArgs::Bare)
        .arg(std::env::current_exe().unwrap());
    for arg in only_test("spawn::tests::helper_tells") {
        command = command.arg(arg);
    }
    let (child, _socket) = command.spawn().unwrap();
    drop(command);
    let mut text = String::new();
    told.read_to_string(&mut text).unwrap();
    assert_eq!(text, "is in use in this process already");
    assert!(child.wait().unwrap().success());
}

#[test]
fn helper_tells() {
    let Ok(number) = std::env::var("MP_TEST_FD") else { return };
    let mut told = std::fs::File::from(super::super::inherited_fd(&number).unwrap());
    let again = super::super::inherited_fd(&number).unwrap_err().to_string();
    let known = "is in use in this process already";
    told.write_all(if again.contains(known) { known } else { &again }.as_bytes()).unwrap();
    assert!(super::super::inherited_fd("1").unwrap_err().to_string().contains("is standard input"));
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
    assert_eq!(problem("/etc/passwd"), "cannot run /etc/passwd: Permission denied (os error 13)");
    let error = Command::new("/none").parent_death_signal(true).spawn().unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error:?}");
}

#[test]
fn fork_refuses_ignored_sigchld_with_a_reason() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(only_test("spawn::tests::helper_spawns"))
        .env("MP_TEST_SPAWN", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\nthis process ignores SIGCHLD, and then"), "{output:?}");
}

#[test]
fn helper_spawns() {
    if std::env::var_os("MP_TEST_SPAWN").is_some() {
        // SAFETY: sets no handler; this process runs only this test.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        println!("\n{}", spawn_by_fork(&Command::new("/none")).unwrap_err());
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
    // Another thread that spawns a process meanwhile counts on them.
    assert!(descriptors::is_open(0) && descriptors::is_open(2));
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
