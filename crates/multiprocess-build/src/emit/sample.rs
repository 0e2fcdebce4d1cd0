//! Models made by hand, for the tests.

use super::file;
use crate::generate::Options;
use crate::model::*;
use crate::names;

/// A schema of one file, `sample.capnp`.
pub(super) struct Sample(pub File);

pub(super) fn sample() -> Sample {
    Sample(File {
        name: "sample.capnp".to_owned(),
        module: module(),
        docs: String::new(),
        consts: Vec::new(),
        enums: Vec::new(),
        structs: Vec::new(),
        interfaces: Vec::new(),
    })
}

impl Sample {
    pub(super) fn print(self, async_traits: bool) -> String {
        let schema = Schema { files: vec![self.0], ..Schema::default() };
        let options = Options { async_traits, ..options() };
        file(&schema, &schema.files[0], &options).unwrap_or_else(|error| error.to_string())
    }
}

fn module() -> Module {
    Module { name: "sample".to_owned(), outside: None }
}

/// The id is made of the name.
pub(super) fn named(name: &str) -> Named {
    let id = name.bytes().fold(0xf000_0000_0000_0000, |id, byte| id ^ (id << 7) ^ u64::from(byte));
    Named { id, module: module(), name: name.to_owned() }
}

pub(crate) fn field(name: &str, slot: u32, ty: Type) -> Field {
    Field {
        schema_name: name.to_owned(),
        name: names::value(name),
        docs: String::new(),
        ty,
        slot,
        presence: Presence::Always,
        default: None,
        boxed: false,
        redacted: false,
        may_be_lost: false,
        required: false,
    }
}

pub(super) fn member(name: &str, slot: u32, ty: Type) -> Field {
    Field { name: names::variant(name), ..field(name, slot, ty) }
}

pub(super) fn list(item: Type) -> Type {
    Type::List(Box::new(item))
}

pub(super) fn structure(name: &str, body: Body) -> Struct {
    Struct {
        named: named(name),
        docs: String::new(),
        parameters: Vec::new(),
        size: (8, 12),
        body,
        derives: Vec::new(),
        attributes: String::new(),
        group: false,
        comparable: true,
        cloneable: true,
        default: Defaults::Derived,
        entry: false,
        view: None,
        older: Vec::new(),
        lacks: Vec::new(),
    }
}

pub(super) fn method(ordinal: u16, name: &str, params: Vec<Field>, results: Vec<Field>) -> Method {
    Method {
        ordinal,
        schema_name: name.to_owned(),
        name: names::method(name),
        docs: String::new(),
        kind: Kind::Plain,
        params: Message { size: (4, 12), context: Some(0), thread_map: None, fields: params },
        results: Message { size: (4, 8), context: None, thread_map: None, fields: results },
        exceptions: Vec::new(),
        results_name: names::camel(name) + "Results",
        results_as: None,
        pipeline: 0,
        streams: false,
        long: false,
        interrupt: None,
        borrowed: false,
        versions: 1,
        collides: 0,
        older: Vec::new(),
        lacks: Vec::new(),
        checked: false,
    }
}

pub(super) fn interface(name: &str, methods: Vec<Method>) -> Interface {
    let methods = methods
        .into_iter()
        .map(|method| Method { results_name: format!("{name}{}", method.results_name), ..method });
    Interface {
        named: named(&format!("{name}Client")),
        trait_name: name.to_owned(),
        async_name: format!("{name}Async"),
        schema_name: name.to_owned(),
        docs: String::new(),
        main: false,
        parameters: Vec::new(),
        parents: Vec::new(),
        ancestors: Vec::new(),
        methods: methods.collect(),
    }
}

/// Makes `interface` extend another.
pub(super) fn extend(interface: &mut Interface, base: &Interface) {
    let extended = Extended {
        named: base.named.clone(),
        trait_name: base.trait_name.clone(),
        async_name: base.async_name.clone(),
        arguments: Vec::new(),
    };
    interface.parents.push(extended.clone());
    let (schema_name, methods) = (base.schema_name.clone(), base.methods.clone());
    interface.ancestors.push(Ancestor { extended, schema_name, methods });
    interface.ancestors.extend(base.ancestors.iter().map(|ancestor| Ancestor {
        extended: ancestor.extended.clone(),
        schema_name: ancestor.schema_name.clone(),
        methods: ancestor.methods.clone(),
    }));
}

pub(super) fn object(name: &str) -> Object {
    Object {
        named: named(&format!("{name}Client")),
        trait_name: name.to_owned(),
        arguments: Vec::new(),
        nullable: true,
        shared: false,
    }
}

/// A construct or destroy method.
pub(super) fn lifecycle(ordinal: u16, name: &str, kind: Kind) -> Method {
    let silent = |slot: Option<u32>| Message {
        size: (0, u16::from(slot.is_some())),
        context: slot.filter(|_| kind == Kind::Destroy),
        thread_map: slot.filter(|_| kind == Kind::Construct),
        fields: Vec::new(),
    };
    let results = silent((kind == Kind::Construct).then_some(0));
    Method { kind, params: silent(Some(0)), results, ..method(ordinal, name, vec![], vec![]) }
}

/// Options for code in `OUT_DIR`, with everything optional off.
pub(super) fn options() -> Options {
    Options {
        async_traits: false,
        raw_methods: false,
        exhaustive: false,
        keep_unknown: false,
        serve_older: false,
        raw: false,
        raw_proxy: false,
        below_out_dir: Some(String::new()),
    }
}
