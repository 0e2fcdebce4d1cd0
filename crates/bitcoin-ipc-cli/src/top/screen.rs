//! A look on the whole terminal, which follows the server and takes keys.
//!
//! The server is asked on a thread of its own, so that keys are answered also while it says nothing. `keys` is what
//! they do; here is how it is drawn.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use multiprocess::monitor::Snapshot;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::keys::{Panel, State};
use super::source::Source;
use super::table;
use super::view::View;
use crate::output::one_line;
use crate::tables::{self, Column};
use crate::terminal::{self, Screen};
use crate::{Failure, Outcome};

const KEYS: &str = "q quits   s sorts the methods   p pauses   Tab and arrows, PgUp, PgDn move   ? shows or hides this";

/// What is shown.
#[derive(Default)]
struct Shown {
    before: Option<Snapshot>,
    view: Option<View>,
    /// Why there is nothing new.
    away: Option<String>,
}

impl Shown {
    fn take(&mut self, look: Result<Snapshot, String>) {
        match look {
            Ok(now) => {
                self.view = Some(View::new(now.clone(), self.before.as_ref()));
                self.before = Some(now);
                self.away = None;
            }
            Err(why) => self.away = Some(why),
        }
    }
}

/// The look and what the user has chosen.
struct Top {
    shown: Shown,
    state: State,
}

impl Screen for Top {
    type News = Result<Snapshot, String>;

    /// A pause keeps the last look; that the server is away is told all the same.
    fn take(&mut self, look: Result<Snapshot, String>) -> bool {
        let takes = look.is_err() || !self.state.paused;
        if takes {
            self.shown.take(look);
        }
        takes
    }

    fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> bool {
        self.state.key(key, modifiers)
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        draw(frame, &self.shown, &mut self.state);
    }
}

/// Shows it until a key or a signal ends it.
pub(super) fn run(source: Source, first: Snapshot, interval: Duration) -> Outcome {
    let looks = look_again(source, interval)?;
    let mut top = Top { shown: Shown::default(), state: State::default() };
    top.take(Ok(first));
    terminal::run(top, &looks)
}

/// Looks at the server on a thread, which ends with the process.
fn look_again(
    mut source: Source,
    interval: Duration,
) -> Result<Receiver<Result<Snapshot, String>>, Failure> {
    // One look that nobody has taken yet is enough.
    let (tell, looks) = mpsc::sync_channel(1);
    let look = move || {
        loop {
            thread::sleep(interval);
            let look = source.look().map_err(|why| one_line(&why.to_string()));
            if tell.send(look).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("look".to_owned()).spawn(look)?;
    Ok(looks)
}

fn draw(frame: &mut Frame<'_>, shown: &Shown, state: &mut State) {
    let help = u16::from(state.help);
    let parts = Layout::vertical([
        Constraint::Length(4),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Length(help),
    ]);
    let [head, connections, calls, methods, foot] = parts.areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines(shown, state)).wrap(Wrap { trim: true }), head);
    if state.help {
        frame.render_widget(Paragraph::new(KEYS), foot);
    }
    let Some(view) = &shown.view else { return };
    let rows: Vec<_> = view.connections.iter().map(table::connection).collect();
    panel(frame, connections, state, Panel::Connections, &table::CONNECTIONS, rows);
    let rows: Vec<_> = view.calls.iter().map(table::call).collect();
    panel(frame, calls, state, Panel::Calls, &table::CALLS, rows);
    let rows: Vec<_> = state.sorted(&view.methods).into_iter().map(table::method).collect();
    panel(frame, methods, state, Panel::Methods, &table::METHODS, rows);
}

fn head_lines(shown: &Shown, state: &State) -> Vec<Line<'static>> {
    let mut lines: Vec<_> = shown.view.iter().map(|view| Line::from(table::head(view))).collect();
    let alert = Style::new().add_modifier(Modifier::BOLD);
    if let Some(why) = &shown.away {
        let why = format!("the server is away: {why}; connecting again");
        lines.push(Line::styled(why, alert));
    }
    if state.paused {
        lines.push(Line::styled("paused", alert));
    }
    lines
}

/// One of the tables, from the row on to which it was scrolled.
fn panel(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    panel: Panel,
    titles: &[Column],
    rows: Vec<Vec<String>>,
) {
    let title = format!(" {} ({}) ", panel.name(), rows.len());
    let chosen = state.panel == panel;
    tables::draw(frame, area, &mut state.scrolls[panel as usize], (title, chosen), titles, rows);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::top::view::tests::snapshot;

    /// The screen as text.
    fn drawn(width: u16, height: u16, shown: &Shown, state: &mut State) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, shown, state)).unwrap();
        terminal.backend().to_string()
    }

    fn shown() -> Shown {
        let mut shown = Shown::default();
        shown.take(Ok(snapshot(7, 10, 100)));
        shown
    }

    #[test]
    fn all_is_on_a_screen_that_is_large_enough() {
        let text = drawn(120, 30, &shown(), &mut State::default());
        for part in [
            "bitcoin-node (process 7)",
            "connections (1)",
            "pool\\u{1b}[2J",
            "1000",
            "Mining.waitTipChanged",
            "Rpc.executeRpc",
            "Mining.getTip",
            "10.0",
            "900 us",
        ] {
            assert!(text.contains(part), "{part} is not on\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (500, 4), (2, 100)] {
            drawn(width, height, &shown(), &mut State::default());
        }
    }

    #[test]
    fn a_server_that_is_away_is_said_to_be_with_what_was_last_seen() {
        let mut shown = shown();
        shown.take(Err("it was killed".to_owned()));
        let text = drawn(100, 30, &shown, &mut State::default());
        assert!(text.contains("away: it was killed; connecting again"), "{text}");
        assert!(text.contains("Mining.getTip"), "{text}");
        shown.take(Ok(snapshot(8, 1, 1)));
        let text = drawn(100, 30, &shown, &mut State::default());
        assert!(!text.contains("away") && text.contains("process 8"), "{text}");
    }

    #[test]
    fn help_and_pause_are_seen() {
        let mut state = State { help: true, paused: true, ..State::default() };
        let text = drawn(120, 30, &shown(), &mut state);
        assert!(text.contains("q quits") && text.contains("paused"), "{text}");
    }
}
