//! Lists, and the maps and sets that stand for one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::context::{Decoder, Encoder};
use super::helpers::indexed;
use super::pointer::pointer_wire;
use super::shown::show_list;
use super::structure::each_struct;
use super::{Builder, Message, PointerWire, Reader, Wire};
use crate::{Error, Result};

/// `List(T)`.
#[derive(Debug)]
pub struct List<W>(PhantomData<W>);

impl<W: Wire> PointerWire for List<W> {
    type Value = Vec<W::Value>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Vec<W::Value>> {
        W::read_list(cx, from)
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Vec<W::Value>) -> Result<()> {
        W::write_list(cx, to, value.iter())
    }

    fn show(value: &Vec<W::Value>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_list::<W>(value.iter(), f)
    }
}
pointer_wire!([W: Wire] List<W>);

/// A struct of two fields that is an entry of a map; implemented by generated code.
pub trait Entry: Message + 'static {
    /// The first field's type.
    type Key: 'static;
    /// The second field's.
    type Value: 'static;

    /// Reads both.
    ///
    /// # Errors
    /// [`Error::Decode`] with the field's path.
    fn read_entry(cx: &mut Decoder<'_>, from: Reader<'_>) -> Result<(Self::Key, Self::Value)>;

    /// Writes both.
    ///
    /// # Errors
    /// A value that does not fit in a message.
    fn write_entry(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        key: &Self::Key,
        value: &Self::Value,
    ) -> Result<()>;
}

/// An entry as an item of a list of structs.
struct Pair<E: Entry>(E::Key, E::Value);

impl<E: Entry> fmt::Debug for Pair<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }
}

impl<E: Entry> Message for Pair<E> {
    const SIZE: super::Size = E::SIZE;

    fn read(cx: &mut Decoder<'_>, from: Reader<'_>) -> Result<Self> {
        let (key, value) = E::read_entry(cx, from)?;
        Ok(Pair(key, value))
    }

    fn write(&self, cx: &mut Encoder<'_>, to: &mut Builder<'_>) -> Result<()> {
        E::write_entry(cx, to, &self.0, &self.1)
    }
}

macro_rules! maps {
    ($($name:ident $map:ident [$($bound:tt)*] $what:literal)*) => { $(
        #[doc = concat!("A list of entries with different keys, as ", $what, ".")]
        #[derive(Debug)]
        pub struct $name<E>(PhantomData<E>);

        impl<E: Entry> PointerWire for $name<E>
        where
            E::Key: $($bound)*,
        {
            type Value = $map<E::Key, E::Value>;

            fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Self::Value> {
                let mut map = $map::new();
                let entries = super::Struct::<Pair<E>>::read_list(cx, from)?;
                for (index, Pair(key, value)) in (0..).zip(entries) {
                    if map.insert(key, value).is_some() {
                        return indexed(Err(twice("key")), index);
                    }
                }
                Ok(map)
            }

            fn write(
                cx: &mut Encoder<'_>,
                to: PointerBuilder<'_>,
                value: &Self::Value,
            ) -> Result<()> {
                each_struct::<E, _>(to, value.iter(), |to, (key, value)| {
                    E::write_entry(cx, to, key, value)
                })
            }

            // An entry's struct is not made for this, and what is redacted in it would not be seen.
            fn show(value: &Self::Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} entries", value.len())
            }
        }
        pointer_wire!([E: Entry<Key: $($bound)*>] $name<E>);
    )* };
}
maps! {
    HashMapOf HashMap [Eq + Hash] "a `HashMap`"
    BTreeMapOf BTreeMap [Ord] "a `BTreeMap`"
}

macro_rules! sets {
    ($($name:ident $set:ident [$($bound:tt)*] $what:literal)*) => { $(
        #[doc = concat!("A list of different items, as ", $what, ".")]
        #[derive(Debug)]
        pub struct $name<W>(PhantomData<W>);

        impl<W: Wire> PointerWire for $name<W>
        where
            W::Value: $($bound)*,
        {
            type Value = $set<W::Value>;

            fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Self::Value> {
                let mut set = $set::new();
                for (index, item) in (0..).zip(W::read_list(cx, from)?) {
                    if !set.insert(item) {
                        return indexed(Err(twice("item")), index);
                    }
                }
                Ok(set)
            }

            fn write(
                cx: &mut Encoder<'_>,
                to: PointerBuilder<'_>,
                value: &Self::Value,
            ) -> Result<()> {
                W::write_list(cx, to, value.iter())
            }

            fn show(value: &Self::Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show_list::<W>(value.iter(), f)
            }
        }
        pointer_wire!([W: Wire<Value: $($bound)*>] $name<W>);
    )* };
}
sets! {
    HashSetOf HashSet [Eq + Hash] "a `HashSet`"
    BTreeSetOf BTreeSet [Ord] "a `BTreeSet`"
}

fn twice(what: &str) -> Error {
    Error::decode("", format!("the {what} is there twice"))
}
