//! The ThreadMap and Thread objects of `mp/proxy.capnp`, as this process serves them.

use std::sync::Arc;

use super::{Inbox, Worker};
use crate::connection::ThreadCount;
use crate::rt::{AnyReader, Decoder};
use crate::server::{Job, Served};
use crate::wire::{Builder, Reader, Size, Text};
use crate::{Error, Result};

pub(crate) const THREAD_MAP: u64 = 0xee5e_3717_9ad9_dc9d;
pub(super) const THREAD: u64 = 0x81c1_e260_0d0b_56c5;

/// A thread of this process that a peer can name.
pub(crate) enum ThreadServer {
    /// Made for the peer; counted until it is let go.
    Worker(Worker, #[allow(dead_code, reason = "counts until it is dropped")] ThreadCount),
    /// A calling thread, on which the callbacks of its calls run.
    Caller(Arc<Inbox>),
    /// No thread in particular: callbacks of calls that no thread waits for.
    Pool,
}

impl ThreadServer {
    pub(crate) fn name(&self) -> &str {
        match self {
            ThreadServer::Worker(worker, _) => worker.name(),
            ThreadServer::Caller(inbox) => inbox.name(),
            ThreadServer::Pool => "pool",
        }
    }
}

pub(crate) fn dispatch_thread(server: &ThreadServer, interface: u64, method: u16) -> Result<Job> {
    if (interface, method) != (THREAD, 0) {
        return Err(crate::codec::unknown_method("Thread", interface, method));
    }
    let name = server.name().to_owned();
    Ok(Job::immediate(move |cx, results| {
        Builder::content(results, Size(0, 1)).set::<Text>(cx, 0, "result", &name)
    }))
}

/// Makes threads for the peer of one connection.
pub(crate) struct ServedThreadMap;

impl Served for ServedThreadMap {
    fn name(&self) -> &'static str {
        "ThreadMap"
    }

    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        cx: &mut Decoder<'_>,
        params: AnyReader<'_>,
    ) -> Result<Job> {
        match (interface, method) {
            (THREAD_MAP, 0) => {
                let name = Reader::content(params)?.get::<Text>(cx, 0, "name")?;
                Ok(Job::immediate(move |cx, results| {
                    let limit = cx.conn().limits().threads;
                    let count = cx.core().threads.count(1, limit)?;
                    let thread =
                        cx.export_thread(ThreadServer::Worker(Worker::new(name.clone()), count));
                    let hook = cx.give(thread);
                    Builder::content(results, Size(0, 1)).pointer(0).set_capability(hook);
                    Ok(())
                }))
            }
            (THREAD_MAP, 1) => {
                let count = Reader::content(params)?.get::<u32>(cx, 0, "count")?;
                if count == 0 {
                    return Err(Error::failed("a pool needs at least one thread"));
                }
                let (conn, core) = cx.place()?;
                core.threads.make_pool(count as usize, conn.limits().threads)?;
                Ok(Job::immediate(|_cx, _results| Ok(())))
            }
            _ => Err(crate::codec::unknown_method("ThreadMap", interface, method)),
        }
    }
}
