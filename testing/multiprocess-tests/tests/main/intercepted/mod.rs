//! Interceptors, on the calling and the serving side.

mod calling;
mod serving;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use multiprocess::{CallEnd, Connection, IncomingCall, Interceptor, OutgoingCall, Result};
use multiprocess_tests::LabServer;
use multiprocess_tests::generated::lab::LabClient;

/// What interceptors and methods did, in order.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    fn add(&self, event: impl Into<String>) {
        self.0.lock().unwrap().push(event.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes each call, and ends it as the function says.
struct Notes<F>(&'static str, Events, F);

impl<F: Fn(&str) -> Result<()> + Send + Sync + 'static> Notes<F> {
    fn end(&self) -> impl FnOnce(&CallEnd<'_>) + Send + 'static {
        let (name, events) = (self.0, self.1.clone());
        move |end| {
            let error = end.error().map(|error| format!(": {error}")).unwrap_or_default();
            events.add(format!("{name} {}{error}", end.outcome().as_str()));
        }
    }
}

impl<F: Fn(&str) -> Result<()> + Send + Sync + 'static> Interceptor for Notes<F> {
    fn before_call(&self, call: &mut OutgoingCall<'_>) -> Result<()> {
        assert!(call.connection().is_connected());
        self.1.add(format!("{} calls {}", self.0, call.method()));
        call.on_end(self.end());
        (self.2)(call.method())
    }

    fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
        assert!(call.connection().is_connected());
        self.1.add(format!("{} serves {}", self.0, call.method()));
        call.on_end(self.end());
        (self.2)(call.method())
    }
}

/// One that notes calls and lets all pass.
fn notes(name: &'static str, events: &Events) -> Arc<dyn Interceptor> {
    Arc::new(Notes(name, events.clone(), |_: &str| Ok(())))
}

/// Code around the calls that this side makes.
struct Calls<F>(F);

impl<F> Interceptor for Calls<F>
where
    F: Fn(&mut OutgoingCall<'_>) -> Result<()> + Send + Sync + 'static,
{
    fn before_call(&self, call: &mut OutgoingCall<'_>) -> Result<()> {
        (self.0)(call)
    }
}

/// Code around the calls that this side serves.
struct Serves<F>(F);

impl<F> Interceptor for Serves<F>
where
    F: Fn(&mut IncomingCall<'_>) -> Result<()> + Send + Sync + 'static,
{
    fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
        (self.0)(call)
    }
}

/// As [`Calls`], for the compiler to know what the function gets.
fn calls<F>(function: F) -> Arc<dyn Interceptor>
where
    F: Fn(&mut OutgoingCall<'_>) -> Result<()> + Send + Sync + 'static,
{
    Arc::new(Calls(function))
}

fn serves<F>(function: F) -> Arc<dyn Interceptor>
where
    F: Fn(&mut IncomingCall<'_>) -> Result<()> + Send + Sync + 'static,
{
    Arc::new(Serves(function))
}

/// A lab over a socket with interceptors at either end.
struct Lab {
    lab: LabClient,
    server: Arc<LabServer>,
    serving: Connection,
    calling: Connection,
}

fn lab(calling: Vec<Arc<dyn Interceptor>>, serving: Vec<Arc<dyn Interceptor>>) -> Lab {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let there = serving.into_iter().fold(Connection::builder(), |all, one| all.intercept(one));
    let here = calling.into_iter().fold(Connection::builder(), |all, one| all.intercept(one));
    let serving = there.serve(server.client()).start(theirs).unwrap();
    let calling = here.start(ours).unwrap();
    Lab { lab: calling.bootstrap().unwrap(), server, serving, calling }
}
