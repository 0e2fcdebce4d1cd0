//! Calls of an interface that peers have in several versions.
//!
//! The version of a peer is found out by calls: the newest form of a method that it may have is
//! called first, and if it answers that it has no such method, the next older one. An answer rules
//! out the versions that do not have the method in the form that was called. The connection remembers
//! the possible versions.

use std::sync::{Arc, PoisonError};

use super::call::{Call, RemoteCall};
use super::handle::{Handle, Target};
use super::method::{Method, MethodId, write_params};
use super::remote::RemoteObject;
use crate::call_log;
use crate::connection::ArcConn;
use crate::wire::{AnyBuilder, Encoder, PayloadCodec};
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

impl<P: 'static, R: 'static> Clone for Variant<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: 'static, R: 'static> Copy for Variant<P, R> {}

impl<O: ?Sized, P: 'static, R: 'static> Method<O, P, R> {
    /// The form of the method in these versions.
    pub const fn variant(self, versions: u32, collides: u32) -> Variant<P, R> {
        let Method { id, params, results, .. } = self;
        Variant { versions, collides, id, params, results }
    }
}

/// Which versions of a family of schemas the peer of a connection may have.
fn possible(conn: &ArcConn, family: u64) -> u32 {
    let known = conn.session().versions.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(id, _)| *id == family).map_or(u32::MAX, |(_, versions)| *versions)
}

/// Notes that the peer has one of these versions.
fn narrow(conn: &ArcConn, family: u64, versions: u32) {
    let mut known = conn.session().versions.lock().unwrap_or_else(PoisonError::into_inner);
    match known.iter_mut().find(|(id, _)| *id == family) {
        // Answers that contradict each other are ignored.
        Some((_, known)) if *known & versions != 0 => *known &= versions,
        Some(_) => {}
        None => known.push((family, versions)),
    }
}

/// Calls a method that peers may have in several forms, which are given from newer to older.
pub fn call_versions<O, P, R>(
    handle: &Handle<O>,
    family: u64,
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
    let conn = match object.place() {
        Ok((conn, _)) => ArcConn::clone(conn),
        Err(error) => return Call::ready(Err(error)),
    };
    let possible = possible(&conn, family);
    let mut forms = variants.iter().filter(move |variant| variant.versions & possible != 0);
    let Some(first) = forms.next() else {
        return Call::ready(Err(Error::Unimplemented {
            method: format!("{} (not in the peer's version)", name.name),
        }));
    };
    if first.collides & possible != 0 {
        return Call::ready(Err(Error::misuse(format!(
            "the peer's version is not known yet, and in some {} is something else: first make a \
             call that only some versions can answer, such as one of a method that moved",
            name.name
        ))));
    }
    let shown: Option<Arc<str>> = call_log::shows_parameters()
        .then(|| first.params.show(&params, call_log::MOST_CHARACTERS).into());
    let params = Arc::new(params);
    let one = move |variant: &'static Variant<P, R>, object: RemoteObject, params: Arc<P>| {
        let encode = move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            write_params(variant.id, variant.params, cx, to, &*params)
        };
        RemoteCall::new(variant.id, object, encode, variant.results).showing(shown.clone())
    };
    let call = one(first, object.clone(), Arc::clone(&params));
    if possible & !first.versions == 0 {
        return Call::attempt(call, None); // The peer has no other.
    }
    let (mut asked, mut ruled_out) = (first, first.versions);
    Call::attempt(
        call,
        Some(Box::new(move |outcome| match outcome {
            Ok(_) => {
                narrow(&conn, family, asked.versions);
                None
            }
            Err(Error::Unimplemented { .. }) => {
                // The form that failed is in none of the possible versions, and the next one must
                // not be another method in any of them.
                let left = self::possible(&conn, family) & !ruled_out;
                asked =
                    forms.find(|form| form.versions & left != 0 && form.collides & left == 0)?;
                ruled_out |= asked.versions;
                Some(one(asked, object.clone(), Arc::clone(&params)))
            }
            Err(_) => None,
        })),
    )
}
