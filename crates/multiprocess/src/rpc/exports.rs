//! Which objects either side has given the other, and how they are described in messages.

use std::sync::{Arc, Weak};

use capnp_rpc::rpc_capnp::{cap_descriptor, message, payload};

use super::cap::{Cap, Import, Promise, Target, Waste};
use super::memory::new_message;
use super::parts::{path_of, write_exception, write_promised_answer};
use super::{malformed, misbehaved};
use crate::connection::{After, Core};
use crate::server::NOT_EXPORTED;
use crate::{Error, Result};

/// A capability that the peer was given, and how often.
pub(super) struct Export {
    cap: Cap,
    refs: u32,
}

/// A number that the peer gave.
pub(super) struct Imported {
    /// How often.
    refs: u32,
    import: Weak<Import>,
    /// Where it is not known yet what it is.
    promise: Weak<Promise>,
}

impl Core {
    // ---- to the peer

    /// Describes the capabilities of a message. Returns what was exported, as often as it was.
    pub(super) fn describe_all(
        &mut self,
        payload: payload::Builder<'_>,
        caps: &[Option<Cap>],
    ) -> Vec<u32> {
        let mut exports = Vec::new();
        let mut table = payload.init_cap_table(caps.len() as u32);
        for (place, cap) in caps.iter().enumerate() {
            let descriptor = table.reborrow().get(place as u32);
            exports.extend(cap.as_ref().and_then(|cap| self.describe(descriptor, cap)));
        }
        exports
    }

    fn describe(&mut self, mut to: cap_descriptor::Builder<'_>, cap: &Cap) -> Option<u32> {
        let cap = cap.resolved();
        let (id, promised) = match &cap {
            Cap::Import(import) => {
                to.set_receiver_hosted(import.id);
                return None;
            }
            Cap::Local(local) => {
                let known = local.export();
                let id = if known == NOT_EXPORTED { self.export(&cap) } else { known };
                local.set_export(id);
                (id, false)
            }
            Cap::Broken(_) => (self.export(&cap), false),
            Cap::Promise(promise) => {
                let mut state = promise.state();
                match &state.target {
                    Target::Answer { question, path, .. } => {
                        write_promised_answer(to.init_receiver_answer(), *question, path);
                        return None;
                    }
                    Target::Import { import, .. } => {
                        to.set_receiver_hosted(import.id);
                        return None;
                    }
                    Target::Here | Target::Resolved(_) => {
                        let id = state.export.unwrap_or_else(|| self.export(&cap));
                        state.export = Some(id);
                        (id, true)
                    }
                }
            }
        };
        if let Some(export) = self.rpc.exports.get_mut(id as usize) {
            export.refs += 1;
        }
        match promised {
            true => to.set_sender_promise(id),
            false => to.set_sender_hosted(id),
        }
        Some(id)
    }

    fn export(&mut self, cap: &Cap) -> u32 {
        let id = self.rpc.exports.insert(Export { cap: cap.clone(), refs: 0 });
        // There is no memory for so many.
        u32::try_from(id).unwrap_or(NOT_EXPORTED)
    }

    pub(super) fn exported_cap(&self, id: u32) -> Option<Cap> {
        self.rpc.exports.get(id as usize).map(|export| export.cap.clone())
    }

    /// The peer lets go of an object, `count` times.
    pub(super) fn release_export(&mut self, id: u32, count: u32) -> Result<()> {
        let Some(export) = self.rpc.exports.get_mut(id as usize) else {
            return Err(misbehaved(format!("released object {id}, which it was not given")));
        };
        let Some(left) = export.refs.checked_sub(count) else {
            return Err(misbehaved(format!("released object {id} more often than it was given")));
        };
        export.refs = left;
        if left == 0 {
            // What a promise has become has a number of its own, or none.
            match self.rpc.exports.remove(id as usize).cap {
                Cap::Local(local) if local.export() == id => local.set_export(NOT_EXPORTED),
                Cap::Promise(promise) => {
                    let mut state = promise.state();
                    state.export = state.export.filter(|own| *own != id);
                }
                Cap::Local(_) | Cap::Import(_) | Cap::Broken(_) => {}
            }
        }
        Ok(())
    }

    /// Tells the peer what a promise that it was given has become, as [`Cap::as_told`] has it.
    pub(super) fn send_resolve(&mut self, id: u32, cap: &Cap) {
        let mut message = new_message(32);
        let root: message::Builder<'_> = message.init_root();
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(id);
        match cap {
            Cap::Broken(error) => write_exception(resolve.init_exception(), error),
            cap => {
                self.describe(resolve.init_cap(), cap);
            }
        }
        self.rpc.out.push(message);
        if let Some(export) = self.rpc.exports.get_mut(id as usize) {
            export.cap = cap.clone();
        }
    }

    // ---- from the peer

    /// Takes in the capabilities of a message of so many bytes.
    pub(super) fn receive_caps(
        &mut self,
        payload: payload::Reader<'_>,
        length: usize,
    ) -> Result<Vec<Option<Cap>>> {
        if !payload.has_cap_table() {
            return Ok(Vec::new());
        }
        let table = payload.get_cap_table().map_err(malformed)?;
        // A list of nothing, or of bytes, can be read as one of descriptors too.
        if table.len() as usize > length / 8 {
            return Err(misbehaved("sent a table of capabilities that has no room in its message"));
        }
        let mut caps = Vec::with_capacity(table.len() as usize);
        for descriptor in table {
            caps.push(self.receive_cap(descriptor)?);
        }
        Ok(caps)
    }

    pub(super) fn receive_cap(
        &mut self,
        descriptor: cap_descriptor::Reader<'_>,
    ) -> Result<Option<Cap>> {
        let which = descriptor.which().map_err(|error| malformed(error.into()))?;
        Ok(Some(match which {
            cap_descriptor::None(()) => return Ok(None),
            cap_descriptor::SenderHosted(id) => self.import(id, false),
            cap_descriptor::SenderPromise(id) => self.import(id, true),
            // Wrong, and harmless: whoever uses it sees an error.
            cap_descriptor::ReceiverHosted(id) => self.exported_cap(id).unwrap_or_else(|| {
                Cap::broken(Error::failed(format!("the peer was given no object {id}")))
            }),
            cap_descriptor::ReceiverAnswer(answer) => {
                let answer = answer.map_err(malformed)?;
                let path = path_of(answer)?;
                self.rpc.answers.cap_at(answer.get_question_id(), path)?
            }
            // A third party's objects are reached through whoever names them.
            cap_descriptor::ThirdPartyHosted(third) => {
                self.import(third.map_err(malformed)?.get_vine_id(), false)
            }
        }))
    }

    fn import(&mut self, id: u32, promised: bool) -> Cap {
        let garbage = std::sync::Arc::clone(&self.rpc.garbage);
        let known = self.rpc.imports.get_mut(id);
        let (import, promise) = match &known {
            Some(known) => (known.import.upgrade(), known.promise.upgrade()),
            None => (None, None),
        };
        let import = import.unwrap_or_else(|| Arc::new(Import::new(id, &garbage)));
        let promise = match (promise, promised) {
            (Some(promise), _) => Some(promise),
            (None, true) => {
                let import = Arc::clone(&import);
                Some(Promise::new(Target::Import { import, called: false }))
            }
            (None, false) => None,
        };
        let weak =
            (Arc::downgrade(&import), promise.as_ref().map(Arc::downgrade).unwrap_or_default());
        match known {
            Some(known) => {
                known.refs = known.refs.saturating_add(1);
                (known.import, known.promise) = weak;
            }
            None => {
                let (import, promise) = weak;
                self.rpc.imports.insert(id, Imported { refs: 1, import, promise });
            }
        }
        match promise {
            Some(promise) => Cap::Promise(promise),
            None => Cap::Import(import),
        }
    }

    /// The promise that the peer knows under this number, if it is still held here.
    pub(super) fn imported_promise(&self, id: u32) -> Option<Arc<Promise>> {
        self.rpc.imports.get(id)?.promise.upgrade()
    }

    // ---- what was let go of

    /// Tells the peer what this side holds no more, and leaves the rest for outside the lock.
    pub(crate) fn clear_garbage(&mut self) {
        loop {
            let garbage = self.rpc.garbage.take();
            if garbage.is_empty() {
                return;
            }
            for waste in garbage {
                match waste {
                    Waste::Import(id) => self.release_import(id),
                    Waste::Local(object, remains) => {
                        self.forget_local(object);
                        self.after.extend(remains.map(After::Drop));
                    }
                }
            }
        }
    }

    fn release_import(&mut self, id: u32) {
        // It may have been given again meanwhile.
        let gone = |known: &Imported| known.import.strong_count() == 0;
        if !self.rpc.imports.get(id).is_some_and(gone) {
            return;
        }
        let Some(imported) = self.rpc.imports.remove(id) else { return };
        self.send(16, |root| {
            let mut release = root.init_release();
            release.set_id(id);
            release.set_reference_count(imported.refs);
        });
    }
}
