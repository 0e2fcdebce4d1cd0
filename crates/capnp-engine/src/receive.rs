//! Receives one message.

use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, disembargo, message, message_target, promised_answer, resolve, return_,
};

use crate::cap::{Cap, Path};
use crate::effect::Effect;
use crate::engine::Engine;
use crate::error::{Exception, Failure, Fatal, read_reason};
use crate::incoming::Incoming;
use crate::memory::new_message;
use crate::payload::Payload;
use crate::pending_call::{Asker, CallKind, PendingCall, Serving};

impl Engine {
    /// Receives a message of the peer. The [effects](Engine::next_effect) that follow from it must
    /// all be carried out before the next message is received.
    ///
    /// # Errors
    /// The message ends the connection: call [`end`](Engine::end), and before it
    /// [`abort`](Engine::abort) if the peer [misbehaved](Fatal::Misbehaved).
    pub fn receive(&mut self, message: &Incoming<'_>) -> Result<(), Fatal> {
        if self.check_open().is_err() {
            return Ok(());
        }
        self.receive_one(message)?;
        self.heard = true;
        self.settle();
        Ok(())
    }

    fn receive_one(&mut self, message: &Incoming<'_>) -> Result<(), Fatal> {
        let root = message.root()?;
        let Ok(kind) = root.which() else {
            // The message is of a newer protocol: the peer is told that this side does not know it.
            return match self.read_limits(root) {
                true => Ok(()),
                false => self.send_unimplemented(root),
            };
        };
        match kind {
            message::Call(call) => self.receive_call(call?, message)?,
            message::Return(answer) => self.receive_return(answer?, message)?,
            message::Finish(finish) => {
                let finish = finish?;
                self.receive_finish(finish.get_question_id(), finish.get_release_result_caps())?;
            }
            message::Bootstrap(bootstrap) => {
                let bootstrap = bootstrap?;
                self.read_bootstrap(bootstrap);
                self.answer_bootstrap(bootstrap.get_question_id())?;
            }
            message::Release(release) => {
                let release = release?;
                self.release_export(release.get_id(), release.get_reference_count())?;
            }
            message::Resolve(resolve) => {
                let resolve = resolve?;
                let cap = match resolve.which()? {
                    resolve::Cap(descriptor) => match self.receive_cap(descriptor?)? {
                        Some(cap) => cap,
                        None => self.broken(Failure::failed("a null capability")),
                    },
                    resolve::Exception(error) => self.broken(Exception::read(error?).into()),
                };
                self.receive_resolved(resolve.get_promise_id(), cap)?;
            }
            message::Disembargo(disembargo) => {
                let disembargo = disembargo?;
                match disembargo.get_context().which()? {
                    disembargo::context::SenderLoopback(embargo) => {
                        let target = self.target(disembargo.get_target()?)?;
                        self.receive_disembargo(target, embargo)?;
                        self.release(target);
                    }
                    disembargo::context::ReceiverLoopback(embargo) => {
                        self.receive_embargo_end(embargo)?;
                    }
                    _ => return self.send_unimplemented(root),
                }
            }
            message::Abort(reason) => {
                return Err(Fatal::Aborted(read_reason(reason?.get_reason()?)));
            }
            message::Unimplemented(message) => self.receive_unimplemented(message?)?,
            _ => return self.send_unimplemented(root),
        }
        Ok(())
    }

    fn receive_call<'a>(
        &mut self,
        call: call::Reader<'a>,
        message: &Incoming<'a>,
    ) -> Result<(), Fatal> {
        let id = call.get_question_id();
        let elsewhere = match call.get_send_results_to().which()? {
            call::send_results_to::Caller(()) => false,
            call::send_results_to::Yourself(()) => true,
            call::send_results_to::ThirdParty(_) => {
                return Err(Fatal::misbehaved("asked to send results to a third party"));
            }
        };
        let target = self.target(call.get_target()?)?;
        self.begin_answer(id, elsewhere)?;
        let params = call.get_params()?;
        message.set_content(params.get_content());
        let (bytes, imports) = (message.view().len(), self.imports.len());
        let caps = self.receive_caps(params, bytes)?;
        self.answers.hold(id, bytes);
        if let Err(failure) = self.check_call(target, bytes, self.imports.len() > imports) {
            self.release_all(caps);
            self.release(target);
            self.answer_call(Serving(Asker::Peer(id)), Err(failure));
            return Ok(());
        }
        let call = PendingCall {
            method: (call.get_interface_id(), call.get_method_id()),
            params: Payload { message: None, caps },
            serving: Serving(Asker::Peer(id)),
            kind: CallKind::Ordinary,
            nested: 0,
        };
        self.route(target, call, Some(message));
        self.release(target);
        Ok(())
    }

    /// The capability that a message is addressed to, with a reference.
    fn target(&mut self, target: message_target::Reader<'_>) -> Result<Cap, Fatal> {
        match target.which()? {
            message_target::ImportedCap(id) => {
                let Some(cap) = self.exported_cap(id) else {
                    let problem = format!("called object {id}, which it was not given");
                    return Err(Fatal::Misbehaved(problem));
                };
                self.retain(cap);
                Ok(cap)
            }
            message_target::PromisedAnswer(answer) => {
                let answer = answer?;
                self.cap_of_answer(answer.get_question_id(), path_of(answer)?)
            }
        }
    }

    /// Returns a message to the peer as unimplemented.
    fn send_unimplemented(&mut self, root: message::Reader<'_>) -> Result<(), Fatal> {
        let mut message = new_message(self.pool, 64);
        let mut to: message::Builder<'_> = message.init_root();
        to.set_unimplemented(root)?;
        self.effect(Effect::Write(message));
        Ok(())
    }

    /// The peer does not implement a message of this side.
    fn receive_unimplemented(&mut self, message: message::Reader<'_>) -> Result<(), Fatal> {
        match message.which() {
            // The peer keeps using the promise, and does not hold the capability that the Resolve
            // gave.
            Ok(message::Resolve(Ok(resolve))) => {
                if let Ok(resolve::Cap(Ok(cap))) = resolve.which() {
                    use cap_descriptor::{SenderHosted, SenderPromise};
                    if let Ok(SenderHosted(id) | SenderPromise(id)) = cap.which() {
                        self.release_export(id, 1)?;
                    }
                }
                Ok(())
            }
            Ok(message::Call(Ok(call))) => self.receive_refused(call.get_question_id()),
            // capnp-rpc 0.27 returns these after a tail call of its own, when it does not regard
            // the call as over. They contain nothing, and the peer's question stays until it is
            // finished.
            Ok(message::Return(Ok(answer)))
                if matches!(
                    answer.which(),
                    Ok(return_::ResultsSentElsewhere(()) | return_::Canceled(()))
                ) =>
            {
                Ok(())
            }
            // Without Bootstrap a peer is of no use: all calls start with it.
            _ => Err(Fatal::misbehaved("does not know a message that every peer has to know")),
        }
    }
}

/// Reads the path to a capability in the results of a question.
pub(crate) fn path_of(answer: promised_answer::Reader<'_>) -> Result<Path, Fatal> {
    /// Longer paths are an error.
    const DEEPEST: usize = 64;
    let mut path = Path::new();
    for op in answer.get_transform()? {
        match op.which()? {
            promised_answer::op::Noop(()) => {}
            promised_answer::op::GetPointerField(field) => path.push(field),
        }
        if path.len() > DEEPEST {
            return Err(Fatal::misbehaved("named a capability that lies too deep in an answer"));
        }
    }
    Ok(path)
}
