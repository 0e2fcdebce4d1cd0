//! The last answer: no other message will wake the caller that waits for it.

use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Limits, Result};
use multiprocess_tests::generated::lab::{Lab, LabClient};
use multiprocess_tests::{Dice, wait_until};

use super::{Ends, SEED_VARIABLE, rounds};

/// Its calls end when they are released by name, not when they are cancelled: so a caller that times out
/// causes no further answer.
#[derive(Default)]
struct Gate {
    /// The names of the calls that wait, and of those that are released.
    names: Mutex<(Vec<String>, Vec<String>)>,
    changed: Condvar,
}

impl Gate {
    fn let_go(&self, name: &str) {
        self.names.lock().unwrap().1.push(name.to_owned());
        self.changed.notify_all();
    }

    fn is_waited_for(&self, name: &str) -> bool {
        self.names.lock().unwrap().0.iter().any(|waited| waited == name)
    }
}

struct Deaf(Arc<Gate>);

impl Lab for Deaf {
    fn block(&self, name: String) -> Result<bool> {
        let mut names = self.0.names.lock().unwrap();
        names.0.push(name.clone());
        while !names.1.contains(&name) {
            names = self.0.changed.wait(names).unwrap();
        }
        names.0.retain(|waited| *waited != name);
        Ok(true)
    }
}

/// Two callers wait. One times out, and the answer of the other arrives at about the same time, with
/// nothing else under way.
fn last_answer(callers_read: bool, usual_rounds: usize) {
    let (seed, rounds) = (Dice::seed(SEED_VARIABLE), rounds(usual_rounds));
    let ends = Ends::new(
        format!("{SEED_VARIABLE}={seed}, callers_read {callers_read}, the last answer"),
        2,
    );
    let limits = Limits::default().callers_read(callers_read);
    let (gate, (ours, theirs)) = (Arc::<Gate>::default(), UnixStream::pair().unwrap());
    let served =
        Connection::builder().limits(limits.clone()).serve(LabClient::new(Deaf(gate.clone())));
    let serving = served.start(theirs).unwrap();
    let calling = Connection::builder().limits(limits).start(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    for round in 0..rounds {
        let mut dice = Dice::of(seed, 0, round);
        ends.watchdog.at(0, format!("round {round}"));
        let (leaver, stayer) = (format!("leaves {round}"), format!("stays {round}"));
        let bound = Duration::from_micros(dice.roll(2000));
        let (how, leaves_first, enters_first) = (dice.roll(4), dice.one_in(2), dice.one_in(4));
        thread::scope(|scope| {
            let stays = || {
                let call = lab.block(&*stayer);
                let result = match how {
                    0 => block_on(call),
                    1 => call.start().wait(),
                    _ => call.wait(),
                };
                ends.check(result.map(|_| 3));
            };
            let leaves = || lab.block(&*leaver).timeout(bound).wait();
            if enters_first {
                scope.spawn(stays);
                wait_until("it waits", || gate.is_waited_for(&stayer));
            }
            let leaving = scope.spawn(leaves);
            if !enters_first {
                wait_until("it waits", || leaving.is_finished() || gate.is_waited_for(&leaver));
                scope.spawn(stays);
                wait_until("it waits", || gate.is_waited_for(&stayer));
            }
            let left = leaves_first.then(|| leaving.join());
            gate.let_go(&stayer);
            if let Some(Ok(Err(Error::Timeout(_)))) = left {
                ends.timed_out.fetch_add(1, Ordering::Relaxed);
            }
        });
        // The call may begin only after this; that is why its name is used in this round only.
        gate.let_go(&leaver);
        wait_until("nothing is served", || serving.drain(Duration::ZERO));
    }
    ends.assert_right();
}

#[test]
fn the_last_answer_comes_when_the_reader_has_left() {
    last_answer(true, 150);
}

#[test]
fn the_last_answer_comes_while_the_driver_reads() {
    last_answer(false, 150);
}
