//! The methods that pass objects.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use multiprocess::{AnyPointer, Result};

use super::EverythingServer;
use super::folders::FolderServer;
use super::stores::{CountedStoreServer, StoreServer};
use super::uploads::UploadServer;
use crate::generated::foo::{FooCallback, FooCallbackClient};
use crate::generated::objects::{
    CountedStoreClient, Counter, CounterClient, FnNoneClient, FnOneClient, FnThreeClient,
    FnTwoClient, FolderClient, Holder, Named, NamedClient, Objects, ObjectsCallEachResults,
    ObjectsCallThreeResults, Part, PartClient, Sized, StoreClient, Tinted, UploadClient, Whole,
    WholeClient,
};
use crate::generated::types::{Color, Point};

impl Objects for EverythingServer {
    fn pass_callback(
        &self,
        callback: Option<FooCallbackClient>,
    ) -> Result<Option<FooCallbackClient>> {
        Ok(callback)
    }

    fn pass_shared(
        &self,
        callback: Option<Arc<dyn FooCallback>>,
    ) -> Result<Option<Arc<dyn FooCallback>>> {
        Ok(callback)
    }

    fn not_null(&self, callback: FooCallbackClient) -> Result<FooCallbackClient> {
        Ok(callback)
    }

    fn call_each(
        &self,
        callbacks: Vec<Option<FooCallbackClient>>,
        arg: i32,
    ) -> Result<ObjectsCallEachResults> {
        let call = |callback: &Option<FooCallbackClient>| match callback {
            Some(callback) => callback.call(arg).wait(),
            None => Ok(-1),
        };
        let results = callbacks.iter().map(call).collect::<Result<_>>()?;
        Ok(ObjectsCallEachResults { results, callbacks })
    }

    fn pass_holder(&self, holder: Holder) -> Result<Holder> {
        Ok(holder)
    }

    fn call_none(&self, r#fn: FnNoneClient) -> Result<()> {
        r#fn.call().wait()
    }

    fn call_one(&self, r#fn: FnOneClient, a: i32) -> Result<i32> {
        r#fn.call(a).wait()
    }

    fn call_two(&self, r#fn: FnTwoClient, a: String, b: Point) -> Result<String> {
        r#fn.call(a, b).wait()
    }

    fn call_three(
        &self,
        r#fn: FnThreeClient,
        a: i32,
        b: i64,
        c: Vec<i32>,
    ) -> Result<ObjectsCallThreeResults> {
        let answer = r#fn.call(a, b, c).wait()?;
        Ok(ObjectsCallThreeResults { sum: answer.sum, count: answer.count })
    }

    fn make_whole(&self, name: String) -> Result<WholeClient> {
        Ok(WholeClient::new(WholeServer { name: Mutex::new(name) }))
    }

    fn name_of(&self, named: NamedClient) -> Result<String> {
        named.name().wait()
    }

    fn describe(&self, whole: WholeClient) -> Result<String> {
        let (name, index) = (whole.name().wait()?, whole.index().wait()?);
        let (size, parts) = (whole.size().wait()?, whole.parts().wait()?);
        Ok(format!("{name} is number {index}, has size {size} and {} parts", parts.len()))
    }

    fn make_texts(&self) -> Result<StoreClient<String>> {
        Ok(StoreClient::new(StoreServer::new()))
    }

    fn make_points(&self) -> Result<StoreClient<Point>> {
        Ok(StoreClient::new(StoreServer::new()))
    }

    fn make_lists(&self) -> Result<StoreClient<Vec<i32>>> {
        Ok(StoreClient::new(StoreServer::new()))
    }

    fn make_open(&self) -> Result<StoreClient<AnyPointer>> {
        Ok(StoreClient::new(StoreServer::new()))
    }

    fn make_callbacks(&self) -> Result<StoreClient<Option<FooCallbackClient>>> {
        Ok(StoreClient::new(StoreServer::new()))
    }

    fn make_counted(&self) -> Result<CountedStoreClient> {
        Ok(CountedStoreClient::new(CountedStoreServer::new()))
    }

    fn longest(&self, store: StoreClient<String>) -> Result<String> {
        let entries = store.all().wait()?.into_iter();
        Ok(entries.map(|entry| entry.value).max_by_key(String::len).unwrap_or_default())
    }

    fn root(&self) -> Result<FolderClient> {
        Ok(FolderClient::new(FolderServer::root()))
    }

    fn make_counter(&self) -> Result<CounterClient> {
        self.counters.fetch_add(1, Ordering::SeqCst);
        let alive = Arc::clone(&self.counters);
        Ok(CounterClient::new(CounterServer { next: AtomicI64::new(0), alive }))
    }

    fn make_upload(&self) -> Result<UploadClient> {
        Ok(UploadClient::new(UploadServer::default()))
    }

    fn counters(&self) -> Result<u32> {
        Ok(self.counters.load(Ordering::SeqCst))
    }
}

/// Implements an interface with several parents: `Part` and `Tinted`, which extend `Named`, and
/// `Sized`.
struct WholeServer {
    name: Mutex<String>,
}

impl Named for WholeServer {
    fn name(&self) -> Result<String> {
        Ok(self.name.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Part for WholeServer {
    fn index(&self) -> Result<i32> {
        Ok(0)
    }
}

impl Sized for WholeServer {
    fn size(&self) -> Result<u32> {
        Ok(3)
    }
}

impl Tinted for WholeServer {
    fn color(&self) -> Result<Color> {
        Ok(Color::Green)
    }
}

impl Whole for WholeServer {
    fn parts(&self) -> Result<Vec<Option<PartClient>>> {
        let whole = self.name()?;
        let part = |index| {
            let name = format!("{whole}.{index}");
            PartClient::new(PartServer { name, index })
        };
        Ok(vec![Some(part(1)), None, Some(part(2))])
    }

    fn rename(&self, name: String) -> Result<String> {
        let mut old = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut old, name))
    }
}

struct PartServer {
    name: String,
    index: i32,
}

impl Named for PartServer {
    fn name(&self) -> Result<String> {
        Ok(self.name.clone())
    }
}

impl Part for PartServer {
    fn index(&self) -> Result<i32> {
        Ok(self.index)
    }
}

struct CounterServer {
    next: AtomicI64,
    alive: Arc<AtomicU32>,
}

impl Counter for CounterServer {
    fn next(&self) -> Result<i64> {
        Ok(self.next.fetch_add(1, Ordering::SeqCst))
    }
}

impl Drop for CounterServer {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
