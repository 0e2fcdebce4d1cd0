//! The checks of libmultiprocess's own tests, method by method, in their order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use multiprocess::Result;
use multiprocess_everything::codecs::{Custom, FooEnum};
use multiprocess_everything::generated::foo::{
    ExtendedCallback, ExtendedCallbackClient, Foo, FooCallback, FooCallbackClient, FooClient,
    FooEmpty, FooFnClient, FooMessage, FooMutable, FooStruct,
};
use multiprocess_everything::pair::{Pair, pair, serve};
use multiprocess_everything::samples;

/// A callback that notes on which thread it ran.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<ThreadId>>>);

impl FooCallback for Notes {
    fn call(&self, arg: i32) -> Result<i32> {
        self.0.lock().unwrap().push(thread::current().id());
        Ok(arg * 2)
    }
}

impl ExtendedCallback for Notes {
    fn call_extended(&self, arg: i32) -> Result<i32> {
        Ok(arg * 3)
    }
}

#[test]
fn add_and_its_outputs() {
    let (_server, pair) = pair().unwrap();
    let object = &pair.object;
    assert_eq!(object.add(i32::MAX, 1).wait().unwrap(), i32::MIN);
    assert_eq!(object.add_out(1, 2).wait().unwrap(), 3);
    assert_eq!(object.add_in_out(3, 4).wait().unwrap(), 7);
}

#[test]
fn a_map_of_texts() {
    let (_server, pair) = pair().unwrap();
    assert_eq!(pair.object.map_size(HashMap::new()).wait().unwrap(), 0);
    let map = (0..100).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(pair.object.map_size(map).wait().unwrap(), 100);
}

#[test]
fn a_struct_of_containers() {
    let (_server, pair) = pair().unwrap();
    let back = pair.object.pass(samples::foo_struct()).wait().unwrap();
    assert_eq!(back.name, "name");
    assert_eq!(back.set_int, BTreeSet::from([1, 2]));
    assert_eq!(back.vector_bool, [false, true, false]);
    assert_eq!(back.optional_int, Some(3));
    assert_eq!(back.unordered_set_int, HashSet::from([4, 5]));
    let map = BTreeMap::from([("x".to_owned(), 6), ("y".to_owned(), 7)]);
    assert_eq!(back.map_string_int, map);
    let back = pair.object.pass(FooStruct::default()).wait().unwrap();
    assert_eq!(back, FooStruct::default());
    assert_eq!(back.optional_int, None);
}

#[test]
fn a_struct_that_is_raised() {
    let (_server, pair) = pair().unwrap();
    let error = pair.object.raise(samples::foo_struct()).wait().unwrap_err();
    assert_eq!(error.raised_as::<FooStruct>(), Some(&samples::foo_struct()));
    assert_eq!(error.raised_as::<FooMessage>(), None);
    assert!(error.to_string().contains("name"), "{error}");
    assert!(pair.calling.is_connected());
}

#[test]
fn thread_maps_in_a_method_of_ones_own() {
    let (_server, pair) = pair().unwrap();
    pair.object.init_thread_map().wait().unwrap();
    assert_eq!(pair.object.call_fn_async().wait().unwrap_err().to_string(), {
        "the other side failed: no function was set"
    });
}

/// The interface has no `construct`, and the object leaves out what the runtime does.
#[test]
fn thread_maps_in_a_method_that_is_left_out() {
    struct Calls;
    impl Foo for Calls {
        fn callback(&self, callback: FooCallbackClient, arg: i32) -> Result<i32> {
            callback.call(arg).wait()
        }
    }

    let pair: Pair<FooClient> = serve(FooClient::new(Calls)).unwrap();
    let call = || pair.object.callback(FooCallbackClient::new(Notes::default()), 4).wait();
    let error = call().unwrap_err().to_string();
    assert!(error.contains("no thread specified and no pool configured"), "{error}");
    assert!(error.ends_with("such as initThreadMap, call that first)"), "{error}");
    pair.object.init_thread_map().wait().unwrap();
    assert_eq!(call().unwrap(), 8);
}

#[test]
fn callbacks_run_on_the_calling_thread() {
    let (_server, pair) = pair().unwrap();
    let notes = Notes::default();
    let object = &pair.object;
    assert_eq!(object.callback(FooCallbackClient::new(notes.clone()), 1).wait().unwrap(), 2);
    assert_eq!(object.callback_unique(FooCallbackClient::new(notes.clone()), 2).wait().unwrap(), 4);
    let shared: Arc<dyn FooCallback> = Arc::new(notes.clone());
    assert_eq!(object.callback_shared(shared, 3).wait().unwrap(), 6);
    let extended = ExtendedCallbackClient::new(notes.clone());
    assert_eq!(object.callback_extended(extended, 4).wait().unwrap(), 12);
    let this = thread::current().id();
    assert_eq!(*notes.0.lock().unwrap(), [this, this, this]);
}

#[test]
fn a_callback_that_is_closed_ends_before_the_answer() {
    let (_server, pair) = pair().unwrap();
    let notes: Arc<dyn FooCallback> = Arc::new(Notes::default());
    let alive = Arc::downgrade(&notes);
    let callback = FooCallbackClient::from(notes);
    assert_eq!(pair.object.callback_unique(callback, 1).wait().unwrap(), 2);
    assert!(alive.upgrade().is_none());
}

#[test]
fn a_callback_that_is_kept() {
    let (server, pair) = pair().unwrap();
    let notes: Arc<dyn FooCallback> = Arc::new(Notes::default());
    let alive = Arc::downgrade(&notes);
    pair.object.save_callback(Some(notes)).wait().unwrap();
    assert!(server.holds_callback());
    assert_eq!(pair.object.callback_saved(21).wait().unwrap(), 42);
    pair.object.save_callback(None).wait().unwrap();
    assert!(!server.holds_callback());
    assert!(pair.object.callback_saved(21).wait().is_err());
    // That dropped the last reference.
    while alive.upgrade().is_some() {
        thread::yield_now();
    }
}

#[test]
fn types_with_a_codec() {
    let (_server, pair) = pair().unwrap();
    let custom = Custom { text: "é".to_owned(), number: -1 };
    assert_eq!(pair.object.pass_custom(custom.clone()).wait().unwrap(), custom);
    assert_eq!(pair.object.pass_enum(FooEnum::One).wait().unwrap(), FooEnum::One);
    let values = vec![Arc::new(Vec::new()), Arc::new(vec![0; 1000])];
    assert_eq!(pair.object.pass_data_pointers(values.clone()).wait().unwrap(), values);
}

#[test]
fn plain_values() {
    let (_server, pair) = pair().unwrap();
    let object = &pair.object;
    assert_eq!(object.pass_empty(FooEmpty {}).wait().unwrap(), FooEmpty {});
    assert_eq!(object.pass_data(vec![0; 100_000]).wait().unwrap(), vec![0; 100_000]);
    let message = FooMessage { message: "message".to_owned() };
    assert_eq!(object.pass_message(message).wait().unwrap().message, "message call");
    let mutable = FooMutable { message: "mutable".to_owned() };
    assert_eq!(object.pass_mutable(mutable).wait().unwrap().message, "mutable call");
    for value in [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
        assert_eq!(object.pass_double(value).wait().unwrap().to_bits(), value.to_bits());
    }
}

#[test]
fn functions() {
    let (server, pair) = pair().unwrap();
    let object = &pair.object;
    let calling = thread::current().id();
    let function = FooFnClient::from_fn(move || {
        assert_eq!(thread::current().id(), calling);
        Ok(10)
    });
    assert_eq!(object.pass_fn(function).wait().unwrap(), 10);
    let called = Arc::new(AtomicI32::new(0));
    let counts = Arc::clone(&called);
    server.set_functions(
        move || {
            counts.fetch_add(1, Ordering::SeqCst);
        },
        |arg| arg + 1,
    );
    object.call_fn().wait().unwrap();
    object.call_fn_async().wait().unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 2);
    assert_eq!(object.call_int_fn_async(41).wait().unwrap(), 42);
}
