//! Starting a program as vfork does: the child borrows this process's memory and the calling thread
//! stands still until the child runs its program. Nothing of the memory is copied, so the cost is
//! the same however much there is.
//!
//! `posix_spawn` does the same inside. It is not used because it cannot close descriptors that it is
//! not told of (`addclosefrom_np` is in newer glibc only), nor ask for a parent-death signal.
//!
//! The rules that follow from the borrowed memory:
//!
//! - The child has a stack of its own, so that it does not write over this thread's.
//! - Signals are blocked, and their handlers gone before they are not, so that no handler of this
//!   process runs in the child.
//! - Everything that allocates happens before; the child makes system calls only. Other threads go on
//!   meanwhile, and may hold locks, so the child must take none.

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::Pid;

use super::pid::Process;
use super::start::{EnvChange, Start, prepare_in_child};

/// Where programs are where no `PATH` is set: as in C.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Returns after exec, or with the errno of what failed; the child is reaped then.
pub(super) fn start(start: &Start) -> io::Result<Process> {
    let exec = Exec::new(start)?;
    let stack = Stack::new()?;
    let blocked = Blocked::all();
    let plan = Plan { start, exec: &exec, mask: blocked.before, failed: AtomicI32::new(0) };
    // Without a pidfd if no descriptor is left for it, or a sandbox does not allow the flag.
    let started = clone(&plan, &stack, libc::CLONE_PIDFD).or_else(|_| clone(&plan, &stack, 0));
    drop(blocked);
    let process = started?;
    match plan.failed.load(Ordering::Relaxed) {
        0 => Ok(process),
        errno => {
            // It has ended or is about to. Somebody else may have reaped it.
            process.wait_until(None);
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

/// Starts the child, and returns once it has left this memory. With `CLONE_PIDFD` its pidfd comes from the
/// same system call, so that it is the child's even if other code reaps the child at once.
fn clone(plan: &Plan<'_>, stack: &Stack, pidfd_flag: c_int) -> io::Result<Process> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | pidfd_flag;
    let argument = (&raw const *plan).cast_mut().cast();
    let (none, mut pidfd) = (ptr::null_mut::<c_void>(), -1);
    // SAFETY: the stack is nobody else's, and it and the plan live until CLONE_VFORK lets this return, when the child has
    // left this memory. Signals are blocked, the child makes system calls only, the kernel writes a number to `pidfd`.
    let pid =
        unsafe { libc::clone(in_child, stack.top(), flags, argument, &raw mut pidfd, none, none) };
    if pid == -1 {
        return Err(io::Error::last_os_error());
    }
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::Other)?;
    if pidfd == -1 {
        // Kernels before 5.2 ignore the flag.
        return Ok(Process::with_pidfd(pid, None));
    }
    // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else knows of it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Process::with_pidfd(pid, Some(pidfd.into())))
}

/// The work of the child, and the place for the errno of a failure.
struct Plan<'a> {
    start: &'a Start,
    exec: &'a Exec,
    /// The signals that this thread had blocked, and that the child will have blocked.
    mask: libc::sigset_t,
    failed: AtomicI32,
}

extern "C" fn in_child(plan: *mut c_void) -> c_int {
    // SAFETY: `start` gives a Plan, which lives while the child is here.
    let plan = unsafe { &*plan.cast_const().cast::<Plan<'_>>() };
    let error = plan.run();
    plan.failed.store(error.raw_os_error().unwrap_or(libc::EINVAL), Ordering::Relaxed);
    // SAFETY: ends the child at once, without what exit would do to this process's memory.
    unsafe { libc::_exit(127) }
}

impl Plan<'_> {
    /// Returns only if something failed.
    fn run(&self) -> io::Error {
        forget_handlers_in_child();
        if let Err(error) = prepare_in_child(&self.start.in_child) {
            return error;
        }
        set_mask(&self.mask);
        self.exec.run_in_child()
    }
}

/// Gives every signal that has a handler its default action, which exec would do a moment later, and
/// SIGPIPE too, as `std::process` does: Rust's programs ignore it, and others do not expect that.
/// Ignored ones stay ignored.
fn forget_handlers_in_child() {
    // SAFETY: sigaction is a plain C struct for which all zero is a value, SIG_DFL in fact.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    for signal in 1..=libc::SIGRTMAX() {
        let mut now = default;
        // SAFETY: reads the present action into a struct that lives here. Numbers that are the C
        // library's own are errors, and their handlers run for this process's threads only.
        let read = unsafe { libc::sigaction(signal, ptr::null(), &mut now) };
        let handled = !matches!(now.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
        if read == 0 && (handled || signal == libc::SIGPIPE) {
            // SAFETY: sets a complete action without a handler, in the child's own table.
            unsafe { libc::sigaction(signal, &default, ptr::null_mut()) };
        }
    }
}

/// All signals are blocked for this thread, until dropped.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn all() -> Blocked {
        let (mut all, mut before) = (no_signals(), no_signals());
        // SAFETY: the first writes the one set, the second reads it and writes the other; both live
        // here.
        unsafe {
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        }
        Blocked { before }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(&self.before);
    }
}

/// Sets the thread's mask. Cannot fail, as the set is a proper one.
fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: reads a set that lives.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}

fn no_signals() -> libc::sigset_t {
    // SAFETY: sigset_t is plain bits, and filled in by the next call.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes the set.
    unsafe { libc::sigemptyset(&mut set) };
    set
}

/// The arguments of execve, made before the child is started.
struct Exec {
    /// The files to try, in order.
    programs: Vec<CString>,
    args: Strings,
    env: Strings,
}

impl Exec {
    fn new(start: &Start) -> io::Result<Exec> {
        let mut env: Vec<_> = std::env::vars_os().collect();
        for change in &start.env {
            match change {
                EnvChange::Set(key, value) => {
                    env.retain(|(other, _)| other != key);
                    env.push((key.clone(), value.clone()));
                }
                EnvChange::Remove(key) => env.retain(|(other, _)| other != key),
                EnvChange::Clear => env.clear(),
            }
        }
        let path = env.iter().find(|(key, _)| key == "PATH").map(|(_, path)| path.as_bytes());
        let programs = programs(&start.program, path.unwrap_or(DEFAULT_PATH))?;
        let variables = env.into_iter().map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            variable
        });
        let args = Strings::new(start.args.iter().cloned())?;
        Ok(Exec { programs, args, env: Strings::new(variables)? })
    }

    /// Returns only if no program could be run. Like execvp it skips missing files, and remembers
    /// the error of a file that may not be run.
    fn run_in_child(&self) -> io::Error {
        let mut result = libc::ENOENT;
        for program in &self.programs {
            // SAFETY: a C string and two null-terminated lists of such, all of which live.
            unsafe { libc::execve(program.as_ptr(), self.args.as_ptr(), self.env.as_ptr()) };
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EACCES) => result = libc::EACCES,
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                _ => return error,
            }
        }
        io::Error::from_raw_os_error(result)
    }
}

/// The files that a program's name stands for.
fn programs(name: &Path, path: &[u8]) -> io::Result<Vec<CString>> {
    let name = name.as_os_str().as_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return Ok(vec![CString::new(name)?]);
    }
    // An empty place is the current directory, where the name alone is the file.
    let file = |dir: &[u8]| match dir {
        [] => CString::new(name),
        _ => CString::new([dir, b"/", name].concat()),
    };
    Ok(path.split(|byte| *byte == b':').map(file).collect::<Result<_, _>>()?)
}

/// A null-terminated list of C strings, with the strings.
struct Strings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Strings {
    fn new(strings: impl Iterator<Item = OsString>) -> io::Result<Strings> {
        let strings = strings.map(|s| CString::new(s.into_vec())).collect::<Result<Vec<_>, _>>()?;
        let pointers = strings.iter().map(|s: &CString| CStr::as_ptr(s)).chain([ptr::null()]);
        Ok(Strings { pointers: pointers.collect(), _strings: strings })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// The child's stack: memory that nobody else uses, above pages that cannot be touched, so that an
/// overflow ends the child and writes over nothing.
struct Stack {
    bottom: *mut c_void,
}

impl Stack {
    /// The child uses a few KiB of it.
    const ROOM: usize = 64 << 10;
    /// At least one page, however large pages are.
    const GUARD: usize = 64 << 10;

    fn new() -> io::Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let (all, none) = (Stack::GUARD + Stack::ROOM, libc::PROT_NONE);
        // SAFETY: asks for new memory at any place.
        let bottom = unsafe { libc::mmap(ptr::null_mut(), all, none, flags, -1, 0) };
        if bottom == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack { bottom };
        let usable = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: changes the upper part of the memory just got, which nobody uses yet.
        match unsafe { libc::mprotect(bottom.byte_add(Stack::GUARD), Stack::ROOM, usable) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Where it begins: stacks grow down.
    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the memory.
        unsafe { self.bottom.byte_add(Stack::GUARD + Stack::ROOM) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: gives back what `new` got, which the child has left.
        unsafe { libc::munmap(self.bottom, Stack::GUARD + Stack::ROOM) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str, path: &str) -> Vec<String> {
        let files = programs(Path::new(name), path.as_bytes()).unwrap();
        files.into_iter().map(|file| file.into_string().unwrap()).collect()
    }

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        assert_eq!(files("a", "/x:/y/z"), ["/x/a", "/y/z/a"]);
        assert_eq!(files("a", ":/x:"), ["a", "/x/a", "a"]);
        assert_eq!(files("./a", "/x"), ["./a"]);
        assert_eq!(files("", "/x"), [""]);
        assert!(programs(Path::new("a\0b"), b"/x").is_err());
    }
}
