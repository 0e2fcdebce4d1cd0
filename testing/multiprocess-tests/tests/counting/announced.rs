//! Messages that are announced and do not come: they take the memory of what has arrived.

use std::os::unix::net::UnixStream;

use multiprocess::Connection;
use multiprocess_tests::raw::RawPeer;
use multiprocess_tests::{LabServer, pair, wait_until};
use rustix::io::ioctl_fionread;

use crate::alone;
use crate::memory::held;

const PEERS: isize = 20;
/// For each peer: its connection, the first buffer, and what has arrived of the message.
const MOST_FOR_EACH: isize = 1 << 20;

#[test]
fn messages_of_63_mib_that_are_only_announced_take_no_memory() {
    let _alone = alone();
    let other = pair();
    other.assert_alive();
    let before = held();
    let lab = LabServer::new();
    let peers: Vec<_> = (0..PEERS)
        .map(|_| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let watched = theirs.try_clone().unwrap();
            let serving = Connection::builder().serve(lab.client()).start(theirs).unwrap();
            let mut peer = RawPeer::new(ours);
            let heard = peer.bootstrap();
            peer.wait(heard).results();
            // One segment of 63 MiB, and the first bytes of it.
            let header = [0_u32.to_le_bytes(), (63_u32 << 17).to_le_bytes()].concat();
            peer.send_bytes(&header).unwrap();
            peer.send_bytes(&[0; 100_000]).unwrap();
            wait_until("it has been read", || ioctl_fionread(&watched).unwrap() == 0);
            other.assert_alive();
            (serving, peer)
        })
        .collect();
    let more = held() - before;
    assert!(more < PEERS * MOST_FOR_EACH, "{more} bytes for {PEERS} peers");
    for (serving, peer) in peers {
        assert!(serving.is_connected(), "its time has not passed");
        drop(peer);
        wait_until("its end is seen", || !serving.is_connected());
    }
    other.assert_alive();
}
