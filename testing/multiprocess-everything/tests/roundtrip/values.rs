//! Structs of plain values.

use std::num::NonZeroU32;

use multiprocess::AnyPointer;
use multiprocess::capnp::text;
use multiprocess_everything::codecs::{Age, Custom, Id};
use multiprocess_everything::generated::foo::FooStruct;
use multiprocess_everything::generated::types::{
    Coded, CodedWithDefault, Color, Defaults, DefaultsInner, Lists, Nullables, Open, Optionals,
    OptionalsGroup, Partial, Point, Result_, Scalars, Secret, SecretToken, Type, TypeOption,
    Vector, Weather,
};
use proptest::collection::{btree_map, btree_set, hash_map, hash_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::floats::{Floats, any_f32, any_f64, same as same_floats};
use crate::same;

pub(crate) fn color() -> impl Strategy<Value = Color> + Clone {
    prop_oneof![(0u16..5), any::<u16>()].prop_map(Color::from)
}

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![(0u16..5), any::<u16>()].prop_map(Weather::from)
}

pub(crate) fn point() -> impl Strategy<Value = Point> + Clone {
    any::<(i32, i32)>().prop_map(|(x, y)| Point { x, y })
}

pub(crate) fn string() -> impl Strategy<Value = String> + Clone {
    any::<String>()
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> + Clone {
    vec(any::<u8>(), 0..20)
}

pub(crate) fn few<S: Strategy>(item: S) -> impl Strategy<Value = Vec<S::Value>> {
    vec(item, 0..6)
}

fn words() -> impl Strategy<Value = Vec<String>> {
    few(string())
}

pub(crate) fn id() -> impl Strategy<Value = Id> + Clone {
    any::<[u8; 4]>().prop_map(Id)
}

fn age() -> impl Strategy<Value = Age> {
    (0..=Age::OLDEST).prop_map(Age)
}

fn any_pointer() -> impl Strategy<Value = AnyPointer> {
    option::of(string()).prop_map(|text| match text {
        Some(text) => AnyPointer::new::<text::Owned>(text.as_str()).unwrap(),
        None => AnyPointer::default(),
    })
}

impl Floats for Scalars {
    fn bits(&self) -> Vec<u64> {
        [self.float32.bits(), self.float64.bits()].concat()
    }
}

impl Floats for Defaults {
    fn bits(&self) -> Vec<u64> {
        [self.float32.bits(), self.float64.bits()].concat()
    }
}

impl Floats for Lists {
    fn bits(&self) -> Vec<u64> {
        [self.float32s.bits(), self.float64s.bits()].concat()
    }
}

#[test]
fn scalars() {
    let signed = any::<(i8, i16, i32, i64)>();
    let unsigned = any::<(u8, u16, u32, u64)>();
    let rest = (any_f32(), any_f64(), string(), bytes(), color(), weather());
    let values = (any::<bool>(), signed, unsigned, rest).prop_map(|(flag, i, u, rest)| {
        let (float32, float64, text, data, color, weather) = rest;
        let (int8, int16, int32, int64) = i;
        let (uint8, uint16, uint32, uint64) = u;
        Scalars {
            flag,
            int8,
            int16,
            int32,
            int64,
            uint8,
            uint16,
            uint32,
            uint64,
            float32,
            float64,
            text,
            data,
            color,
            weather,
        }
    });
    same_floats(600, values, |object, value| object.scalars(value));
}

#[test]
fn defaults() {
    let inner = (string(), any::<i32>())
        .prop_map(|(label, amount)| DefaultsInner { label, amount })
        .boxed();
    let numbers = any::<(bool, i8, i16, i32, i64, u8, u16, u32, u64)>();
    let plain = (any_f32(), any_f64(), string(), bytes(), color(), point(), inner);
    let few_points = few(point());
    let lists = (
        few(any::<i16>()),
        words(),
        few(any::<bool>()),
        few_points,
        few(few(any::<u32>())),
        few(color()),
    );
    let values = (numbers, plain, lists).prop_map(|(n, p, l)| Defaults {
        flag: n.0,
        int8: n.1,
        int16: n.2,
        int32: n.3,
        int64: n.4,
        uint8: n.5,
        uint16: n.6,
        uint32: n.7,
        uint64: n.8,
        float32: p.0,
        float64: p.1,
        text: p.2,
        data: p.3,
        color: p.4,
        point: p.5,
        inner: p.6,
        numbers: l.0,
        texts: l.1,
        flags: l.2,
        points: l.3,
        nested: l.4,
        colors: l.5,
    });
    // Among them are the defaults themselves.
    let values = prop_oneof![9 => values, 1 => Just(Defaults::default())];
    same_floats(300, values, |object, value| object.defaults(value));
}

#[test]
fn lists() {
    let signed = (few(any::<i8>()), few(any::<i16>()), few(any::<i32>()), few(any::<i64>()));
    let unsigned = (few(any::<u8>()), few(any::<u16>()), few(any::<u32>()), few(any::<u64>()));
    let floats = (few(any_f32()), few(any_f64()));
    let flags = vec(any::<bool>(), 0..70);
    let plain = (few(Just(())), flags, words(), few(bytes()), few(color()), few(point()));
    let nested = (
        few(few(any::<i32>())),
        few(few(point())),
        few(words()),
        few(few(few(any::<bool>()))),
        few(few(color())),
        few(few(Just(()))),
    );
    let values = (signed, unsigned, floats, plain, nested).prop_map(|(i, u, f, p, n)| Lists {
        int8s: i.0,
        int16s: i.1,
        int32s: i.2,
        int64s: i.3,
        uint8s: u.0,
        uint16s: u.1,
        uint32s: u.2,
        uint64s: u.3,
        float32s: f.0,
        float64s: f.1,
        voids: p.0,
        flags: p.1,
        texts: p.2,
        datas: p.3,
        colors: p.4,
        points: p.5,
        numbers: n.0,
        rows: n.1,
        words: n.2,
        deep: n.3,
        palettes: n.4,
        silences: n.5,
    });
    same_floats(180, values, |object, value| object.lists(value));
}

#[test]
fn nullables() {
    let pointers = (option::of(point()), option::of(string()), option::of(bytes()));
    let table = option::of(hash_map(string(), any::<i32>(), 0..5));
    let lists = (option::of(few(any::<i32>())), table, option::of(id()));
    let values = (pointers, lists).prop_map(|((point, text, data), (list, table, id))| Nullables {
        point,
        text,
        data,
        list,
        table,
        id,
    });
    same(300, values, |object, value| object.nullables(value));
}

#[test]
fn optionals() {
    let plain = any::<(Option<i32>, Option<bool>, Option<u64>, bool)>();
    let rest =
        (option::of(string()), option::of(point()), option::of(color()), option::of(words()));
    let values = (plain, rest).prop_map(|((number, flag, inner, has_nothing), rest)| Optionals {
        number,
        flag,
        text: rest.0,
        point: rest.1,
        color: rest.2,
        list: rest.3,
        group: OptionalsGroup { inner },
        has_nothing,
    });
    same(300, values, |object, value| object.optionals(value));
}

#[test]
fn custom_rust_types() {
    let port = (1..=u32::MAX).prop_map(|port| NonZeroU32::new(port).unwrap());
    let kind = prop_oneof![Just('r'), Just('g'), Just('b')];
    let ids = few(id());
    let values = (age(), port, id(), ids, option::of(age()), any::<(i32, i32)>(), kind);
    let values = values.prop_map(|(age, port, id, ids, maybe, place, kind)| Coded {
        age,
        port,
        id,
        ids,
        maybe,
        place,
        kind,
    });
    same(300, values, |object, value| object.coded(value));
    let values = age().prop_map(|age| CodedWithDefault { age });
    same(150, values, |object, value| object.coded_with_default(value));
    same(150, age(), |object, value| object.age(value));
    let custom = (string(), any::<i32>()).prop_map(|(text, number)| Custom { text, number });
    same(150, custom, |object, value| object.pass_custom(value));
}

#[test]
fn names_secrets_and_what_is_hidden() {
    let partial = string().prop_map(|kept| Partial { kept });
    same(150, partial, |object, value| object.partial(value));
    let token = prop_oneof![Just(SecretToken::None), bytes().prop_map(SecretToken::Key)];
    let secret = (string(), string(), token);
    let secret = secret.prop_map(|(user, password, token)| Secret { user, password, token });
    same(150, secret, |object, value| object.secret(value));
    let result = (string(), any::<i32>());
    let result = result.prop_map(|(ok, x)| Result_ { ok, vec: Vector { x } });
    same(150, result, |object, value| object.results(value));
    let texts = (string(), string(), string(), string(), string(), string(), words());
    let numbers = any::<(i32, i32, i32, i32, i32, i32, i32, bool)>();
    let names = (texts, numbers).prop_map(|(t, n)| Type {
        type_: t.0,
        crate_: t.1,
        fresh: t.2,
        c_plus: t.3,
        this: t.4,
        from_capnpc: t.5,
        tx_ids: t.6,
        self_: n.0,
        dyn_: n.1,
        option: TypeOption { some: n.2 },
        cx: n.3,
        from: n.4,
        to: n.5,
        value: n.6,
        async_: n.7,
    });
    same(150, names, |object, value| object.keywords(value));
}

#[test]
fn any_pointers() {
    let open = any_pointer().prop_map(|any| Open { any, ..Open::default() });
    same(150, open, |object, value| object.open(value));
    same(150, any_pointer(), |object, value| object.any(value));
    same(150, any_pointer(), |object, value| object.generic(value));
}

#[test]
fn libmultiprocesss_struct() {
    let sets = (btree_set(any::<i32>(), 0..6), hash_set(any::<i32>(), 0..6));
    let map = btree_map(string(), any::<i32>(), 0..6);
    let rest = (string(), few(any::<bool>()), any::<Option<i32>>());
    let values = (sets, map, rest).prop_map(|(sets, map_string_int, rest)| FooStruct {
        name: rest.0,
        set_int: sets.0,
        vector_bool: rest.1,
        optional_int: rest.2,
        unordered_set_int: sets.1,
        map_string_int,
    });
    same(300, values, |object, value| object.pass(value));
    same(150, bytes(), |object, value| object.pass_data(value));
}
