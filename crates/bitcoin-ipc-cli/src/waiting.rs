//! Says on a terminal what the program waits for, and for how long it has.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::output::one_line;

/// What is over by then is not mentioned.
const SOON: Duration = Duration::from_millis(300);
/// How often the time is shown anew.
const EVERY: Duration = Duration::from_secs(1);
/// Goes back to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[2K";

/// Until this is dropped a line on stderr says what the program waits for. A thread writes it.
pub(super) struct Waiting(Option<(Sender<()>, JoinHandle<()>)>);

impl Waiting {
    /// Says nothing where stderr is no terminal, and where the output is for a program.
    pub(super) fn new(what: impl Display, json: bool) -> Waiting {
        match !json && std::io::stderr().is_terminal() {
            true => Waiting::start(what, SOON, EVERY, |text| anstream::eprint!("{text}")),
            false => Waiting(None),
        }
    }

    fn start(
        what: impl Display,
        soon: Duration,
        every: Duration,
        mut write: impl FnMut(&str) + Send + 'static,
    ) -> Waiting {
        let (what, since) = (one_line(&what.to_string()), Instant::now());
        let (end, ended) = channel();
        let show = move || {
            let mut next = soon;
            let mut shown = false;
            while ended.recv_timeout(next) == Err(RecvTimeoutError::Timeout) {
                write(&line(&what, since.elapsed()));
                (next, shown) = (every, true);
            }
            if shown {
                write(CLEAR);
            }
        };
        // Without a thread it waits in silence.
        let thread = std::thread::Builder::new().name("waiting".to_owned()).spawn(show);
        Waiting(thread.ok().map(|thread| (end, thread)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // The line is cleared before anything else is written.
            let _ = thread.join();
        }
    }
}

fn line(what: &str, time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{CLEAR}\x1b[2mwaiting for {what} ... {seconds} s (Ctrl-C to stop)\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits of this length have not ended when the test looks.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn it_says_what_it_waits_for_again_and_again_and_then_clears_the_line() {
        let (say, said) = channel();
        let every = Duration::from_millis(1);
        let write = move |text: &str| say.send(text.to_owned()).unwrap();
        let waiting = Waiting::start("the block\x1b[2J after 7", every, every, write);
        for _ in 0..2 {
            let text = said.recv_timeout(LONG).unwrap();
            assert!(text.contains("waiting for the block\\u{1b}[2J after 7 ... 0 s"), "{text:?}");
            assert!(text.starts_with(CLEAR));
        }
        drop(waiting);
        assert_eq!(said.iter().last().as_deref(), Some(CLEAR));
        assert!(line("x", Duration::from_millis(61_900)).contains("... 61 s"));
    }

    #[test]
    fn what_is_soon_over_is_not_mentioned() {
        let (say, said) = channel();
        let write = move |text: &str| say.send(text.to_owned()).unwrap();
        drop(Waiting::start("it", LONG, LONG, write));
        assert_eq!(said.iter().count(), 0);
    }
}
