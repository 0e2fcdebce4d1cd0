//! Incoming values that the schema's annotations do not allow, and values of a later schema.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use multiprocess::rt::Argument;
use multiprocess::{Error, Result};
use multiprocess_everything::generated::foo::{FooCallbackClient, FooFnClient};
use multiprocess_everything::generated::objects::{Holder, StoreEntry};
use multiprocess_everything::generated::types::{
    Amount, Collections, Color, Defaults, Labelled, Painted, Partial, Point,
};
use multiprocess_everything::generated::unions::Shape;
use multiprocess_everything::generated::unmarked::{
    BareCollections, BareDefaults, BareHolder, BarePartial, BareSection, BareShape, Cell,
    CellClient,
};
use multiprocess_everything::pair::{Pair, serve};

/// Keeps one value.
pub(crate) struct CellServer<T>(Mutex<T>);

impl<T> CellServer<T> {
    /// A cell that contains `value`.
    pub(crate) fn new(value: T) -> CellServer<T> {
        CellServer(Mutex::new(value))
    }
}

impl<T: Argument> Cell<T> for CellServer<T> {
    fn set(&self, value: T) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        Ok(())
    }

    fn get(&self) -> Result<T> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// How the other side reads a value that one side sends as a `T`.
pub(crate) fn seen_as<T: Argument, U: Argument>(value: T) -> Result<U> {
    let cell: CellClient<T> = CellClient::new(CellServer::new(value));
    let pair: Pair<CellClient<U>> = serve(cell)?;
    pair.object.get().wait()
}

/// The path and the problem of the error with which this is refused.
pub(crate) fn refused<T: Argument, U: Argument + Debug>(value: T) -> (String, String) {
    match seen_as::<T, U>(value) {
        Err(Error::Decode { path, problem, .. }) => (path, problem),
        other => panic!("{other:?}"),
    }
}

fn amount(name: &str, value: i32) -> Amount {
    Amount { name: name.to_owned(), value }
}

#[test]
fn a_key_or_item_twice_is_refused_with_its_place() {
    let bare = BareCollections::default;
    let amounts = || vec![amount("a", 1), amount("b", 2), amount("a", 3)];
    let point = |x| Point { x, y: 0 };
    let label = |x, label: &str| Labelled { at: point(x), label: label.to_owned() };
    let painted = |color| Painted { color, points: Vec::new() };
    let section = |name: &str, amounts| BareSection { name: name.to_owned(), amounts };
    let cases = [
        (BareCollections { hash_set: vec![1, 2, 1], ..bare() }, "hashSet[2]"),
        (BareCollections { btree_set: vec![5, 5], ..bare() }, "btreeSet[1]"),
        (BareCollections { texts: vec![String::new(); 2], ..bare() }, "texts[1]"),
        (BareCollections { datas: vec![vec![1], vec![1]], ..bare() }, "datas[1]"),
        (BareCollections { colors: vec![Color::Unknown(9); 2], ..bare() }, "colors[1]"),
        (BareCollections { points: vec![point(1), point(2), point(2)], ..bare() }, "points[2]"),
        (BareCollections { hash_map: amounts(), ..bare() }, "hashMap[2]"),
        (BareCollections { btree_map: amounts(), ..bare() }, "btreeMap[2]"),
        (BareCollections { by_point: vec![label(1, "a"), label(1, "b")], ..bare() }, "byPoint[1]"),
        (BareCollections { by_color: vec![painted(Color::Red); 2], ..bare() }, "byColor[1]"),
        (
            BareCollections {
                sections: vec![section("x", Vec::new()), section("y", amounts())],
                ..bare()
            },
            "sections[1].amounts[2]",
        ),
    ];
    for (value, place) in cases {
        let (path, problem) = refused::<_, Collections>(value);
        assert!(path.ends_with(place), "{path} instead of {place}");
        assert!(problem.contains("twice"), "{problem}");
    }
}

#[test]
fn a_map_is_in_the_order_of_its_keys_and_a_list_as_it_was_sent() {
    let amounts = vec![amount("b", 2), amount("c", 3), amount("a", 1)];
    let bare = BareCollections {
        btree_map: amounts.clone(),
        hash_set: vec![3, 1, 2],
        ..BareCollections::default()
    };
    let seen: Collections = seen_as(bare).unwrap();
    let wanted: BTreeMap<_, _> = amounts.into_iter().map(|a| (a.name, a.value)).collect();
    assert_eq!(seen.btree_map, wanted);
    let back: BareCollections = seen_as(seen).unwrap();
    let names: Vec<_> = back.btree_map.iter().map(|amount| amount.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(back.hash_set.len(), 3);
}

#[test]
fn a_null_that_must_not_be_one_is_refused() {
    let (path, problem) = refused::<_, Holder>(BareHolder::default());
    assert!(path.ends_with("always"), "{path}");
    assert!(problem.contains("null"), "{problem}");
    let callback = || FooCallbackClient::from_fn(Ok);
    let always = Some(callback());
    let seen: Holder = seen_as(BareHolder { always, ..BareHolder::default() }).unwrap();
    assert!(seen.callback.is_none() && seen.shared.is_none() && seen.list.is_empty());
    let seen: Option<FooFnClient> = seen_as(Option::<FooFnClient>::None).unwrap();
    assert!(seen.is_none());
}

#[test]
fn what_is_skipped_is_neither_read_nor_written() {
    let bare = BarePartial { kept: "kept".to_owned(), skipped: "skipped".to_owned() };
    let seen: Partial = seen_as(bare).unwrap();
    assert_eq!(seen, Partial { kept: "kept".to_owned() });
    let back: BarePartial = seen_as(seen).unwrap();
    assert_eq!(back, BarePartial { kept: "kept".to_owned(), skipped: String::new() });
}

#[test]
fn a_null_pointer_is_the_schemas_default() {
    let seen: Defaults = seen_as(BareDefaults::default()).unwrap();
    assert_eq!(seen, Defaults::default());
    // A value that is present and empty is not the default.
    let seen: Defaults = seen_as(BareDefaults {
        text: Some(String::new()),
        data: Some(Vec::new()),
        numbers: Some(Vec::new()),
        texts: Some(Vec::new()),
        flags: Some(Vec::new()),
        point: Some(Point::default()),
    })
    .unwrap();
    assert_eq!((seen.text.as_str(), seen.data.len(), seen.numbers.len()), ("", 0, 0));
    assert_eq!((seen.texts.len(), seen.flags.len(), seen.point), (0, 0, Point::default()));
    assert_eq!(seen.points, Defaults::default().points);
}

#[test]
fn a_member_of_a_later_schema_is_unknown_and_keeps_its_number() {
    let seen: Shape = seen_as(BareShape::Later("later".to_owned())).unwrap();
    // A group is one member, however many fields it has.
    assert_eq!(seen, Shape::Unknown(13));
    let back: BareShape = seen_as(Shape::Unknown(13)).unwrap();
    assert_eq!(back, BareShape::Later(String::new()));
    let back: BareShape = seen_as(Shape::Unknown(99)).unwrap();
    assert_eq!(back, BareShape::Unknown(99));
}

#[test]
fn structs_generic_ones_and_lists_as_arguments() {
    let entry = StoreEntry { name: "n".to_owned(), value: vec![1, 2] };
    assert_eq!(seen_as::<_, StoreEntry<Vec<i32>>>(entry.clone()).unwrap(), entry);
    let texts = vec!["a".to_owned(), String::new()];
    assert_eq!(seen_as::<_, Vec<String>>(texts.clone()).unwrap(), texts);
    let nested = vec![vec![true, false], Vec::new()];
    assert_eq!(seen_as::<_, Vec<Vec<bool>>>(nested.clone()).unwrap(), nested);
    let points = vec![Point { x: 1, y: 2 }];
    assert_eq!(seen_as::<_, Vec<Point>>(points.clone()).unwrap(), points);
}
