//! The capability behind which an object of this process is served.

use std::any::Any;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use capnp::MessageSize;
use capnp::any_pointer;
use capnp::capability::{DispatchCallResult, Params, Promise, Request, Results};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use futures_channel::oneshot;

use super::job::{Kind, destroyed};
use super::{Job, Task, Token};
use crate::connection::{After, RunningCall, Tables, WeakConn, to_engine};
use crate::rt::{AnyReader, Decoder, Encoder, Interface};
use crate::thread::ThreadServer;
use crate::{Error, Result};

/// What a [`Local`] serves.
pub(crate) trait Served {
    fn name(&self) -> &'static str;
    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        cx: &mut Decoder<'_>,
        params: AnyReader<'_>,
    ) -> Result<Job>;
    /// The method that ends the object, if its interface has one.
    fn destroy_method(&self) -> Option<(u64, u16)> {
        None
    }
    /// The address of the user's object.
    fn object(&self) -> Option<usize> {
        None
    }
    /// What a running call holds so that the object and its cleanup hooks wait for its end.
    fn keep(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
    /// The handle of a user's object, to give back when it comes home.
    fn handle(&self) -> Option<&dyn Any> {
        None
    }
    /// The thread, if that is what is served.
    fn thread(&self) -> Option<&ThreadServer> {
        None
    }
    /// What is to be dropped where it may block: the user's object.
    fn into_remains(self: Box<Self>) -> Option<Box<dyn Any + Send>>;
}

/// A user's object, through its handle.
pub(crate) struct ServedObject<I: Interface>(pub(crate) I);

impl<I: Interface> Served for ServedObject<I> {
    fn name(&self) -> &'static str {
        I::NAME
    }

    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        cx: &mut Decoder<'_>,
        params: AnyReader<'_>,
    ) -> Result<Job> {
        let object = self.0.handle().local_object().unwrap_or_else(|| self.0.clone().into_object());
        I::dispatch(object, interface, method, cx, params)
    }

    fn destroy_method(&self) -> Option<(u64, u16)> {
        I::DESTROY.map(|destroy| (destroy.method.interface, destroy.method.id))
    }

    fn object(&self) -> Option<usize> {
        Some(self.0.handle().address())
    }

    fn keep(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.handle().keep()
    }

    fn handle(&self) -> Option<&dyn Any> {
        Some(&self.0)
    }

    fn into_remains(self: Box<Self>) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(self.0))
    }
}

/// One of this process's threads, as the peer names it in a context.
pub(crate) struct ServedThread(pub(crate) ThreadServer);

impl Served for ServedThread {
    fn name(&self) -> &'static str {
        "Thread"
    }

    fn dispatch(
        &self,
        interface: u64,
        method: u16,
        _cx: &mut Decoder<'_>,
        _params: AnyReader<'_>,
    ) -> Result<Job> {
        crate::thread::dispatch_thread(&self.0, interface, method)
    }

    fn thread(&self) -> Option<&ThreadServer> {
        Some(&self.0)
    }

    fn into_remains(self: Box<Self>) -> Option<Box<dyn Any + Send>> {
        None
    }
}

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
        let mut cx = Decoder::new(&conn, &tables);
        let params = params.hook.get().map_err(crate::rt::malformed)?;
        let job = match self.served.borrow().as_deref() {
            Some(served) => served.dispatch(interface, method, &mut cx, params)?,
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
            Kind::Run(run) => Ok(self.start(&conn, &tables, context, results, Some(run))),
            Kind::Destroy => Ok(self.start(&conn, &tables, context, results, None)),
        }
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
        run: Option<super::job::Run>,
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
        let work = match run {
            Some(run) => {
                super::task::Work::Call(run, self.with_served(|served| served.keep()).flatten())
            }
            None => super::task::Work::Destroy(
                self.served.borrow_mut().take().and_then(Served::into_remains),
            ),
        };
        let task = Task::new(conn.clone(), id, token, work);
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
