//! Exports and imports: the capabilities that each side gave to the other, and their descriptors in
//! messages.

use capnp_rpc::rpc_capnp::{cap_descriptor, message, payload};
use smallvec::SmallVec;

use crate::cap::{Cap, Kind, PeerPath, Promise, Target};
use crate::engine::Engine;
use crate::error::{Failure, Fatal};
use crate::memory::new_message;
use crate::outgoing::write_promised_answer;
use crate::receive::path_of;

/// The export ids of one message. Few messages have more than two.
pub(crate) type ExportIds = SmallVec<[u32; 2]>;

/// A capability that the peer was given, and how often. Has a reference on the capability.
pub(crate) struct Export {
    cap: Cap,
    refs: u32,
}

/// An import id that the peer gave. It is removed with the last reference on the import.
pub(crate) struct Imported {
    /// How often the peer gave it.
    refs: u32,
    import: Cap,
    /// The promise, if the peer gave it as one.
    promise: Option<Cap>,
}

impl Engine {
    // ---- to the peer

    /// Writes a message's capability table. Returns the export of each entry that exports one.
    pub(crate) fn describe_all(
        &mut self,
        payload: payload::Builder<'_>,
        caps: &[Option<Cap>],
    ) -> ExportIds {
        let mut exports = ExportIds::new();
        let mut table = payload.init_cap_table(caps.len() as u32);
        for (index, cap) in caps.iter().enumerate() {
            let descriptor = table.reborrow().get(index as u32);
            exports.extend(cap.and_then(|cap| self.describe(descriptor, cap)));
        }
        exports
    }

    fn describe(&mut self, mut to: cap_descriptor::Builder<'_>, cap: Cap) -> Option<u32> {
        let cap = self.caps.resolved(cap);
        let (known, promised) = match self.caps.get(cap).map(|entry| &entry.kind) {
            Some(Kind::Import { id }) => {
                to.set_receiver_hosted(*id);
                return None;
            }
            Some(Kind::Local { export, .. }) => (*export, false),
            Some(Kind::Promise(promise)) => match &promise.target {
                Target::Answer { question, path, .. } => {
                    write_promised_answer(to.init_receiver_answer(), *question, path);
                    return None;
                }
                Target::Import { id, .. } => {
                    to.set_receiver_hosted(*id);
                    return None;
                }
                Target::Here | Target::Resolved(_) => (promise.export, true),
            },
            Some(Kind::Broken(_)) => (None, false),
            // It was released.
            None => return None,
        };
        let id = known.unwrap_or_else(|| self.export(cap));
        if let Some(export) = self.exports.get_mut(id as usize) {
            export.refs += 1;
        }
        match promised {
            true => to.set_sender_promise(id),
            false => to.set_sender_hosted(id),
        }
        if let Some(index) = self.send_descriptor(cap) {
            to.set_attached_fd(index);
        }
        Some(id)
    }

    fn export(&mut self, cap: Cap) -> u32 {
        self.caps.retain(cap);
        let id = self.exports.insert(Export { cap, refs: 0 });
        // Memory does not suffice for as many.
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        match self.caps.get_mut(cap).map(|entry| &mut entry.kind) {
            Some(Kind::Local { export, .. }) => *export = Some(id),
            Some(Kind::Promise(promise)) => promise.export = Some(id),
            Some(Kind::Import { .. } | Kind::Broken(_)) | None => {}
        }
        id
    }

    /// The capability with this export id, without a new reference.
    pub(crate) fn exported_cap(&self, id: u32) -> Option<Cap> {
        self.exports.get(id as usize).map(|export| export.cap)
    }

    /// The peer releases an export `count` times.
    pub(crate) fn release_export(&mut self, id: u32, count: u32) -> Result<(), Fatal> {
        let Some(export) = self.exports.get_mut(id as usize) else {
            return Err(Fatal::misbehaved(format!("released object {id}, which it was not given")));
        };
        let Some(left) = export.refs.checked_sub(count) else {
            let problem = format!("released object {id} more often than it was given");
            return Err(Fatal::Misbehaved(problem));
        };
        export.refs = left;
        if left == 0 {
            let cap = self.exports.remove(id as usize).cap;
            // What a promise resolved to has another export id, or none.
            match self.caps.get_mut(cap).map(|entry| &mut entry.kind) {
                Some(Kind::Local { export, .. }) if *export == Some(id) => *export = None,
                Some(Kind::Promise(promise)) if promise.export == Some(id) => promise.export = None,
                _ => {}
            }
            self.release(cap);
        }
        Ok(())
    }

    /// The capability that the peer is told for another one. Takes over the reference on `cap`. The
    /// peer's messages for a resolved promise must go exactly to the capability that the peer was
    /// told, even if that is a promise of the peer which resolves to something else later: the peer
    /// relies on it for the order of its calls (see `Resolve` in rpc.capnp).
    pub(crate) fn as_told(&mut self, cap: Cap) -> Cap {
        let mut told = self.caps.resolved(cap);
        if let Some(promise) = self.caps.promise(told)
            && let Target::Import { import, .. } = &promise.target
        {
            told = *import;
        }
        self.caps.retain(told);
        self.release(cap);
        told
    }

    /// Sends Resolve for a promise that the peer was given. Takes over the reference on `cap`.
    pub(crate) fn send_resolve(&mut self, id: u32, cap: Cap) {
        let cap = self.as_told(cap);
        let mut message = new_message(self.pool, 32);
        let root: message::Builder<'_> = message.init_root();
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(id);
        match self.caps.get(cap).map(|entry| &entry.kind) {
            Some(Kind::Broken(failure)) => failure.write(resolve.init_exception()),
            _ => {
                self.describe(resolve.init_cap(), cap);
            }
        }
        self.write(message);
        match self.exports.get_mut(id as usize) {
            Some(export) => {
                let before = std::mem::replace(&mut export.cap, cap);
                self.release(before);
            }
            None => self.release(cap),
        }
    }

    // ---- from the peer

    /// Reads the capability table of a message of `length` bytes. Each capability comes with a
    /// reference.
    pub(crate) fn receive_caps(
        &mut self,
        payload: payload::Reader<'_>,
        length: usize,
    ) -> Result<Vec<Option<Cap>>, Fatal> {
        if !payload.has_cap_table() {
            return Ok(Vec::new());
        }
        let table = payload.get_cap_table()?;
        // A list of Void or of bytes can also be read as a list of descriptors, of any length.
        if table.len() as usize > length / 8 {
            return Err(Fatal::misbehaved(
                "sent a table of capabilities that has no room in its message",
            ));
        }
        if table.len() as usize > self.limits.capabilities {
            return Err(Fatal::misbehaved(format!(
                "sent a message with {} capabilities; {} is the limit",
                table.len(),
                self.limits.capabilities
            )));
        }
        let mut caps = Vec::with_capacity(table.len() as usize);
        for descriptor in table {
            // On an error the connection ends and all references are dropped.
            caps.push(self.receive_cap(descriptor)?);
        }
        Ok(caps)
    }

    /// The same for one.
    pub(crate) fn receive_cap(
        &mut self,
        descriptor: cap_descriptor::Reader<'_>,
    ) -> Result<Option<Cap>, Fatal> {
        let cap = match descriptor.which()? {
            cap_descriptor::None(()) => return Ok(None),
            cap_descriptor::SenderHosted(id) => self.import(id, false),
            cap_descriptor::SenderPromise(id) => self.import(id, true),
            cap_descriptor::ReceiverHosted(id) => match self.exported_cap(id) {
                Some(cap) => {
                    self.caps.retain(cap);
                    self.reflected(cap)
                }
                // An error of the peer, but a harmless one: calls of this capability fail.
                None => self.broken(Failure::failed(format!("the peer was given no object {id}"))),
            },
            cap_descriptor::ReceiverAnswer(answer) => {
                let answer = answer?;
                let path = path_of(answer)?;
                let cap = self.cap_of_answer(answer.get_question_id(), path)?;
                self.reflected(cap)
            }
            // Objects of third parties are reached through the peer.
            cap_descriptor::ThirdPartyHosted(third) => self.import(third?.get_vine_id(), false),
        };
        self.attach_received(cap, descriptor.get_attached_fd());
        Ok(Some(cap))
    }

    /// Wraps a capability of this side that the peer named, with the reference on it. If its calls
    /// go to the peer and a promise of the peer resolves to it, the promise's earlier calls take a
    /// longer way: to the peer, back to this side, and to the peer again. Later calls would go to
    /// the peer directly and overtake them. The wrapper marks such capabilities, so that the
    /// promise can keep the order. If there are too many promises of the peer's, calls of it fail.
    pub(crate) fn reflected(&mut self, cap: Cap) -> Cap {
        if !self.caps.is_remote(self.caps.resolved(cap)) {
            return cap;
        }
        if let Err(failure) = self.check_promises() {
            self.release(cap);
            return self.broken(failure);
        }
        let mut promise = Promise::new(Target::Resolved(cap));
        promise.reflected = true;
        self.caps.add_of_peer(promise)
    }

    /// The capability with this import id, with a reference. If there are too many promises of the
    /// peer's, another one is taken for an object, as which it counts until it is released: all calls of
    /// it go to the peer, which may pass them on.
    fn import(&mut self, id: u32, promised: bool) -> Cap {
        let promised = promised && self.caps.promises() < self.limits.objects;
        let (import, promise) = match self.imports.get_mut(id) {
            Some(known) => {
                known.refs = known.refs.saturating_add(1);
                let (import, promise) = (known.import, known.promise);
                self.caps.retain(import);
                (import, promise)
            }
            None => {
                let import = self.caps.add(Kind::Import { id });
                self.imports.insert(id, Imported { refs: 1, import, promise: None });
                (import, None)
            }
        };
        match promise {
            Some(promise) => {
                self.caps.retain(promise);
                self.release(import);
                promise
            }
            None if promised => {
                let promise = Promise::new(Target::Import { import, id, called: false });
                let promise = self.caps.add_of_peer(promise);
                if let Some(known) = self.imports.get_mut(id) {
                    known.promise = Some(promise);
                }
                promise
            }
            None => import,
        }
    }

    /// The promise with this import id, if it still has references here.
    pub(crate) fn imported_promise(&self, id: u32) -> Option<Cap> {
        self.imports.get(id)?.promise
    }

    /// The last reference on an imported promise is gone.
    pub(crate) fn forget_promise(&mut self, id: u32, promise: Cap) {
        if let Some(known) = self.imports.get_mut(id)
            && known.promise == Some(promise)
        {
            known.promise = None;
        }
    }

    /// The last reference on an import is gone: sends Release.
    pub(crate) fn release_import(&mut self, id: u32, import: Cap) {
        if !self.imports.get(id).is_some_and(|known| known.import == import) {
            return;
        }
        let Some(imported) = self.imports.remove(id) else { return };
        self.send(16, |root| {
            let mut release = root.init_release();
            release.set_id(id);
            release.set_reference_count(imported.refs);
        });
    }
}

/// Writes a path to the peer as a message target.
pub(crate) fn write_way(mut to: capnp_rpc::rpc_capnp::message_target::Builder<'_>, way: &PeerPath) {
    match way {
        PeerPath::Import(id) => to.set_imported_cap(*id),
        PeerPath::Answer(question, path) => {
            write_promised_answer(to.init_promised_answer(), *question, path);
        }
    }
}
