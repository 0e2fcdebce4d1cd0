//! Calls of an interface that peers have in several versions.
//!
//! The version of a peer is found out by calls: the newest form of a method that it may have is called
//! first, and if the peer knows no such method, the next older one. What it answered is remembered for each
//! form (`session/evidence.rs`).

use std::sync::Arc;

use super::call::{Call, RemoteCall};
use super::family::Family;
use super::handle::{Handle, Target};
use super::method::{Method, MethodId, write_params};
use super::peer_version::evidence;
use super::remote::RemoteObject;
use crate::call_log;
use crate::connection::ArcConn;
use crate::session::{Choice, Evidence, Form, MethodKey};
use crate::wire::{AnyBuilder, At, Encoder, PayloadCodec};
use crate::{Error, Result};

/// A method in the form that some versions of its interface have.
pub struct Variant<P: 'static, R: 'static> {
    /// The versions: bit 0 is the newest.
    pub versions: u32,
    /// The versions that have another method at this ordinal, which a call would reach instead.
    pub collides: u32,
    /// Its ids on the wire.
    pub id: MethodId,
    /// The parameters.
    pub params: PayloadCodec<P>,
    /// The results.
    pub results: PayloadCodec<R>,
}

opaque!(Variant, impl<P, R> std::fmt::Debug for Variant<P, R>);

impl<P: 'static, R: 'static> Clone for Variant<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: 'static, R: 'static> Copy for Variant<P, R> {}

impl<O: ?Sized, P: 'static, R: 'static> Method<O, P, R> {
    /// The method as it is served to peers of versions that have it in this form.
    pub fn as_form(self, form: &Variant<P, R>) -> Method<O, P, R> {
        let Variant { versions, id, params, results, .. } = *form;
        Method { id: id.peers(versions), params, call: self.call, results }
    }

    /// The form of the method in these versions.
    pub const fn variant(self, versions: u32, collides: u32) -> Variant<P, R> {
        let Method { id, params, results, .. } = self;
        Variant { versions, collides, id, params, results }
    }
}

/// What is known of the form that is to be called.
#[derive(Default)]
struct Look {
    /// The peer has answered it before, or there is no other in any version.
    settled: bool,
    /// It is the one that the peer should have.
    likely: bool,
    /// The versions whose forms the call must suit.
    peers: u32,
}

/// A call of a method that peers may have in several forms.
struct Attempt<P: 'static, R: 'static> {
    conn: ArcConn,
    object: RemoteObject,
    family: &'static Family,
    /// From newer to older.
    variants: &'static [Variant<P, R>],
    params: Arc<P>,
    shown: Option<Arc<str>>,
    /// Forms that the peer refused in words that may mean something else: this call does not ask again,
    /// later ones do.
    doubtful: Vec<usize>,
}

/// Calls a method that peers may have in several forms, which are given from newer to older.
pub fn call_versions<O, P, R>(
    handle: &Handle<O>,
    family: Option<&'static Family>,
    local: fn(&O, P) -> Result<R>,
    variants: &'static [Variant<P, R>],
    params: P,
) -> Call<R>
where
    O: ?Sized + Send + Sync + 'static,
    P: Send + Sync + 'static,
    R: Send + 'static,
{
    let name = variants.first().map_or(MethodId::new(0, 0, ""), |variant| variant.id);
    let object = match handle.target() {
        Target::Local(object) => {
            return Call::local(name, move || object.call(|object| local(object, params)));
        }
        Target::Remote(object) => object,
    };
    let (conn, family) = match (object.place(), family) {
        (Ok((conn, _)), Some(family)) => (ArcConn::clone(conn), family),
        (Err(error), _) => return Call::ready(Err(error)),
        (_, None) => return Call::ready(Err(Error::misuse("an interface without versions"))),
    };
    let shown = (call_log::shows_parameters())
        .then(|| {
            variants.first().map(|first| first.params.show(&params, call_log::MOST_CHARACTERS))
        })
        .flatten()
        .map(Arc::from);
    let (params, doubtful) = (Arc::new(params), Vec::new());
    let mut attempt =
        Attempt { conn, object: object.clone(), family, variants, params, shown, doubtful };
    let (choice, look) = attempt.choose();
    let mut asked = match choice {
        Choice::Form(form) => form,
        Choice::Missing => {
            return Call::ready(Err(Error::Unimplemented {
                method: format!("{} (not in the peer's version)", name.name),
            }));
        }
        Choice::Unknown => {
            return Call::ready(Err(Error::misuse(format!(
                "the peer's version is not known yet, and in some {} is something else: first make a \
                 call that only some versions can answer, such as one of a method that moved, or say \
                 which version it is (PeerVersion::assume)",
                name.name
            ))));
        }
    };
    let call = attempt.call(asked, look.peers);
    if look.settled {
        return Call::attempt(call, None, true);
    }
    let again = move |outcome: &Result<R>| {
        match outcome {
            Ok(_) => {
                attempt.note(asked, true);
                return None;
            }
            Err(Error::Unimplemented { method }) => {
                match refusal(method, attempt.variants[asked].id) {
                    Refusal::NoSuchMethod => attempt.note(asked, false),
                    Refusal::ByTheMethod => {
                        attempt.note(asked, true);
                        return None;
                    }
                    Refusal::Doubtful => attempt.doubtful.push(asked),
                }
            }
            Err(_) => return None,
        }
        let (Choice::Form(next), look) = attempt.choose() else { return None };
        asked = next;
        Some(attempt.call(asked, look.peers))
    };
    Call::attempt(call, Some(Box::new(again)), look.likely)
}

impl<P: Send + Sync + 'static, R: Send + 'static> Attempt<P, R> {
    /// What identifies the method among those of its family.
    fn method(&self) -> MethodKey {
        let first = self.variants.first();
        first.map_or((0, 0, 0), |first| (first.id.interface, first.id.ordinal, first.id.version))
    }

    fn form(&self, index: usize) -> Form {
        let Variant { versions, collides, .. } = self.variants[index];
        Form { versions, collides }
    }

    /// Which form to call, and what is known of it: one look at what the connection knows.
    fn choose(&self) -> (Choice, Look) {
        evidence(&self.conn, self.family, |evidence| {
            let choice = match evidence.settled(self.method()) {
                Some(form) => Choice::Form(form),
                None => self.choose_from(evidence),
            };
            let Choice::Form(index) = choice else { return (choice, Look::default()) };
            let (form, verdict) = (self.form(index), evidence.verdict());
            let everywhere = self.variants.len() == 1
                && form.versions.count_ones() as usize == self.family.labels.len();
            let settled = everywhere || evidence.settled(self.method()) == Some(index);
            let likely = verdict.fits && verdict.possible & !form.versions == 0;
            (choice, Look { settled, likely, peers: evidence.peers(form) })
        })
    }

    /// The same for a method of which no form was answered.
    fn choose_from(&self, evidence: &Evidence) -> Choice {
        let forms: Vec<Form> = (0..self.variants.len()).map(|index| self.form(index)).collect();
        if self.doubtful.is_empty() {
            return evidence.choose(self.method(), &forms);
        }
        let mut evidence = evidence.clone();
        for index in &self.doubtful {
            evidence.note(self.method(), *index, forms[*index], false);
        }
        evidence.choose(self.method(), &forms)
    }

    fn note(&self, index: usize, answered: bool) {
        let (method, form) = (self.method(), self.form(index));
        evidence(&self.conn, self.family, |evidence| evidence.note(method, index, form, answered));
    }

    fn call(&self, index: usize, peers: u32) -> RemoteCall<R> {
        let variant = &self.variants[index];
        let id = variant.id.peers(peers);
        let (codec, params) = (variant.params, Arc::clone(&self.params));
        let encode = move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            write_params(id, codec, cx, to, &*params).at(id.name)
        };
        let call = RemoteCall::new(id, self.object.clone(), encode, variant.results);
        call.showing(self.shown.clone())
    }
}

/// What it means that a peer answers that something is not implemented.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// The peer's schema has no such method.
    NoSuchMethod,
    /// The schema has it, and the object does not implement it: an answer as any other.
    ByTheMethod,
    /// That cannot be told.
    Doubtful,
}

/// Tells the two apart by the words of this crate, of Cap'n Proto in C++ (and what is made of it, such as
/// pycapnp) and of capnp-rpc in Rust. That an object does not have the whole interface says nothing of the
/// version: it may be an object of another kind.
fn refusal(text: &str, id: MethodId) -> Refusal {
    let own = id.name.split('.').next().unwrap_or_default();
    let ours = format!("{own} has no method {} of interface {:#x}", id.ordinal, id.interface);
    let named = text.contains("methodName = ");
    if text.contains(&ours) || !named && text.contains("Method not implemented.") {
        return Refusal::NoSuchMethod;
    }
    // What a trait's default method answers; capnp-rpc's is `method x::Server::y not implemented`.
    let default =
        text == id.name || text.contains("::Server::") && text.contains(" not implemented");
    match named || default {
        true => Refusal::ByTheMethod,
        false => Refusal::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_each_implementation_are_known() {
        let id = MethodId::new(0xd9c0, 6, "Bank.wait");
        let cases = [
            ("Bank has no method 6 of interface 0xd9c0", Refusal::NoSuchMethod),
            ("Bank has no method 7 of interface 0xd9c0", Refusal::Doubtful),
            ("Bank.wait", Refusal::ByTheMethod),
            ("not yet", Refusal::Doubtful),
            (
                "Method not implemented.; interfaceName = bank.capnp:Bank; typeId = 5; methodId = 6",
                Refusal::NoSuchMethod,
            ),
            (
                "remote exception: Method not implemented.; interfaceName = b; typeId = 5; methodId = 6",
                Refusal::NoSuchMethod,
            ),
            (
                "Method not implemented.; interfaceName = b; typeId = 5; methodName = wait; methodId = 6",
                Refusal::ByTheMethod,
            ),
            (
                "Requested interface not implemented.; actualInterfaceName = b; requestedTypeId = 5",
                Refusal::Doubtful,
            ),
            ("Store has no method 6 of interface 0xd9c0", Refusal::Doubtful),
            ("Method not implemented.", Refusal::NoSuchMethod),
            ("method bank::Server::wait not implemented", Refusal::ByTheMethod),
        ];
        for (text, means) in cases {
            assert_eq!(refusal(text, id), means, "{text}");
        }
    }
}
