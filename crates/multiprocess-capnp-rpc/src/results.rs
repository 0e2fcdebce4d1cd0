//! The place for the results that a capnp-rpc server writes.

use capnp::any_pointer;
use capnp::capability::Promise;
use capnp::private::capability::{PipelineHook, RequestHook, ResultsHook};
use futures_channel::oneshot;

use crate::message::Message;

/// A place for results, and the results when the server lets go of it.
pub(crate) fn results() -> (Box<dyn ResultsHook>, oneshot::Receiver<Message>) {
    let (sender, written) = oneshot::channel();
    (Box::new(Results { message: Some(Message::new()), sender: Some(sender) }), written)
}

struct Results {
    /// None where they were given away.
    message: Option<Message>,
    sender: Option<oneshot::Sender<Message>>,
}

impl Drop for Results {
    fn drop(&mut self) {
        if let (Some(message), Some(sender)) = (self.message.take(), self.sender.take()) {
            // Nobody waits for those of a call that was cancelled.
            let _ = sender.send(message);
        }
    }
}

impl ResultsHook for Results {
    fn get(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        match &mut self.message {
            Some(message) => message.builder(),
            None => Err(capnp::Error::failed("the results were given away".to_owned())),
        }
    }

    /// Calls on the results wait for the whole of them.
    fn set_pipeline(&mut self) -> capnp::Result<()> {
        Ok(())
    }

    /// All calls can be cancelled.
    fn allow_cancellation(&self) {}

    fn tail_call(self: Box<Self>, request: Box<dyn RequestHook>) -> Promise<(), capnp::Error> {
        self.direct_tail_call(request).0
    }

    fn direct_tail_call(
        mut self: Box<Self>,
        request: Box<dyn RequestHook>,
    ) -> (Promise<(), capnp::Error>, Box<dyn PipelineHook>) {
        let sent = request.send();
        let promise = Promise::from_future(async move {
            let response = sent.promise.await?;
            self.get()?.set_as(response.get()?)
        });
        (promise, sent.pipeline.hook)
    }
}
