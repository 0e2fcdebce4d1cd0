//! Values of unions, groups, and types that contain themselves.

use std::collections::BTreeSet;

use super::{point, texts};
use crate::codecs::Id;
use crate::generated::types::{Color, Pair};
use crate::generated::unions::{
    Account, AccountKind, AccountState, AccountStateClosed, AccountStateClosedReason, Either,
    Eithers, Event, EventWhich, Expr, ExprCall, ExprSum, Grouped, GroupedPosition,
    GroupedPositionLimits, GroupedTrailer, Link, LinkRest, Ping, Pong, Shape, ShapeRectangle, Tree,
    Wrapped, WrappedChoice, WrappedInner, Wraps,
};

/// A shape for each member of the union.
pub fn shapes() -> Vec<Shape> {
    vec![
        Shape::Nothing,
        Shape::Circle(0.0),
        Shape::Rectangle(ShapeRectangle { width: 1.5, height: -2.0 }),
        Shape::Label("label".to_owned()),
        Shape::Color(Color::Green),
        Shape::Point(point(1, 2)),
        Shape::Numbers(vec![1, 2, 3]),
        Shape::Maybe(None),
        Shape::Maybe(Some(point(0, 0))),
        Shape::Flag(true),
        Shape::Pair(Pair { first: "p".to_owned(), second: point(3, 4) }),
        Shape::Big(u64::MAX),
        Shape::Set(BTreeSet::from([2, 1])),
        Shape::Id(Id([4, 3, 2, 1])),
    ]
}

/// An event for each member of its union.
pub fn events() -> Vec<Event> {
    let members = [
        EventWhich::Started,
        EventWhich::Moved(point(1, 2)),
        EventWhich::Failed("badly".to_owned()),
        EventWhich::Unknown(-5),
    ];
    let event = |which_| Event { id: 7, which: "one".to_owned(), which_ };
    members.into_iter().map(event).collect()
}

/// An account for each member of its unions.
pub fn accounts() -> Vec<Account> {
    let closed = |reason| AccountState::Closed(AccountStateClosed { by: "me".to_owned(), reason });
    let account = |state, kind| Account { owner: "owner".to_owned(), state, kind };
    vec![
        account(AccountState::Open, AccountKind::Private(3)),
        account(AccountState::Frozen("ice".to_owned()), AccountKind::Company("acme".to_owned())),
        account(closed(AccountStateClosedReason::Asked), AccountKind::Private(0)),
        account(closed(AccountStateClosedReason::Code(0)), AccountKind::Private(-1)),
    ]
}

/// Groups within groups.
pub fn grouped() -> Grouped {
    let limits = GroupedPositionLimits { low: -1.0, high: 0.0, names: texts(&["low", "high"]) };
    Grouped {
        name: "grouped".to_owned(),
        position: GroupedPosition { x: 0, y: 2, limits },
        trailer: GroupedTrailer { x: 6 },
    }
}

/// A tree of some depth.
pub fn tree() -> Tree {
    let leaf = |value| Tree { value, ..Tree::default() };
    Tree {
        value: 1,
        left: Some(Box::new(Tree { right: Some(Box::new(leaf(3))), ..leaf(2) })),
        right: None,
        children: vec![leaf(4), leaf(5)],
    }
}

/// An expression with every member of the union.
pub fn expr() -> Expr {
    let number = |number| Expr::Number(number);
    let call = Expr::Call(ExprCall {
        function: "f".to_owned(),
        arguments: vec![number(1), Expr::Name("x".to_owned())],
    });
    let negate = Expr::Negate(Box::new(number(-2)));
    Expr::Sum(ExprSum { left: Box::new(call), right: Box::new(negate) })
}

/// Two types that contain each other.
pub fn ping() -> Ping {
    let inner = Ping { depth: 2, ..Ping::default() };
    let pong = Pong { text: "pong".to_owned(), ping: Some(Box::new(inner)) };
    Ping { depth: 1, pong: Some(Box::new(pong)) }
}

/// A type that contains itself through a group.
pub fn link() -> Link {
    let next = Link { label: "second".to_owned(), ..Link::default() };
    let rest = LinkRest { count: 1, next: Some(Box::new(next)) };
    Link { label: "first".to_owned(), rest }
}

/// Groups and unions of generic structs.
pub fn wraps() -> Wraps {
    fn wrapped<T: Clone>(value: T, count: u32, choice: WrappedChoice<T>) -> Wrapped<T> {
        Wrapped { inner: WrappedInner { value, count }, choice }
    }
    let inner = vec![
        wrapped(String::new(), 1, WrappedChoice::None),
        wrapped("b".to_owned(), 2, WrappedChoice::One("c".to_owned())),
    ];
    Wraps {
        text: wrapped("a".to_owned(), 3, WrappedChoice::More(inner)),
        point: wrapped(point(0, 0), 0, WrappedChoice::One(point(5, 6))),
    }
}

/// A generic union.
pub fn eithers() -> Eithers {
    Eithers {
        text: Either::Right(point(1, 2)),
        shapes: vec![Either::Left(Shape::Circle(1.0)), Either::Right(vec![1, 2]), Either::Neither],
    }
}
