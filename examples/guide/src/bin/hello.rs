//! One process greets, another asks it to.

use multiprocess::process::{Command, inherited_socket};
use multiprocess::{Connection, Result};

use guide::generated::hello::{Hello, HelloClient};

struct Greeter;

impl Hello for Greeter {
    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}, from process {}!", std::process::id()))
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
    let (_child, socket) = Command::new(program).spawn()?;
    let hello: HelloClient = Connection::new(socket)?.bootstrap()?;
    println!("{}", hello.greet("World").wait()?);
    Ok(())
}
