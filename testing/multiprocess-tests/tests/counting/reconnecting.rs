//! Many connections that are made again cost no threads while they are connected, nor between two attempts,
//! and leave nothing when they are dropped.

use std::time::Duration;

use multiprocess::process::Backoff;
use multiprocess::{Reconnect, ReconnectState, Reconnecting, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, wait_until};

use crate::{alone, count, descriptors, place, settled_descriptors, threads};

const MANY: usize = 100;
const LONG: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn many_connections_that_are_made_again_cost_no_threads() {
    let _alone = alone();
    let path = place("reconnecting").join("lab.sock");
    let listen = || Server::listen(&path, LabServer::new().client()).unwrap();
    let mut server = Some(listen());
    // What the server itself costs once and for all.
    let one = Reconnect::to_path(&path).start(|lab: &LabClient| Ok(lab.clone())).unwrap();
    one.get(LONG).unwrap();
    assert!(one.close(LONG));
    drop(one);
    wait_until("it has seen that", || server.as_ref().unwrap().connections().is_empty());
    wait_until("the pool is idle", || count("mp-pool") == 0);
    let before = (threads().len(), settled_descriptors());
    // After the loss of a connection and a failed attempt nothing happens any more.
    let backoff = Backoff {
        first: Duration::from_millis(1),
        factor: 1e9,
        longest: NEVER,
        ..Backoff::default()
    };
    let labs: Vec<Reconnecting<LabClient>> = (0..MANY)
        .map(|_| {
            let reconnect = Reconnect::to_path(&path).backoff(backoff);
            reconnect.start(|lab: &LabClient| Ok(lab.clone())).unwrap()
        })
        .collect();
    for lab in &labs {
        assert_eq!(lab.get(LONG).unwrap().generation(), 1);
    }
    wait_until("no thread is left of it", || threads().len() <= before.0 && count("mp-pool") == 0);
    assert_eq!(server.as_ref().unwrap().connections().len(), MANY);
    drop(server.take());
    for lab in &labs {
        wait_until("it waits for an attempt that is far away", || match lab.state() {
            ReconnectState::Connecting { attempt, next_try: Some(_), .. } => attempt > 0,
            _ => false,
        });
    }
    wait_until("no thread is left of it", || threads().len() <= before.0 && count("mp-pool") == 0);
    drop(labs);
    drop(listen());
    wait_until("as many descriptors as before", || descriptors() <= before.1);
    wait_until("as many threads as before", || threads().len() <= before.0);
}
