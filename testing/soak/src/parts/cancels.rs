//! Calls that are cancelled: futures dropped before and after they run, started calls dropped, and
//! deadlines of threads.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use multiprocess::Error;

use super::Pair;
use crate::part::Rounds;

const THREADS: usize = 4;
/// Short, so that some calls meet it before they run.
const DEADLINE: Duration = Duration::from_millis(1);

pub(super) fn run(rounds: &Rounds) -> Result<(), String> {
    let pair = Pair::new()?;
    rounds.spread(
        THREADS,
        || (),
        |(), number| match number % 4 {
            0 => poll_and_drop(&pair, number, false),
            1 => poll_and_drop(&pair, number, true),
            2 => {
                let call = pair.mill.block(number).start();
                pair.server.wait_runs(number)?;
                drop(call);
                pair.server.wait_ended(number)
            }
            _ => match pair.mill.block(number).timeout(DEADLINE).wait() {
                Err(Error::Timeout(_)) => Ok(()),
                other => Err(format!("a call with a deadline ended as {other:?}")),
            },
        },
    )?;
    pair.server.wait_idle()?;
    pair.wait_empty()
}

fn poll_and_drop(pair: &Pair, number: u64, runs: bool) -> Result<(), String> {
    let mut call = pin!(pair.mill.block(number));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    if polled.is_ready() {
        return Err(format!("a call that waits ended as {polled:?}"));
    }
    if runs {
        pair.server.wait_runs(number)?;
    }
    Ok(())
}
