//! The child's side: taking the socket and the descriptors that the parent left open, and leaving Ctrl-C to it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType};

use super::descriptors::is_open;
use crate::{Error, Result};

/// Takes the socket that a parent process started with [`Command`](super::Command) left open in
/// this one. `fd` is its number, as it came on the command line.
///
/// Call it early, before anything else can have got hold of the number. The socket will not be
/// inherited by this process's own children.
///
/// # Errors
///
/// [`Error::Address`], in one line that says what to do, where `fd` is not a decimal number of 3
/// or more, or is not an open unix stream socket that this process inherited and has not taken
/// yet.
pub fn inherited_socket(fd: &str) -> Result<UnixStream> {
    take_socket(fd).map_err(|problem| wrong(fd, "socket", &problem))
}

/// The same for a descriptor of any kind, which the parent gave by [`Command::fd`](super::Command::fd).
///
/// # Errors
///
/// [`Error::Address`], in one line that says what to do, where `fd` is not a decimal number of 3 or more, or
/// is not an open descriptor that this process inherited and has not taken yet.
pub fn inherited_fd(fd: &str) -> Result<OwnedFd> {
    open_number(fd).and_then(own).map_err(|problem| wrong(fd, "descriptor", &problem))
}

fn wrong(fd: &str, kind: &str, problem: &str) -> Error {
    Error::Address {
        address: fd.to_owned(),
        problem: format!(
            "the number of a {kind} inherited from a parent process is wanted, and {fd:?} \
             {problem}; the parent program gives this argument when it starts this one, \
             it is not for use by hand"
        ),
    }
}

fn open_number(text: &str) -> Result<RawFd, String> {
    let fd = parse_number(text)?;
    if is_open(fd) { Ok(fd) } else { Err("is not open".into()) }
}

fn take_socket(text: &str) -> Result<UnixStream, String> {
    let fd = open_number(text)?;
    let (family, kind) = family_and_type(fd).ok_or("is not a socket")?;
    if family != AddressFamily::UNIX {
        return Err("is not a unix socket".into());
    }
    if kind != SocketType::STREAM {
        return Err("is not a stream socket".into());
    }
    own(fd).map(UnixStream::from)
}

fn parse_number(text: &str) -> Result<RawFd, String> {
    // Digits only: parse() would take "+5".
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a decimal number".into());
    }
    match text.parse::<RawFd>() {
        Ok(0..=2) => Err("is standard input, output or error".into()),
        Ok(fd) => Ok(fd),
        Err(_) => Err("is not open".into()),
    }
}

/// The family and type of the socket `fd`; none if it is not a socket.
fn family_and_type(fd: RawFd) -> Option<(AddressFamily, SocketType)> {
    // SAFETY: the number was open a moment ago and is borrowed for two calls that only ask about
    // it. Should another thread close it meanwhile, they fail or tell of another file, and `own`
    // looks again.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let kind = rustix::net::sockopt::socket_type(fd).ok()?;
    let family = rustix::net::getsockname(fd).ok()?.address_family();
    Some((family, kind))
}

/// Makes this the one owner of `fd`.
///
/// Descriptors that came through exec have close-on-exec off. Those that this process opened
/// itself, or has taken before, have it on; they have an owner, and must not get a second one.
fn own(fd: RawFd) -> Result<OwnedFd, String> {
    static TAKING: Mutex<()> = Mutex::new(());
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);

    // SAFETY: as in `family_and_type`.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    match rustix::io::fcntl_getfd(borrowed) {
        Ok(flags) if flags.contains(FdFlags::CLOEXEC) => {
            return Err("is in use in this process already".into());
        }
        Ok(_) => {}
        Err(error) => return Err(format!("cannot be used: {error}")),
    }
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)
        .map_err(|error| format!("cannot be used: {error}"))?;
    // SAFETY: it is open, was inherited and never taken, as close-on-exec was off until now. So
    // it has no owner in this process.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes this process outlive Ctrl-C, which the terminal sends to parent and child alike: the
/// parent decides, and closes the socket when it exits. From now on SIGINT only writes one line
/// to standard error.
///
/// # Errors
///
/// [`Error::Io`] where the system refuses the handler.
pub fn ignore_sigint() -> Result<()> {
    INTERRUPTED.get_or_init(|| {
        let name = std::env::args_os().next().unwrap_or_default();
        let name = std::path::Path::new(&name).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        format!("{name}: interrupt ignored, waiting for the parent process to exit\n")
    });

    let handler: extern "C" fn(libc::c_int) = on_sigint;
    // SAFETY: sigaction is a plain C struct for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // Calls that the signal interrupts go on, also in code that does not expect it.
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is complete, with an empty mask, and its handler makes only calls that
    // are safe in one.
    let done = unsafe { libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut()) };
    match done {
        0 => Ok(()),
        _ => Err(Error::io("handle SIGINT", io::Error::last_os_error())),
    }
}

/// What the handler writes. Set before it is installed.
static INTERRUPTED: OnceLock<String> = OnceLock::new();

/// Runs on any thread at any moment: no locks, no allocation, and errno as it was.
extern "C" fn on_sigint(_signal: libc::c_int) {
    // Reading a set OnceLock is one atomic load.
    let Some(line) = INTERRUPTED.get() else { return };
    // SAFETY: write is safe in a handler and reads `line`, which lives as long as the process;
    // errno is this thread's own.
    unsafe {
        let errno = errno();
        let before = *errno;
        libc::write(2, line.as_ptr().cast(), line.len());
        *errno = before;
    }
}

/// Where this thread's errno is.
fn errno() -> *mut libc::c_int {
    // SAFETY: these only tell an address.
    unsafe {
        #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
        return libc::__error();
        #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
        return libc::__errno();
        #[cfg(not(any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "android",
            target_os = "netbsd",
            target_os = "openbsd"
        )))]
        return libc::__errno_location();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::only_test;
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};

    /// The problem with `fd`, between the fixed words.
    fn problem(fd: &str) -> String {
        let error = inherited_socket(fd).unwrap_err();
        assert!(matches!(&error, Error::Address { address, .. } if address == fd));
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        let (_, problem) = text.split_once(&format!("{fd:?} ")).unwrap();
        problem.split_once("; the parent program").unwrap().0.to_owned()
    }

    /// Makes `fd` look like one that came through exec.
    fn inheritable(fd: impl Into<OwnedFd>) -> RawFd {
        let fd = fd.into();
        rustix::io::fcntl_setfd(&fd, FdFlags::empty()).unwrap();
        fd.into_raw_fd()
    }

    #[test]
    fn what_is_not_a_number_of_a_socket_is_refused() {
        for text in ["x", "", "-1", "+5", " 5", "5 ", "0x5", "3.0"] {
            assert_eq!(problem(text), "is not a decimal number");
        }
        for text in ["0", "1", "2", "00"] {
            assert_eq!(problem(text), "is standard input, output or error");
        }
        for text in ["999999", "99999999999999999999"] {
            assert_eq!(problem(text), "is not open");
        }
    }

    #[test]
    fn what_is_another_kind_of_descriptor_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(problem(&file.as_raw_fd().to_string()), "is not a socket");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(problem(&tcp.as_raw_fd().to_string()), "is not a unix socket");
        let datagram = UnixDatagram::unbound().unwrap();
        assert_eq!(problem(&datagram.as_raw_fd().to_string()), "is not a stream socket");
    }

    #[test]
    fn socket_is_taken_once_and_not_inherited_further() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let number = inheritable(a).to_string();
        let taken = inherited_socket(&number).unwrap();
        assert!(rustix::io::fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        assert_eq!(problem(&number), "is in use in this process already");
        drop(taken);
        assert_eq!(b.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn interrupt_is_survived_with_a_line() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(only_test("inherited::tests::helper_ignores_interrupts"))
            .env("MP_TEST_INTERRUPT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(output.any(|line| line.unwrap() == "ready"));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.ends_with(": interrupt ignored, waiting for the parent process to exit\n"));
        drop(child.stdin.take());
        // Read to the end, so that the helper's last words find a reader.
        output.for_each(drop);
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn helper_ignores_interrupts() {
        if std::env::var_os("MP_TEST_INTERRUPT").is_some() {
            ignore_sigint().unwrap();
            println!("\nready");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
    }
}
