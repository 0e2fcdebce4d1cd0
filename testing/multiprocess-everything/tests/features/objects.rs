//! Objects as values: callbacks, functions, generic ones, and how they end.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use multiprocess::{Error, Interface, Result};
use multiprocess_everything::generated::foo::{FooCallback, FooCallbackClient};
use multiprocess_everything::generated::objects::{
    FnNoneClient, FnOneClient, FnThreeCallResults, FnThreeClient, FnTwoClient, Holder,
    HolderChoice, StoreVisitorClient,
};
use multiprocess_everything::generated::types::Point;
use multiprocess_everything::generated::unmarked::{BareHolder, CellClient};
use multiprocess_everything::pair::{Pair, pair, serve};

use crate::bare::CellServer;

fn adds(number: i32) -> FooCallbackClient {
    FooCallbackClient::from_fn(move |arg| Ok(arg + number))
}

#[test]
fn functions_of_no_to_three_arguments() {
    let (_server, pair) = pair().unwrap();
    let calling = thread::current().id();
    let called = Arc::new(AtomicI32::new(0));
    let counts = Arc::clone(&called);
    let none = FnNoneClient::from_fn(move || {
        assert_eq!(thread::current().id(), calling);
        counts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    pair.object.call_none(none.clone()).wait().unwrap();
    pair.object.call_none(none).wait().unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 2);
    let one = FnOneClient::from_fn(|a| Ok(-a));
    assert_eq!(pair.object.call_one(one, 5).wait().unwrap(), -5);
    let two = FnTwoClient::from_fn(|a, b| Ok(format!("{a} {} {}", b.x, b.y)));
    let two = pair.object.call_two(two, "p", Point { x: 1, y: 2 });
    assert_eq!(two.wait().unwrap(), "p 1 2");
    let three = FnThreeClient::from_fn(|a, b, c: Vec<i32>| {
        Ok(FnThreeCallResults { sum: i64::from(a) + b, count: u32::try_from(c.len()).unwrap() })
    });
    let three = pair.object.call_three(three, 1, 2, vec![0; 3]).wait().unwrap();
    assert_eq!((three.sum, three.count), (3, 3));
}

#[test]
fn a_functions_failure_is_the_callers() {
    let (_server, pair) = pair().unwrap();
    let fails = FnOneClient::from_fn(|_| Err(Error::failed("not today")));
    let error = pair.object.call_one(fails, 1).wait().unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
}

#[test]
fn null_and_non_null_objects() {
    let (_server, pair) = pair().unwrap();
    let objects = &pair.object;
    assert!(objects.pass_callback(None).wait().unwrap().is_none());
    assert!(objects.pass_shared(None).wait().unwrap().is_none());
    let back = objects.pass_callback(Some(adds(1))).wait().unwrap().unwrap();
    assert_eq!(back.call(1).wait().unwrap(), 2);
    assert_eq!(objects.not_null(adds(2)).wait().unwrap().call(1).wait().unwrap(), 3);
    let each = objects.call_each(vec![None, Some(adds(3)), None], 1).wait().unwrap();
    assert_eq!(each.results, [-1, 4, -1]);
    let there = each.callbacks.iter().map(Option::is_some);
    assert_eq!(there.collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn an_object_that_is_returned_to_its_process_is_the_object_itself() {
    struct Mine;
    impl FooCallback for Mine {
        fn call(&self, arg: i32) -> Result<i32> {
            Ok(arg)
        }
    }
    // The other side keeps handles, and this side shares the objects.
    let cell: CellClient<BareHolder> = CellClient::new(CellServer::new(BareHolder::default()));
    let pair: Pair<CellClient<Holder>> = serve(cell).unwrap();
    let mine: Arc<dyn FooCallback> = Arc::new(Mine);
    let shared = Some(Arc::clone(&mine));
    let holder = Holder {
        callback: None,
        always: FooCallbackClient::from(Arc::clone(&mine)),
        shared,
        list: Vec::new(),
        choice: HolderChoice::default(),
        pair: Default::default(),
    };
    pair.object.set(holder).wait().unwrap();
    let back = pair.object.get().wait().unwrap();
    assert!(Arc::ptr_eq(&mine, &back.shared.unwrap()));
    assert!(back.always.handle().is_local());
    assert_eq!(back.always.call(5).wait().unwrap(), 5);
}

#[test]
fn an_object_ends_when_it_is_closed_or_the_last_handle_goes() {
    let (_server, pair) = pair().unwrap();
    let counter = pair.object.make_counter().wait().unwrap();
    let other = pair.object.make_counter().wait().unwrap();
    assert_eq!(pair.object.counters().wait().unwrap(), 2);
    assert_eq!(counter.next().wait().unwrap(), 0);
    counter.clone().close().wait().unwrap();
    assert_eq!(pair.object.counters().wait().unwrap(), 1);
    assert!(counter.next().wait().is_err());
    drop(other);
    while pair.object.counters().wait().unwrap() > 0 {
        thread::yield_now();
    }
}

#[test]
fn generic_stores_of_each_type() {
    let (_server, pair) = pair().unwrap();
    let objects = &pair.object;
    let texts = objects.make_texts().wait().unwrap();
    assert_eq!(texts.put("a", "x".to_owned()).wait().unwrap(), 1);
    assert_eq!(texts.put("b", "longest".to_owned()).wait().unwrap(), 2);
    assert_eq!(texts.get("a").wait().unwrap().value, "x");
    assert_eq!(objects.longest(texts.clone()).wait().unwrap(), "longest");
    let lists = objects.make_lists().wait().unwrap();
    lists.put("l", vec![3, 2, 1]).wait().unwrap();
    assert_eq!(lists.all().wait().unwrap()[0].value, [3, 2, 1]);
    let callbacks = objects.make_callbacks().wait().unwrap();
    callbacks.put("none", None).wait().unwrap();
    callbacks.put("some", Some(adds(1))).wait().unwrap();
    assert!(callbacks.get("none").wait().unwrap().value.is_none());
    let some = callbacks.get("some").wait().unwrap().value.unwrap();
    assert_eq!(some.call(1).wait().unwrap(), 2);
}

#[test]
fn a_generic_visitor_and_a_child_of_a_generic_interface() {
    let (_server, pair) = pair().unwrap();
    let counted = pair.object.make_counted().wait().unwrap();
    for (name, x) in [("a", 1), ("b", 2)] {
        counted.put(name, Point { x, y: 0 }).wait().unwrap();
    }
    assert_eq!(counted.puts().wait().unwrap(), 2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let visitor = StoreVisitorClient::from_fn(move |name, value: Point| {
        notes.lock().unwrap().push((name, value.x));
        Ok(())
    });
    counted.each(visitor).wait().unwrap();
    assert_eq!(*seen.lock().unwrap(), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}
