//! One message of the peer's.

use capnp::traits::Imbue;
use capnp_rpc::rpc_capnp::{call, disembargo, message, message_target, resolve};

use super::body::{Content, Whole, options};
use super::cap::Cap;
use super::held::Destination;
use super::memory::new_message;
use super::parts::{from_exception, path_of};
use super::{hook, malformed, misbehaved};
use crate::connection::{ArcConn, Core};
use crate::{Error, Result};

impl Core {
    /// Takes in a message and does what follows from it. An error ends the connection.
    pub(crate) fn receive(&mut self, conn: &ArcConn, whole: Whole<'_>) -> Result<()> {
        let parsed = whole.parse(options(whole.len())).map_err(malformed)?;
        let root: message::Reader<'_> = parsed.get_root().map_err(malformed)?;
        let Ok(kind) = root.which() else {
            // A newer protocol's: the peer is told that this side does not know it.
            return self.send_unimplemented(root);
        };
        match kind {
            message::Call(call) => self.receive_call(conn, call.map_err(malformed)?, whole)?,
            message::Return(answer) => {
                self.receive_return(conn, answer.map_err(malformed)?, whole)?;
            }
            message::Finish(finish) => {
                let finish = finish.map_err(malformed)?;
                self.receive_finish(finish.get_question_id(), finish.get_release_result_caps())?;
            }
            message::Bootstrap(bootstrap) => {
                let bootstrap = bootstrap.map_err(malformed)?;
                self.answer_bootstrap(conn, bootstrap.get_question_id())?;
            }
            message::Release(release) => {
                let release = release.map_err(malformed)?;
                self.release_export(release.get_id(), release.get_reference_count())?;
            }
            message::Resolve(resolve) => {
                let resolve = resolve.map_err(malformed)?;
                let cap = match resolve.which().map_err(|error| malformed(error.into()))? {
                    resolve::Cap(descriptor) => {
                        let cap = self.receive_cap(descriptor.map_err(malformed)?)?;
                        cap.unwrap_or_else(|| Cap::broken(Error::failed("a null capability")))
                    }
                    resolve::Exception(error) => {
                        Cap::broken(from_exception(error.map_err(malformed)?))
                    }
                };
                self.receive_resolved(resolve.get_promise_id(), cap)?;
            }
            message::Disembargo(disembargo) => {
                let disembargo = disembargo.map_err(malformed)?;
                let context = disembargo.get_context().which();
                match context.map_err(|error| malformed(error.into()))? {
                    disembargo::context::SenderLoopback(embargo) => {
                        let target = disembargo.get_target().map_err(malformed)?;
                        let target = self.target(target)?;
                        self.receive_disembargo(&target, embargo)?;
                    }
                    disembargo::context::ReceiverLoopback(embargo) => {
                        self.receive_embargo_end(embargo)?;
                    }
                    _ => return self.send_unimplemented(root),
                }
            }
            message::Abort(reason) => {
                let reason = reason.map_err(malformed)?.get_reason().map_err(malformed)?;
                let reason = String::from_utf8_lossy(reason.as_bytes());
                return Err(Error::disconnected(format!(
                    "the other side gave the connection up: {reason}"
                )));
            }
            message::Unimplemented(message) => {
                self.receive_unimplemented(conn, message.map_err(malformed)?)?;
            }
            _ => return self.send_unimplemented(root),
        }
        self.settle(conn);
        Ok(())
    }

    fn receive_call(
        &mut self,
        conn: &ArcConn,
        call: call::Reader<'_>,
        whole: Whole<'_>,
    ) -> Result<()> {
        let id = call.get_question_id();
        let results_to = call.get_send_results_to().which();
        let elsewhere = match results_to.map_err(|error| malformed(error.into()))? {
            call::send_results_to::Caller(()) => false,
            call::send_results_to::Yourself(()) => true,
            call::send_results_to::ThirdParty(_) => {
                return Err(misbehaved("asked to send results to a third party"));
            }
        };
        let target = self.target(call.get_target().map_err(malformed)?)?;
        if !self.rpc.answers.begin(id, elsewhere) {
            return Err(misbehaved(format!("asked question {id} twice")));
        }
        let params = call.get_params().map_err(malformed)?;
        let caps = self.receive_caps(params, whole.len())?;
        let table = hook::table(&caps);
        let mut reader = params.get_content();
        reader.imbue(&table);
        let content = Content { reader, caps: &caps, whole };
        let method = (call.get_interface_id(), call.get_method_id());
        self.route(conn, &target, method, &content, Destination::Peer(id));
        Ok(())
    }

    fn target(&mut self, target: message_target::Reader<'_>) -> Result<Cap> {
        match target.which().map_err(|error| malformed(error.into()))? {
            message_target::ImportedCap(id) => self
                .exported_cap(id)
                .ok_or_else(|| misbehaved(format!("called object {id}, which it was not given"))),
            message_target::PromisedAnswer(answer) => {
                let answer = answer.map_err(malformed)?;
                self.rpc.answers.cap_at(answer.get_question_id(), path_of(answer)?)
            }
        }
    }

    /// Sends a message back that this side has no use for.
    fn send_unimplemented(&mut self, root: message::Reader<'_>) -> Result<()> {
        let mut message = new_message(64);
        let mut to: message::Builder<'_> = message.init_root();
        to.set_unimplemented(root).map_err(malformed)?;
        self.rpc.out.push(message);
        Ok(())
    }

    /// The peer has no use for a message of this side's.
    fn receive_unimplemented(
        &mut self,
        conn: &ArcConn,
        message: message::Reader<'_>,
    ) -> Result<()> {
        match message.which() {
            // It keeps using the promise; what was given with the Resolve is not held there.
            Ok(message::Resolve(Ok(resolve))) => {
                if let Ok(resolve::Cap(Ok(cap))) = resolve.which() {
                    use capnp_rpc::rpc_capnp::cap_descriptor::{SenderHosted, SenderPromise};
                    if let Ok(SenderHosted(id) | SenderPromise(id)) = cap.which() {
                        self.release_export(id, 1)?;
                    }
                }
                Ok(())
            }
            Ok(message::Call(Ok(call))) => self.receive_refused(conn, call.get_question_id()),
            // One that does not know Bootstrap is no peer of ours: all other calls are made of that.
            _ => Err(misbehaved("does not know a message that every peer has to know")),
        }
    }
}
