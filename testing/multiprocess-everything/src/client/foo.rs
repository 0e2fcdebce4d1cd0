//! The methods that libmultiprocess's own tests have.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use multiprocess::Result;

use super::{eventually, fails, same};
use crate::codecs::{Custom, FooEnum};
use crate::generated::foo::{
    ExtendedCallback, ExtendedCallbackClient, FooCallback, FooCallbackClient, FooClient, FooEmpty,
    FooFnClient, FooMessage, FooMutable, FooStruct,
};
use crate::samples;

/// Adds to its argument, and notes when it is dropped.
struct Adds(i32, Arc<AtomicBool>);

impl FooCallback for Adds {
    fn call(&self, arg: i32) -> Result<i32> {
        Ok(arg + self.0)
    }
}

impl ExtendedCallback for Adds {
    fn call_extended(&self, arg: i32) -> Result<i32> {
        Ok(arg * self.0)
    }
}

impl Drop for Adds {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

fn adds(number: i32) -> (FooCallbackClient, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    (FooCallbackClient::new(Adds(number, Arc::clone(&dropped))), dropped)
}

pub(super) fn check(object: &FooClient) -> Result<()> {
    same("add", object.add(40, 2).wait()?, 42)?;
    same("addOut", object.add_out(40, 3).wait()?, 43)?;
    same("addInOut", object.add_in_out(40, 4).wait()?, 44)?;
    let map = HashMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d".to_owned())]);
    same("mapSize", object.map_size(map).wait()?, 2)?;
    let arg = samples::foo_struct();
    same("pass", object.pass(arg.clone()).wait()?, arg.clone())?;
    fails("raise", object.raise(arg.clone()).wait(), |error| {
        error.raised_as::<FooStruct>() == Some(&arg)
    })?;
    object.init_thread_map().wait()?;
    check_callbacks(object)?;
    check_passing(object)?;
    object.call_fn().wait()?;
    object.call_fn_async().wait()?;
    same("callIntFnAsync", object.call_int_fn_async(5).wait()?, 10)
}

/// A callback whose owner is told when the server has dropped it.
pub(super) fn check_callback(object: &FooClient, timeout: Duration) -> Result<()> {
    let (callback, dropped) = adds(1);
    same("callback", object.callback(callback, 5).timeout(timeout).wait()?, 6)?;
    eventually("the callback is closed", || Ok(dropped.load(Ordering::SeqCst)))
}

fn check_callbacks(object: &FooClient) -> Result<()> {
    same("callback", object.callback(adds(1).0, 5).wait()?, 6)?;
    let (callback, dropped) = adds(2);
    same("callbackUnique", object.callback_unique(callback, 5).wait()?, 7)?;
    eventually("the callback is closed", || Ok(dropped.load(Ordering::SeqCst)))?;
    let shared: Arc<dyn FooCallback> = Arc::new(Adds(3, Arc::default()));
    same("callbackShared", object.callback_shared(shared, 5).wait()?, 8)?;
    let kept: Arc<dyn FooCallback> = Arc::new(Adds(4, Arc::default()));
    object.save_callback(Some(kept)).wait()?;
    same("callbackSaved", object.callback_saved(5).wait()?, 9)?;
    object.save_callback(None).wait()?;
    fails("callbackSaved without one", object.callback_saved(5).wait(), |error| {
        error.to_string().contains("no callback is kept")
    })?;
    let extended = ExtendedCallbackClient::new(Adds(5, Arc::default()));
    same("callbackExtended", object.callback_extended(extended.clone(), 6).wait()?, 30)?;
    same("callback with an extended one", object.callback(extended.into(), 6).wait()?, 11)
}

fn check_passing(object: &FooClient) -> Result<()> {
    let custom = Custom { text: "v1".to_owned(), number: 5 };
    same("passCustom", object.pass_custom(custom.clone()).wait()?, custom)?;
    same("passEmpty", object.pass_empty(FooEmpty {}).wait()?, FooEmpty {})?;
    same("passData", object.pass_data([0, 255, 1]).wait()?, vec![0, 255, 1])?;
    let message = object.pass_message(FooMessage { message: "init".to_owned() }).wait()?;
    same("passMessage", message.message.as_str(), "init call")?;
    let mutable = object.pass_mutable(FooMutable { message: "init".to_owned() }).wait()?;
    same("passMutable", mutable.message.as_str(), "init call")?;
    same("passEnum", object.pass_enum(FooEnum::Two).wait()?, FooEnum::Two)?;
    same("passDouble", object.pass_double(-1e300).wait()?, -1e300)?;
    same("passFn", object.pass_fn(FooFnClient::from_fn(|| Ok(10))).wait()?, 10)?;
    let values = vec![Arc::new(vec![1, 2]), Arc::new(Vec::new())];
    same("passDataPointers", object.pass_data_pointers(values.clone()).wait()?, values)
}
