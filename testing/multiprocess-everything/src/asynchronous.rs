//! The same interface with methods that are futures: one method of each kind.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_executor::ThreadPool;
use multiprocess::{Error, Result};

use crate::generated::calls::{CallsAsync, CallsChunksResults, CallsLookResults, NotFound};
use crate::generated::everything::{EverythingAsync, EverythingClient, SCHEMA_VERSION};
use crate::generated::foo::{FooAsync, FooCallbackClient, FooStruct};
use crate::generated::objects::{
    FnOneClient, NamedAsync, ObjectsAsync, PartAsync, PartClient, SizedAsync, TintedAsync,
    WholeAsync, WholeClient,
};
use crate::generated::types::{Color, Scalars};
use crate::generated::unions::Shape;
use crate::generated::values::ValuesAsync;

/// Serves part of `Everything` with futures.
#[derive(Default)]
pub struct AsyncServer {
    state: Mutex<State>,
    executor: Option<ThreadPool>,
}

#[derive(Default)]
struct State {
    /// How many calls of `meet` have come, and those that wait for more.
    met: u32,
    meeting: Vec<Waker>,
    chunks: (u32, u64),
}

impl AsyncServer {
    /// A handle on a new object, whose methods all run on one thread of an executor.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn client() -> Result<EverythingClient> {
        let executor = ThreadPool::builder().pool_size(1).name_prefix("executor").create();
        let executor = executor.map_err(|error| Error::failed(error.to_string()))?;
        let server = AsyncServer { executor: Some(executor.clone()), ..AsyncServer::default() };
        Ok(EverythingClient::new_async(server, move |task| executor.spawn_ok(task)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FooAsync for AsyncServer {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a.wrapping_add(b))
    }

    async fn raise(&self, arg: FooStruct) -> Result<()> {
        Err(Error::raised(arg))
    }

    async fn callback(&self, callback: FooCallbackClient, arg: i32) -> Result<i32> {
        let first = callback.call(arg).await?;
        callback.call(first).await
    }
}

impl ValuesAsync for AsyncServer {
    async fn scalars(&self, arg: Scalars) -> Result<Scalars> {
        Ok(arg)
    }

    async fn borrowed_inline(&self, texts: Vec<String>) -> Result<u32> {
        u32::try_from(texts.len()).map_err(|_| Error::failed("too many"))
    }

    async fn shape(&self, arg: Shape) -> Result<Shape> {
        Ok(arg)
    }
}

impl ObjectsAsync for AsyncServer {
    async fn call_one(&self, r#fn: FnOneClient, a: i32) -> Result<i32> {
        r#fn.call(a).await
    }

    async fn make_whole(&self, name: String) -> Result<WholeClient> {
        let executor = self.executor.clone();
        let executor = executor.ok_or_else(|| Error::failed("there is no executor"))?;
        Ok(WholeClient::new_async(AsyncWhole { name }, move |task| executor.spawn_ok(task)))
    }
}

impl CallsAsync for AsyncServer {
    async fn thread_name(&self) -> Result<String> {
        Ok(std::thread::current().name().unwrap_or_default().to_owned())
    }

    async fn fail(&self, message: String) -> Result<()> {
        Err(Error::failed(message))
    }

    async fn panic(&self) -> Result<()> {
        panic!("as it was asked to")
    }

    async fn look(&self, name: String) -> Result<CallsLookResults> {
        Err(Error::raised(NotFound { name, tried: Vec::new() }))
    }

    async fn chunk(&self, bytes: Vec<u8>) -> Result<()> {
        let (count, total) = &mut self.state().chunks;
        *count += 1;
        *total += bytes.len() as u64;
        Ok(())
    }

    async fn chunks(&self) -> Result<CallsChunksResults> {
        let (count, total) = self.state().chunks;
        Ok(CallsChunksResults { count, total })
    }

    async fn meet(&self, count: u32) -> Result<u32> {
        let waiting = {
            let mut state = self.state();
            state.met += 1;
            std::mem::take(&mut state.meeting)
        };
        waiting.into_iter().for_each(Waker::wake);
        poll_fn(|context| {
            let mut state = self.state();
            if state.met >= count {
                return Poll::Ready(Ok(count));
            }
            state.meeting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl EverythingAsync for AsyncServer {
    async fn version(&self) -> Result<u32> {
        Ok(SCHEMA_VERSION)
    }
}

/// An object of an interface that extends others, with futures.
struct AsyncWhole {
    name: String,
}

impl NamedAsync for AsyncWhole {
    async fn name(&self) -> Result<String> {
        Ok(self.name.clone())
    }
}

impl PartAsync for AsyncWhole {
    async fn index(&self) -> Result<i32> {
        Ok(8)
    }
}

impl SizedAsync for AsyncWhole {
    async fn size(&self) -> Result<u32> {
        Ok(9)
    }
}

impl TintedAsync for AsyncWhole {
    async fn color(&self) -> Result<Color> {
        Ok(Color::Blue)
    }
}

impl WholeAsync for AsyncWhole {
    async fn parts(&self) -> Result<Vec<Option<PartClient>>> {
        Ok(vec![None])
    }
}
