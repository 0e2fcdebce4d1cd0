//! A connection that is made again when the server goes and comes back.

use std::time::Duration;

use guide::generated::hello::{Hello, HelloClient};
use multiprocess::process::Backoff;
use multiprocess::{Reconnect, Result, Server};

struct Greeter;

impl Hello for Greeter {
    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }
}

/// What this program uses of the server.
struct Objects {
    hello: HelloClient,
    welcome: String,
}

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("guide-again-{}.sock", std::process::id()));
    let first = Server::listen(&path, HelloClient::new(Greeter))?;

    let backoff = Backoff { longest: Duration::from_secs(1), ..Backoff::default() };
    let greeter = Reconnect::to_path(&path)
        .backoff(backoff)
        .on_loss(|reason| println!("lost: {reason}"))
        .start(|hello: &HelloClient| {
            // Runs over each new connection.
            let welcome = hello.greet("you who came").wait()?;
            Ok(Objects { hello: hello.clone(), welcome })
        })?;

    let objects = greeter.get(Duration::from_secs(10))?;
    println!("connection {}: {}", objects.generation(), objects.welcome);
    drop(first);
    objects.connection().wait_disconnected();
    println!("{}", objects.hello.greet("World").wait().is_err_and(|error| error.is_disconnect()));

    let _second = Server::listen(&path, HelloClient::new(Greeter))?;
    let objects = greeter.get(Duration::from_secs(10))?;
    println!("connection {}: {}", objects.generation(), objects.hello.greet("World").wait()?);
    greeter.close(Duration::from_secs(10));
    Ok(())
}
