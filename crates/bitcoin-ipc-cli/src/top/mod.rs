//! `bitcoin-ipc top`: what a server is doing, looked at again and again.
//!
//! `source` asks the server, over its losses; `view` is what is shown of a snapshot, as plain data; `table` and `json`
//! write that, and `screen` draws it on a terminal, where `keys` are taken.

mod json;
mod keys;
mod screen;
mod source;
mod table;
mod view;

use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::Duration;

use super::args::Args;
use super::{Outcome, output, signals};
use source::Source;
pub(super) use table::bytes;
use view::View;

/// Looks every `interval` seconds until Ctrl-C, or only once. On a terminal it takes all of that.
pub(super) fn run(args: &Args, interval: f64, as_json: bool, once: bool) -> Outcome {
    let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::MAX);
    let mut source = Source::find(args)?;
    let first = source.first()?;
    if !once && !as_json && io::stdout().is_terminal() && io::stdin().is_terminal() {
        return screen::run(source, first, interval);
    }
    signals::end_on_interrupt()?;
    let mut before = Some(first);
    let mut view = before.clone().map(|now| View::new(now, None));
    loop {
        if let Some(view) = &view {
            if as_json { output::line(json::of(view)) } else { output::line(table::of(view)) }
        }
        if once {
            return Ok(());
        }
        sleep(interval);
        view = match source.look() {
            Ok(now) => {
                let view = View::new(now.clone(), before.as_ref());
                before = Some(now);
                Some(view)
            }
            Err(why) => {
                lost(&why, as_json);
                None
            }
        };
    }
}

/// The server is away. The next look connects again.
fn lost(why: &multiprocess::Error, as_json: bool) {
    if as_json {
        output::line(serde_json::json!({ "lost": why.to_string() }));
    } else {
        let why = output::one_line(&why.to_string());
        output::note(format_args!("the server is away: {why}; connecting again"));
    }
}
