//! Threads that calls run on.
//!
//! Every thread that calls or serves has an [`Inbox`]. A thread that waits for an answer runs what
//! arrives in its inbox meanwhile: these are the callbacks of the call it waits for. A worker is a
//! thread that does nothing else.

mod bell;
mod inbox;
mod lanes;
pub(crate) mod pool;
mod schedule;
mod serve;
mod together;
mod worker;

pub(crate) use inbox::{Inbox, this_inbox, use_connection};
pub(crate) use lanes::{Lanes, Start, release_lane};
pub(crate) use schedule::{queue, schedule, schedule_on};
pub(crate) use serve::{ServedThreadMap, THREAD_MAP, ThreadServer, dispatch_thread};
pub(crate) use together::more_follows;
pub(crate) use worker::Worker;
