//! Peers that connect and go, half of them in the middle of the handshake.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::{Connection, Server};

use super::text;
use crate::child::BOOTSTRAP;
use crate::generated::soak::MillClient;
use crate::mill::{HANGS, MillServer};
use crate::part::Rounds;

pub(super) fn run(rounds: &Rounds) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(text)?;
    let mill = MillServer::new();
    let server = Server::listen(dir.path().join("socket"), mill.client()).map_err(text)?;
    rounds.spread(2, || (), |(), number| connect(&server, number))?;
    let until = Instant::now() + HANGS;
    while !server.connections().is_empty() {
        if Instant::now() > until {
            return Err(format!("{} connections are left", server.connections().len()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn connect(server: &Server, number: u64) -> Result<(), String> {
    let mut stream = UnixStream::connect(server.path()).map_err(text)?;
    // A peer that the server has closed already cannot be written to.
    match number % 8 {
        0 => {}
        1 => drop(stream.write_all(&BOOTSTRAP[..5])),
        2 => drop(stream.write_all(&BOOTSTRAP)),
        3 => drop(stream.write_all(&BOOTSTRAP[..BOOTSTRAP.len() - 8])),
        4 | 5 => drop(Connection::new(stream).map_err(text)?.bootstrap::<MillClient>()),
        _ => {
            let calling = Connection::new(stream).map_err(text)?;
            let mill: MillClient = calling.bootstrap().map_err(text)?;
            if mill.echo_inline(vec![3]).wait().map_err(text)? != [3] {
                return Err("a wrong answer".to_owned());
            }
        }
    }
    Ok(())
}
