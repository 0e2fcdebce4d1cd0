//! The contract of a node: what Bitcoin Core does that its clients rely on. The same tests run against the node
//! for development and against a real one, and against both behind `bitcoin-ipc relay`.
//!
//! `BITCOIN_NODE` is the path of its `bitcoin-node`. Without it the tests against it are shown as ignored.

mod blocks;
mod chain;
mod nodes;
mod templates;
mod waits;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use nodes::{Kind, Node};

type Test = (&'static str, fn(&Node));

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // Each test starts its own node; more than two at once only compete for the processors.
    args.test_threads.get_or_insert(2);
    let tests: Vec<Test> = [blocks::TESTS, chain::TESTS, templates::TESTS, waits::TESTS].concat();
    let mut trials = Vec::new();
    for (kind, name) in [
        (Kind::Ours, "ours"),
        (Kind::Core, "core"),
        (Kind::RelayedOurs, "relayed_ours"),
        (Kind::RelayedCore, "relayed_core"),
    ] {
        let ignored = kind.is_core() && std::env::var_os("BITCOIN_NODE").is_none();
        trials.extend(tests.iter().map(|(test, run)| {
            let run = *run;
            let trial = Trial::test(format!("{name}::{test}"), move || {
                run(&Node::start(kind));
                Ok(())
            });
            trial.with_ignored_flag(ignored)
        }));
    }
    libtest_mimic::run(&args, trials).exit_code()
}
