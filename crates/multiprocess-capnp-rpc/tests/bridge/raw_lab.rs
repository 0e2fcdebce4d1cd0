//! The lab as a server of capnp-rpc.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::Sender;

use bridge_schemas::lab_capnp::{Kind, callback, counter, lab, sink};
use capnp_rpc::new_client;

/// What happens in a lab, for the test.
pub(crate) struct RawLab(pub(crate) Sender<&'static str>);

pub(crate) fn raw_lab(events: &Sender<&'static str>) -> lab::Client {
    new_client(RawLab(events.clone()))
}

impl RawLab {
    fn tell(&self, event: &'static str) {
        let _ = self.0.send(event);
    }

    fn count(&self, start: i64) -> counter::Client {
        new_client(RawCounter(Cell::new(start), self.0.clone()))
    }
}

impl lab::Server for RawLab {
    async fn echo(
        self: Rc<Self>,
        params: lab::EchoParams,
        mut results: lab::EchoResults,
    ) -> capnp::Result<()> {
        results.get().set_text(params.get()?.get_text()?);
        Ok(())
    }

    async fn counter(
        self: Rc<Self>,
        params: lab::CounterParams,
        mut results: lab::CounterResults,
    ) -> capnp::Result<()> {
        results.get().set_counter(self.count(params.get()?.get_start()));
        Ok(())
    }

    async fn call_back(
        self: Rc<Self>,
        params: lab::CallBackParams,
        mut results: lab::CallBackResults,
    ) -> capnp::Result<()> {
        let callback = params.get()?.get_callback()?;
        let times = params.get()?.get_times();
        let mut texts = results.get().init_texts(times);
        for number in 0..times {
            let mut request = callback.call_request();
            request.get().set_number(number);
            let answer = request.send().promise.await?;
            texts.set(number, answer.get()?.get_text()?);
        }
        Ok(())
    }

    async fn next(
        self: Rc<Self>,
        params: lab::NextParams,
        mut results: lab::NextResults,
    ) -> capnp::Result<()> {
        let counter = match params.get()?.has_counter() {
            true => params.get()?.get_counter()?,
            false => self.count(0),
        };
        let value = counter.next_request().send().promise.await?.get()?.get_value();
        results.get().set_value(value);
        results.get().set_counter(counter);
        Ok(())
    }

    async fn never(self: Rc<Self>, _: lab::NeverParams, _: lab::NeverResults) -> capnp::Result<()> {
        struct Dropped(Rc<RawLab>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.tell("never is cancelled");
            }
        }
        self.tell("never begins");
        let _dropped = Dropped(self);
        std::future::pending().await
    }

    async fn fail(
        self: Rc<Self>,
        params: lab::FailParams,
        _: lab::FailResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let text = params.get_text()?.to_string()?;
        Err(match params.get_kind()? {
            Kind::Failed => capnp::Error::failed(text),
            Kind::Overloaded => capnp::Error::overloaded(text),
            Kind::Disconnected => capnp::Error::disconnected(text),
            Kind::Unimplemented => capnp::Error::unimplemented(text),
        })
    }

    async fn sink(
        self: Rc<Self>,
        _: lab::SinkParams,
        mut results: lab::SinkResults,
    ) -> capnp::Result<()> {
        results.get().set_sink(new_client(RawSink(Cell::new(0))));
        Ok(())
    }
}

pub(crate) struct RawCounter(pub(crate) Cell<i64>, pub(crate) Sender<&'static str>);

impl counter::Server for RawCounter {
    async fn next(
        self: Rc<Self>,
        _: counter::NextParams,
        mut results: counter::NextResults,
    ) -> capnp::Result<()> {
        self.0.set(self.0.get() + 1);
        results.get().set_value(self.0.get());
        Ok(())
    }
}

impl Drop for RawCounter {
    fn drop(&mut self) {
        let _ = self.1.send("the counter is gone");
    }
}

struct RawSink(Cell<u64>);

impl sink::Server for RawSink {
    async fn write(self: Rc<Self>, params: sink::WriteParams) -> capnp::Result<()> {
        let bytes = params.get()?.get_data()?.len() as u64;
        if bytes == 0 {
            return Err(capnp::Error::failed("an empty write".to_owned()));
        }
        self.0.set(self.0.get() + bytes);
        Ok(())
    }

    async fn done(
        self: Rc<Self>,
        _: sink::DoneParams,
        mut results: sink::DoneResults,
    ) -> capnp::Result<()> {
        results.get().set_bytes(self.0.get());
        Ok(())
    }
}

/// Answers with the number and a word.
pub(crate) struct RawCallback(pub(crate) &'static str);

impl callback::Server for RawCallback {
    async fn call(
        self: Rc<Self>,
        params: callback::CallParams,
        mut results: callback::CallResults,
    ) -> capnp::Result<()> {
        let number = params.get()?.get_number();
        results.get().set_text(format!("{} {number}", self.0));
        Ok(())
    }
}
