//! The ThreadMap and Thread objects of `mp/proxy.capnp`, as this process serves them.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use super::{Inbox, Worker};
use crate::connection::{Tables, ThreadCount, WeakConn};
use crate::proxy_capnp::{thread, thread_map};
use crate::rt::{AnyReader, Decoder};
use crate::server::{Job, Local, Served, ServedThread};
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
        return Err(crate::rt::unknown_method("Thread", interface, method));
    }
    let name = server.name().to_owned();
    Ok(Job::immediate(move |_cx, results| {
        results.init_as::<thread::get_name_results::Builder<'_>>().set_result(name.as_str());
        Ok(())
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
                let params = params
                    .get_as::<thread_map::make_thread_params::Reader<'_>>()
                    .map_err(crate::rt::malformed)?;
                let name = crate::rt::text(params.get_name())?;
                Ok(Job::immediate(move |cx, results| {
                    let count = cx.tables().threads.count(1, cx.conn().limits().threads)?;
                    let hook =
                        cx.export_thread(ThreadServer::Worker(Worker::new(name.clone()), count));
                    let mut results =
                        results.init_as::<thread_map::make_thread_results::Builder<'_>>();
                    results.set_result(capnp::capability::FromClientHook::new(hook));
                    Ok(())
                }))
            }
            (THREAD_MAP, 1) => {
                let params = params
                    .get_as::<thread_map::make_pool_params::Reader<'_>>()
                    .map_err(crate::rt::malformed)?;
                let count = params.get_count();
                if count == 0 {
                    return Err(Error::failed("a pool needs at least one thread"));
                }
                cx.tables().threads.make_pool(count as usize, cx.conn().limits().threads)?;
                Ok(Job::immediate(|_cx, _results| Ok(())))
            }
            _ => Err(crate::rt::unknown_method("ThreadMap", interface, method)),
        }
    }

    fn into_remains(self: Box<Self>) -> Option<Box<dyn Any + Send>> {
        None
    }
}

/// Makes a thread an object that the peer can be given.
pub(crate) fn export(conn: WeakConn, tables: &Rc<Tables>, server: ThreadServer) -> Rc<Local> {
    Local::new(conn, tables, Box::new(ServedThread(server)))
}
