//! Unions, groups, generics, and types that contain themselves.

use multiprocess::AnyPointer;
use multiprocess_everything::generated::types::{Pair, Tagged, TaggedInner, Tags};
use multiprocess_everything::generated::unions::{
    Account, AccountKind, AccountState, AccountStateClosed, AccountStateClosedReason, Chosen,
    Either, Eithers, Event, EventWhich, Expr, ExprCall, ExprSum, Grouped, GroupedPosition,
    GroupedPositionLimits, GroupedTrailer, Link, LinkRest, Ping, Pong, Shape, ShapeRectangle, Tree,
    Wrapped, WrappedChoice, WrappedInner, Wraps,
};
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;

use crate::floats::{Floats, any_f32, any_f64, same as same_floats};
use crate::same;
use crate::values::{bytes, color, few, id, point, string};

fn pair() -> impl Strategy<Value = Pair<String, multiprocess_everything::generated::types::Point>> {
    (string(), point()).prop_map(|(first, second)| Pair { first, second })
}

fn shape() -> BoxedStrategy<Shape> {
    let rectangle = (any_f32(), any_f32())
        .prop_map(|(width, height)| Shape::Rectangle(ShapeRectangle { width, height }));
    prop_oneof![
        Just(Shape::Nothing),
        any_f64().prop_map(Shape::Circle),
        rectangle,
        string().prop_map(Shape::Label),
        color().prop_map(Shape::Color),
        point().prop_map(Shape::Point),
        few(any::<i32>()).prop_map(Shape::Numbers),
        option::of(point()).prop_map(Shape::Maybe),
        any::<bool>().prop_map(Shape::Flag),
        pair().prop_map(Shape::Pair),
        any::<u64>().prop_map(Shape::Big),
        btree_set(any::<i32>(), 0..5).prop_map(Shape::Set),
        id().prop_map(Shape::Id),
        (13u16..).prop_map(Shape::Unknown),
    ]
    .boxed()
}

fn event() -> impl Strategy<Value = Event> {
    let which_ = prop_oneof![
        Just(EventWhich::Started),
        point().prop_map(EventWhich::Moved),
        string().prop_map(EventWhich::Failed),
        Just(EventWhich::Failed("for no reason".to_owned())),
        any::<i32>().prop_map(EventWhich::Unknown),
        (4u16..).prop_map(EventWhich::UnknownValue),
    ];
    (any::<u64>(), string(), which_).prop_map(|(id, which, which_)| Event { id, which, which_ })
}

fn account() -> impl Strategy<Value = Account> {
    let reason = prop_oneof![
        Just(AccountStateClosedReason::Asked),
        any::<i32>().prop_map(AccountStateClosedReason::Code),
        (2u16..).prop_map(AccountStateClosedReason::Unknown),
    ];
    let closed = (string(), reason)
        .prop_map(|(by, reason)| AccountState::Closed(AccountStateClosed { by, reason }));
    let state = prop_oneof![
        Just(AccountState::Open),
        string().prop_map(AccountState::Frozen),
        closed,
        (3u16..).prop_map(AccountState::Unknown),
    ];
    let kind = prop_oneof![
        any::<i32>().prop_map(AccountKind::Private),
        string().prop_map(AccountKind::Company),
        (2u16..).prop_map(AccountKind::Unknown),
    ];
    (string(), state, kind).prop_map(|(owner, state, kind)| Account { owner, state, kind })
}

impl Floats for Shape {
    fn bits(&self) -> Vec<u64> {
        match self {
            Shape::Circle(radius) => radius.bits(),
            Shape::Rectangle(rectangle) => {
                [rectangle.width.bits(), rectangle.height.bits()].concat()
            }
            _ => Vec::new(),
        }
    }
}

impl Floats for Chosen {
    fn bits(&self) -> Vec<u64> {
        [self.shape.bits(), self.shapes.bits()].concat()
    }
}

impl Floats for Grouped {
    fn bits(&self) -> Vec<u64> {
        let limits = &self.position.limits;
        [limits.low.bits(), limits.high.bits()].concat()
    }
}

impl Floats for Eithers {
    fn bits(&self) -> Vec<u64> {
        let bits = |either: &Either<Shape, Vec<u8>>| match either {
            Either::Left(shape) => shape.bits(),
            _ => Vec::new(),
        };
        self.shapes.iter().flat_map(bits).collect()
    }
}

#[test]
fn a_struct_that_is_a_union() {
    same_floats(900, shape(), |object, value| object.shape(value));
    same_floats(300, shape(), |object, value| object.shape_fields(value));
}

#[test]
fn unions_beside_fields() {
    same(450, event(), |object, value| object.event(value));
    same(450, account(), |object, value| object.account(value));
}

#[test]
fn unions_with_defaults() {
    let values = (shape(), event(), few(shape())).prop_map(|(shape, event, shapes)| Chosen {
        shape,
        event,
        shapes,
    });
    same_floats(300, values, |object, value| object.chosen(value));
}

#[test]
fn groups() {
    let limits = (any_f64(), any_f64(), few(string()))
        .prop_map(|(low, high, names)| GroupedPositionLimits { low, high, names });
    let position = any::<(i32, i32)>();
    let values = (string(), position, limits, any::<i32>());
    let values = values.prop_map(|(name, (x, y), limits, trailer)| Grouped {
        name,
        position: GroupedPosition { x, y, limits },
        trailer: GroupedTrailer { x: trailer },
    });
    same_floats(300, values, |object, value| object.grouped(value));
}

#[test]
fn trees() {
    let leaf = any::<i32>().prop_map(|value| Tree { value, ..Tree::default() });
    let trees = leaf.prop_recursive(4, 20, 3, |tree| {
        let side = || option::of(tree.clone().prop_map(Box::new));
        (any::<i32>(), side(), side(), few(tree.clone()))
            .prop_map(|(value, left, right, children)| Tree { value, left, right, children })
    });
    same(300, trees, |object, value| object.tree(value));
}

#[test]
fn expressions() {
    let leaf = prop_oneof![any::<i64>().prop_map(Expr::Number), string().prop_map(Expr::Name)];
    let exprs = leaf.prop_recursive(5, 20, 3, |expr| {
        let boxed = || expr.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Expr::Negate),
            (boxed(), boxed()).prop_map(|(left, right)| Expr::Sum(ExprSum { left, right })),
            (string(), few(expr.clone()))
                .prop_map(|(function, arguments)| { Expr::Call(ExprCall { function, arguments }) }),
            (5u16..).prop_map(Expr::Unknown),
        ]
    });
    same(450, exprs, |object, value| object.expr(value));
}

#[test]
fn types_that_contain_each_other() {
    let leaf = any::<u32>().prop_map(|depth| Ping { depth, pong: None });
    let pings = leaf.prop_recursive(5, 5, 1, |ping| {
        let pong = (string(), option::of(ping.prop_map(Box::new)))
            .prop_map(|(text, ping)| Box::new(Pong { text, ping }));
        (any::<u32>(), option::of(pong)).prop_map(|(depth, pong)| Ping { depth, pong })
    });
    same(180, pings, |object, value| object.ping(value));
    let leaf = string().prop_map(|label| Link { label, ..Link::default() });
    let links = leaf.prop_recursive(5, 5, 1, |link| {
        (string(), any::<u32>(), option::of(link.prop_map(Box::new)))
            .prop_map(|(label, count, next)| Link { label, rest: LinkRest { count, next } })
    });
    same(180, links, |object, value| object.link(value));
}

fn tagged<T, S>(value: S) -> impl Strategy<Value = Tagged<T>>
where
    T: Clone + std::fmt::Debug + 'static,
    S: Strategy<Value = T> + Clone + 'static,
{
    let pairs = few((string(), value.clone()).prop_map(|(first, second)| Pair { first, second }));
    let twice = (value.clone(), value.clone()).prop_map(|(first, second)| Pair { first, second });
    let inner =
        (value.clone(), any::<u32>()).prop_map(|(value, count)| TaggedInner { value, count });
    let level = (string(), value, pairs, twice, inner).boxed();
    let make = |(tag, value, pairs, twice, inner), chain| Tagged {
        tag,
        value,
        pairs,
        twice,
        inner,
        chain,
    };
    let further = level.clone().prop_map(move |level| Box::new(make(level, None)));
    (level, option::of(further)).prop_map(move |(level, chain)| make(level, chain))
}

fn wrapped<T, S>(value: S) -> impl Strategy<Value = Wrapped<T>>
where
    T: Clone + std::fmt::Debug + 'static,
    S: Strategy<Value = T> + Clone + 'static,
{
    let inner = (value.clone(), any::<u32>())
        .prop_map(|(value, count)| WrappedInner { value, count })
        .boxed();
    let leaf = inner.clone().prop_map(|inner| Wrapped { inner, choice: WrappedChoice::None });
    leaf.prop_recursive(3, 10, 4, move |deeper| {
        let choice = prop_oneof![
            value.clone().prop_map(WrappedChoice::One),
            few(deeper).prop_map(WrappedChoice::More),
            (3u16..).prop_map(WrappedChoice::Unknown),
        ];
        (inner.clone(), choice).prop_map(|(inner, choice)| Wrapped { inner, choice })
    })
}

#[test]
fn generics() {
    let numbers = proptest::collection::vec(any::<i32>(), 0..6);
    let nested = (string(), point()).prop_map(|(first, second)| Pair { first, second }).boxed();
    let inner = (string(), any::<u32>()).prop_map(|(value, count)| TaggedInner { value, count });
    let values = (
        tagged(string()),
        tagged(bytes()),
        tagged(point()),
        tagged(numbers),
        tagged(Just(AnyPointer::default())),
        tagged(nested),
        inner,
    );
    let values = values.prop_map(|(text, data, point, numbers, any, nested, inner)| Tags {
        text,
        data,
        point,
        numbers,
        unbound: any.clone(),
        any,
        nested,
        inner,
    });
    same(180, values, |object, value| object.tags(value));
    let values =
        (wrapped(string()), wrapped(point())).prop_map(|(text, point)| Wraps { text, point });
    same(180, values, |object, value| object.wraps(value));
    let text = prop_oneof![
        string().prop_map(Either::Left),
        point().prop_map(Either::Right),
        Just(Either::Neither),
    ];
    let either = prop_oneof![shape().prop_map(Either::Left), bytes().prop_map(Either::Right)];
    let values = (text, few(either)).prop_map(|(text, shapes)| Eithers { text, shapes });
    same_floats(180, values, |object, value| object.eithers(value));
}
