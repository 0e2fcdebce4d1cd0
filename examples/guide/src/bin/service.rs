//! Serves whoever connects to a path, within limits, and ends in order. Its clients are in the same process.

use std::path::Path;
use std::time::Duration;

use guide::generated::hello::{Hello, HelloClient};
use multiprocess::{Connection, Error, Limits, ProcessLimits, Result, Server, process};

/// The user of programs that are to have access to nothing.
const NOBODY: u32 = 65_534;

struct Greeter;

impl Hello for Greeter {
    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }
}

fn serve(path: &Path) -> Result<Server> {
    let limits = Limits::default().message(1 << 20).calls(64);
    Server::builder()
        .limits(limits)
        .max_connections(1)
        .first_message(Duration::from_secs(5))
        .accept_if(|peer| peer.uid != NOBODY)
        .listen(path, HelloClient::new(Greeter))
}

fn connect(path: &Path) -> Result<HelloClient> {
    let within = Duration::from_secs(10);
    let connection = Connection::new(process::connect_timeout(path, within)?)?;
    connection.name_peer("the greeter");
    connection.bootstrap_within(within, |error| error)
}

fn main() -> Result<()> {
    let mut process = ProcessLimits::default();
    process.threads = 500;
    process.set();
    let path = std::env::temp_dir().join(format!("guide-service-{}.sock", std::process::id()));
    let server = serve(&path)?;

    let hello = connect(&path)?;
    println!("{}", hello.greet("World").wait()?);
    // Beyond the limits: too many clients, and too long a message.
    println!("{}", connect(&path)?.greet("Other").wait().unwrap_err());
    let long = hello.greet("x".repeat(2 << 20)).wait();
    println!("not sent: {}", matches!(long, Err(Error::ApiMisuse { .. })));
    println!("{}", hello.greet("World").timeout(Duration::from_secs(5)).wait()?);

    let drained = server.disconnect_all(Duration::from_secs(10));
    println!("nothing is served any more: {drained}");
    Ok(())
}
