//! A server whose methods are futures, on one thread of an executor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use futures_executor::{ThreadPool, block_on};
use futures_util::future::{join_all, try_join};
use multiprocess::{Error, Result};
use multiprocess_everything::asynchronous::AsyncServer;
use multiprocess_everything::generated::calls::NotFound;
use multiprocess_everything::generated::everything::EverythingClient;
use multiprocess_everything::generated::foo::{FooAsync, FooCallbackClient, FooClient, FooStruct};
use multiprocess_everything::generated::objects::{FnOneClient, PartClient};
use multiprocess_everything::generated::types::Color;
use multiprocess_everything::pair::{Pair, serve};
use multiprocess_everything::samples;

fn served() -> Pair<EverythingClient> {
    serve(AsyncServer::client().unwrap()).unwrap()
}

#[test]
fn values_and_errors() {
    let pair = served();
    let object = &pair.object;
    assert_eq!(object.version().wait().unwrap(), 3);
    assert_eq!(object.add(1, 2).wait().unwrap(), 3);
    assert_eq!(object.scalars(samples::scalars()).wait().unwrap(), samples::scalars());
    assert_eq!(object.borrowed_inline(vec![String::new(); 3]).wait().unwrap(), 3);
    for shape in samples::shapes() {
        assert_eq!(object.shape(shape.clone()).wait().unwrap(), shape);
    }
    let error = object.raise(samples::foo_struct()).wait().unwrap_err();
    assert_eq!(error.raised_as::<FooStruct>(), Some(&samples::foo_struct()));
    let error = object.look("x").wait().unwrap_err();
    assert_eq!(error.raised_as::<NotFound>().map(|error| error.name.as_str()), Some("x"));
    let error = object.fail("on purpose").wait().unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error}");
    let error = object.panic().wait().unwrap_err();
    assert!(!error.is_disconnect(), "{error}");
    let error = object.missing().wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    for size in [1, 2] {
        object.chunk(vec![0; size]).wait().unwrap();
    }
    let chunks = object.chunks().wait().unwrap();
    assert_eq!((chunks.count, chunks.total), (2, 3));
}

#[test]
fn methods_run_on_the_executor() {
    let pair = served();
    let name = pair.object.thread_name().wait().unwrap();
    assert!(name.starts_with("executor"), "{name}");
}

#[test]
fn a_hundred_calls_at_once_on_one_thread() {
    let pair = served();
    let calls = (0..100).map(|_| pair.object.meet(100));
    let met: Result<Vec<_>> = block_on(join_all(calls)).into_iter().collect();
    assert_eq!(met.unwrap(), [100; 100]);
}

#[test]
fn calls_of_several_threads_at_once() {
    let pair = served();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(pair.object.meet(8).wait().unwrap(), 8));
        }
    });
}

#[test]
fn methods_that_call_back() {
    let pair = served();
    let args = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&args);
    let callback = FooCallbackClient::from_fn(move |arg| {
        seen.lock().unwrap().push(arg);
        Ok(arg + 1)
    });
    assert_eq!(pair.object.callback(callback.clone(), 1).wait().unwrap(), 3);
    assert_eq!(*args.lock().unwrap(), [1, 2]);
    let both = block_on(try_join(
        pair.object.callback(callback.clone(), 10),
        pair.object.call_one(FnOneClient::from_fn(|a| Ok(a * 2)), 21),
    ));
    assert_eq!(both.unwrap(), (12, 42));
}

/// The program holds the object as well.
#[test]
fn an_object_behind_an_arc() {
    #[derive(Default)]
    struct Sum(AtomicUsize);

    impl FooAsync for Sum {
        async fn add(&self, a: i32, b: i32) -> Result<i32> {
            let sum = self.0.fetch_add((a + b) as usize, Ordering::Relaxed) as i32;
            Ok(sum + a + b)
        }
    }

    let executor = ThreadPool::builder().pool_size(1).create().unwrap();
    let sum = Arc::new(Sum::default());
    let spawn = move |task: multiprocess::Task| executor.spawn_ok(task);
    let here = FooClient::from_arc_async(Arc::clone(&sum), spawn);
    assert_eq!(here.add(1, 2).wait().unwrap(), 3);
    let pair: Pair<FooClient> = serve(here).unwrap();
    assert_eq!(pair.object.add(3, 4).wait().unwrap(), 10);
    assert_eq!(sum.0.load(Ordering::Relaxed), 10);
    // Left out, and the runtime does what it is for.
    pair.object.init_thread_map().wait().unwrap();
}

#[test]
fn an_executor_that_drops_its_tasks() {
    let object = EverythingClient::new_async(AsyncServer::default(), drop);
    let error = object.add(1, 2).wait().unwrap_err();
    assert!(error.to_string().contains("has dropped the call's task"), "{error}");
    let pair: Pair<EverythingClient> = serve(object).unwrap();
    for _ in 0..3 {
        let error = pair.object.add(1, 2).wait().unwrap_err();
        assert!(error.to_string().contains("has dropped the call's task"), "{error}");
        let error = pair.object.thread_name().wait().unwrap_err();
        assert!(error.to_string().contains("has dropped the call's task"), "{error}");
    }
}

#[test]
fn objects_that_extend_others() {
    let pair = served();
    let whole = pair.object.make_whole("async").wait().unwrap();
    assert_eq!(whole.name().wait().unwrap(), "async");
    assert_eq!(whole.index().wait().unwrap(), 8);
    assert_eq!(whole.size().wait().unwrap(), 9);
    assert_eq!(whole.color().wait().unwrap(), Color::Blue);
    assert_eq!(PartClient::from(whole.clone()).name().wait().unwrap(), "async");
    assert!(matches!(whole.rename("x").wait(), Err(Error::Unimplemented { .. })));
    whole.close().wait().unwrap();
}

#[test]
fn an_object_of_this_process_is_called_the_same_way() {
    let object = AsyncServer::client().unwrap();
    assert_eq!(object.add(1, 2).wait().unwrap(), 3);
    assert_eq!(block_on(object.add(3, 4)).unwrap(), 7);
    let counted = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&counted);
    let callback = FooCallbackClient::from_fn(move |arg| {
        calls.fetch_add(1, Ordering::SeqCst);
        Ok(arg)
    });
    assert_eq!(object.callback(callback, 5).wait().unwrap(), 5);
    assert_eq!(counted.load(Ordering::SeqCst), 2);
}
