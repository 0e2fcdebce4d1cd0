//! Maps and sets.

use multiprocess_everything::generated::types::{Amount, Collections, Point};
use proptest::collection::{btree_map, btree_set, hash_map, hash_set};
use proptest::prelude::*;

use crate::same;
use crate::values::{bytes, color, few, point, string};

#[test]
fn maps_and_sets() {
    let sets = (
        hash_set(any::<i32>(), 0..8),
        btree_set(any::<i32>(), 0..8),
        hash_set(string(), 0..5),
        btree_set(bytes(), 0..5),
        btree_set(color(), 0..5),
        hash_set(point(), 0..5),
    );
    let amounts = || hash_map(string(), any::<i32>(), 0..5);
    let maps = (
        amounts(),
        btree_map(string(), any::<i32>(), 0..5),
        hash_map(point(), string(), 0..5),
        btree_map(color(), few(point()), 0..5),
        btree_map(string(), amounts(), 0..3),
        hash_map(string(), point(), 0..5),
        btree_map(bytes(), few(any::<i32>()), 0..5),
    );
    let plain = few((string(), any::<i32>()).prop_map(|(name, value)| Amount { name, value }));
    let values = (sets, maps, plain).prop_map(|(s, m, plain)| Collections {
        hash_set: s.0,
        btree_set: s.1,
        texts: s.2,
        datas: s.3,
        colors: s.4,
        points: s.5,
        hash_map: m.0,
        btree_map: m.1,
        by_point: m.2,
        by_color: m.3,
        sections: m.4,
        pairs: m.5,
        lists: m.6,
        plain,
    });
    same(180, values, |object, value| object.collections(value));
}

#[test]
fn points_are_ordered_by_their_first_field() {
    proptest!(|(a: (i32, i32), b: (i32, i32))| {
        let point = |(x, y)| Point { x, y };
        prop_assert_eq!(point(a) < point(b), a < b);
    });
}
