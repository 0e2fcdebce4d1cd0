//! Unions, groups, generics, and types that contain themselves.

use std::collections::HashSet;

use multiprocess::AnyPointer;
use multiprocess::capnp::{text, text_list};
use multiprocess_everything::generated::types::{Open, Pair, Point};
use multiprocess_everything::generated::unions::{
    AccountKind, Either, Event, EventWhich, Expr, Shape, Tree, WrappedChoice, Wraps,
};
use multiprocess_everything::pair::pair;
use multiprocess_everything::samples;

#[test]
fn every_member_of_every_union() {
    let (_server, pair) = pair().unwrap();
    for shape in samples::shapes() {
        assert_eq!(pair.object.shape(shape.clone()).wait().unwrap(), shape);
        assert_eq!(pair.object.shape_fields(shape.clone()).wait().unwrap(), shape);
    }
    for event in samples::events() {
        assert_eq!(pair.object.event(event.clone()).wait().unwrap(), event);
        let Event { id, which, which_ } = event;
        let back = pair.object.event_fields(id, which.clone(), which_.clone()).wait().unwrap();
        assert_eq!((back.id, back.which, back.which_), (id, which, which_));
    }
    for account in samples::accounts() {
        assert_eq!(pair.object.account(account.clone()).wait().unwrap(), account);
    }
}

#[test]
fn members_that_the_schema_does_not_know_keep_their_number() {
    let (_server, pair) = pair().unwrap();
    let shape = pair.object.shape(Shape::Unknown(u16::MAX)).wait().unwrap();
    assert_eq!(shape, Shape::Unknown(u16::MAX));
    // The schema has a member of that name.
    let which_ = EventWhich::UnknownValue(4);
    let event = Event { which_: which_.clone(), ..Event::default() };
    assert_eq!(pair.object.event(event).wait().unwrap().which_, which_);
}

#[test]
fn derives_that_the_schema_asks_for() {
    let points = HashSet::from([Point { x: 1, y: 2 }, Point { x: 1, y: 2 }]);
    assert_eq!(points.len(), 1);
    assert!(Point { x: 1, y: 2 } < Point { x: 2, y: 0 });
    let kinds = HashSet::from([AccountKind::Private(1), AccountKind::Private(1)]);
    assert_eq!(kinds.len(), 1);
    fn eq<T: Eq>(_: &T) {}
    eq(&Event::default());
}

#[test]
fn groups_are_structs_of_their_own() {
    let (_server, pair) = pair().unwrap();
    let back = pair.object.grouped(samples::grouped()).wait().unwrap();
    assert_eq!((back.position.x, back.position.y, back.trailer.x), (0, 2, 6));
    assert_eq!(back.position.limits.names, ["low", "high"]);
}

#[test]
fn types_that_contain_themselves() {
    let (_server, pair) = pair().unwrap();
    let mut tree = Tree::default();
    for value in 0..20 {
        tree = Tree { value, left: Some(Box::new(tree)), ..Tree::default() };
    }
    assert_eq!(pair.object.tree(tree.clone()).wait().unwrap(), tree);
    let mut expr = samples::expr();
    for _ in 0..20 {
        expr = Expr::Negate(Box::new(expr));
    }
    assert_eq!(pair.object.expr(expr.clone()).wait().unwrap(), expr);
    assert_eq!(pair.object.ping(samples::ping()).wait().unwrap(), samples::ping());
    assert_eq!(pair.object.link(samples::link()).wait().unwrap(), samples::link());
}

#[test]
fn what_is_nested_too_deeply_is_refused_and_the_connection_goes_on() {
    let (_server, pair) = pair().unwrap();
    // The last would end the stack of who writes it.
    for depth in [100, 5000] {
        let mut tree = Tree::default();
        for _ in 0..depth {
            tree = Tree { left: Some(Box::new(tree)), ..Tree::default() };
        }
        let error = pair.object.tree(tree).wait().unwrap_err();
        assert!(error.to_string().contains("more than 64 deep"), "{error}");
    }
    assert_eq!(pair.object.tree(samples::tree()).wait().unwrap(), samples::tree());
}

#[test]
fn generic_structs_and_unions() {
    let (_server, pair) = pair().unwrap();
    let tags = samples::tags().unwrap();
    let back = pair.object.tags(tags.clone()).wait().unwrap();
    assert_eq!(back, tags);
    assert_eq!(back.text.chain.map(|chain| chain.value), Some("deep".to_owned()));
    let first = back.nested.twice.first;
    assert_eq!(first, Pair { first: "p".to_owned(), second: Point { x: 7, y: 8 } });
    let back = pair.object.eithers(samples::eithers()).wait().unwrap();
    assert_eq!(back.text, Either::Right(Point { x: 1, y: 2 }));
    assert_eq!(back.shapes[1], Either::Right(vec![1, 2]));
    assert_eq!(back.shapes[2], Either::Neither);
}

#[test]
fn groups_and_unions_of_generic_structs() {
    let (_server, pair) = pair().unwrap();
    let back = pair.object.wraps(samples::wraps()).wait().unwrap();
    assert_eq!(back, samples::wraps());
    assert_eq!((back.text.inner.value.as_str(), back.text.inner.count), ("a", 3));
    let WrappedChoice::More(more) = back.text.choice else { panic!("{:?}", back.text) };
    assert_eq!(more[1].choice, WrappedChoice::One("c".to_owned()));
    let default = Wraps::default();
    assert_eq!(default.point.choice, WrappedChoice::None);
    assert_eq!(default.text.choice, WrappedChoice::None);
    assert_eq!(pair.object.wraps(default.clone()).wait().unwrap(), default);
}

#[test]
fn any_pointers() {
    let (_server, pair) = pair().unwrap();
    let any = AnyPointer::new::<text::Owned>("a text").unwrap();
    let mut list = capnp::message::Builder::new_default();
    let mut texts: text_list::Builder<'_> = list.initn_root(2);
    texts.set(0, "one");
    texts.set(1, "two");
    let list = AnyPointer::from_bytes(capnp::serialize::write_message_to_words(&list));
    let open = Open { any, struct_: AnyPointer::default(), list };
    let back = pair.object.open(open.clone()).wait().unwrap();
    assert_eq!(back, open);
    assert_eq!(back.any.get::<text::Owned, _>(|text| text.to_string().unwrap()).unwrap(), "a text");
    let second =
        back.list.get::<text_list::Owned, _>(|list| list.get(1).unwrap().to_string().unwrap());
    assert_eq!(second.unwrap(), "two");
    assert!(back.struct_.is_null());
    let error = pair.object.any(AnyPointer::from_bytes(vec![1, 2, 3])).wait().unwrap_err();
    assert!(!error.is_disconnect(), "{error}");
}
