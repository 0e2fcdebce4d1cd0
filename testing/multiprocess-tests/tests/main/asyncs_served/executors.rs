//! Executors that drop what they are given, panic, or end; and objects of this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_executor::block_on;
use multiprocess::Error;
use multiprocess_tests::generated::waits::WaitsClient;
use multiprocess_tests::wait_until;

use super::{LONG, Seen, Served, Server, serve, served, spawn_on_tokio, tokio_runtime};

#[test]
fn an_executor_that_drops_its_tasks_answers_with_an_error() {
    let Served { waits, serving, .. } = &serve(|server| WaitsClient::new_async(server, drop));
    for error in [
        waits.add(1, 2).timeout(LONG).wait().unwrap_err(),
        waits.add_inline(1, 2).timeout(LONG).wait().unwrap_err(),
        block_on(waits.add(1, 2).timeout(LONG)).unwrap_err(),
    ] {
        let Error::Remote { message, .. } = &error else { panic!("{error}") };
        assert!(message.contains("dropped"), "{message}");
    }
    assert!(serving.drain(LONG));
    let here = WaitsClient::new_async(Server(Arc::default()), drop);
    assert!(here.add(1, 2).wait().unwrap_err().to_string().contains("dropped"));
}

#[test]
fn an_executor_that_panics_answers_with_an_error() {
    let panics = |_task| panic!("as it was asked to");
    let Served { waits, serving, .. } = &serve(|server| WaitsClient::new_async(server, panics));
    assert!(waits.add(1, 2).timeout(LONG).wait().unwrap_err().to_string().contains("dropped"));
    assert!(serving.drain(LONG));
}

#[test]
fn a_runtime_that_ends_answers_what_runs() {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let Served { seen, waits, serving, .. } = &served();
    let call = waits.wait("for ever").start();
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    drop(entered);
    drop(runtime);
    assert!(call.timeout(LONG).wait().unwrap_err().to_string().contains("dropped"));
    assert!(waits.add(1, 2).timeout(LONG).wait().unwrap_err().to_string().contains("dropped"));
    assert!(serving.drain(LONG));
}

#[test]
fn a_local_object_blocks_the_caller_until_the_future_has_ended() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let seen = Arc::<Seen>::default();
    let here = WaitsClient::new_async(Server(Arc::clone(&seen)), spawn_on_tokio());
    assert_eq!(here.add(1, 2).wait().unwrap(), 3);
    assert_eq!(block_on(here.add(1, 2)).unwrap(), 3);
    let error = here.panics().wait().unwrap_err();
    assert!(error.to_string().contains("as it was asked to"), "{error}");
    drop(here);
    wait_until("the object is dropped", || seen.ended.load(Ordering::SeqCst));
}
