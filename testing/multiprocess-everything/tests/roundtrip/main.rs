//! Random values come back over a connection as they were sent.

mod collections;
mod floats;
mod unions;
mod values;

use std::cell::OnceCell;

use multiprocess::{Call, Result};
use multiprocess_everything::generated::everything::EverythingClient;
use multiprocess_everything::pair::{Pair, pair};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

thread_local! {
    /// One connection for all cases of a test.
    static PAIR: OnceCell<Pair<EverythingClient>> = const { OnceCell::new() };
}

/// Sends `cases` values there and back, and hands both to `check`.
fn round_trips<T: Clone + std::fmt::Debug + Send + 'static>(
    cases: u32,
    values: impl Strategy<Value = T>,
    echo: impl Fn(&EverythingClient, T) -> Call<T>,
    check: impl Fn(&T, &T),
) {
    // The failing case is printed; it is not kept in a file.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&values, |value| {
        let back: Result<T> = PAIR.with(|cell| {
            echo(&cell.get_or_init(|| pair().unwrap().1).object, value.clone()).wait()
        });
        check(&value, &back.unwrap());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The same for values without floats, which `==` compares completely.
fn same<T: Clone + PartialEq + std::fmt::Debug + Send + 'static>(
    cases: u32,
    values: impl Strategy<Value = T>,
    echo: impl Fn(&EverythingClient, T) -> Call<T>,
) {
    round_trips(cases, values, echo, |sent, back| assert_eq!(sent, back));
}
