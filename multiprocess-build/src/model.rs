//! What the schemas say, as plain data in Rust's terms: every name is final, every type resolved.
//!
//! [`parse`](crate::parse) makes it, [`emit`](crate::emit) prints it. Nothing here knows of
//! Cap'n Proto's own schema encoding or of Rust syntax trees.

/// Every schema file of one run.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub files: Vec<File>,
}

/// One schema file: a pair of Rust modules, `module` (ours) and `module_capnp` (capnpc's).
#[derive(Debug)]
pub(crate) struct File {
    /// The file's own name, such as `echo.capnp`.
    pub name: String,
    pub module: Module,
    pub docs: String,
    pub consts: Vec<Const>,
    pub enums: Vec<Enum>,
    pub structs: Vec<Struct>,
    pub interfaces: Vec<Interface>,
}

/// The names of a file's two modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    pub ours: String,
    pub raw: String,
}

/// A declared type, as other places refer to it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub id: u64,
    pub module: Module,
    /// The Rust type's name in `module.ours`; of an interface, the handle's.
    pub name: String,
    /// The path of capnpc's module (of an enum, its type) below `module.raw`.
    pub raw: Vec<String>,
}

/// A constant.
#[derive(Debug)]
pub(crate) struct Const {
    pub name: String,
    pub docs: String,
    pub value: Value,
}

/// An enum. Values that the schema does not know go to the variant `unknown`.
#[derive(Debug)]
pub(crate) struct Enum {
    pub named: Named,
    pub docs: String,
    /// In the order of their numbers, which begin at 0.
    pub variants: Vec<Variant>,
    pub unknown: String,
}

#[derive(Debug)]
pub(crate) struct Variant {
    pub name: String,
    pub docs: String,
}

/// A struct.
#[derive(Debug)]
pub(crate) struct Struct {
    pub named: Named,
    pub docs: String,
    pub fields: Vec<Field>,
    /// False where it holds handles, which have no equality.
    pub comparable: bool,
    pub default: Defaults,
}

/// How a struct comes by `Default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// Every field's default is its type's own.
    Derived,
    /// The schema gives some field another default.
    Written,
    /// Not at all: a handle that is never null has no default.
    Absent,
}

/// A field of a struct, a parameter, or a result.
#[derive(Debug)]
pub(crate) struct Field {
    /// The schema's name, which error paths show.
    pub schema_name: String,
    pub name: String,
    /// What capnpc's accessors end in (`get_` + this).
    pub raw: String,
    pub docs: String,
    pub ty: Type,
    pub optional: Optional,
    /// The schema's default, where it is not the type's own.
    pub default: Option<Value>,
    /// Kept in a box, because the type contains itself through this field.
    pub boxed: bool,
}

/// Whether and how a field can be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Optional {
    No,
    /// A null pointer.
    Null,
    /// A Bool beside it (its raw name) says so.
    Flag(String),
}

/// The type of a value, to any depth.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Bool,
    Int(Int),
    Float32,
    Float64,
    Text,
    Data,
    Enum(Named),
    Struct(Named),
    /// A handle, in an Option where it may be null.
    Interface {
        named: Named,
        nullable: bool,
    },
    List(Box<Type>),
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
    Bool(bool),
    Int(Int, i128),
    Float32(f32),
    Float64(f64),
    Text(String),
    Data(Vec<u8>),
    Enum(Named, u16),
}

/// An interface: a trait, and a handle.
#[derive(Debug)]
pub(crate) struct Interface {
    /// Names the handle.
    pub named: Named,
    /// The trait's name.
    pub trait_name: String,
    pub schema_name: String,
    pub docs: String,
    /// Whether the file is named after it, so that it is the file's `Client`.
    pub main: bool,
    pub methods: Vec<Method>,
}

#[derive(Debug)]
pub(crate) struct Method {
    /// Its ordinal.
    pub id: u16,
    pub schema_name: String,
    pub name: String,
    pub docs: String,
    pub kind: Kind,
    pub params: Message,
    pub results: Message,
    /// The name of the struct that carries several results.
    pub results_name: String,
    /// The pointer in the results that a pipelined call goes to.
    pub result_pointer: u16,
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
#[derive(Debug)]
pub(crate) struct Message {
    pub module: Module,
    pub raw: Vec<String>,
    /// The raw name of the Context, which says the thread the call runs on.
    pub context: Option<String>,
    /// The raw name of the ThreadMap, which is exchanged silently.
    pub thread_map: Option<String>,
    /// What the user sees.
    pub fields: Vec<Field>,
}

impl Type {
    /// The struct that a value of this type holds in place (not through a list).
    pub(crate) fn held_struct(&self) -> Option<&Named> {
        match self {
            Type::Struct(named) => Some(named),
            _ => None,
        }
    }

    /// The innermost type, through any lists.
    pub(crate) fn innermost(&self) -> &Type {
        match self {
            Type::List(item) => item.innermost(),
            other => other,
        }
    }
}

impl Interface {
    /// The method of `kind`, of which there is at most one.
    pub(crate) fn lifecycle(&self, kind: Kind) -> Option<&Method> {
        self.methods.iter().find(|method| method.kind == kind)
    }

    /// The methods of the trait.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter().filter(|method| method.kind == Kind::Plain)
    }
}
