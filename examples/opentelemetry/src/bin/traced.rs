//! Orders a dish from a kitchen in another process, which has it served back here; then tells the spans of both.

use std::time::Duration;

use multiprocess::process::{Command, inherited_socket};
use multiprocess::{Connection, Error, Result};
use opentelemetry_example::generated::kitchen::{Kitchen, KitchenClient, WaiterClient};
use opentelemetry_example::{Kept, Traces, in_span};

struct MyKitchen(Kept);

impl Kitchen for MyKitchen {
    fn cook(&self, dish: String, waiter: WaiterClient) -> Result<String> {
        if dish == "a unicorn" {
            return Err(Error::failed("not on the menu"));
        }
        in_span(&self.0.tracer(), "at the stove", || waiter.serve(dish.as_str()).wait())?;
        Ok(format!("{dish}, enjoy"))
    }

    fn spans(&self) -> Result<Vec<String>> {
        Ok(self.0.lines())
    }
}

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        Some(fd) => child(&fd),
        None => parent(),
    }
}

fn child(fd: &str) -> Result<()> {
    let kept = Kept::new();
    let traces = Traces::new(kept.tracer());
    let kitchen = KitchenClient::new(MyKitchen(kept));
    let socket = inherited_socket(fd)?;
    Connection::builder().intercept(traces).serve(kitchen).start(socket)?.wait_disconnected();
    Ok(())
}

fn parent() -> Result<()> {
    let kept = Kept::new();
    let program = std::env::current_exe().expect("this program's own path");
    let (child, socket) = Command::new(program).spawn()?;
    let connection = Connection::builder().intercept(Traces::new(kept.tracer())).start(socket)?;
    let kitchen: KitchenClient = connection.bootstrap()?;

    let tracer = kept.tracer();
    let waiter = WaiterClient::from_fn(|dish| {
        println!("served: {dish}");
        Ok(())
    });
    in_span(&tracer, "dinner", || {
        println!("{}", kitchen.cook("soup", waiter.clone()).wait()?);
        let refused = kitchen.cook("a unicorn", waiter).wait();
        println!("{}", refused.unwrap_or_else(|error| error.to_string()));
        Ok(())
    })?;

    // Each process has its own spans; what collects them puts them together by their ids.
    for line in kept.lines().into_iter().chain(kitchen.spans().wait()?) {
        println!("span: {line}");
    }
    drop((kitchen, connection));
    child.shutdown(Duration::from_secs(10))?;
    Ok(())
}
