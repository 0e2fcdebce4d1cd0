//! What generated handles do: call a method of their object, wherever that is, and end the object.

use std::sync::Arc;

use capnp_engine::CallKind;

use super::call::Call;
use super::handle::{Handle, Target};
use super::interface::Interface;
use super::local_tasks::start_task;
use super::method::{Method, MethodId, write_params};
use super::remote::RemoteObject;
use super::slot::Slot;
use super::streaming::Room;
use super::waiting::{Deadline, wait_for_slot};
use crate::Result;
use crate::call_log;
use crate::may_block::check_may_wait;
use crate::serving::ObjectLife;
use crate::threads::{depth, this_inbox};
use crate::wire::{AnyBuilder, Builder, Encoder, Size, fields};

/// Calls a method: straight on an object that is here, through a message where it is not.
pub fn call<O, P, R>(handle: &Handle<O>, method: Method<O, P, R>, params: P) -> Call<R>
where
    O: ?Sized + Send + Sync + 'static,
    P: Send + 'static,
    R: Send + 'static,
{
    match handle.target() {
        Target::Local(object) if object.is_async() => {
            Call::local_task(method.id, move |slot, carried| {
                start_task(object.begin_task(), slot, carried, |object| {
                    (method.call)(object, params)
                })
            })
        }
        Target::Local(object) => {
            Call::local(method.id, move || object.call(|object| (method.call)(object, params)))
        }
        Target::Remote(object) => {
            let shown = call_log::shows_parameters()
                .then(|| method.params.show(&params, call_log::MOST_CHARACTERS));
            let encode = move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
                write_params(method.id, method.params, cx, to, &params)
            };
            let call = Call::remote(method.id, object, encode, method.results);
            if shown.is_some() { call.showing(shown) } else { call }
        }
    }
}

/// Ends the object behind a handle: see the generated `close` methods.
pub fn close<I: Interface>(handle: &I) -> Call<()> {
    let remote = match handle.handle().target() {
        Target::Local(object) => return close_local(I::NAME, object.life()),
        Target::Remote(remote) => remote,
    };
    let kept = remote.clone();
    let cleanup = move || kept.run_cleanup();
    let Some(destroy) = I::DESTROY else {
        // An interface whose objects end with their last reference.
        let call = match end_of_stream(&remote) {
            Ok(Some(end)) => Call::room(end, || ()),
            Ok(None) => Call::ready(Ok(())),
            Err(error) => Call::ready(Err(error)),
        };
        return call.then(cleanup);
    };
    let method = MethodId { kind: CallKind::Destroy, ..destroy.id };
    let encode = move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
        let mut params = Builder::content(to, destroy.params);
        if let Some(slot) = destroy.context {
            cx.context(&mut params, slot);
        }
        Ok(())
    };
    let mut results = fields::<()>(Size(0, 0), &[]);
    // A second close does nothing.
    results.closed = Some(|| ());
    Call::remote(method, remote, encode, results).then(cleanup)
}

/// Where to wait until the object's streaming calls are answered, if some are not.
fn end_of_stream(object: &RemoteObject) -> Result<Option<Room>> {
    let Some(streaming) = object.streamed() else { return Ok(None) };
    let (conn, _) = object.place()?;
    streaming.end(conn)
}

/// Ends an object of this process: waits for its running calls, and runs its destructor and its hooks.
fn close_local(name: &'static str, life: &Arc<ObjectLife>) -> Call<()> {
    let life = Arc::clone(life);
    let within = depth() > 0;
    Call::local(MethodId::new(0, 0, name), move || {
        check_may_wait()?;
        let slot = Arc::new(Slot::for_thread(&this_inbox()));
        let ended = Arc::clone(&slot);
        life.close(Box::new(move || ended.fill_and_wake(Ok(()))), within);
        wait_for_slot(&slot, None, &Deadline::never())
    })
}
