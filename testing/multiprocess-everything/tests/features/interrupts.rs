//! A wait that the server does not end when it is cancelled: the method that the schema names does.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use multiprocess::{Error, Result};
use multiprocess_everything::generated::calls::Calls;
use multiprocess_everything::generated::everything::{Everything, EverythingClient};
use multiprocess_everything::generated::foo::Foo;
use multiprocess_everything::generated::objects::Objects;
use multiprocess_everything::generated::values::Values;
use multiprocess_everything::pair::{Pair, serve};

/// A server that ignores cancelling.
#[derive(Clone, Default)]
struct Stubborn(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    waiting: u32,
    interrupts: u32,
}

impl Stubborn {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| !condition(state)).unwrap());
    }
}

impl Foo for Stubborn {}
impl Values for Stubborn {}
impl Objects for Stubborn {}
impl Everything for Stubborn {}

impl Calls for Stubborn {
    fn wait(&self, _name: String) -> Result<bool> {
        self.change(|state| state.waiting += 1);
        self.wait_until(|state| state.interrupts > 0);
        self.change(|state| state.waiting -= 1);
        Ok(false)
    }

    fn interrupt(&self) -> Result<()> {
        self.change(|state| state.interrupts += 1);
        Ok(())
    }
}

fn served() -> (Stubborn, Pair<EverythingClient>) {
    let server = Stubborn::default();
    let pair = serve(EverythingClient::new(server.clone())).unwrap();
    (server, pair)
}

#[test]
fn a_wait_that_is_dropped() {
    let (server, pair) = served();
    let call = pair.object.wait("x").start();
    server.wait_until(|state| state.waiting == 1);
    drop(call);
    server.wait_until(|state| state.interrupts == 1 && state.waiting == 0);
}

#[test]
fn a_wait_whose_deadline_passes() {
    let (server, pair) = served();
    let call = pair.object.wait("x").start();
    server.wait_until(|state| state.waiting == 1);
    let error = call.timeout(Duration::from_millis(1)).wait().unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    server.wait_until(|state| state.interrupts == 1 && state.waiting == 0);
}

#[test]
fn what_is_left_out_is_not_implemented() {
    let (_server, pair) = served();
    let error = pair.object.add(1, 2).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error:?}");
    assert!(error.to_string().contains("Foo.add"), "{error}");
}
