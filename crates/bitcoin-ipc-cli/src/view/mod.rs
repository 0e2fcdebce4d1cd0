//! `bitcoin-ipc view`: a node and its wallets, as a user interface in a process of its own sees them.
//!
//! `source` has the objects of both processes, asks them and is told by them, over their losses; `wallets` is its part for
//! the wallet process, which `asking` asks on a thread of its own. `look` is what is shown, `news` what happened, both as plain data; `table` and `json` write them,
//! and `screen` draws them on a terminal.

mod asking;
mod json;
mod look;
mod news;
mod screen;
mod source;
mod table;
mod wallets;

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::args::Args;
use super::{Outcome, output, signals};
use source::{Source, Update};

/// Shows what changes until Ctrl-C, or all of it once. On a terminal it takes all of that. `interval`: the seconds after
/// which it asks for what nobody tells, such as the size of the memory pool.
pub(super) fn run(args: &Args, interval: f64, as_json: bool, once: bool) -> Outcome {
    let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::MAX);
    let mut source = Source::find(args)?;
    let first = source.first()?;
    if !once && !as_json && io::stdout().is_terminal() && io::stdin().is_terminal() {
        return screen::run(source, first, interval);
    }
    signals::end_on_interrupt()?;
    show(&Update::Look(Box::new(first)), as_json, once);
    if once {
        return Ok(());
    }
    loop {
        for update in source.next(interval) {
            show(&update, as_json, false);
        }
    }
}

/// As text, the state is shown only if it is asked for: what has changed it is told by the news.
fn show(update: &Update, as_json: bool, once: bool) {
    match update {
        Update::Look(look) if as_json => output::line(json::of_look(look)),
        Update::News(news) if as_json => output::line(json::of_news(news)),
        Update::Look(look) if once => output::line(table::of(look).trim_end()),
        Update::Look(look) => output::line(table::head(look)),
        Update::News(news) => output::line(news.line()),
    }
}
