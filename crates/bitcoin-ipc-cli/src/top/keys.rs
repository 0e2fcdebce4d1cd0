//! What keys do to the screen.

use std::cmp::Reverse;

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::view::MethodRow;
use crate::tables::Scroll;

/// The tables, from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Panel {
    Connections,
    Calls,
    #[default]
    Methods,
}

const PANELS: [Panel; 3] = [Panel::Connections, Panel::Calls, Panel::Methods];

impl Panel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Panel::Connections => "connections",
            Panel::Calls => "calls under way",
            Panel::Methods => "methods",
        }
    }
}

/// By what the methods are sorted; all but names with the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    #[default]
    Name,
    Calls,
    Rate,
    P99,
    Longest,
}

/// What the user has chosen.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) paused: bool,
    pub(super) help: bool,
    pub(super) panel: Panel,
    pub(super) sort: Sort,
    pub(super) scrolls: [Scroll; 3],
}

impl State {
    /// A key was pressed. False: the user wants to leave.
    pub(super) fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> bool {
        let panel = self.panel as usize;
        match key {
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('s') => {
                self.sort = match self.sort {
                    Sort::Name => Sort::Calls,
                    Sort::Calls => Sort::Rate,
                    Sort::Rate => Sort::P99,
                    Sort::P99 => Sort::Longest,
                    Sort::Longest => Sort::Name,
                }
            }
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Tab => self.panel = PANELS[(panel + 1) % PANELS.len()],
            KeyCode::BackTab => self.panel = PANELS[(panel + PANELS.len() - 1) % PANELS.len()],
            key => self.scrolls[panel].key(key),
        }
        true
    }

    pub(super) fn sorted<'a>(&self, methods: &'a [MethodRow]) -> Vec<&'a MethodRow> {
        let mut rows: Vec<_> = methods.iter().collect();
        match self.sort {
            Sort::Name => rows.sort_by(|a, b| a.method.cmp(&b.method)),
            Sort::Calls => rows.sort_by_key(|row| Reverse(row.calls)),
            Sort::Rate => rows.sort_by(|a, b| b.per_second.total_cmp(&a.per_second)),
            Sort::P99 => rows.sort_by_key(|row| Reverse(row.most)),
            Sort::Longest => rows.sort_by_key(|row| Reverse(row.longest)),
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::view::View;
    use crate::top::view::tests::snapshot;

    fn press(state: &mut State, keys: &[KeyCode]) -> bool {
        keys.iter().all(|key| state.key(*key, KeyModifiers::NONE))
    }

    #[test]
    fn these_leave() {
        let mut state = State::default();
        assert!(!press(&mut state, &[KeyCode::Char('q')]));
        assert!(!press(&mut state, &[KeyCode::Esc]));
        assert!(!state.key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(press(&mut state, &[KeyCode::Char('c'), KeyCode::Enter]));
    }

    #[test]
    fn tab_goes_round_the_tables_and_each_scrolls_by_itself() {
        let mut state = State::default();
        assert_eq!(state.scrolls[2].first_row(10, 4), 0);
        press(&mut state, &[KeyCode::Down, KeyCode::Tab]);
        assert_eq!(state.panel, Panel::Connections);
        press(&mut state, &[KeyCode::Down, KeyCode::Down]);
        assert_eq!(state.scrolls.map(|mut scroll| scroll.first_row(10, 4)), [2, 0, 1]);
        press(&mut state, &[KeyCode::BackTab]);
        assert_eq!(state.panel, Panel::Methods);
    }

    #[test]
    fn methods_are_sorted_by_what_the_user_chooses() {
        let row = View::new(snapshot(1, 10, 100), None).methods.remove(0);
        let quick = MethodRow { method: "a".to_owned(), calls: 3, per_second: 9.0, ..row.clone() };
        let slow = MethodRow { method: "b".to_owned(), calls: 7, per_second: 1.0, ..row };
        let slow = MethodRow { most: slow.most * 2, longest: slow.longest / 2, ..slow };
        let rows = [quick, slow];
        let mut state = State::default();
        let first = ["a", "b", "a", "b", "a"].map(|expected| {
            let first = state.sorted(&rows)[0].method.clone();
            press(&mut state, &[KeyCode::Char('s')]);
            (first, expected)
        });
        assert!(first.iter().all(|(first, expected)| first == expected), "{first:?}");
        assert_eq!(state.sort, Sort::Name, "it goes round");
    }

    #[test]
    fn pause_and_help_are_switches() {
        let mut state = State::default();
        press(&mut state, &[KeyCode::Char('p'), KeyCode::Char('?')]);
        assert!(state.paused && state.help);
        press(&mut state, &[KeyCode::Char(' '), KeyCode::Char('h')]);
        assert!(!state.paused && !state.help);
    }
}
