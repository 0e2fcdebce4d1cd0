//! The capability behind which an object of this process is served.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use capnp::MessageSize;
use capnp::any_pointer;
use capnp::capability::{DispatchCallResult, Params, Promise, Request, Results};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use futures_channel::oneshot;

use super::job::{Kind, destroyed};
use super::task::{Kept, Work};
use super::uses::Uses;
use super::{Served, Task, Token};
use crate::connection::{After, RunningCall, Tables, WeakConn, to_engine};
use crate::guard::catch_panic;
use crate::rt::{Decoder, Encoder};
use crate::{Error, Result};

/// An exported object. The engine holds it through [`LocalHook`]s.
pub(crate) struct Local {
    tables: Weak<Tables>,
    conn: WeakConn,
    served: RefCell<Option<Box<dyn Served>>>,
    name: &'static str,
    /// The interface's destroy method: the one call that a destroyed object still accepts.
    destroy: Option<(u64, u16)>,
    /// The address of the user's object.
    object: Option<usize>,
    /// The object's running calls.
    uses: Arc<Uses>,
}

impl Local {
    pub(crate) fn new(conn: WeakConn, tables: &Rc<Tables>, served: Box<dyn Served>) -> Rc<Local> {
        let local = Rc::new(Local {
            tables: Rc::downgrade(tables),
            conn,
            name: served.name(),
            destroy: served.destroy_method(),
            object: served.object(),
            served: RefCell::new(Some(served)),
            uses: Arc::default(),
        });
        tables.add_local(&local, local.object);
        local
    }

    pub(crate) fn hook(self: &Rc<Self>) -> Box<dyn ClientHook> {
        Box::new(LocalHook(Rc::clone(self)))
    }

    /// Looks at what is served; none once it was destroyed.
    pub(crate) fn with_served<R>(&self, look: impl FnOnce(&dyn Served) -> R) -> Option<R> {
        self.served.borrow().as_deref().map(look)
    }

    fn call(
        self: &Rc<Self>,
        interface: u64,
        method: u16,
        params: &Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> Result<Promise<(), capnp::Error>> {
        let tables =
            self.tables.upgrade().ok_or_else(|| Error::disconnected("the connection has ended"))?;
        let conn =
            self.conn.upgrade().ok_or_else(|| Error::disconnected("the connection has ended"))?;
        if tables.running_calls() >= conn.limits().calls {
            return Err(Error::Overloaded {
                message: format!(
                    "more than {} calls at once on one connection",
                    conn.limits().calls
                ),
            });
        }
        let again = || drop(params.hook.get());
        let mut cx = Decoder::new(&conn, &tables).of_content(&again);
        let params = params.hook.get().map_err(crate::rt::malformed)?;
        let job = match self.served.borrow().as_deref() {
            Some(served) => catch_panic(|| served.dispatch(interface, method, &mut cx, params))?,
            None => return self.call_destroyed(interface, method),
        };
        let context = cx.take_context();
        match job.0 {
            Kind::Immediate(mut encode) => {
                let mut results = results;
                let builder = results.hook.get().map_err(crate::rt::malformed)?;
                encode(&mut Encoder::immediate(&conn, &tables), builder)?;
                drop(results);
                Ok(Promise::ok(()))
            }
            Kind::Run(method) => {
                let work = Work::Call(method, self.kept());
                Ok(self.start(&conn, &tables, context, results, work))
            }
            Kind::Spawn(method) => {
                let work = Work::Spawn(method, self.kept());
                Ok(self.start(&conn, &tables, context, results, work))
            }
            Kind::Destroy => {
                let remains = self.served.borrow_mut().take().and_then(Served::into_remains);
                Ok(self.start(&conn, &tables, context, results, Work::Destroy(remains)))
            }
        }
    }

    fn kept(&self) -> Kept {
        self.with_served(|served| served.keep()).flatten()
    }

    /// Calls on a destroyed object: a second destroy does nothing, anything else is an error.
    fn call_destroyed(&self, interface: u64, method: u16) -> Result<Promise<(), capnp::Error>> {
        if self.destroy == Some((interface, method)) {
            Ok(Promise::ok(()))
        } else {
            Err(destroyed(self.name))
        }
    }

    /// Leaves the call for its thread, and gives the engine the promise of its end.
    fn start(
        self: &Rc<Self>,
        conn: &crate::connection::ArcConn,
        tables: &Rc<Tables>,
        context: Option<crate::rt::CallThreads>,
        results: Results<any_pointer::Owned>,
        work: Work,
    ) -> Promise<(), capnp::Error> {
        let token = Arc::new(Token::default());
        tables.bind_token(&token);
        let (done, finished) = oneshot::channel();
        let (thread, callback) = match &context {
            Some(threads) => (
                threads.thread.as_ref().map(|hook| hook.add_ref()),
                threads.callback.as_ref().map(|hook| hook.add_ref()),
            ),
            None => (None, None),
        };
        conn.count_running();
        let id = tables.add_running(RunningCall {
            results,
            done,
            token: Arc::clone(&token),
            thread,
            callback,
        });
        let task = Task::new(conn.clone(), id, token, work, &self.uses);
        let finished = async move {
            match finished.await {
                Ok(outcome) => outcome,
                Err(_dropped) => Err(capnp::Error::failed(
                    "the call was dropped by the serving thread".to_owned(),
                )),
            }
        };
        match context {
            None => {
                crate::thread::queue(tables, conn.inline_lane(), task);
                Promise::from_future(finished)
            }
            Some(threads) => crate::thread::schedule(tables, threads, task, finished),
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let remains = self.served.take().and_then(Served::into_remains);
        if let Some(tables) = self.tables.upgrade() {
            tables.remove_local(std::ptr::from_ref(self) as usize, self.object);
            if let Some(remains) = remains {
                tables.after(After::Drop(remains));
            }
        } else if let Some(remains) = remains {
            // The tables go last, when the connection itself is dropped: nobody is left to do it.
            crate::thread::pool::run(move || drop(remains));
        }
    }
}

/// A reference of the engine's on a [`Local`].
///
/// capnp-rpc's own local client would put a further promise around every call; calls of the
/// network go straight to the object here.
pub(crate) struct LocalHook(Rc<Local>);

impl LocalHook {
    fn start(
        &self,
        interface: u64,
        method: u16,
        params: &Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> Promise<(), capnp::Error> {
        self.0
            .call(interface, method, params, results)
            .unwrap_or_else(|error| Promise::err(to_engine(&error)))
    }
}

impl ClientHook for LocalHook {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Box::new(LocalHook(Rc::clone(&self.0)))
    }

    fn new_call(
        &self,
        interface_id: u64,
        method_id: u16,
        size_hint: Option<MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        let loopback: Loopback = capnp_rpc::new_client(LocalHook(Rc::clone(&self.0)));
        loopback.0.new_call(interface_id, method_id, size_hint)
    }

    fn call(
        &self,
        interface_id: u64,
        method_id: u16,
        params: Box<dyn ParamsHook>,
        results: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        self.start(interface_id, method_id, &Params::new(params), Results::new(results))
    }

    fn get_brand(&self) -> usize {
        0
    }

    fn get_ptr(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        None
    }

    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        Promise::ok(())
    }
}

/// The engine's local client needs a server of capnp's own kind; this one hands on to [`Local`].
#[derive(Clone)]
struct LoopbackServer(Rc<LocalHook>);

impl std::ops::Deref for LoopbackServer {
    type Target = LocalHook;
    fn deref(&self) -> &LocalHook {
        &self.0
    }
}

impl capnp::capability::Server for LoopbackServer {
    fn dispatch_call(
        self,
        interface_id: u64,
        method_id: u16,
        params: Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        DispatchCallResult::new(self.0.start(interface_id, method_id, &params, results), false)
    }

    fn as_ptr(&self) -> usize {
        self.0.get_ptr()
    }
}

struct Loopback(Box<dyn ClientHook>);

impl capnp::capability::FromClientHook for Loopback {
    fn new(hook: Box<dyn ClientHook>) -> Self {
        Loopback(hook)
    }
    fn into_client_hook(self) -> Box<dyn ClientHook> {
        self.0
    }
    fn as_client_hook(&self) -> &dyn ClientHook {
        &*self.0
    }
}

impl capnp::capability::FromServer<LocalHook> for Loopback {
    type Dispatch = LoopbackServer;
    fn from_server(server: Rc<LocalHook>) -> LoopbackServer {
        LoopbackServer(server)
    }
}
