//! The object to which the tests stream: it takes numbers, with methods on threads or futures.

use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use multiprocess::rt::Task;
use multiprocess::{Connection, Error, Result};

use crate::generated::flow::{
    Flow, FlowClient, ListenerClient, PlainSink, PlainSinkClient, Sink, SinkAsync, SinkClient,
};

/// The numbers that a sink took, shared with the test.
#[derive(Default)]
pub struct Taken {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    numbers: Vec<u32>,
    shut: bool,
    unlucky: Option<u32>,
    ended: bool,
}

impl Taken {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers that were taken, in order.
    pub fn numbers(&self) -> Vec<u32> {
        self.state().numbers.clone()
    }

    /// From now on the sink's method waits, and takes nothing.
    pub fn shut(&self) {
        self.state().shut = true;
    }

    /// Lets it take numbers again.
    pub fn open(&self) {
        self.state().shut = false;
        self.changed.notify_all();
    }

    /// Makes the method fail for this number, which is not taken.
    pub fn fail_at(&self, number: u32) {
        self.state().unlucky = Some(number);
    }

    /// Whether the sink's destructor ran.
    pub fn ended(&self) -> bool {
        self.state().ended
    }

    fn take(&self, number: u32) -> Result<()> {
        let mut state = self.state();
        while state.shut {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.unlucky == Some(number) {
            return Err(Error::failed(format!("{number} is unlucky")));
        }
        state.numbers.push(number);
        Ok(())
    }
}

struct Served(Arc<Taken>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.state().ended = true;
    }
}

impl Sink for Served {
    fn write(&self, number: u32, _data: Vec<u8>) -> Result<()> {
        self.0.take(number)
    }

    fn note(&self, number: u32) -> Result<()> {
        self.0.take(number)
    }

    fn done(&self) -> Result<Vec<u32>> {
        Ok(self.0.numbers())
    }

    fn weigh(&self, data: Vec<u8>) -> Result<u32> {
        Ok(data.len() as u32)
    }

    fn count(&self) -> Result<u32> {
        Ok(self.0.numbers().len() as u32)
    }

    fn tell(&self, number: u32, listener: ListenerClient) -> Result<()> {
        listener.hear(number).wait()?;
        self.0.take(number)
    }
}

impl PlainSink for Served {
    fn write(&self, number: u32) -> Result<()> {
        self.0.take(number)
    }
}

/// Lets other tasks run first.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct ServedAsync(Arc<Taken>);

impl SinkAsync for ServedAsync {
    async fn write(&self, number: u32, _data: Vec<u8>) -> Result<()> {
        // Earlier numbers take longer.
        for _ in number..64 {
            yield_now().await;
        }
        self.0.take(number)
    }

    async fn done(&self) -> Result<Vec<u32>> {
        Ok(self.0.numbers())
    }
}

struct Opens(SinkClient, Arc<Taken>);

impl Flow for Opens {
    fn open(&self) -> Result<SinkClient> {
        Ok(self.0.clone())
    }

    fn open_plain(&self) -> Result<PlainSinkClient> {
        Ok(PlainSinkClient::new(Served(Arc::clone(&self.1))))
    }
}

/// A sink behind a connection.
pub struct SinkPair {
    /// The numbers that it took.
    pub taken: Arc<Taken>,
    /// The serving end.
    pub serving: Connection,
    /// The calling end.
    pub calling: Connection,
    /// The calling end's handle on the sink.
    pub sink: SinkClient,
    /// The object that opens sinks.
    pub flow: FlowClient,
}

/// A sink whose methods run on threads.
pub fn sink() -> SinkPair {
    let taken = Arc::new(Taken::default());
    pair(SinkClient::new(Served(Arc::clone(&taken))), taken)
}

/// A sink whose methods are futures.
pub fn sink_of_futures(spawn: impl Fn(Task) + Send + Sync + 'static) -> SinkPair {
    let taken = Arc::new(Taken::default());
    pair(SinkClient::new_async(ServedAsync(Arc::clone(&taken)), spawn), taken)
}

/// A sink that passes the numbers on to another one.
pub fn sink_before(sink: SinkClient) -> SinkPair {
    pair(sink, Arc::default())
}

fn pair(sink: SinkClient, taken: Arc<Taken>) -> SinkPair {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let flow = FlowClient::new(Opens(sink, Arc::clone(&taken)));
    let serving = Connection::builder().serve(flow).start(theirs).expect("the serving end");
    let calling = Connection::new(ours).expect("the calling end");
    let flow: FlowClient = calling.bootstrap().expect("a bootstrap handle");
    let sink = flow.open().wait().expect("a sink");
    SinkPair { taken, serving, calling, sink, flow }
}
