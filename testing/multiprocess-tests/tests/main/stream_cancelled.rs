//! A streaming call that a peer cancels before it has returned: no later call of the object runs, which would follow a
//! gap.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use multiprocess::{Connection, Interface, Result};
use multiprocess_tests::generated::flow::{SinkAsync, SinkClient};
use multiprocess_tests::generated::flow_capnp::sink;
use multiprocess_tests::raw::{RawPeer, Target};

const NOTE: (u64, u16) = (SinkClient::ID, 2);
const COUNT: (u64, u16) = (SinkClient::ID, 4);

/// Begins to note all numbers, and comes to an end with the even ones.
#[derive(Clone, Default)]
struct Even(Arc<Mutex<Vec<u32>>>);

impl SinkAsync for Even {
    async fn note(&self, number: u32) -> Result<()> {
        self.0.lock().unwrap().push(number);
        if !number.is_multiple_of(2) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn count(&self) -> Result<u32> {
        Ok(7)
    }
}

fn note(peer: &mut RawPeer, sink: Target, number: u32) -> u32 {
    peer.call(sink, NOTE, &[], |content| {
        content.init_as::<sink::note_params::Builder<'_>>().set_number(number);
    })
}

#[test]
fn what_was_sent_after_it_does_not_run() {
    let begun = Even::default();
    let served = SinkClient::new_async(begun.clone(), |task| {
        std::thread::spawn(move || futures_executor::block_on(task));
    });
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _serving = Connection::builder().serve(served).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let bootstrap = peer.bootstrap();
    let sink = Target::Export(peer.wait(bootstrap).export());

    let [first, second, third] = [0, 1, 2].map(|number| note(&mut peer, sink, number));
    let count = peer.call(sink, COUNT, &[], |_| ());
    peer.wait(first).results();
    peer.finish(second);
    assert_eq!(peer.wait(second).exception(), "canceled");
    for later in [third, count] {
        let error = peer.wait(later).exception();
        assert!(error.contains("an earlier call of this stream was cancelled"), "{error}");
    }
    let begun = begun.0.lock().unwrap();
    assert!(*begun == [0, 1] || *begun == [0], "{begun:?}");
}
