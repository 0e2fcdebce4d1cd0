//! What a person sees of a program: the log of its calls, the dump, and the limits that were met.

use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use guide::generated::hello::{Hello, HelloClient};
use multiprocess::{Connection, Limit, Result, diagnostics};

/// Says that it has begun, and greets when it is allowed to.
struct Greeter {
    begun: mpsc::Sender<()>,
    allowed: Mutex<mpsc::Receiver<()>>,
}

impl Hello for Greeter {
    fn greet(&self, name: String) -> Result<String> {
        let _ = self.begun.send(());
        let _ = self.allowed.lock().expect("no method panics").recv();
        Ok(format!("Hello, {name}!"))
    }
}

fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(std::io::stderr)
        .init();

    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let ((begun, has_begun), (allow, allowed)) = (mpsc::channel(), mpsc::channel());
    let greeter = HelloClient::new(Greeter { begun, allowed: Mutex::new(allowed) });
    let _serving = Connection::builder().serve(greeter).start(theirs)?;
    let connection = Connection::new(ours)?;
    connection.name_peer("the greeter");
    let hello: HelloClient = connection.bootstrap()?;

    let late = hello.greet("World").start();
    has_begun.recv().expect("the method begins");
    println!("{}", late.timeout(Duration::from_millis(50)).wait().unwrap_err());
    // The peer is still at it: the call is cancelled here, and keeps its place there.
    print!("{}", diagnostics::snapshot());
    println!("calls refused: {}", Limit::Calls.times_met());

    allow.send(()).expect("it waits");
    allow.send(()).expect("it will wait");
    println!("{}", hello.greet("World").wait()?);
    Ok(())
}
