//! A hundred thousand peers that come and go, half of them in the middle of the handshake.

use std::io::Write;
use std::os::unix::net::UnixStream;

use multiprocess::{Connection, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::raw::bytes_of;
use multiprocess_tests::{LabServer, Watchdog, pair, wait_until};

use crate::memory::held;
use crate::{alone, count, descriptors, place, settled_descriptors, threads};

const PEERS: usize = 100_000;
/// What a leak of one byte for each peer would be.
const MOST_MEMORY: isize = PEERS as isize;

#[test]
fn a_hundred_thousand_peers_leave_nothing() {
    let _alone = alone();
    let watchdog = Watchdog::new(format!("{PEERS} peers"), 1);
    let dir = place("hundred-thousand");
    let (lab, other) = (LabServer::new(), pair());
    let server = Server::listen(dir.join("s"), lab.client()).unwrap();
    let bootstrap = bytes_of(|message| message.init_bootstrap().set_question_id(1));
    let connect = |number: usize| {
        let mut stream = UnixStream::connect(server.path()).unwrap();
        // A peer that the server has closed already cannot be written to.
        match number % 8 {
            0 => {}
            1 => drop(stream.write_all(&bootstrap[..5])),
            2 => drop(stream.write_all(&bootstrap)),
            3 => drop(stream.write_all(&bootstrap[..bootstrap.len() - 8])),
            4..7 => drop(Connection::new(stream).unwrap().bootstrap::<LabClient>()),
            _ => {
                let lab: LabClient = Connection::new(stream).unwrap().bootstrap().unwrap();
                assert_eq!(lab.add_inline(1, 2).wait().unwrap(), 3);
            }
        }
    };
    let forgotten = || {
        wait_until("all are forgotten", || server.connections().is_empty());
        wait_until("the pool is idle", || count("mp-pool") == 0);
    };
    // The first make what is kept for others.
    (0..1_000).for_each(connect);
    forgotten();
    other.assert_alive();
    let before = (settled_descriptors(), threads().len(), held());
    for number in 0..PEERS {
        watchdog.at(0, format!("peer {number}"));
        connect(number);
        if number % 10_000 == 0 {
            other.assert_alive();
        }
    }
    forgotten();
    other.assert_alive();
    wait_until("as many descriptors as before", || descriptors() <= before.0);
    wait_until("as many threads as before", || threads().len() <= before.1);
    wait_until("as much memory as before", || held() < before.2 + MOST_MEMORY);
    drop(server);
    let _ = std::fs::remove_dir_all(dir);
}
