//! The tests of the runtime that can run beside each other: both ends of a connection are in this
//! process, over a socket pair, or one end is a raw socket that breaks the protocol.

mod admission;
mod asyncs;
mod asyncs_served;
mod borrowed;
mod callbacks;
mod calls;
mod cleanup;
mod codecs;
mod disconnect;
mod disembargo;
mod faults;
mod flagged;
mod handover;
mod handshake;
mod interrupt;
mod kinds;
mod life;
mod listener;
mod local;
mod local_panics;
mod moved_twice;
mod order;
mod parties;
mod pipelining;
mod protocol;
mod references;
mod regressions;
mod relay;
mod slow_hooks;
mod stream_order;
mod streaming;
mod tail_call;
mod thread_end;
mod threads;
mod versions;
