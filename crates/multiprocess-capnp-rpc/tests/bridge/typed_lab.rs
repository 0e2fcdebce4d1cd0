//! The lab behind generated traits.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use bridge_schemas::lab::{
    CallbackClient, Counter, CounterClient, Kind, Lab, LabClient, LabNextResults, Sink, SinkClient,
};
use multiprocess::{Connection, Error, Result, current_call};

use crate::loops::PATIENCE;

/// What happens in a lab, for the test.
pub(crate) struct TypedLab(pub(crate) Sender<&'static str>);

impl Lab for TypedLab {
    fn echo(&self, text: String) -> Result<String> {
        Ok(text)
    }

    fn counter(&self, start: i64) -> Result<Option<CounterClient>> {
        Ok(Some(self.count(start)))
    }

    fn call_back(&self, callback: Option<CallbackClient>, times: u32) -> Result<Vec<String>> {
        let callback = callback.ok_or_else(|| Error::failed("no callback"))?;
        (0..times).map(|number| callback.call(number).wait()).collect()
    }

    fn next(&self, counter: Option<CounterClient>) -> Result<LabNextResults> {
        let counter = counter.unwrap_or_else(|| self.count(0));
        Ok(LabNextResults { value: counter.next().wait()?, counter: Some(counter) })
    }

    fn never(&self) -> Result<()> {
        let call = current_call().ok_or_else(|| Error::failed("no call"))?;
        let (cancelled, wait) = channel();
        call.cancel_token().on_cancel(move || {
            let _ = cancelled.send(());
        });
        self.tell("never begins");
        wait.recv_timeout(PATIENCE).map_err(|_| Error::failed("it was not cancelled"))?;
        self.tell("never is cancelled");
        Err(Error::Cancelled)
    }

    fn fail(&self, kind: Kind, text: String) -> Result<()> {
        Err(match kind {
            Kind::Failed => Error::failed(text),
            Kind::Overloaded => Error::overloaded(text),
            Kind::Disconnected => Error::disconnected(text),
            Kind::Unimplemented => Error::unimplemented(text),
            Kind::Unknown(_) => Error::failed("an unknown kind"),
        })
    }

    fn sink(&self) -> Result<Option<SinkClient>> {
        Ok(Some(SinkClient::new(TypedSink(AtomicU64::new(0)))))
    }
}

impl TypedLab {
    fn tell(&self, event: &'static str) {
        // The test may be over.
        let _ = self.0.send(event);
    }

    fn count(&self, start: i64) -> CounterClient {
        CounterClient::new(TypedCounter(AtomicI64::new(start), self.0.clone()))
    }
}

pub(crate) struct TypedCounter(pub(crate) AtomicI64, pub(crate) Sender<&'static str>);

impl Counter for TypedCounter {
    fn next(&self) -> Result<i64> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Drop for TypedCounter {
    fn drop(&mut self) {
        let _ = self.1.send("the counter is gone");
    }
}

struct TypedSink(AtomicU64);

impl Sink for TypedSink {
    fn write(&self, data: Vec<u8>) -> Result<()> {
        if data.is_empty() {
            return Err(Error::failed("an empty write"));
        }
        self.0.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn done(&self) -> Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

/// A lab that is served on this socket.
pub(crate) fn serve(
    socket: std::os::unix::net::UnixStream,
    events: Sender<&'static str>,
) -> Connection {
    let lab = LabClient::new(TypedLab(events));
    Connection::builder().serve(lab).start(socket).expect("a connection")
}
