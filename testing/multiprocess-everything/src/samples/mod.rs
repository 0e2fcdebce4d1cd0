//! One value of each struct, with something in every field. A server in another language checks
//! that it gets exactly these.

mod unions;

pub use unions::*;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU32;

use multiprocess::capnp::text;
use multiprocess::{AnyPointer, Result};

use crate::codecs::{Age, Id};
use crate::generated::foo::FooStruct;
use crate::generated::types::{
    Coded, Collections, Color, Lists, Nullables, Open, Optionals, OptionalsGroup, Pair, Partial,
    Point, Result_, Scalars, Secret, SecretToken, Tagged, TaggedInner, Tags, Type, TypeOption,
    Vector, Weather,
};

/// A point.
pub fn point(x: i32, y: i32) -> Point {
    Point { x, y }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// libmultiprocess's struct of containers.
pub fn foo_struct() -> FooStruct {
    FooStruct {
        name: "name".to_owned(),
        set_int: BTreeSet::from([2, 1]),
        vector_bool: vec![false, true, false],
        optional_int: Some(3),
        unordered_set_int: HashSet::from([4, 5]),
        map_string_int: BTreeMap::from([("x".to_owned(), 6), ("y".to_owned(), 7)]),
    }
}

/// The largest and smallest numbers.
pub fn scalars() -> Scalars {
    Scalars {
        flag: true,
        int8: i8::MIN,
        int16: i16::MIN,
        int32: i32::MIN,
        int64: i64::MIN,
        uint8: u8::MAX,
        uint16: u16::MAX,
        uint32: u32::MAX,
        uint64: u64::MAX,
        float32: -0.25,
        float64: f64::MIN_POSITIVE,
        text: "é € 😀".to_owned(),
        data: vec![0, 255, 10],
        color: Color::Blue,
        weather: Weather::Self_,
    }
}

/// A list of each kind.
pub fn lists() -> Lists {
    Lists {
        voids: vec![(); 3],
        flags: vec![true, false, true, true, false, false, true, false, true],
        int8s: vec![-128, 0, 127],
        int16s: vec![-1, 1],
        int32s: vec![1, -2, 3],
        int64s: vec![i64::MIN, i64::MAX],
        uint8s: vec![0, 255],
        uint16s: vec![65535],
        uint32s: vec![u32::MAX, 1],
        uint64s: vec![u64::MAX],
        float32s: vec![0.5, -0.0],
        float64s: vec![1.5, f64::INFINITY],
        texts: texts(&["a", "", "c"]),
        datas: vec![vec![1], Vec::new()],
        colors: vec![Color::Green, Color::Unknown(99)],
        points: vec![point(1, 2), point(-3, 4)],
        numbers: vec![vec![1], Vec::new(), vec![2, 3]],
        rows: vec![vec![point(5, 6)], Vec::new()],
        words: vec![texts(&["x", "y"]), Vec::new()],
        deep: vec![vec![vec![true], Vec::new()], Vec::new()],
        palettes: vec![vec![Color::Red, Color::Blue]],
        silences: vec![vec![(); 2], Vec::new()],
    }
}

/// All there, and some of it empty.
pub fn nullables() -> Nullables {
    Nullables {
        point: Some(point(0, 0)),
        text: Some(String::new()),
        data: Some(Vec::new()),
        list: Some(vec![1]),
        table: Some(HashMap::from([("a".to_owned(), 1)])),
        id: Some(Id([1, 2, 3, 4])),
    }
}

/// All there, and some of it empty.
pub fn optionals() -> Optionals {
    Optionals {
        number: Some(0),
        flag: Some(false),
        text: Some(String::new()),
        point: Some(point(1, 1)),
        color: Some(Color::Red),
        list: Some(texts(&["one"])),
        group: OptionalsGroup { inner: Some(12) },
        has_nothing: true,
    }
}

/// Something in every container.
pub fn collections() -> Collections {
    let amounts = || [("one".to_owned(), 1), ("two".to_owned(), 2)];
    Collections {
        hash_set: HashSet::from([1, -1]),
        btree_set: BTreeSet::from([3, 2]),
        texts: HashSet::from(["a".to_owned(), String::new()]),
        datas: BTreeSet::from([vec![1, 2], Vec::new()]),
        colors: BTreeSet::from([Color::Blue, Color::Unknown(7)]),
        points: HashSet::from([point(1, 2), point(2, 1)]),
        hash_map: HashMap::from(amounts()),
        btree_map: BTreeMap::from(amounts()),
        by_point: HashMap::from([(point(0, 0), "origin".to_owned())]),
        by_color: BTreeMap::from([(Color::Green, vec![point(1, 1)])]),
        sections: BTreeMap::from([("s".to_owned(), HashMap::from(amounts()))]),
        pairs: HashMap::from([("p".to_owned(), point(3, 3))]),
        lists: BTreeMap::from([(vec![9], vec![1, 2]), (vec![8], Vec::new())]),
        plain: vec![crate::generated::types::Amount { name: "plain".to_owned(), value: 5 }],
    }
}

/// Custom Rust types.
pub fn coded() -> Coded {
    Coded {
        age: Age(42),
        port: NonZeroU32::MIN,
        id: Id([1, 2, 3, 4]),
        ids: vec![Id([0; 4]), Id([255; 4])],
        maybe: Some(Age(0)),
        place: (7, -7),
        kind: 'g',
    }
}

/// The one visible field.
pub fn partial() -> Partial {
    Partial { kept: "kept".to_owned() }
}

/// Values that Debug does not show.
pub fn secret() -> Secret {
    Secret {
        user: "someone".to_owned(),
        password: "hunter2".to_owned(),
        token: SecretToken::Key(vec![0xde, 0xad]),
    }
}

/// Names of each kind.
pub fn keywords() -> Type {
    Type {
        self_: 1,
        type_: "two".to_owned(),
        async_: true,
        crate_: "four".to_owned(),
        dyn_: 5,
        tx_ids: texts(&["six"]),
        fresh: "seven".to_owned(),
        c_plus: "eight".to_owned(),
        this: "nine".to_owned(),
        from_capnpc: "ten".to_owned(),
        option: TypeOption { some: 11 },
        cx: 12,
        from: 13,
        to: 14,
        value: 15,
    }
}

/// Types with names that Rust has already.
pub fn result() -> Result_ {
    Result_ { ok: "fine".to_owned(), vec: Vector { x: 3 } }
}

fn tagged<T: Clone>(tag: &str, value: T) -> Tagged<T> {
    let pair = |first: &str| Pair { first: first.to_owned(), second: value.clone() };
    Tagged {
        tag: tag.to_owned(),
        value: value.clone(),
        pairs: vec![pair("a"), pair("b")],
        twice: Pair { first: value.clone(), second: value.clone() },
        inner: TaggedInner { value: value.clone(), count: 3 },
        chain: None,
    }
}

/// A generic struct with arguments of each kind.
///
/// # Errors
/// Never: the texts are valid.
pub fn tags() -> Result<Tags> {
    let any = AnyPointer::new::<text::Owned>("anything")?;
    let mut text = tagged("text", "value".to_owned());
    text.chain = Some(Box::new(tagged("further", "deep".to_owned())));
    Ok(Tags {
        text,
        data: tagged("data", vec![1, 2]),
        point: tagged("point", point(3, 4)),
        numbers: tagged("numbers", vec![5, 6]),
        any: tagged("any", any.clone()),
        unbound: tagged("unbound", any),
        nested: tagged("nested", Pair { first: "p".to_owned(), second: point(7, 8) }),
        inner: TaggedInner { value: "inner".to_owned(), count: 9 },
    })
}

/// AnyPointers: a text, and a null.
///
/// # Errors
/// Never: the text is valid.
pub fn open() -> Result<Open> {
    let any = AnyPointer::new::<text::Owned>("open")?;
    Ok(Open { any, struct_: AnyPointer::default(), list: AnyPointer::default() })
}
