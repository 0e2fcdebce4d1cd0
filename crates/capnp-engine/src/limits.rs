//! What the peer can make this side hold, and what happens beyond that.

use crate::cap::{Cap, Kind, Target};
use crate::draft::Draft;
use crate::effect::{Effect, Exceeded};
use crate::engine::Engine;
use crate::error::{Exception, ExceptionKind, Failure, Fatal};

/// Calls of up to this many bytes are taken however many bytes are held: so that objects can be ended, and
/// because calls are counted as well.
const SMALL: usize = 1024;

/// Limits for what the peer can add to the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls of the peer's that are not answered. More end the connection.
    pub unanswered: usize,
    /// Calls of the peer's that are not answered, or answered and not finished. More end the connection.
    pub unfinished: usize,
    /// Bytes of the peer's calls that are not answered, and of results and errors that are kept because
    /// calls may be made on them. A call beyond this that would wait here is refused as overloaded, and the
    /// user is to refuse one that is [delivered](crate::Effect::Deliver): see
    /// [`exceeds_bytes`](Engine::exceeds_bytes). A larger call is never taken.
    pub bytes: usize,
    /// Objects and promises that this side has given the peer, and as many that it was given. A call that
    /// would add more is refused as overloaded. As many promises of the peer's as well, resolved or not:
    /// beyond them a promise is taken for an object, and if it is one of this side's, calls of it are
    /// refused as overloaded.
    pub objects: usize,
    /// The size of a message of this side's, in bytes. A longer call is not sent, and longer results are
    /// replaced by an error: the peer would end the connection. A lower limit counts instead where the
    /// peer has told that it has one ([`Engine::peer_limits`]).
    pub message: usize,
    /// Capabilities in one message. A message of the peer's with more ends the connection, and one of this
    /// side is not sent.
    pub capabilities: usize,
    /// File descriptors in one message; 0 for none. Of a message of the peer's the others are closed, and one of
    /// this side with more is not sent. A lower limit counts instead where the peer has told that it has one.
    pub descriptors: usize,
    /// File descriptors that came with what the peer has sent and are held: by objects of the peer, or with a
    /// call that is not answered, beside those of this side's objects. Others are closed, and a call that they
    /// came with is refused as overloaded.
    pub held_descriptors: usize,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits {
        unanswered: usize::MAX,
        unfinished: usize::MAX,
        bytes: usize::MAX,
        objects: usize::MAX,
        message: usize::MAX,
        capabilities: usize::MAX,
        descriptors: usize::MAX,
        held_descriptors: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unanswered: 8192,
            unfinished: 16384,
            bytes: 128 << 20,
            objects: 16384,
            message: 64 << 20,
            capabilities: 10_000,
            descriptors: 0,
            held_descriptors: 64,
        }
    }
}

impl Engine {
    /// Whether a call of the peer's of this size, which is counted already, is beyond
    /// [`Limits::bytes`]. `bytes`: the size of its message.
    pub fn exceeds_bytes(&self, bytes: usize) -> bool {
        let held = self.answers.held();
        held > self.limits.bytes && bytes > SMALL
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bytes of the peer's calls that are not answered, and of results that are kept.
    pub fn held_bytes(&self) -> usize {
        self.answers.held()
    }

    /// Sets [`Limits::bytes`]. What is held already beyond it is kept.
    pub fn set_bytes(&mut self, limit: usize) {
        self.limits.bytes = limit;
    }

    /// The error for a call of the peer's that would wait here, if it is beyond a limit.
    /// `more`: it has given this side objects.
    pub(crate) fn check_call(
        &mut self,
        target: Cap,
        bytes: usize,
        more: bool,
    ) -> Result<(), Failure> {
        let target = self.caps.resolved(target);
        let object = match self.caps.get(target).map(|entry| &entry.kind) {
            Some(Kind::Local { object, .. }) => Some(*object),
            _ => None,
        };
        if more && self.imports.len() > self.limits.objects {
            return Err(self.too_many_objects(object));
        }
        if object.is_none() && self.exceeds_bytes(bytes) {
            self.effect(Effect::Refused { object, limit: Exceeded::Bytes });
            let limit = self.limits.bytes;
            return Err(overloaded(format!(
                "more than {limit} bytes of calls wait on one connection"
            )));
        }
        Ok(())
    }

    /// The error for a message of this side's that is beyond a limit.
    pub(crate) fn check_draft(&mut self, draft: &Draft) -> Result<(), Failure> {
        let bytes = draft.bytes();
        let limit = self.most_message();
        if bytes > limit {
            let whose = if limit < self.limits.message { "the other side's" } else { "the" };
            return Err(Failure::failed(format!(
                "a message of {bytes} bytes was not sent: {limit} is {whose} limit (Limits::message)"
            )));
        }
        self.check_sent(draft)?;
        let (mut all, mut new) = (0, 0);
        for cap in draft.caps() {
            all += 1;
            new += usize::from(self.is_new_export(cap));
        }
        if all > self.limits.capabilities {
            let limit = self.limits.capabilities;
            let what = if limit == 1 { "capability" } else { "capabilities" };
            return Err(Failure::failed(format!("more than {limit} {what} in one message")));
        }
        if new > 0 && self.exports.len() + new > self.limits.objects {
            return Err(self.too_many_objects(None));
        }
        Ok(())
    }

    /// An error if the peer cannot cause one more promise.
    pub(crate) fn check_promises(&mut self) -> Result<(), Failure> {
        match self.caps.promises() < self.limits.objects {
            true => Ok(()),
            false => Err(self.too_many_objects(None)),
        }
    }

    /// The error for a promise that would be the end of too long a chain.
    pub(crate) fn check_depth(&self, depth: u32) -> Result<(), Failure> {
        /// Each step is taken whenever the first promise is used. Peers resolve directly to the end, so
        /// chains are short.
        const LONGEST: u32 = 128;
        match depth <= LONGEST {
            true => Ok(()),
            false => {
                Err(overloaded(format!("more than {LONGEST} promises resolved each to the next")))
            }
        }
    }

    /// An error if the peer cannot have one more Disembargo wait here. Each follows calls that wait.
    pub(crate) fn check_disembargoes(&self) -> Result<(), Fatal> {
        let limit = self.limits.unanswered;
        match self.disembargoes < limit {
            true => Ok(()),
            false => {
                Err(Fatal::Misbehaved(format!("sent more than {limit} Disembargoes that wait")))
            }
        }
    }

    fn is_new_export(&self, cap: Cap) -> bool {
        match self.caps.get(self.caps.resolved(cap)).map(|entry| &entry.kind) {
            Some(Kind::Local { export, .. }) => export.is_none(),
            Some(Kind::Promise(promise)) => {
                matches!(promise.target, Target::Here) && promise.export.is_none()
            }
            Some(Kind::Import { .. } | Kind::Broken(_)) | None => false,
        }
    }

    fn too_many_objects(&mut self, object: Option<u64>) -> Failure {
        self.effect(Effect::Refused { object, limit: Exceeded::Objects });
        let limit = self.limits.objects;
        let what = if limit == 1 { "object" } else { "objects" };
        overloaded(format!("more than {limit} {what} on one connection"))
    }

    /// The outcome of a call of the peer's whose results are kept, or an error if they are beyond
    /// [`Limits::bytes`].
    pub(crate) fn check_kept(&mut self, bytes: usize) -> Result<(), Failure> {
        let others = self.answers.held();
        if bytes > SMALL && others.saturating_add(bytes) > self.limits.bytes {
            self.effect(Effect::Refused { object: None, limit: Exceeded::Bytes });
            let limit = self.limits.bytes;
            return Err(overloaded(format!(
                "more than {limit} bytes of results are kept on one connection"
            )));
        }
        Ok(())
    }
}

pub(crate) fn overloaded(reason: String) -> Failure {
    Exception::new(ExceptionKind::Overloaded, reason).into()
}
