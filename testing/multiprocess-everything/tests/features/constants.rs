//! Constants of each kind.

use std::collections::{BTreeMap, HashSet};

use multiprocess_everything::generated::everything::*;
use multiprocess_everything::generated::types::{Collections, Color, Defaults, Pair, Point};
use multiprocess_everything::generated::unions::{
    Account, AccountKind, AccountState, AccountStateClosed, AccountStateClosedReason, Event,
    EventWhich, Expr, ExprSum, Shape, ShapeRectangle, Tree,
};

#[test]
fn numbers() {
    const { assert!(FLAG) };
    assert_eq!((INT8, INT16, INT32, INT64), (i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    assert_eq!((UINT8, UINT16, UINT32, UINT64), (u8::MAX, u16::MAX, u32::MAX, u64::MAX));
    assert_eq!((FLOAT32, FLOAT64), (0.25f32, -1e300f64));
    assert!(NOT_A_NUMBER.is_nan());
    assert_eq!(MINUS_INFINITY, f32::NEG_INFINITY);
    assert_eq!(SCHEMA_VERSION, 3);
    assert_eq!(FAVOURITE, Color::Green);
}

#[test]
fn text_data_and_lists_of_them() {
    assert_eq!(GREETING, "hello, \"world\" é");
    assert_eq!(MAGIC, [0xf9, 0xbe, 0xb4, 0xd9]);
    assert_eq!(PRIMES, [2, 3, 5, 7]);
    assert_eq!(FLAGS, [true, false]);
    assert_eq!(GREETINGS, ["hi", ""]);
    assert_eq!(MAGICS, [&[1][..], &[0, 2]]);
    assert_eq!(PALETTE, [Color::Blue, Color::Red]);
    assert_eq!(MATRIX, [&[1.0, 0.0][..], &[0.0, 1.0], &[]]);
    assert_eq!(WORDS, [&["a"][..], &[]]);
}

#[test]
fn structs_and_unions() {
    assert_eq!(*POINT, Point { x: 1, y: -2 });
    let wanted = Defaults { int32: 5, text: "changed".to_owned(), ..Defaults::default() };
    assert_eq!(*DEFAULTS, wanted);
    assert_eq!(*POINTS, [Point { x: 1, y: 0 }, Point { x: 0, y: 2 }]);
    assert_eq!(*SHAPE, Shape::Rectangle(ShapeRectangle { width: 2.0, height: 3.0 }));
    assert_eq!(*SHAPES, [Shape::Label("a".to_owned()), Shape::Numbers(vec![1, 2])]);
    let which_ = EventWhich::Failed("as it was told".to_owned());
    assert_eq!(*EVENT, Event { id: 9, which: String::new(), which_ });
    let reason = AccountStateClosedReason::Code(4);
    let closed = AccountStateClosed { by: "b".to_owned(), reason };
    let wanted = Account {
        owner: "o".to_owned(),
        state: AccountState::Closed(closed),
        kind: AccountKind::Company("c".to_owned()),
    };
    assert_eq!(*ACCOUNT, wanted);
}

#[test]
fn recursive_generic_and_marked_structs() {
    let leaf = |value| Tree { value, ..Tree::default() };
    let wanted = Tree { left: Some(Box::new(leaf(2))), children: vec![leaf(3)], ..leaf(1) };
    assert_eq!(*TREE, wanted);
    let right = Expr::Negate(Box::new(Expr::Name("x".to_owned())));
    let wanted = ExprSum { left: Box::new(Expr::Number(1)), right: Box::new(right) };
    assert_eq!(*EXPR, Expr::Sum(wanted));
    assert_eq!(*PAIR, Pair { first: "one".to_owned(), second: Point { x: 1, y: 0 } });
    let wanted = Collections {
        hash_set: HashSet::from([1, 2]),
        btree_map: BTreeMap::from([("a".to_owned(), 1)]),
        ..Collections::default()
    };
    assert_eq!(*SUM, wanted);
}
