//! The ThreadMap and Thread objects of `mp/proxy.capnp`, as this process serves them.

use std::sync::Arc;

use capnp_engine::{Cap, Delivery, Draft, Incoming, cap_hook};

use super::errors::to_exception;
use super::object::Object;
use super::thread_server::ThreadServer;
use crate::connection::{ArcConn, Core};
use crate::memory::MEMORY;
use crate::threads::Worker;
use crate::wire::context::NoCapabilities;
use crate::wire::helpers::{malformed, unknown_method};
use crate::wire::{Builder, Decoder, Encoder, Reader, Size, Text};

pub(crate) const THREAD_MAP: u64 = 0xee5e_3717_9ad9_dc9d;
const THREAD: u64 = 0x81c1_e260_0d0b_56c5;

/// Bytes of a thread's name that are kept.
const MAX_NAME: usize = 4096;

/// One of this process's threads, as the peer names it in a context.
struct ServedThread(ThreadServer);

/// Makes threads for the peer of one connection.
pub(super) struct ServedThreadMap;

impl Core {
    /// A new capability for a thread of this process.
    pub(super) fn export_thread(&mut self, server: ThreadServer) -> Cap {
        self.export(Arc::new(ServedThread(server)), false)
    }
}

impl Object for ServedThread {
    fn deliver(
        self: Arc<Self>,
        core: &mut Core,
        _conn: &ArcConn,
        call: Delivery,
        _message: Option<&Incoming<'_>>,
    ) {
        let answer = match (call.interface, call.method) {
            (THREAD, 0) => Draft::results(&MEMORY, call.call, |to| {
                let mut none = NoCapabilities;
                let mut cx = Encoder::new(&mut none, 0, 0);
                let name = self.0.name().to_owned();
                Builder::content(to, Size(0, 1)).set::<Text>(&mut cx, 0, "result", &name)?;
                Ok(Vec::new())
            }),
            (interface, method) => Err(unknown_method("Thread", interface, method)),
        };
        core.engine.release_all(call.params.caps);
        core.engine.answer(call.call, answer.map_err(to_exception));
    }

    fn thread(&self) -> Option<&ThreadServer> {
        Some(&self.0)
    }
}

impl Object for ServedThreadMap {
    fn deliver(
        self: Arc<Self>,
        core: &mut Core,
        conn: &ArcConn,
        call: Delivery,
        message: Option<&Incoming<'_>>,
    ) {
        let params = call.params.with(message, |content| {
            let content = content.map_err(malformed)?;
            let mut cx = Decoder::new(None, content.message.len(), 0);
            let params = Reader::content(content.reader)?;
            match (call.interface, call.method) {
                (THREAD_MAP, 0) => params.get::<Text>(&mut cx, 0, "name").map(Asked::Thread),
                (THREAD_MAP, 1) => params.get::<u32>(&mut cx, 0, "count").map(Asked::Pool),
                (interface, method) => Err(unknown_method("ThreadMap", interface, method)),
            }
        });
        core.engine.release_all(call.params.caps);
        let budget = &conn.session().budget;
        let answer = params.and_then(|asked| match asked {
            Asked::Thread(name) => {
                let name = cut(&name);
                let count = budget.claim(1)?;
                let thread = core.export_thread(ThreadServer::Worker(Worker::new(name, count)));
                Draft::results(&MEMORY, call.call, |to| {
                    let mut results = Builder::content(to, Size(0, 1));
                    results.pointer(0).set_capability(cap_hook(0));
                    Ok(vec![Some(thread)])
                })
            }
            Asked::Pool(0) => Err(crate::Error::failed("a pool needs at least one thread")),
            Asked::Pool(count) => {
                core.state().threads.make_pool(count as usize, budget)?;
                Draft::results(&MEMORY, call.call, |to| {
                    Builder::content(to, Size(0, 0));
                    Ok(Vec::new())
                })
            }
        });
        core.engine.answer(call.call, answer.map_err(to_exception));
    }
}

/// The request of a call of a ThreadMap.
enum Asked {
    /// A thread of this name.
    Thread(String),
    /// A pool of so many.
    Pool(u32),
}

/// A thread's name of no more than [`MAX_NAME`] bytes, which takes no more memory than that.
fn cut(name: &str) -> String {
    let end = (0..=MAX_NAME).rev().find(|end| name.is_char_boundary(*end));
    name[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_leaves_no_memory_behind() {
        let name = cut(&"é".repeat(1 << 20));
        assert_eq!(name, "é".repeat(MAX_NAME / 2));
        assert!(name.capacity() <= MAX_NAME, "{}", name.capacity());
        assert_eq!(cut(&format!("x{}", "é".repeat(MAX_NAME))).len(), MAX_NAME - 1);
        assert_eq!(cut("short"), "short");
    }
}
