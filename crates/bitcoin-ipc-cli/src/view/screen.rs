//! A look and the news on the whole terminal.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::look::Look;
use super::news::{News, What};
use super::source::{Source, Update};
use super::table;
use crate::tables::{self, Column, Scroll};
use crate::terminal::{self, Screen};
use crate::{Failure, Outcome};

const KEYS: &str = "q quits   p pauses   Tab and arrows, PgUp, PgDn move   ? shows or hides this";

/// So much news is kept.
const NEWS: usize = 1_000;
/// So many updates may wait for the screen.
const CAPACITY: usize = 100;

const TOLD: [Column; 2] = [("TIME", false), ("NEWS", false)];

/// The tables, from above: wallets, transactions, coins, news.
const PANELS: usize = 4;

/// What is shown, and what the user has chosen.
#[derive(Default)]
struct View {
    look: Option<Look>,
    /// The newest first.
    news: VecDeque<News>,
    /// Why the node cannot be looked at now.
    away: Option<String>,
    paused: bool,
    help: bool,
    panel: usize,
    scrolls: [Scroll; PANELS],
}

/// Shows it until a key or a signal ends it.
pub(super) fn run(source: Source, first: Look, interval: Duration) -> Outcome {
    let updates = follow(source, interval)?;
    let mut view = View::default();
    view.take(Update::Look(Box::new(first)));
    terminal::run(view, &updates)
}

/// Asks on a thread, which ends with the process.
fn follow(mut source: Source, interval: Duration) -> Result<Receiver<Update>, Failure> {
    let (tell, updates) = mpsc::sync_channel(CAPACITY);
    let follow = move || {
        loop {
            for update in source.next(interval) {
                if tell.send(update).is_err() {
                    return;
                }
            }
        }
    };
    thread::Builder::new().name("look".to_owned()).spawn(follow)?;
    Ok(updates)
}

impl Screen for View {
    type News = Update;

    /// A pause keeps the look; news is taken in all the same.
    fn take(&mut self, update: Update) -> bool {
        match update {
            Update::Look(_) if self.paused && self.away.is_none() => return false,
            Update::Look(look) => self.look = Some(*look),
            Update::News(news) => {
                match &news.what {
                    What::Away(_) => self.away = Some(news.what.text()),
                    What::Back => self.away = None,
                    _ => {}
                }
                self.news.push_front(news);
                self.news.truncate(NEWS);
            }
        }
        true
    }

    fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> bool {
        match key {
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Tab => self.panel = (self.panel + 1) % PANELS,
            KeyCode::BackTab => self.panel = (self.panel + PANELS - 1) % PANELS,
            key => self.scrolls[self.panel].key(key),
        }
        true
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let head = self.head_lines();
        let height = u16::try_from(head.len()).unwrap_or(u16::MAX).saturating_add(1);
        let parts = Layout::vertical([
            Constraint::Length(height),
            Constraint::Fill(2),
            Constraint::Fill(3),
            Constraint::Fill(3),
            Constraint::Fill(3),
            Constraint::Length(u16::from(self.help)),
        ]);
        let [top, wallets, transactions, coins, news, foot] = parts.areas(frame.area());
        frame.render_widget(Paragraph::new(head).wrap(Wrap { trim: true }), top);
        if self.help {
            frame.render_widget(Paragraph::new(KEYS), foot);
        }
        let all = self.look.as_ref().and_then(|look| look.wallets.as_ref().ok());
        let all = all.map_or(&[][..], Vec::as_slice);
        let told = |news: &News| vec![super::look::time(news.time), news.what.text()];
        let rows = [
            all.iter().map(table::wallet).collect(),
            table::transactions(all),
            table::coins(all),
            self.news.iter().map(told).collect::<Vec<_>>(),
        ];
        let [wallet_rows, transaction_rows, coin_rows, news_rows] = rows;
        self.panel(frame, wallets, 0, "wallets", &table::WALLETS, wallet_rows);
        self.panel(frame, transactions, 1, "transactions", &table::TRANSACTIONS, transaction_rows);
        self.panel(frame, coins, 2, "coins", &table::COINS, coin_rows);
        self.panel(frame, news, 3, "news", &TOLD, news_rows);
    }
}

impl View {
    fn head_lines(&self) -> Vec<Line<'static>> {
        let text = self.look.as_ref().map(table::head).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().map(|line| Line::from(line.to_owned())).collect();
        let alert = Style::new().add_modifier(Modifier::BOLD);
        lines.extend(self.away.iter().map(|why| Line::styled(why.clone(), alert)));
        if self.paused {
            lines.push(Line::styled("paused", alert));
        }
        lines
    }

    fn panel(
        &mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        number: usize,
        name: &str,
        titles: &[Column],
        rows: Vec<Vec<String>>,
    ) {
        let title = (format!(" {name} ({}) ", rows.len()), self.panel == number);
        tables::draw(frame, area, &mut self.scrolls[number], title, titles, rows);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::look::tests::look;
    use super::*;

    /// The screen as text.
    fn drawn(width: u16, height: u16, view: &mut View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn view() -> View {
        let mut view = View::default();
        assert!(view.take(Update::Look(Box::new(look()))));
        view
    }

    fn news(what: What) -> Update {
        Update::News(News { time: 1_800_000_000, what })
    }

    #[test]
    fn all_is_on_a_screen_that_is_large_enough() {
        let mut view = view();
        view.take(news(What::Block { height: 105, hash: "aa55".to_owned() }));
        view.take(news(What::WalletsGone("it was killed".to_owned())));
        let text = drawn(160, 40, &mut view);
        for part in [
            "block 104 of 2027-01-15 08:00:00: 00ff",
            "wallets (1)",
            "alice",
            "48.75000000",
            "transactions (1)",
            "-1.25000000",
            "coins (1)",
            "bcrt1qexample",
            "news (2)",
            "block 105: aa55",
            "no wallets: it was killed",
        ] {
            assert!(text.contains(part), "{part} is not on\n{text}");
        }
        let (newest, older) = (text.find("it was killed"), text.find("block 105"));
        assert!(newest < older, "the newest is above\n{text}");
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (500, 4), (2, 100)] {
            drawn(width, height, &mut view());
        }
    }

    #[test]
    fn a_node_that_is_away_is_said_to_be_with_what_was_last_seen() {
        let mut view = view();
        view.take(news(What::Away("it was killed".to_owned())));
        let text = drawn(160, 40, &mut view);
        assert!(text.contains("the node is away: it was killed; connecting again"), "{text}");
        assert!(text.contains("alice"), "{text}");
        view.take(news(What::Back));
        let text = drawn(160, 40, &mut view);
        assert!(text.lines().take(3).all(|line| !line.contains("away")), "{text}");
    }

    #[test]
    fn keys_leave_pause_and_move() {
        let mut view = view();
        let none = KeyModifiers::NONE;
        assert!(!view.key(KeyCode::Char('q'), none) && !view.key(KeyCode::Esc, none));
        assert!(!view.key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(view.key(KeyCode::Char('p'), none) && view.key(KeyCode::Char('?'), none));
        let mut other = look();
        other.node.height = 999;
        assert!(!view.take(Update::Look(Box::new(other.clone()))), "it is paused");
        let text = drawn(160, 40, &mut view);
        assert!(text.contains("paused") && text.contains("q quits"), "{text}");
        assert!(text.contains("block 104") && !text.contains("block 999"), "{text}");
        view.key(KeyCode::Char(' '), none);
        assert!(view.take(Update::Look(Box::new(other))));
        assert!(drawn(160, 40, &mut view).contains("block 999"));
        view.key(KeyCode::BackTab, none);
        assert_eq!(view.panel, 3);
        view.key(KeyCode::Tab, none);
        assert_eq!(view.panel, 0);
    }
}
