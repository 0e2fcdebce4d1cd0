//! Programs that take the whole terminal: it is as before on every way out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{Failure, Outcome};

/// How long a key is waited for before what is new is looked at.
const MOMENT: Duration = Duration::from_millis(50);

/// So much news is taken in before it is drawn.
const AT_ONCE: usize = 1_000;

/// What is on the terminal.
pub(super) trait Screen {
    /// What is new. It comes from another thread, so that keys are answered also while the server says nothing.
    type News;

    /// True: it is to be drawn again.
    fn take(&mut self, news: Self::News) -> bool;

    /// A key was pressed. False: the user wants to leave.
    fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> bool;

    fn draw(&mut self, frame: &mut Frame<'_>);
}

/// Shows it until a key or a signal ends it.
pub(super) fn run<S: Screen>(mut screen: S, news: &Receiver<S::News>) -> Outcome {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    // It restores the terminal in a panic, too.
    let mut terminal = ratatui::try_init();
    let shown = match &mut terminal {
        Ok(terminal) => follow(terminal, &mut screen, news, &ended),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    };
    // Also where it was taken in part only.
    ratatui::restore();
    shown.map_err(failure)
}

fn failure(error: io::Error) -> Failure {
    Failure(format!("the terminal cannot be used ({error}): give --once or --json"))
}

fn follow<S: Screen>(
    terminal: &mut DefaultTerminal,
    screen: &mut S,
    news: &Receiver<S::News>,
    ended: &AtomicBool,
) -> io::Result<()> {
    let mut changed = true;
    while !ended.load(Ordering::Relaxed) {
        if changed {
            terminal.draw(|frame| screen.draw(frame))?;
        }
        changed = false;
        match event::poll(MOMENT) {
            Ok(true) => match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if !screen.key(key.code, key.modifiers) {
                        return Ok(());
                    }
                    changed = true;
                }
                Event::Resize(..) => changed = true,
                _ => {}
            },
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        for _ in 0..AT_ONCE {
            match news.try_recv() {
                Ok(news) => changed |= screen.take(news),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("the server is not asked any more"));
                }
            }
        }
    }
    Ok(())
}
