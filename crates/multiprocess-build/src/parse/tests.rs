//! Parses schemas with unions, type parameters and defaults. The generated code is tested by the
//! golden files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Options, parse};
use crate::compile::Compile;
use crate::model::{
    Body, Defaults, Field, Interface, Kind, Message, Method, Named, Object, Presence, Schema,
    Struct, Type, Value,
};

pub(super) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const HEAD: &str = "using Proxy = import \"/mp/proxy.capnp\";\n\
                    using Rust = import \"/rust-multiprocess.capnp\";\n";

/// The model of one file.
pub(super) fn model(test: &str, text: &str) -> Result<Schema> {
    models(test, &[("file.capnp", text)], &HashMap::new())
}

/// The model of several files, whose ids end in their numbers.
fn models(test: &str, texts: &[(&str, &str)], outside: &HashMap<u64, String>) -> Result<Schema> {
    let name = format!("multiprocess-build-{}-{test}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory)?;
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, (name, text)) in texts.iter().enumerate() {
        let path = directory.join(name);
        std::fs::write(&path, format!("@0xa93fc509624c71{number:02x};\n{HEAD}{text}"))?;
        files.push(path.canonicalize()?);
    }
    // Another crate's file is only imported, so that the compiler gives only what is used of it.
    files.drain(..outside.len());
    let import = Path::new(env!("CARGO_MANIFEST_DIR")).join("../multiprocess/schema");
    let import_paths = [import.canonicalize()?];
    let request = Compile { files: &files, import_paths: &import_paths, program: None }.run()?;
    std::fs::remove_dir_all(&directory)?;
    let message = capnp::serialize::read_message(request.as_slice(), Default::default())?;
    // The sources are gone; nothing but comments and lines is read from them.
    Ok(parse(message.get_root()?, Options { sources: &[], outside, raw: false })?)
}

fn structure<'s>(schema: &'s Schema, name: &str) -> Result<&'s Struct> {
    let mut all = schema.files.iter().flat_map(|file| &file.structs);
    all.find(|item| item.named.name == name).ok_or_else(|| format!("no {name}").into())
}

pub(super) fn interface<'s>(schema: &'s Schema, name: &str) -> Result<&'s Interface> {
    let mut all = schema.files.iter().flat_map(|file| &file.interfaces);
    all.find(|item| item.trait_name == name).ok_or_else(|| format!("no {name}").into())
}

/// A struct in one line: `name: type` for each field, followed by its special properties.
fn shown(item: &Struct) -> String {
    let generics = match item.parameters.as_slice() {
        [] => String::new(),
        names => format!("<{}>", names.join(", ")),
    };
    let (fields, kind) = match &item.body {
        Body::Fields(fields) => (fields.as_slice(), "struct".to_owned()),
        Body::Union(union) => (union.members.as_slice(), format!("enum@{}", union.tag)),
    };
    format!("{kind} {}{generics} {{ {} }}", item.named.name, all(fields))
}

fn all(fields: &[Field]) -> String {
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn message(message: &Message) -> String {
    all(&message.fields)
}

/// The parameters and results of methods.
fn shown_methods(methods: &[Method]) -> Vec<String> {
    let one = |m: &Method| format!("{} -> {}", message(&m.params), message(&m.results));
    methods.iter().map(one).collect()
}

fn field(field: &Field) -> String {
    let mut text = format!("{}: {}", field.name, ty(&field.ty));
    if !matches!(field.ty, Type::Group(..) | Type::Void) {
        text += &format!("@{}", field.slot);
    }
    match &field.presence {
        Presence::Always => {}
        Presence::Null => text += " null",
        Presence::Flag(flag) => text += &format!(" if {flag}"),
        Presence::Wanted(name) => text += &format!(" if {name}"),
    }
    if field.boxed {
        text += " boxed";
    }
    if let Some(default) = &field.default {
        text += &format!(" = {}", value(default));
    }
    text
}

fn ty(of: &Type) -> String {
    let with = |named: &Named, arguments: &[Type]| match arguments {
        [] => named.name.clone(),
        arguments => {
            let arguments: Vec<_> = arguments.iter().map(ty).collect();
            format!("{}<{}>", named.name, arguments.join(", "))
        }
    };
    match of {
        Type::Int(int) => format!("{int:?}"),
        Type::Enum(named) => named.name.clone(),
        Type::Struct(named, arguments) => with(named, arguments),
        Type::Group(named, arguments) => format!("in {}", with(named, arguments)),
        Type::Interface(Object { named, arguments, nullable, shared, .. }) => {
            let shared = if *shared { "shared " } else { "" };
            format!("{shared}{}{}", with(named, arguments), if *nullable { "?" } else { "" })
        }
        Type::Parameter(name) => name.clone(),
        Type::List(item) => format!("[{}]", ty(item)),
        Type::Set(order, item) => format!("{order:?} set of {}", ty(item)),
        Type::Map(order, map) => {
            let (entry, key, value) = &**map;
            format!("{order:?} map of {} ({} to {})", ty(entry), ty(key), ty(value))
        }
        Type::As { rust, codec, wire } => format!("{rust} by {codec} for {}", ty(wire)),
        plain => format!("{plain:?}"),
    }
}

fn value(of: &Value) -> String {
    match of {
        Value::Bool(value) => value.to_string(),
        Value::Int(_, value) => value.to_string(),
        Value::Float32(value) => value.to_string(),
        Value::Float64(value) => value.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Data(data) => format!("{data:?}"),
        Value::Enum(named, number) => format!("{}#{number}", named.name),
        Value::List(items) => {
            format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        Value::Struct(named, fields) => {
            let fields = fields.iter().map(|(name, field)| format!("{name}: {}", value(field)));
            format!("{} {{ {} }}", named.name, fields.collect::<Vec<_>>().join(", "))
        }
        Value::Union(named, variant, inner) => {
            format!("{}::{variant}({})", named.name, value(inner))
        }
        Value::Some(inner) => format!("Some({})", value(inner)),
        Value::Boxed(inner) => format!("Box({})", value(inner)),
        plain @ (Value::Void | Value::Default) => format!("{plain:?}"),
    }
}

#[track_caller]
fn has(schema: &Schema, wanted: &[&str]) -> Result {
    let shown: Vec<String> =
        schema.files.iter().flat_map(|file| &file.structs).map(shown).collect();
    assert_eq!(shown, wanted, "{shown:#?}");
    Ok(())
}

#[test]
fn unions_and_groups_are_types_of_their_own() -> Result {
    let schema = model(
        "unions",
        "struct S {
           a @0 :UInt16;
           which @1 :Bool;
           union { none @2 :Void; unknown @3 :Text; g :group { b @4 :Int32; hasB @5 :Bool; } }
           u :union { v @6 :Float32; w @7 :S; }
           k :group { l :group { m @8 :Data; } }
         }
         struct Either { union { left @0 :Text; right @1 :Int32; gone @2 :Int32 $Proxy.skip; } }
         interface I { m @0 Either -> S; }",
    )?;
    has(
        &schema,
        &[
            "struct S { a: U16@0, which: Bool@16, u: in SU, k: in SK, which_: in SWhich }",
            "enum@2 SWhich { None: Void, Unknown: Text@0, G: in SG }",
            "struct SG { b: I32@2 if 96 }",
            "enum@3 SU { V: Float32@4, W: S@1 boxed }",
            "struct SK { l: in SKL }",
            "struct SKL { m: Data@2 }",
            "enum@0 Either { Left: Text@0, Right: I32@1, Gone: Void }",
        ],
    )?;
    let Body::Union(union) = &structure(&schema, "SWhich")?.body else { return Err("no".into()) };
    assert_eq!(union.unknown, "UnknownValue");
    let method = interface(&schema, "I")?.methods.first().ok_or("no method")?;
    assert_eq!(message(&method.params), "which: in Either");
    assert!(message(&method.results).starts_with("a: U16@0, which: Bool@16, u: in SU"));
    Ok(())
}

#[test]
fn type_parameters_are_those_that_are_used() -> Result {
    let schema = model(
        "generics",
        "struct Pair(A, B) { a @0 :A; b @1 :B; more @2 :Pair(B, A); open @3 :Pair; }
         struct Unused(T) { n @0 :Int32; t @1 :T $Rust.type(\"crate::T\"); }
         struct Group(T) { g :group { t @0 :T; } union { x @1 :Text; y @2 :T; } n @3 :Text; }
         struct String {}
         interface Store(T, String) {
           get @0 [U] (key :T, any :U, all :Pair(T, U)) -> (value :String, entry :Entry);
           pair @1 () -> Pair(T, Store(Text, T));
           struct Entry { t @0 :T; own @1 :Inner(Data); struct Inner(T) { t @0 :T; } }
           struct Plain { n @0 :Int32; }
           interface Next { next @0 (p :Plain) -> (entry :Entry); }
         }
         interface Texts extends(Store(Text, List(Int32))) {
           m @0 (e :Store(Data, Text).Entry, n :Store.Next, u :Unused(Text));
         }",
    )?;
    has(
        &schema,
        &[
            "struct Pair<A, B> { a: A@0, b: B@1, more: Pair<B, A>@2 null boxed, \
             open: Pair<AnyPointer, AnyPointer>@3 null boxed }",
            "struct Unused { n: I32@0, t: crate::T by crate::T for T@0 }",
            "struct Group<T> { g: in GroupG<T>, n: Text@2, which: in GroupWhich<T> }",
            "enum@0 GroupWhich<T> { X: Text@1, Y: T@1 }",
            "struct GroupG<T> { t: T@0 }",
            "struct String_ {  }",
            "struct StoreEntry<T> { t: T@0, own: StoreEntryInner<Data>@1 }",
            "struct StoreEntryInner<T_> { t: T_@0 }",
            "struct StorePlain { n: I32@0 }",
        ],
    )?;
    let store = interface(&schema, "Store")?;
    assert_eq!(store.parameters, ["T", "String__"]);
    let pair = "a: T@0, b: StoreClient<Text, T>?@1, more: Pair<StoreClient<Text, T>?, T>@2, \
                open: Pair<AnyPointer, AnyPointer>@3";
    let get = "key: T@0, any: AnyPointer@1, all: Pair<T, AnyPointer>@2";
    let get = format!("{get} -> value: String__@0, entry: StoreEntry<T>@1");
    assert_eq!(shown_methods(&store.methods), [get, format!(" -> {pair}")]);
    assert_eq!(interface(&schema, "StoreNext")?.parameters, ["T"]);
    let texts = interface(&schema, "Texts")?;
    let method = "e: StoreEntry<Data>@0, n: StoreNextClient<AnyPointer>?@1, u: Unused@2 -> ";
    assert_eq!(shown_methods(&texts.methods), [method]);
    let parent = texts.ancestors.first().ok_or("no parent")?;
    assert_eq!(parent.extended.arguments.iter().map(ty).collect::<Vec<_>>(), ["Text", "[I32]"]);
    let get = "key: Text@0, any: AnyPointer@1, all: Pair<Text, AnyPointer>@2";
    let get = format!("{get} -> value: [I32]@0, entry: StoreEntry<Text>@1");
    let pair = "a: Text@0, b: StoreClient<Text, Text>?@1, more: Pair<StoreClient<Text, Text>?, \
                Text>@2, open: Pair<AnyPointer, AnyPointer>@3";
    assert_eq!(shown_methods(&parent.methods), [get, format!(" -> {pair}")]);
    Ok(())
}

#[test]
fn a_struct_that_contains_itself_has_a_box_and_an_end() -> Result {
    let schema = model(
        "boxes",
        "struct Tree { left @0 :Tree; right @1 :Tree $Rust.nullable; all @2 :List(Tree);
           named @3 :Tree; hasNamed @4 :Bool; theirs @5 :Tree $Rust.type(\"T\"); }
         struct A { b @0 :B; }
         struct B { c @0 :C; d @1 :D; }
         struct C { g :group { a @0 :A; } n @1 :Int32; }
         struct D { n @0 :Int32; }
         struct Type { union { void @0 :Void; list @1 :Type; g :group { t @2 :Type; } } }
         struct First { union { first @0 :First; last @1 :Void; } }
         struct Wrap(T) { t @0 :T; }
         struct Node { next @0 :Wrap(Node); }
         interface I { m @0 (tree :Tree) -> (tree :Tree); }",
    )?;
    has(
        &schema,
        &[
            "struct Tree { left: Tree@0 null boxed, right: Tree@1 null boxed, all: [Tree]@2, \
             named: Tree@3 if 0 boxed, theirs: T by T for Tree@4 }",
            "struct A { b: B@0 null boxed }",
            "struct B { c: C@0 null boxed, d: D@1 }",
            "struct C { g: in CG, n: I32@0 }",
            "struct CG { a: A@0 null boxed }",
            "struct D { n: I32@0 }",
            "enum@0 Type { Void: Void, List: Type@0 boxed, G: in TypeG }",
            "struct TypeG { t: Type@0 boxed }",
            "enum@0 First { First: First@0 null boxed, Last: Void }",
            "struct Wrap<T> { t: T@0 }",
            "struct Node { next: Wrap<Node>@0 null boxed }",
        ],
    )
}

#[test]
fn defaults_and_constants_of_every_type() -> Result {
    let schema = model(
        "defaults",
        "enum E { a @0; b @1; }
         struct S {
           int @0 :Int8 = -3; zero @1 :Int32 = 0; flag @2 :Bool = true; float @3 :Float32 = 1.5;
           text @4 :Text = \"t\"; data @5 :Data = 0x\"01 02\"; e @6 :E = b; list @7 :List(List(Int16)) = [[1], [-2]];
           inner @8 :Inner = (v = 4, g = (w = \"w\"), u = (name = \"n\"));
           own @9 :Inner = (); age @10 :UInt8 = 5 $Rust.type(\"crate::Age\");
           some @11 :Int32 = 7; hasSome @12 :Bool; voids @13 :List(Void);
         }
         struct Inner {
           v @0 :Int16 = 4; g :group { w @1 :Text; hasW @2 :Bool; }
           u :union { none @3 :Void; name @4 :Text; number @5 :Int64 = -1; next @6 :Inner; }
           maybe @7 :Text $Rust.nullable; opt @8 :Int32 = 2; hasOpt @9 :Bool;
         }
         struct Pair(T) { t @0 :T; n @1 :Int32; }
         struct Sums { set @0 :List(Int32) $Rust.hashSet; map @1 :List(Pair(Text)) = [(n = 1)] $Rust.btreeMap; }
         const sums :Sums = (set = [1, 2], map = [(t = \"a\")]);
         const number :UInt64 = 18446744073709551615;
         const inf :Float64 = inf;
         const texts :List(Text) = [\"a\", \"\"];
         const enums :List(E) = [b, a];
         const pair :Pair(Text) = (t = \"x\");
         const inners :List(Inner) = [(), (v = 5, u = (number = -1)), (u = (next = (hasOpt = true)), maybe = \"\", opt = 2, hasOpt = true)];
         const pairs :Pair(Pair(Inner)) = (t = (t = (v = 1), n = 2));
         const nothing :Void = void;
         interface I { m @0 (s :Inner = (v = 9), l :List(Int32) = [1]) -> (t :Text = \"r\"); }",
    )?;
    has(
        &schema,
        &[
            "struct S { int: I8@0 = -3, zero: I32@1, flag: Bool@8 = true, float: Float32@2 = 1.5, \
             text: Text@0 = \"t\", data: Data@1 = [1, 2], e: E@1 = E#1, list: [[I16]]@2 = [[1], \
             [-2]], inner: Inner@3 = Inner { u: InnerU::Name(\"n\") }, own: Inner@4, age: \
             crate::Age by crate::Age for U8@12 = 5, some: I32@4 if 9 = 7, voids: [Void]@5 }",
            "struct Inner { v: I16@0 = 4, g: in InnerG, u: in InnerU, maybe: Text@2 null, \
             opt: I32@4 if 17 = 2 }",
            "struct InnerG { w: Text@0 if 16 }",
            "enum@2 InnerU { None: Void, Name: Text@1, Number: I64@1 = -1, Next: Inner@1 boxed }",
            "struct Pair<T> { t: T@0, n: I32@0 }",
            "struct Sums { set: Hashed set of I32@0, map: Ordered map of Pair<Text> (Text to I32)@1 \
             = [Pair { n: 1 }] }",
        ],
    )?;
    let consts = schema.files.iter().flat_map(|file| &file.consts);
    let consts: Vec<_> =
        consts.map(|c| format!("{}: {} = {}", c.name, ty(&c.ty), value(&c.value))).collect();
    let wanted = [
        "SUMS: Sums = Sums { set: [1, 2], map: [Pair { t: \"a\" }] }",
        "NUMBER: U64 = 18446744073709551615",
        "INF: Float64 = inf",
        "TEXTS: [Text] = [\"a\", \"\"]",
        "ENUMS: [E] = [E#1, E#0]",
        "PAIR: Pair<Text> = Pair { t: \"x\" }",
        "INNERS: [Inner] = [Inner {  }, Inner { v: 5, u: InnerU::Number(-1) }, Inner { u: \
         InnerU::Next(Box(Inner { opt: Some(2) })), maybe: Some(\"\"), opt: Some(2) }]",
        "PAIRS: Pair<Pair<Inner>> = Pair { t: Pair { t: Inner { v: 1 }, n: 2 } }",
    ];
    assert_eq!(consts, wanted, "{consts:#?}");
    let method = "s: Inner@0 = Inner { v: 9 }, l: [I32]@1 = [1] -> t: Text@0 = \"r\"";
    assert_eq!(shown_methods(&interface(&schema, "I")?.methods), [method]);
    // The default of `age` goes through its codec.
    assert_eq!(structure(&schema, "S")?.default, Defaults::Written);
    assert_eq!(structure(&schema, "Inner")?.default, Defaults::Written);
    assert_eq!(structure(&schema, "InnerG")?.default, Defaults::Derived);
    Ok(())
}

#[test]
fn what_annotations_do_to_a_field() -> Result {
    let schema = model(
        "marks",
        "struct Entry { key @0 :Text; value @1 :Pair(I); }
         struct Pair(T) { a @0 :T; b @1 :T; }
         struct Key $Rust.derive(\"Eq, Hash, Clone\") { v @0 :Int32; g :group $Rust.derive(\"Ord\") { w @1 :Text; } }
         struct S {
           map @0 :List(Entry) $Rust.btreeMap; pairs @1 :List(Pair(Text)) $Rust.hashMap;
           keys @2 :List(Key) $Rust.hashSet; bytes @3 :List(Data) $Rust.btreeSet;
           i @4 :I $Rust.notNull; j @5 :I $Rust.shared; k @6 :List(I) $Rust.shared $Rust.notNull;
           txID @7 :Data $Rust.name(\"hash\") $Proxy.name(\"other\"); block @8 :Data $Proxy.name(\"m_block\");
           secret @9 :Text $Rust.redacted $Rust.nullable $Rust.type(\"Secret\") $Rust.codec(\"Plain<Vec<u8>>\");
           skipped @10 :Text $Proxy.skip; nothing @11 :Void;
         }
         interface I {}",
    )?;
    has(
        &schema,
        &[
            "struct Entry { key: Text@0, value: Pair<IClient?>@1 }",
            "struct Pair<T> { a: T@0, b: T@1 }",
            "struct Key { v: I32@0, g: in KeyG }",
            "struct KeyG { w: Text@0 }",
            "struct S { map: Ordered map of Entry (Text to Pair<IClient?>)@0, pairs: Hashed map of \
             Pair<Text> (Text to Text)@1, keys: Hashed set of Key@2, bytes: Ordered set of Data@3, \
             i: IClient@4, j: shared IClient?@5, k: [shared IClient]@6, hash: Data@7, m_block: \
             Data@8, secret: Secret by Plain<Vec<u8>> for Text@9 null }",
        ],
    )?;
    assert_eq!(structure(&schema, "KeyG")?.derives, ["Eq", "Hash", "Ord"]);
    let facts = |name| structure(&schema, name).map(|s| (s.default, s.comparable, s.entry));
    assert_eq!(facts("Entry")?, (Defaults::Derived, false, true));
    assert_eq!(facts("Pair")?, (Defaults::Derived, true, true));
    assert_eq!(facts("S")?, (Defaults::Absent, false, false));
    Ok(())
}

#[test]
fn methods_and_what_is_inherited() -> Result {
    let schema = model(
        "methods",
        "interface I {
           m @0 (context :Proxy.Context, wantA :Bool, wantI :Bool, wantF :Bool, io :Text,
               both :Data $Proxy.count(2), none :Data $Proxy.count(0))
             -> (a :Data, i :I $Rust.notNull, f :Int32, hasF :Bool, io :Text,
               e :Entry $Proxy.exception(\"E\"))
             $Rust.interruptedBy(\"stop\");
           stop @1 () -> () $Rust.longWait $Rust.name(\"interrupt\");
           write @2 (data :Data) -> stream;
           destroy @3 (context :Proxy.Context) -> ();
         }
         struct Entry { key @0 :Text; }
         interface J extends(I) { p @0 () -> (a :I, b :Text, result :I, c :I $Rust.shared); }
         interface K extends(J, L) {}
         interface L extends(I) {}",
    )?;
    let i = interface(&schema, "I")?;
    let m = "want_a: Bool@0, want_i: Bool@1, want_f: Bool@2, io: Text@1, both: Data@2 -> \
             a: Data@0 if want_a, i: IClient?@1, f: I32@0 if 32, io: Text@2";
    assert_eq!(shown_methods(&i.methods), [m, " -> ", "data: Data@0 -> ", " -> "]);
    let [m, stop, write, destroy] = i.methods.as_slice() else { return Err("methods".into()) };
    assert_eq!((all(&m.exceptions), m.pipeline, m.interrupt), ("e: Entry@3".into(), 1, Some(1)));
    assert_eq!((stop.name.as_str(), stop.long, destroy.kind), ("interrupt", true, Kind::Destroy));
    assert_eq!((write.streams, stop.streams), (true, false));
    let pipeline = interface(&schema, "J")?.methods.first().map(|method| method.pipeline);
    assert_eq!(pipeline, Some(2));

    let k = interface(&schema, "K")?;
    let parents: Vec<_> = k.parents.iter().map(|parent| parent.trait_name.as_str()).collect();
    assert_eq!(parents, ["J", "L"]);
    let all: Vec<_> = k.ancestors.iter().map(|found| found.extended.trait_name.as_str()).collect();
    assert_eq!(all, ["J", "I", "L"], "each once, after the first that extends it");
    let methods = k.ancestors.iter().map(|found| &found.methods);
    let names = |methods: &Vec<Method>| methods.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    let methods: Vec<_> = methods.map(names).collect();
    assert_eq!(methods, [&["p"][..], &["m", "interrupt", "write", "destroy"], &[]]);
    Ok(())
}

#[test]
fn another_crates_types_are_named_by_its_path() -> Result {
    let outside = HashMap::from([(0xa93f_c509_624c_7100, "::other::generated".to_owned())]);
    let schema = models(
        "outside",
        &[
            (
                "common-types.capnp",
                "interface Chain {} interface ChainClient {} struct Owner { c @0 :Chain; }
                 struct Many { l @0 :Many; }",
            ),
            (
                "file.capnp",
                "using C = import \"common-types.capnp\";
                 struct S { owner @0 :C.Owner; chain @1 :C.Chain; }
                 interface I extends(C.Chain) {}",
            ),
        ],
        &outside,
    )?;
    has(&schema, &["struct S { owner: Owner@0, chain: ChainHandle?@1 }"])?;
    let item = structure(&schema, "S")?;
    assert!(!item.comparable, "what it holds of the other crate's is known");
    let Body::Fields(fields) = &item.body else { return Err("no fields".into()) };
    let module = fields.first().and_then(|field| field.ty.held_struct()).map(|n| &n.module);
    let module = module.ok_or("no struct")?;
    assert_eq!(module.name, "common_types");
    assert_eq!(module.outside.as_deref(), Some("::other::generated"));
    assert_eq!(schema.files.len(), 1);
    Ok(())
}
