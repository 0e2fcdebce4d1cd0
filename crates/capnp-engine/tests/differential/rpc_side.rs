//! The other side: the crate capnp-rpc, on an executor of one thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use capnp::any_pointer;
use capnp::capability::{
    Client, DispatchCallResult, FromServer, Params, Promise, RemotePromise, Results, Server,
};
use capnp_engine::ExceptionKind;
use capnp_rpc::rpc_capnp::accept;
use capnp_rpc::rpc_twoparty_capnp::Side as Vat;
use capnp_rpc::{Disconnector, RpcSystem, twoparty};
use futures::channel::oneshot;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::{AbortHandle, FutureExt, abortable};
use futures::task::LocalSpawnExt;

use crate::engine_side::without_prefix;
use crate::model::{METHODS, Method, NESTED, Outcome, Shared, Side, error, made, value};
use crate::wire::Pipe;
use crate::{BOOTSTRAP, INTERFACE};

type Request = capnp::capability::Request<any_pointer::Owned, any_pointer::Owned>;
type Held = Rc<RefCell<Vec<(u32, bool, Client)>>>;

#[derive(Default)]
struct Waiting {
    slow: HashMap<u32, oneshot::Sender<()>>,
    promises: HashMap<u32, oneshot::Sender<Result<Client, capnp::Error>>>,
}

/// An object of this side.
struct Object {
    id: u32,
    log: Shared,
    waiting: Rc<RefCell<Waiting>>,
    inbox: Held,
}

impl Drop for Object {
    fn drop(&mut self) {
        self.log.borrow_mut().released[Side::Rpc as usize] += 1;
    }
}

/// Replaces generated code for an interface.
#[derive(Clone)]
struct Dispatch(Rc<Object>);

impl Deref for Dispatch {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.0
    }
}

impl FromServer<Object> for Client {
    type Dispatch = Dispatch;

    fn from_server(object: Rc<Object>) -> Dispatch {
        Dispatch(object)
    }
}

impl Server for Dispatch {
    fn dispatch_call(
        self,
        interface: u64,
        method: u16,
        params: Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        assert_eq!(interface, INTERFACE);
        let (call, cap) = read(params.get().unwrap());
        let method = METHODS[usize::from(method)];
        self.log.borrow_mut().delivered.push((self.id, call));
        let served = self.0.clone().serve(call, method, cap, results);
        DispatchCallResult::new(Promise::from_future(served), false)
    }

    fn as_ptr(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }
}

impl Object {
    fn create(&self, id: u32) -> Client {
        create(id, &self.log, &self.waiting, &self.inbox)
    }

    async fn serve(
        self: Rc<Object>,
        call: u32,
        method: Method,
        cap: Option<Client>,
        mut results: Results<any_pointer::Owned>,
    ) -> Result<(), capnp::Error> {
        if matches!(method, Method::Slow | Method::SlowFail) {
            let (go, wait) = oneshot::channel();
            self.waiting.borrow_mut().slow.insert(call, go);
            self.log.borrow_mut().slow.push((Side::Rpc, call));
            let _ = wait.await;
        }
        let mut number = value(self.id, call);
        let cap = match method {
            Method::Fail | Method::SlowFail => return Err(failure(call)),
            Method::Make => Some(self.create(made(self.id, call))),
            Method::Hold => {
                let held = cap.map(|cap| (call, true, cap));
                self.inbox.borrow_mut().extend(held);
                None
            }
            Method::Callback => {
                let request = request(&cap.unwrap(), Method::Echo, call | NESTED, None);
                let answer = request.send().promise.await?;
                let (answered, cap) = read(answer.get()?);
                number = answered;
                cap
            }
            Method::Tail => {
                let request = request(&cap.unwrap(), Method::Echo, call | NESTED, None);
                let (done, _) = results.hook.direct_tail_call(request.hook);
                return done.await;
            }
            Method::Promise => {
                let (resolve, promise) = oneshot::channel();
                self.waiting.borrow_mut().promises.insert(call, resolve);
                self.log.borrow_mut().promises.push((Side::Rpc, call));
                let promise = promise.map(move |to| to.unwrap_or_else(|_| Err(failure(call))));
                Some(capnp_rpc::new_future_client(promise))
            }
            Method::Echo | Method::Give | Method::Slow => cap,
        };
        write(results.get(), number, cap.as_ref());
        Ok(())
    }
}

fn create(id: u32, log: &Shared, waiting: &Rc<RefCell<Waiting>>, inbox: &Held) -> Client {
    log.borrow_mut().created[Side::Rpc as usize] += 1;
    let (log, waiting, inbox) = (log.clone(), waiting.clone(), inbox.clone());
    capnp_rpc::new_client(Object { id, log, waiting, inbox })
}

fn failure(call: u32) -> capnp::Error {
    let (kind, extra) = error(call);
    let kind = match kind {
        ExceptionKind::Failed => capnp::ErrorKind::Failed,
        ExceptionKind::Overloaded => capnp::ErrorKind::Overloaded,
        ExceptionKind::Disconnected => capnp::ErrorKind::Disconnected,
        ExceptionKind::Unimplemented => capnp::ErrorKind::Unimplemented,
    };
    capnp::Error { kind, extra }
}

fn read(content: any_pointer::Reader<'_>) -> (u32, Option<Client>) {
    let content: accept::Reader<'_> = content.get_as().unwrap();
    let cap = content.get_provision();
    let cap = if cap.is_null() { None } else { Some(cap.get_as_capability().unwrap()) };
    (content.get_question_id(), cap)
}

fn write(to: any_pointer::Builder<'_>, number: u32, cap: Option<&Client>) {
    let mut to = to.init_as::<accept::Builder<'_>>();
    to.set_question_id(number);
    if let Some(cap) = cap {
        to.init_provision().set_as_capability(cap.hook.add_ref());
    }
}

fn request(target: &Client, method: Method, call: u32, cap: Option<&Client>) -> Request {
    // Calls the capability that a promise has resolved to: capnp-rpc panics on a call with a
    // capability of a promise of the peer that has resolved to an object of its own side.
    let mut target = target.clone();
    while let Some(resolved) = target.hook.get_resolved() {
        target = Client::new(resolved);
    }
    let mut request: Request = target.new_call(INTERFACE, method as u16, None);
    write(request.get(), call, cap);
    request
}

pub(crate) struct RpcSide {
    pool: LocalPool,
    spawner: LocalSpawner,
    log: Shared,
    pub(crate) input: Pipe,
    pub(crate) output: Pipe,
    system: Option<(AbortHandle, Disconnector<Vat>)>,
    pub(crate) bootstrap: Option<Client>,
    waiting: Rc<RefCell<Waiting>>,
    pub(crate) inbox: Held,
    calls: HashMap<u32, AbortHandle>,
}

impl RpcSide {
    pub(crate) fn new(log: &Shared) -> RpcSide {
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        let (input, output) = (Pipe::default(), Pipe::default());
        let (waiting, inbox) = (Rc::default(), Rc::default());
        let first = create(BOOTSTRAP[1], log, &waiting, &inbox);
        let network =
            twoparty::VatNetwork::new(input.clone(), output.clone(), Vat::Server, crate::limits());
        let mut system = RpcSystem::new(Box::new(network), Some(first));
        let bootstrap = Some(system.bootstrap(Vat::Client));
        let disconnector = system.get_disconnector();
        let (system, abort) = abortable(system);
        spawner.spawn_local(system.map(drop)).unwrap();
        let (log, calls) = (log.clone(), HashMap::new());
        let system = Some((abort, disconnector));
        RpcSide { pool, spawner, log, input, output, system, bootstrap, waiting, inbox, calls }
    }

    pub(crate) fn object(&mut self, id: u32) -> Client {
        create(id, &self.log, &self.waiting, &self.inbox)
    }

    /// Does everything that needs no further message.
    pub(crate) fn run(&mut self) {
        self.pool.run_until_stalled();
    }

    /// Makes a call of the program. Returns the promise of the capability in its results.
    pub(crate) fn call(
        &mut self,
        target: &Client,
        method: Method,
        number: u32,
        cap: Option<&Client>,
        pipeline: bool,
    ) -> Option<Client> {
        let RemotePromise { promise, pipeline: results } =
            request(target, method, number, cap).send();
        let promised = pipeline.then(|| Client::new(results.get_pointer_field(0).as_cap()));
        let (log, inbox) = (self.log.clone(), self.inbox.clone());
        let (answer, abort) = abortable(async move {
            let outcome = match promise.await {
                Ok(response) => {
                    let (value, cap) = read(response.get().unwrap());
                    let outcome = Outcome::Value(value, cap.is_some());
                    inbox.borrow_mut().extend(cap.map(|cap| (number, false, cap)));
                    outcome
                }
                Err(error) => Outcome::Error(kind(error.kind), without_prefix(&error.extra)),
            };
            log.borrow_mut().answer(number, outcome);
        });
        self.calls.insert(number, abort);
        // A call of an object of the same side is made only when its promise is polled: polls in
        // order.
        self.spawner.spawn_local(answer.map(drop)).unwrap();
        promised
    }

    /// Returns false if it has its answer already.
    pub(crate) fn cancel(&mut self, call: u32) -> bool {
        let Some(abort) = self.calls.remove(&call) else { return false };
        abort.abort();
        !self.log.borrow().answers.contains_key(&call)
    }

    /// Resumes a call that waits for the program.
    pub(crate) fn wake(&mut self, call: u32) {
        if let Some(go) = self.waiting.borrow_mut().slow.remove(&call) {
            let _ = go.send(());
        }
    }

    pub(crate) fn resolve(&mut self, promise: u32, to: Result<&Client, u32>) {
        if let Some(resolve) = self.waiting.borrow_mut().promises.remove(&promise) {
            let _ = resolve.send(to.cloned().map_err(failure));
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.system.is_none()
    }

    /// Ends the connection: with a shutdown, or by dropping it.
    pub(crate) fn end(&mut self, orderly: bool) {
        let Some((abort, disconnector)) = self.system.take() else { return };
        if orderly {
            self.spawner.spawn_local(disconnector.map(drop)).unwrap();
            self.run();
        }
        abort.abort();
        self.run();
    }

    pub(crate) fn let_go(&mut self) {
        let held = std::mem::take(&mut *self.inbox.borrow_mut());
        drop(held);
        self.bootstrap = None;
    }
}

fn kind(kind: capnp::ErrorKind) -> ExceptionKind {
    match kind {
        capnp::ErrorKind::Overloaded => ExceptionKind::Overloaded,
        capnp::ErrorKind::Disconnected => ExceptionKind::Disconnected,
        capnp::ErrorKind::Unimplemented => ExceptionKind::Unimplemented,
        _ => ExceptionKind::Failed,
    }
}
