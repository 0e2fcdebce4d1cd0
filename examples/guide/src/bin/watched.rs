//! A program that is started again when it ends.

use std::sync::mpsc;
use std::time::Duration;

use guide::generated::hello::{Hello, HelloClient};
use multiprocess::process::{Backoff, Command, Grace, Supervisor, inherited_socket};
use multiprocess::{Connection, Result};

/// Falls over when it is told to.
struct Greeter;

impl Hello for Greeter {
    fn greet(&self, name: String) -> Result<String> {
        if name == "fall over" {
            std::process::exit(3);
        }
        Ok(format!("Hello, {name}!"))
    }
}

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        Some(fd) => child(&fd),
        None => parent(),
    }
}

fn child(fd: &str) -> Result<()> {
    let socket = inherited_socket(fd)?;
    let parent = Connection::builder().serve(HelloClient::new(Greeter)).start(socket)?;
    parent.wait_disconnected();
    Ok(())
}

fn parent() -> Result<()> {
    let program = std::env::current_exe().expect("this program's own path");
    let second = Duration::from_secs(1);
    let command = Command::new(program)
        .parent_death_signal(true)
        .grace(Grace { exit: second, terminate: second });
    let backoff = Backoff { max_restarts: Some(5), ..Backoff::default() };

    let (tell, started) = mpsc::channel();
    let supervisor = Supervisor::start(command, backoff, move |child, socket| {
        child.on_exit(|exit| println!("it exited: {exit}"));
        // As long as this serves or uses the socket, there is no restart.
        let Ok(connection) = Connection::new(socket) else { return };
        let hello = connection.bootstrap_child::<HelloClient>(&child, Duration::from_secs(10));
        let _ = tell.send(hello);
        connection.wait_disconnected();
    })?;

    let hello = started.recv().expect("the first child")?;
    println!("{}", hello.greet("World").wait()?);
    println!("lost: {}", hello.greet("fall over").wait().is_err_and(|error| error.is_disconnect()));
    let hello = started.recv().expect("the second child")?;
    println!("{}", hello.greet("World again").wait()?);
    println!("restarts: {}, now: {:?}", supervisor.restarts(), supervisor.state());

    drop(hello);
    supervisor.stop();
    Ok(())
}
