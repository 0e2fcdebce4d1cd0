//! The marks that rules can set.

use crate::parse::id;

/// What [`Builder::mark`](crate::Builder::mark) says about a place in a schema: an annotation of
/// `/rust-multiprocess.capnp` or `/mp/proxy.capnp` that the schema itself does not have.
///
/// The [`mapping`](crate::mapping) says what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    word: Word,
    value: Value,
}

/// What an annotation says besides its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Nothing,
    Text(String),
    Number(i32),
}

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Struct,
    Enum,
    Enumerant,
    Interface,
    Method,
    Const,
    /// A field of a struct, a member of a union, a parameter or a result.
    Field,
    /// A group or a union with a name.
    Group,
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Kind::File => "a file",
            Kind::Struct => "a struct",
            Kind::Enum => "an enum",
            Kind::Enumerant => "a value of an enum",
            Kind::Interface => "an interface",
            Kind::Method => "a method",
            Kind::Const => "a constant",
            Kind::Field => "a field, parameter or result",
            Kind::Group => "a group or union",
        }
    }
}

const VALUE: &[Kind] = &[Kind::Field];
const RESULTS: &[Kind] = &[Kind::Field, Kind::Method];
const TYPES: &[Kind] = &[Kind::Struct, Kind::Enum, Kind::Group];
const METHOD: &[Kind] = &[Kind::Method];
const REDACTED: &[Kind] = &[Kind::Field, Kind::Group];
const HIDDEN: &[Kind] = &[Kind::Field, Kind::Struct, Kind::Interface];
const ANY: &[Kind] = &[
    Kind::File,
    Kind::Struct,
    Kind::Enum,
    Kind::Enumerant,
    Kind::Interface,
    Kind::Method,
    Kind::Const,
    Kind::Field,
    Kind::Group,
];

/// One annotation.
#[derive(Debug, Clone, Copy)]
struct Word {
    id: u64,
    /// The name of the function that makes the mark.
    name: &'static str,
    targets: &'static [Kind],
}

impl PartialEq for Word {
    fn eq(&self, other: &Word) -> bool {
        self.id == other.id
    }
}

impl Eq for Word {}

macro_rules! marks {
    ($($(#[$docs:meta])* $name:ident $(($value:ident: $type:ident))? = $id:ident, $targets:ident;)*) => {
        impl Mark {
            $(
                $(#[$docs])*
                #[must_use]
                pub fn $name($($value: marks!(@parameter $type))?) -> Mark {
                    let word =
                        Word { id: id::$id, name: stringify!($name), targets: $targets };
                    Mark { word, value: marks!(@value $($value $type)?) }
                }
            )*
        }
    };
    (@parameter text) => { impl Into<String> };
    (@parameter number) => { i32 };
    (@value) => { Value::Nothing };
    (@value $value:ident text) => { Value::Text($value.into()) };
    (@value $value:ident number) => { Value::Number($value) };
}

marks! {
    /// `$Rust.notNull`: the reference is never null.
    not_null = NOT_NULL, VALUE;
    /// `$Rust.nullable`: the value may be absent.
    nullable = NULLABLE, VALUE;
    /// `$Rust.shared`: an `Arc` of the interface's trait instead of the handle.
    shared = SHARED, VALUE;
    /// `$Rust.fd`: a `Capability` is an `OwnedFd`, which is passed with the call.
    fd = FD, VALUE;
    /// `$Rust.type`: the Rust type of a value, or of all results of a method.
    rust_type(path: text) = TYPE, RESULTS;
    /// `$Rust.codec`: the type that implements `multiprocess::Codec` for the Rust type.
    codec(path: text) = CODEC, RESULTS;
    /// `$Rust.hashMap`: a list of structs with two fields as a `HashMap`.
    hash_map = HASH_MAP, VALUE;
    /// `$Rust.btreeMap`: a list of structs with two fields as a `BTreeMap`.
    btree_map = BTREE_MAP, VALUE;
    /// `$Rust.hashSet`: a list as a `HashSet`.
    hash_set = HASH_SET, VALUE;
    /// `$Rust.btreeSet`: a list as a `BTreeSet`.
    btree_set = BTREE_SET, VALUE;
    /// `$Rust.redacted`: neither Debug nor the log shows the value.
    redacted = REDACTED, REDACTED;
    /// `$Rust.mayBeLost`: older peers are called without the value.
    may_be_lost = MAY_BE_LOST, VALUE;
    /// `$Rust.derive`: further derives, such as `Eq, Hash`.
    derive(list: text) = DERIVE, TYPES;
    /// `$Rust.attribute`: attributes of the Rust type; [`type_attribute`](crate::Builder::type_attribute)
    /// adds one.
    attribute(text: text) = ATTRIBUTE, TYPES;
    /// `$Rust.name`: the name from which the Rust name is made; of a file, that of its module.
    name_from(name: text) = NAME, ANY;
    /// `$Rust.visible`: shown although `$Proxy.count(0)` or `$Proxy.skip` hides it.
    visible = VISIBLE, HIDDEN;
    /// `$Rust.borrowed`: a served object borrows the parameters.
    borrowed = BORROWED, METHOD;
    /// `$Rust.longWait`: calls of futures each have a thread of their own in the peer.
    long_wait = LONG_WAIT, METHOD;
    /// `$Rust.interruptedBy`: the method that ends a call of this one.
    interrupted_by(method: text) = INTERRUPTED_BY, METHOD;
    /// `$Proxy.exception`: the result is a typed error. The text is not used in Rust.
    exception(text: text) = EXCEPTION, VALUE;
    /// `$Proxy.skip`: not visible, and neither read nor written.
    skip = SKIP, VALUE;
    /// `$Proxy.count`: with 0, not visible.
    count(arguments: number) = COUNT, HIDDEN;
}

impl Mark {
    pub(super) fn id(&self) -> u64 {
        self.word.id
    }

    pub(super) fn name(&self) -> &'static str {
        self.word.name
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn fits(&self, kind: Kind) -> bool {
        self.word.targets.contains(&kind)
    }

    /// What it can stand on, in words.
    pub(super) fn targets(&self) -> String {
        let words: Vec<_> = self.word.targets.iter().map(|kind| kind.words()).collect();
        words.join(" or ")
    }
}
