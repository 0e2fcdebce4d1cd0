//! The schemas as plain data in Rust's terms: every name is final, every type resolved.
//!
//! [`parse`](crate::parse) makes it, [`emit`](crate::emit) prints it. It uses neither Cap'n Proto's
//! schema encoding nor Rust syntax trees.

/// Every schema file of one run.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub files: Vec<File>,
    /// The files of other crates, as far as they are known. Nothing is emitted for them.
    pub outside: Vec<File>,
    /// The label of this version.
    pub newest: String,
    /// The labels of the older versions, from newer to older. In a set of versions, bit 0 is this
    /// schema, bit 1 the first of these.
    pub older: Vec<String>,
    /// An id that distinguishes this schema, with its versions, from others on a connection.
    pub family: u64,
}

/// One schema file: a Rust module.
#[derive(Debug)]
pub(crate) struct File {
    /// The file's own name, such as `echo.capnp`.
    pub name: String,
    pub module: Module,
    pub docs: String,
    pub consts: Vec<Const>,
    pub enums: Vec<Enum>,
    /// Structs, and the groups and unions in them, each with a name of its own.
    pub structs: Vec<Struct>,
    pub interfaces: Vec<Interface>,
}

/// Where a file's types are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    pub name: String,
    /// The path of another crate's module with generated code, such as `::bitcoin_ipc::generated`.
    pub outside: Option<String>,
}

/// A declared type, as other places refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub id: u64,
    pub module: Module,
    /// The Rust type's name in its module; of an interface, the handle's.
    pub name: String,
}

/// A constant.
#[derive(Debug)]
pub(crate) struct Const {
    pub name: String,
    pub docs: String,
    pub ty: Type,
    pub value: Value,
}

/// An enum. Numbers that the schema does not know go to the variant `unknown`.
#[derive(Debug)]
pub(crate) struct Enum {
    pub named: Named,
    pub docs: String,
    /// In the order of their numbers, which begin at 0.
    pub variants: Vec<Variant>,
    pub unknown: String,
    /// The derives that it has beyond those of every enum.
    pub derives: Vec<String>,
    /// Further attributes, as Rust has them.
    pub attributes: String,
    /// For each variant the versions that do not have it; empty if all have all.
    pub lacks: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Variant {
    pub name: String,
    pub docs: String,
}

/// A struct, a group, or a union. The last two lie within the struct around them.
#[derive(Debug)]
pub(crate) struct Struct {
    pub named: Named,
    pub docs: String,
    /// The names of its type parameters.
    pub parameters: Vec<String>,
    /// Words of data, and pointers. For a group, those of the struct around it.
    pub size: (u16, u16),
    pub body: Body,
    /// The derives that it has beyond those of every struct.
    pub derives: Vec<String>,
    /// Further attributes, as Rust has them.
    pub attributes: String,
    /// Whether it lies within another struct: a group, or a union that is not a struct's only content.
    pub group: bool,
    /// False where it holds handles or file descriptors, which have no equality.
    pub comparable: bool,
    /// False where it holds file descriptors: a copy would be a system call that can fail.
    pub cloneable: bool,
    pub default: Defaults,
    /// Whether it is the entry of a map somewhere: it has two fields, key and value.
    pub entry: bool,
    /// The name of its view, where a method borrows it.
    pub view: Option<String>,
    /// Its forms in older versions that give its fields other defaults.
    pub older: Vec<OlderStruct>,
    /// For each field or member the versions that do not have it; empty if all have all.
    pub lacks: Vec<u32>,
}

/// A struct as older versions have it.
#[derive(Debug, Clone)]
pub(crate) struct OlderStruct {
    /// The oldest and the newest version with this form; all versions between have it as well.
    pub newest: u8,
    pub oldest: u8,
    /// One for each field of the present form; none where the older form lacks it.
    pub fields: Vec<Option<Field>>,
}

#[derive(Debug)]
pub(crate) enum Body {
    /// A Rust struct.
    Fields(Vec<Field>),
    /// A Rust enum.
    Union(Union),
}

/// A union: one of its members is set.
#[derive(Debug)]
pub(crate) struct Union {
    /// Where the number of the set member lies, in units of two bytes.
    pub tag: u32,
    /// In the order of their numbers, which begin at 0. A member's name is the variant's.
    pub members: Vec<Field>,
    /// The variant for numbers that the schema does not know.
    pub unknown: String,
}

/// How a struct gets `Default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// Every field's default is its type's own.
    Derived,
    /// The schema gives some field another default, or it is a union.
    Written,
    /// Not at all. A handle that is never null has no default, and a Rust type that the schema
    /// names is assumed to have none, unless the struct's `derives` say so.
    Absent,
}

/// A field of a struct, a member of a union, a parameter, or a result.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The schema's name, which error paths show.
    pub schema_name: String,
    pub name: String,
    pub docs: String,
    pub ty: Type,
    /// Its offset in units of its own size, or the index of its pointer. Not used for a group.
    pub slot: u32,
    pub presence: Presence,
    /// The schema's default, where it is not the type's own.
    pub default: Option<Value>,
    /// Kept in a box, because the type contains itself through this field.
    pub boxed: bool,
    /// Not to be shown by Debug.
    pub redacted: bool,
    /// Whether peers of a version that lacks it are called without it, whatever its value.
    pub may_be_lost: bool,
    /// Whether it has no default, or only one that depends on a type argument: then whoever makes
    /// the struct says its value.
    pub required: bool,
}

/// Whether and how a field can be absent. Wherever it can, its Rust type is an Option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    Always,
    /// A null pointer.
    Null,
    /// The Bool in this slot says whether it is present (`hasX`).
    Flag(u32),
    /// A result that is present if the parameter of this (Rust) name asked for it (`wantX`).
    Wanted(String),
}

/// The type of a value, to any depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Void,
    Bool,
    Int(Int),
    Float32,
    Float64,
    Text,
    Data,
    AnyPointer,
    /// An object of any interface; whether it may be null, so that it is an Option.
    Capability(bool),
    /// A file descriptor, which travels as an object; whether there may be none, so that it is an Option.
    Descriptor(bool),
    Enum(Named),
    Struct(Named, Vec<Type>),
    /// A group or union, which lies within the struct around it.
    Group(Named, Vec<Type>),
    Interface(Object),
    /// A type parameter of the declaration around it, by its Rust name.
    Parameter(String),
    List(Box<Type>),
    /// A list of this type whose items are all different.
    Set(Order, Box<Type>),
    /// A list of entries with different keys: the entry struct, and its key and value.
    Map(Order, Box<(Type, Type, Type)>),
    /// A Rust type of the schema author's choice in place of what `wire` maps to. Both are Rust
    /// paths from the schema, and have been checked.
    As {
        rust: String,
        codec: String,
        wire: Box<Type>,
    },
}

/// An interface as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Names the handle.
    pub named: Named,
    pub trait_name: String,
    pub arguments: Vec<Type>,
    /// Whether it may be null, so that it is an Option.
    pub nullable: bool,
    /// Whether it is an `Arc` of the trait instead of the handle.
    pub shared: bool,
}

/// Whether a collection is ordered (`BTreeMap`) or hashed (`HashMap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ordered,
    Hashed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Int {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// The value of a constant or default.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Void,
    Bool(bool),
    Int(Int, i128),
    Float32(f32),
    Float64(f64),
    Text(String),
    Data(Vec<u8>),
    Enum(Named, u16),
    List(Vec<Value>),
    /// The fields whose value differs from the type's default, by their Rust names.
    Struct(Named, Vec<(String, Value)>),
    /// The variant that is set.
    Union(Named, String, Box<Value>),
    /// A value for a field that can be absent (its type is an Option): present.
    Some(Box<Value>),
    /// A value in a box.
    Boxed(Box<Value>),
    /// The type's own default.
    Default,
}

/// An interface: a trait, and a handle.
#[derive(Debug)]
pub(crate) struct Interface {
    /// Names the handle.
    pub named: Named,
    /// The trait's name.
    pub trait_name: String,
    /// The name of the trait whose methods are futures.
    pub async_name: String,
    pub schema_name: String,
    pub docs: String,
    /// Whether the file is named after it. Its handle is then the file's `Client`.
    pub main: bool,
    /// The names of its type parameters.
    pub parameters: Vec<String>,
    /// The interfaces that it extends itself.
    pub parents: Vec<Extended>,
    /// All interfaces that it extends at any depth, each once: a parent, then that parent's
    /// ancestors, and so on.
    pub ancestors: Vec<Ancestor>,
    /// Its own methods.
    pub methods: Vec<Method>,
}

/// An interface, as one that extends it names it.
#[derive(Debug, Clone)]
pub(crate) struct Extended {
    /// Names the handle.
    pub named: Named,
    pub trait_name: String,
    pub async_name: String,
    pub arguments: Vec<Type>,
}

/// An interface that another extends, with what the other inherits from it. Its own ancestors are not
/// here, because the other interface lists them as well: with nested lists the model would double with
/// every level.
#[derive(Debug)]
pub(crate) struct Ancestor {
    pub extended: Extended,
    pub schema_name: String,
    /// The methods that it declares itself, with the type arguments filled in.
    pub methods: Vec<Method>,
}

#[derive(Debug, Clone)]
pub(crate) struct Method {
    pub ordinal: u16,
    pub schema_name: String,
    pub name: String,
    pub docs: String,
    pub kind: Kind,
    pub params: Message,
    pub results: Message,
    /// The results that are typed exceptions. Pointers only.
    pub exceptions: Vec<Field>,
    /// The name of the struct that carries several results.
    pub results_name: String,
    /// The Rust type of the author's choice in place of all results, and its codec. Both are Rust
    /// paths from the schema, and have been checked.
    pub results_as: Option<(String, String)>,
    /// The pointer in the results that a pipelined call goes to.
    pub pipeline: u16,
    /// Whether it streams (`-> stream`): its calls do not wait for their answers.
    pub streams: bool,
    /// Whether it may take long, as marked in the schema.
    pub long: bool,
    /// The ordinal of the method that ends a call of this one.
    pub interrupt: Option<u16>,
    /// Whether the object borrows the parameters from the message.
    pub borrowed: bool,
    /// The versions that have it in this form. None if only older ones have the method, which is
    /// then in `older` and not served.
    pub versions: u32,
    /// For each parameter the versions of this form that do not have it; empty if all have all.
    pub lacks: Vec<u32>,
    /// Whether some version lacks a parameter, or something in one, so that it depends on the peer's
    /// version whether a call can be made.
    pub checked: bool,
    /// The versions that have something else at this ordinal.
    pub collides: u32,
    /// Its other forms in older versions, from newer to older.
    pub older: Vec<OlderMethod>,
}

/// The form of a method in older versions.
#[derive(Debug, Clone)]
pub(crate) struct OlderMethod {
    /// The versions with this form.
    pub versions: u32,
    /// The newest of them.
    pub version: u8,
    /// The versions that have something else at this ordinal.
    pub collides: u32,
    pub ordinal: u16,
    pub params: OlderMessage,
    pub results: OlderMessage,
    /// The older form's typed exceptions.
    pub exceptions: Vec<Field>,
    pub pipeline: u16,
    pub long: bool,
    pub interrupt: Option<u16>,
}

/// The parameters or results of a method as older versions have them.
#[derive(Debug, Clone)]
pub(crate) struct OlderMessage {
    pub size: (u16, u16),
    pub context: Option<u32>,
    pub thread_map: Option<u32>,
    /// One for each field of the present form; none where the older form lacks it.
    pub fields: Vec<Option<Field>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In the trait.
    Plain,
    /// Exchanges the thread maps when a connection begins.
    Construct,
    /// Ends the object.
    Destroy,
}

/// The parameters or results of a method.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Words of data, and pointers.
    pub size: (u16, u16),
    /// The slot of the Context, which says the thread the call runs on.
    pub context: Option<u32>,
    /// The slot of the ThreadMap, which the runtime exchanges and the user does not see.
    pub thread_map: Option<u32>,
    /// What the user sees.
    pub fields: Vec<Field>,
}

impl Type {
    /// The struct, group or union that a value of this type holds in place (not through a list).
    pub(crate) fn held_struct(&self) -> Option<&Named> {
        match self {
            Type::Struct(named, _) | Type::Group(named, _) => Some(named),
            _ => None,
        }
    }

    /// Whether it is encoded behind a pointer.
    pub(crate) fn is_pointer(&self) -> bool {
        match self {
            Type::Void
            | Type::Bool
            | Type::Int(_)
            | Type::Float32
            | Type::Float64
            | Type::Enum(_)
            | Type::Group(..) => false,
            Type::As { wire, .. } => wire.is_pointer(),
            Type::Text
            | Type::Data
            | Type::AnyPointer
            | Type::Capability(_)
            | Type::Descriptor(_)
            | Type::Struct(..)
            | Type::Interface(_)
            | Type::Parameter(_)
            | Type::List(_)
            | Type::Set(..)
            | Type::Map(..) => true,
        }
    }
}

impl Method {
    /// Whether it does nothing but exchange the thread maps, which the runtime does itself.
    pub(crate) fn only_exchanges_threads(&self) -> bool {
        let nothing_else = |message: &Message| {
            message.thread_map.is_some() && message.context.is_none() && message.fields.is_empty()
        };
        nothing_else(&self.params) && nothing_else(&self.results) && self.exceptions.is_empty()
    }
}

impl Interface {
    /// The method of `kind`, of which there is at most one.
    pub(crate) fn lifecycle(&self, kind: Kind) -> Option<&Method> {
        self.methods.iter().find(|method| method.kind == kind)
    }

    /// The trait's own methods.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter().filter(|method| method.kind == Kind::Plain)
    }
}
