//! Sixteen threads that mix calls, callbacks, drops and disconnects at random for some seconds.
//! `MP_SEED=N` repeats a run's choices.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use futures_executor::block_on;
use multiprocess::{Error, Result};
use multiprocess_tests::generated::lab::{CallbackClient, LabClient};
use multiprocess_tests::{Pair, Relay, pair, wait_until};

const RUN: Duration = Duration::from_secs(5);

/// A small generator of numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

fn recursive() -> CallbackClient {
    Relay::client(|lab, depth| match lab {
        Some(lab) if depth > 0 => Ok(lab.call_back(recursive(), depth - 1).wait()? + 1),
        _ => Ok(0),
    })
}

/// A result that is right, or the end of the connection.
fn check<T: PartialEq + std::fmt::Debug>(result: Result<T>, expected: &T) {
    match result {
        Ok(value) => assert_eq!(value, *expected),
        Err(error) => assert!(error.is_disconnect(), "{error}"),
    }
}

fn one_step(dice: &mut Dice, pair: &Pair) {
    let lab: LabClient = pair.lab.clone();
    let number = dice.roll(1000) as i32;
    match dice.roll(15) {
        0 | 1 => check(lab.add(number, 1).wait(), &(number + 1)),
        2 => check(lab.add_inline(number, 1).wait(), &(number + 1)),
        3 => check(block_on(lab.add(number, 1)), &(number + 1)),
        4 | 5 => {
            let depth = dice.roll(8) as i32;
            check(lab.call_back(recursive(), depth).wait(), &depth);
        }
        6 => check(block_on(lab.call_back_inline(recursive(), 2)), &2),
        7 => check(lab.make_counter(5).pipelined().split().pipelined().next().wait(), &5),
        8 => {
            if let Ok(counter) = lab.make_counter(9).wait() {
                counter.add_cleanup(|| ());
                check(counter.next().wait(), &9);
                check(counter.close().wait(), &());
            }
        }
        9 => {
            let calls: Vec<_> = (0..dice.roll(10)).map(|_| lab.add(1, 2).start()).collect();
            for call in calls {
                if dice.roll(2) == 0 {
                    check(call.wait(), &3);
                }
            }
        }
        10 => match lab.block("never").timeout(Duration::from_micros(dice.roll(500))).wait() {
            Err(Error::Timeout(_) | Error::Disconnected { .. }) => {}
            other => panic!("{other:?}"),
        },
        11 => {
            let data = vec![number as u8; dice.roll(100_000) as usize];
            check(lab.bytes(data.clone()).wait(), &data);
        }
        12 => {
            check(lab.hold(Some(Relay::client(|_, depth| Ok(depth)))).wait(), &());
            // Another thread may have let the callback go, or it belongs to an ended connection.
            if let Ok(value) = lab.poke(number).wait() {
                assert_eq!(value, number);
            }
        }
        13 => {
            let lab = lab.clone();
            drop(thread::spawn(move || check(lab.add(1, 2).wait(), &3)));
        }
        _ => match dice.roll(20) {
            0 => pair.calling.disconnect(),
            1 => pair.serving.disconnect(),
            _ => {}
        },
    }
}

#[test]
fn everything_at_once() {
    let seed = std::env::var("MP_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        since.as_nanos() as u64
    });
    println!("MP_SEED={seed}");
    let pairs: Vec<_> = (0..4).map(|_| Mutex::new(Arc::new(pair()))).collect();
    let ended = Mutex::new(Vec::new());
    let end = Instant::now() + RUN;
    thread::scope(|scope| {
        for number in 1..=16 {
            let (pairs, ended) = (&pairs, &ended);
            scope.spawn(move || {
                let mut dice = Dice((seed ^ (number << 32)).max(1));
                while Instant::now() < end {
                    let place = &pairs[dice.roll(4) as usize];
                    let pair = {
                        let mut pair = place.lock().unwrap();
                        if !pair.calling.is_connected() || !pair.serving.is_connected() {
                            // What runs on the old one goes on until it fails.
                            let old = std::mem::replace(&mut *pair, Arc::new(self::pair()));
                            ended.lock().unwrap().push(Arc::clone(&old.server));
                        }
                        Arc::clone(&pair)
                    };
                    one_step(&mut dice, &pair);
                }
            });
        }
    });
    let servers = ended.into_inner().unwrap();
    println!("{} connections ended", servers.len());
    for pair in pairs {
        let pair = pair.into_inner().unwrap();
        let alive = pair.calling.is_connected() && pair.serving.is_connected();
        if alive {
            pair.assert_alive();
        }
        pair.calling.disconnect();
        assert!(pair.serving.drain(Duration::from_secs(60)));
        assert!(pair.calling.drain(Duration::from_secs(60)));
        wait_until("no counter is left", || pair.server.counters() == 0);
    }
    for server in servers {
        wait_until("no counter is left", || server.counters() == 0);
        wait_until("no call is left", || server.blocked() == 0);
    }
}
