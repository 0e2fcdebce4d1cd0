//! The methods that libmultiprocess's own tests have.

use std::collections::HashMap;
use std::sync::Arc;

use multiprocess::{Error, Result};

use super::EverythingServer;
use crate::codecs::{Custom, FooEnum, SharedBytes};
use crate::generated::foo::{
    ExtendedCallbackClient, Foo, FooCallback, FooCallbackClient, FooEmpty, FooFnClient, FooMessage,
    FooMutable, FooStruct,
};

impl Foo for EverythingServer {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a.wrapping_add(b))
    }

    fn add_out(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a.wrapping_add(b))
    }

    fn add_in_out(&self, x: i32, sum: i32) -> Result<i32> {
        Ok(sum.wrapping_add(x))
    }

    fn map_size(&self, map: HashMap<String, String>) -> Result<i32> {
        i32::try_from(map.len()).map_err(|_| Error::failed("the map is too large"))
    }

    fn pass(&self, arg: FooStruct) -> Result<FooStruct> {
        Ok(arg)
    }

    fn raise(&self, arg: FooStruct) -> Result<()> {
        Err(Error::raised(arg))
    }

    // `init_thread_map` is left out: the runtime does what it is for.

    fn callback(&self, callback: FooCallbackClient, arg: i32) -> Result<i32> {
        callback.call(arg).wait()
    }

    fn callback_unique(&self, callback: FooCallbackClient, arg: i32) -> Result<i32> {
        let result = callback.call(arg).wait()?;
        callback.close().wait()?;
        Ok(result)
    }

    fn callback_shared(&self, callback: Arc<dyn FooCallback>, arg: i32) -> Result<i32> {
        callback.call(arg)
    }

    fn save_callback(&self, callback: Option<Arc<dyn FooCallback>>) -> Result<()> {
        // The old callback is dropped after the lock is released, because the drop may call its
        // owner.
        let _last = std::mem::replace(&mut self.state().saved, callback);
        Ok(())
    }

    fn callback_saved(&self, arg: i32) -> Result<i32> {
        let saved = self.state().saved.clone();
        saved.ok_or_else(|| Error::failed("no callback is kept"))?.call(arg)
    }

    fn callback_extended(&self, callback: ExtendedCallbackClient, arg: i32) -> Result<i32> {
        callback.call_extended(arg).wait()
    }

    fn pass_custom(&self, arg: Custom) -> Result<Custom> {
        Ok(arg)
    }

    fn pass_empty(&self, arg: FooEmpty) -> Result<FooEmpty> {
        Ok(arg)
    }

    fn pass_data(&self, arg: Vec<u8>) -> Result<Vec<u8>> {
        Ok(arg)
    }

    fn pass_message(&self, arg: FooMessage) -> Result<FooMessage> {
        Ok(FooMessage { message: arg.message + " call" })
    }

    fn pass_mutable(&self, mut arg: FooMutable) -> Result<FooMutable> {
        arg.message.push_str(" call");
        Ok(arg)
    }

    fn pass_enum(&self, arg: FooEnum) -> Result<FooEnum> {
        Ok(arg)
    }

    fn pass_double(&self, arg: f64) -> Result<f64> {
        Ok(arg)
    }

    fn pass_fn(&self, r#fn: FooFnClient) -> Result<i32> {
        r#fn.call().wait()
    }

    fn call_fn(&self) -> Result<()> {
        let function = self.state().function.clone();
        function.ok_or_else(|| Error::failed("no function was set"))?();
        Ok(())
    }

    fn call_fn_async(&self) -> Result<()> {
        self.call_fn()
    }

    fn call_int_fn_async(&self, arg: i32) -> Result<i32> {
        let function = self.state().int_function.clone();
        Ok(function.ok_or_else(|| Error::failed("no function was set"))?(arg))
    }

    fn pass_data_pointers(&self, arg: Vec<SharedBytes>) -> Result<Vec<SharedBytes>> {
        Ok(arg)
    }
}
