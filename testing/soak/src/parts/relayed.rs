//! Cancels that pass through a process in the middle: A calls B, which forwards to C.

use std::os::unix::net::UnixStream;

use multiprocess::Connection;

use super::{Pair, text};
use crate::generated::soak::MillClient;
use crate::mill::HANGS;
use crate::part::Rounds;

pub(super) fn run(rounds: &Rounds) -> Result<(), String> {
    let far = Pair::new()?;
    let (ours, theirs) = UnixStream::pair().map_err(text)?;
    let between = Connection::builder().serve(far.mill.clone()).start(theirs).map_err(text)?;
    let near = Connection::new(ours).map_err(text)?;
    let mill: MillClient = near.bootstrap().map_err(text)?;
    rounds.spread(
        4,
        || (),
        |(), number| {
            let call = mill.block(number).start();
            far.server.wait_runs(number)?;
            drop(call);
            far.server.wait_ended(number)
        },
    )?;
    far.server.wait_idle()?;
    if !between.drain(HANGS) {
        return Err("the middle's calls run on".to_owned());
    }
    far.wait_empty()
}
