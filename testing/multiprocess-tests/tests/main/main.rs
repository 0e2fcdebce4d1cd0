//! The tests of the runtime that can run beside each other: both ends of a connection are in this
//! process, over a socket pair, or one end is a raw socket that breaks the protocol.

mod asyncs;
mod asyncs_served;
mod callbacks;
mod calls;
mod cleanup;
mod codecs;
mod disconnect;
mod faults;
mod handover;
mod handshake;
mod interrupt;
mod lent;
mod life;
mod listener;
mod local;
mod parties;
mod pipelining;
mod protocol;
mod regressions;
mod streaming;
mod threads;
mod versions;
