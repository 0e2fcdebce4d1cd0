//! Rust types that the author of a schema chooses, in place of those that its types map to by default.

use std::fmt;
use std::marker::PhantomData;

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::context::{Decoder, Encoder};
use super::helpers::indexed;
use super::{Builder, PointerWire, Reader, Wire};
use crate::panics::catch_panic;
use crate::{Error, Result};

/// Why a codec refuses a value: any error, or a text.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Converts between the Rust type of a field on the wire and a type that the schema's author chose.
///
/// The schema names the type, and the codec where it is not the type itself:
///
/// ```capnp
/// using Rust = import "/rust-multiprocess.capnp";
///
/// struct Block {
///     hash @0 :Data $Rust.type("bitcoin::BlockHash") $Rust.codec("crate::Consensus");
///     age @1 :Int64 $Rust.type("crate::Age");
/// }
/// ```
///
/// Both functions run while the connection is locked, and so may the destructor of a value: they must
/// neither block nor call objects. A panic in them is that call's error.
///
/// If decoding fails, the reading side gets an [`Error::Decode`] with the method and the field's path. If
/// encoding fails, the writing side gets an [`Error::ApiMisuse`] that names them.
///
/// On a method the same marks are about all its results together: the trait and the handle have that type,
/// and the codec's `Wire` is what the method would return without the marks.
///
/// ```
/// use multiprocess::{Codec, CodecError};
///
/// /// Seconds, never negative.
/// #[derive(Debug, Clone, PartialEq)]
/// struct Age(u32);
///
/// impl Codec for Age {
///     type Wire = i64;
///
///     fn decode(wire: i64) -> Result<Age, CodecError> {
///         Ok(Age(u32::try_from(wire)?))
///     }
///
///     fn encode(value: &Age) -> Result<i64, CodecError> {
///         Ok(value.0.into())
///     }
/// }
///
/// assert_eq!(Age::decode(7).unwrap(), Age(7));
/// assert!(Age::decode(-1).is_err());
/// ```
#[diagnostic::on_unimplemented(
    note = "name a codec for it: `$Rust.codec(\"..\")` beside `$Rust.type` in the schema, or \
            `Mark::codec(\"..\")` in the build script; a type of this crate can be its own codec"
)]
pub trait Codec<T = Self> {
    /// The Rust type that the schema's type maps to without a codec, such as `Vec<u8>` for Data.
    type Wire;

    /// Makes a value from what arrived.
    ///
    /// # Errors
    /// Why it is not a valid value.
    fn decode(wire: Self::Wire) -> Result<T, CodecError>;

    /// Makes what is sent from a value.
    ///
    /// # Errors
    /// Why the value cannot be sent.
    fn encode(value: &T) -> Result<Self::Wire, CodecError>;
}

/// A codec for a `Vec`, from the codec `C` of its items.
///
/// `$Rust.type("Vec<bitcoin::Txid>") $Rust.codec("multiprocess::Each<crate::Consensus>")`
#[derive(Debug)]
pub struct Each<C>(PhantomData<C>);

impl<T, C: Codec<T>> Codec<Vec<T>> for Each<C> {
    type Wire = Vec<C::Wire>;

    fn decode(wire: Vec<C::Wire>) -> Result<Vec<T>, CodecError> {
        let items = wire.into_iter().enumerate();
        items.map(|(index, item)| in_item(index, C::decode(item))).collect()
    }

    fn encode(value: &Vec<T>) -> Result<Vec<C::Wire>, CodecError> {
        let items = value.iter().enumerate();
        items.map(|(index, item)| in_item(index, C::encode(item))).collect()
    }
}

/// Says in which item the error is.
fn in_item<T>(index: usize, made: Result<T, CodecError>) -> Result<T, CodecError> {
    made.map_err(|error| InItem { index, error }.into())
}

/// An error of one item, which becomes part of the path.
#[derive(Debug)]
struct InItem {
    index: usize,
    error: CodecError,
}

impl fmt::Display for InItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}: {}", self.index, self.error)
    }
}

impl std::error::Error for InItem {}

/// What a codec says, with the items that it names in the path.
fn refused(path: &str, mut error: CodecError, what: &str) -> Error {
    let mut path = path.to_owned();
    while let Some(found) = error.downcast_ref::<InItem>() {
        path.push_str(&format!("[{}]", found.index));
        error = match error.downcast::<InItem>() {
            Ok(found) => found.error,
            Err(error) => error,
        };
    }
    Error::decode(path, format!("{what}{error}"))
}

/// A codec through the standard conversions: `T: TryFrom<W>` one way, `W: TryFrom<T>` the other.
///
/// `$Rust.type("std::num::NonZeroU32") $Rust.codec("multiprocess::TryConvert<u32>")`
#[derive(Debug)]
pub struct TryConvert<W>(PhantomData<W>);

impl<W, T> Codec<T> for TryConvert<W>
where
    T: TryFrom<W, Error: Into<CodecError>> + Clone,
    W: TryFrom<T, Error: Into<CodecError>>,
{
    type Wire = W;

    fn decode(wire: W) -> Result<T, CodecError> {
        T::try_from(wire).map_err(Into::into)
    }

    fn encode(value: &T) -> Result<W, CodecError> {
        W::try_from(value.clone()).map_err(Into::into)
    }
}

/// What arrived, as the Rust type. `path` is where it is, as far as the caller does not add that.
///
/// # Errors
/// [`Error::Decode`] with what the codec says.
pub fn decoded<T, C: Codec<T>>(path: &str, wire: C::Wire) -> Result<T> {
    catch_panic(|| C::decode(wire).map_err(|error| refused(path, error, "")))
}

/// What is written for a value.
///
/// # Errors
/// What the codec says, as [`Error::Decode`] for the time that the path is gathered; what writes the
/// whole message makes an [`Error::ApiMisuse`] of it.
pub fn encoded<T, C: Codec<T>>(value: &T) -> Result<C::Wire> {
    catch_panic(|| C::encode(value).map_err(|error| refused("", error, "a value cannot be sent: ")))
}

/// The same for a value that goes into no message: `path` is where it would be, method and all.
///
/// # Errors
/// [`Error::ApiMisuse`] with what the codec says.
pub fn encoded_here<T, C: Codec<T>>(path: &str, value: &T) -> Result<C::Wire> {
    encoded::<T, C>(value).map_err(|error| error.unsendable(path))
}

/// The default of a type, with some of its fields changed. For structs of other crates, which may not be
/// written with their fields.
pub fn default_with<T: Default>(change: impl FnOnce(&mut T)) -> T {
    let mut value = T::default();
    change(&mut value);
    value
}

/// The default that a schema gives for a field with a codec.
///
/// # Panics
/// If the codec refuses it, which is a mistake in the schema.
pub fn default_of<T, C: Codec<T>>(wire: C::Wire) -> T {
    match C::decode(wire) {
        Ok(value) => value,
        Err(error) => panic!("the codec refuses the schema's own default: {error}"),
    }
}

/// `T` in place of what `W` maps to, through the codec `C`.
#[derive(Debug)]
pub struct As<T, C, W>(PhantomData<(T, C, W)>);

impl<T: 'static, C, W> As<T, C, W>
where
    W: Wire,
    C: Codec<T, Wire = W::Value>,
{
    fn decode(wire: W::Value) -> Result<T> {
        decoded::<T, C>("", wire)
    }

    fn encode(value: &T) -> Result<W::Value> {
        encoded::<T, C>(value)
    }
}

impl<T: 'static, C, W> Wire for As<T, C, W>
where
    W: Wire,
    C: Codec<T, Wire = W::Value>,
{
    type Value = T;
    type Default = W::Default;

    fn get(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<T> {
        Self::decode(W::get(cx, from, slot)?)
    }

    fn get_or(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32, default: W::Default) -> Result<T> {
        Self::decode(W::get_or(cx, from, slot, default)?)
    }

    fn set(cx: &mut Encoder<'_>, to: &mut Builder<'_>, slot: u32, value: &T) -> Result<()> {
        W::set(cx, to, slot, &Self::encode(value)?)
    }

    fn set_or(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &T,
        default: W::Default,
    ) -> Result<()> {
        W::set_or(cx, to, slot, &Self::encode(value)?, default)
    }

    fn read_list(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<T>> {
        let items = W::read_list(cx, from)?.into_iter();
        (0..).zip(items).map(|(index, item)| indexed(Self::decode(item), index)).collect()
    }

    fn write_list<'v>(
        cx: &mut Encoder<'_>,
        to: PointerBuilder<'_>,
        values: impl ExactSizeIterator<Item = &'v T>,
    ) -> Result<()> {
        let encode = |(index, value)| indexed(Self::encode(value), index);
        let items = (0..).zip(values).map(encode).collect::<Result<Vec<_>>>()?;
        W::write_list(cx, to, items.iter())
    }

    /// As it is sent: the Rust type need not have Debug.
    fn show(value: &T, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::encode(value) {
            Ok(value) => W::show(&value, f),
            Err(_) => f.write_str("a value that cannot be sent"),
        }
    }
}

/// So that it can be absent ([`Nullable`](super::Nullable)).
impl<T: 'static, C, W> PointerWire for As<T, C, W>
where
    W: Wire + PointerWire<Value = <W as Wire>::Value>,
    C: Codec<T, Wire = <W as Wire>::Value>,
{
    type Value = T;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<T> {
        Self::decode(<W as PointerWire>::read(cx, from)?)
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &T) -> Result<()> {
        <W as PointerWire>::write(cx, to, &Self::encode(value)?)
    }

    fn show(value: &T, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        <Self as Wire>::show(value, f)
    }
}
