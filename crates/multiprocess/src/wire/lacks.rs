//! Values for a peer of an older version, which does not have all fields: one that it would not read must
//! be what it takes for granted, the default, or the call is refused here. Nothing is dropped in silence.

use super::context::{Decoder, Encoder, NoCapabilities};
use super::helpers::At;
use super::slots::{AnyBuilder, Builder, Reader, Size};
use super::{Message, Wire};
use crate::{Error, Result};

/// An enum as generated code makes it.
pub trait Enumerant: Copy + std::fmt::Debug + From<u16> + Into<u16> + 'static {
    /// For each of its numbers the versions of the schema that do not have it (bit 0 is the newest);
    /// empty if all have all.
    const LACKS: &'static [u32] = &[];
}

/// Room for one field of any type.
const ONE: Size = Size(1, 1);
/// The versions before the newest.
const OLDER: u32 = !1;

impl Encoder<'_> {
    /// Checks a field that `versions` lack.
    ///
    /// # Errors
    /// [`Error::PeerTooOld`] if the peer may have one of them, and the value is not the default.
    pub fn lacks<W: Wire>(&mut self, versions: u32, name: &str, value: &W::Value) -> Result<()> {
        self.check(versions, name, || {
            let default = empty(|cx, from| W::get(cx, from, 0));
            is_default::<W>(value, default)
        })
    }

    /// Checks a field to which the schema gives a default.
    ///
    /// # Errors
    /// As [`lacks`](Self::lacks).
    pub fn lacks_or<W: Wire>(
        &mut self,
        versions: u32,
        name: &str,
        value: &W::Value,
        default: W::Default,
    ) -> Result<()> {
        self.check(versions, name, || {
            let default = empty(|cx, from| W::get_or(cx, from, 0, default));
            is_default::<W>(value, default)
        })
    }

    /// Checks a group or a union.
    ///
    /// # Errors
    /// As [`lacks`](Self::lacks).
    pub fn lacks_group<M: Message>(&mut self, versions: u32, name: &str, value: &M) -> Result<()> {
        self.check(versions, name, || {
            let Ok(default) = empty(M::read) else { return Ok(false) };
            let value = words(M::SIZE, |cx, to| value.write(cx, to))?;
            Ok(words(M::SIZE, |cx, to| default.write(cx, to))? == value)
        })
    }

    /// Checks what may be absent.
    ///
    /// # Errors
    /// As [`lacks`](Self::lacks).
    pub fn lacks_some<T>(&mut self, versions: u32, name: &str, value: &Option<T>) -> Result<()> {
        self.check(versions, name, || Ok(value.is_none()))
    }

    /// Checks a member of a union that is set.
    ///
    /// # Errors
    /// As [`lacks`](Self::lacks).
    pub fn lacks_member(&mut self, versions: u32, name: &str) -> Result<()> {
        self.check(versions, name, || Ok(false))
    }

    /// Checks what this schema does not know itself: a version before its newest does not, either.
    ///
    /// # Errors
    /// [`Error::PeerTooOld`] if the peer is of an older version for sure.
    pub(crate) fn lacks_unknown(&self) -> Result<()> {
        if !self.may_be(OLDER) || self.may_be(!OLDER) {
            return Ok(());
        }
        let problem = "it has fields of a newer schema, which the peer would not read";
        Err(Error::PeerTooOld { path: String::new(), problem: problem.to_owned() })
    }

    /// Checks the number of an enum.
    ///
    /// # Errors
    /// As [`lacks`](Self::lacks).
    pub(super) fn lacks_number<E: Enumerant>(&mut self, number: u16) -> Result<()> {
        if E::LACKS.is_empty() || !self.may_be(OLDER) {
            return Ok(());
        }
        // Nobody knows who has a number that the newest has no name for.
        let versions = E::LACKS.get(usize::from(number)).copied().unwrap_or(OLDER);
        if self.may_be(versions) {
            let value = E::from(number);
            let problem = format!("the value {value:?} is not in a version that the peer may have");
            return Err(Error::PeerTooOld { path: String::new(), problem });
        }
        Ok(())
    }

    fn check(
        &mut self,
        versions: u32,
        name: &str,
        is_default: impl FnOnce() -> Result<bool>,
    ) -> Result<()> {
        if !self.may_be(versions) || is_default()? {
            return Ok(());
        }
        let problem = "it is not in a version that the peer may have, and is not the default here";
        Err(Error::PeerTooOld { path: String::new(), problem: problem.to_owned() }).at(name)
    }
}

/// What is read where nothing was written.
fn empty<T>(read: impl FnOnce(&mut Decoder<'_>, Reader<'_>) -> Result<T>) -> Result<T> {
    let mut message = capnp::message::Builder::new_default();
    let _: AnyBuilder<'_> = message.init_root();
    let message = message.into_reader();
    let content = message.get_root().map_err(super::helpers::malformed)?;
    read(&mut Decoder::new(None, 0, 0), Reader::content(content)?)
}

/// Whether a value is encoded as the default is. Where the type has no default, such as a codec's that
/// refuses what is empty, every value is another.
fn is_default<W: Wire>(value: &W::Value, default: Result<W::Value>) -> Result<bool> {
    let Ok(default) = default else { return Ok(false) };
    let value = words(ONE, |cx, to| W::set(cx, to, 0, value))?;
    Ok(words(ONE, |cx, to| W::set(cx, to, 0, &default))? == value)
}

/// The message of a struct in which something is written. An object in it is a capability that is none of
/// a connection's, and so different from no object.
fn words(
    size: Size,
    write: impl FnOnce(&mut Encoder<'_>, &mut Builder<'_>) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut message = capnp::message::Builder::new_default();
    let mut none = NoCapabilities;
    write(&mut Encoder::new(&mut none, 0, 0), &mut Builder::content(message.init_root(), size))?;
    Ok(capnp::serialize::write_message_to_words(&message))
}
