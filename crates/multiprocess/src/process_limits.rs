//! Bounds on what all peers together can make this process hold.

use std::sync::atomic::{AtomicUsize, Ordering};

static THREADS: AtomicUsize = AtomicUsize::new(ProcessLimits::DEFAULT.threads);
static PARTIAL_BYTES: AtomicUsize = AtomicUsize::new(ProcessLimits::DEFAULT.partial_bytes);
static CALL_BYTES: AtomicUsize = AtomicUsize::new(ProcessLimits::DEFAULT.call_bytes);

/// Bounds on what all peers together can make this process hold. They are above those of each
/// connection ([`Limits`](crate::Limits)), and the same for all connections.
///
/// ```
/// use multiprocess::ProcessLimits;
///
/// let mut limits = ProcessLimits::default();
/// limits.threads = 1_000;
/// limits.set();
/// assert_eq!(ProcessLimits::current().threads, 1_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessLimits {
    /// Threads that the runtime starts, for calls and cleanup of all connections. A connection takes
    /// its first eight for calls as long as there are any, and more only from a half of them that all
    /// connections share, so that a few peers that use many leave others some. Beyond this what needs a thread is refused as
    /// overloaded, or waits. 4,096 unless set, because Linux's usual bound on memory maps allows some
    /// 16,000 threads in a process, and the process ends beyond it.
    pub threads: usize,
    /// Bytes of messages that have begun to arrive and are longer than 64 KiB. Beyond this the connections
    /// whose message began first end. 1 GiB unless set.
    pub partial_bytes: usize,
    /// Bytes of calls that wait or run, and of results that are kept, of all connections: those of each
    /// beyond its first MiB. Beyond this calls of more than 1,024 bytes are refused as overloaded. 1 GiB
    /// unless set.
    pub call_bytes: usize,
    /// How deep the structs and lists of a value may lie in each other. What is nested more deeply fails its
    /// call, on the side that writes it, or if that has a higher limit, on the one that reads it. The
    /// four levels of a message around its values count where it is read, and a list in a value is a level as
    /// a struct is. Each level needs stack of the
    /// thread that reads or writes: up to 5 KiB in a debug build, and threads of this runtime have 2 MiB
    /// unless `RUST_MIN_STACK` says otherwise. 64 unless set, as in every implementation of Cap'n Proto; a
    /// peer with another limit has to be set likewise.
    pub nesting: u16,
}

impl ProcessLimits {
    const DEFAULT: ProcessLimits = ProcessLimits {
        threads: 4096,
        partial_bytes: 1 << 30,
        call_bytes: 1 << 30,
        nesting: capnp_engine::NESTING,
    };

    /// The bounds in force.
    pub fn current() -> ProcessLimits {
        ProcessLimits {
            threads: THREADS.load(Ordering::Relaxed),
            partial_bytes: PARTIAL_BYTES.load(Ordering::Relaxed),
            call_bytes: CALL_BYTES.load(Ordering::Relaxed),
            nesting: capnp_engine::nesting_limit(),
        }
    }

    /// Puts these bounds in force for the process. What is held already beyond them is kept.
    pub fn set(self) {
        THREADS.store(self.threads, Ordering::Relaxed);
        PARTIAL_BYTES.store(self.partial_bytes, Ordering::Relaxed);
        CALL_BYTES.store(self.call_bytes, Ordering::Relaxed);
        capnp_engine::set_nesting_limit(self.nesting);
    }

    /// Threads that connections take beyond those that each can always have.
    pub(crate) fn shared_threads() -> usize {
        THREADS.load(Ordering::Relaxed) / 2
    }
}

impl Default for ProcessLimits {
    fn default() -> ProcessLimits {
        ProcessLimits::DEFAULT
    }
}
