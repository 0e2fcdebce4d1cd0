//! What calls have told of the versions of a schema that the peer has.
//!
//! A method can have another form in each version: another ordinal, or other parameters. Which form a peer
//! has shows when a call of it is answered, or refused because the peer knows no such method. This is kept
//! for each form: a peer may be a build between two versions, with some methods in the newer and some in
//! the older form.

use std::sync::{MutexGuard, PoisonError};

use crate::connection::ArcConn;

/// Looks at what is known of the version of a connection's peer, in a family of so many.
pub(crate) fn evidence_of<R>(
    conn: &ArcConn,
    family: u64,
    versions: usize,
    look: impl FnOnce(&mut Evidence) -> R,
) -> R {
    let mut known: MutexGuard<'_, Vec<(u64, Evidence)>> =
        conn.session().versions.lock().unwrap_or_else(PoisonError::into_inner);
    let at = known.iter().position(|(id, _)| *id == family).unwrap_or_else(|| {
        known.push((family, Evidence::new(versions)));
        known.len() - 1
    });
    look(&mut known[at].1)
}

/// A set of versions: bit 0 is the newest.
pub(crate) type Versions = u32;

/// A method: its interface, its ordinal in the first of its forms, and the version of that.
pub(crate) type MethodKey = (u64, u16, u8);

/// One form of a method, as its versions have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Form {
    /// The versions that have the method in this form.
    pub(crate) versions: Versions,
    /// The versions that have another method at its ordinal.
    pub(crate) collides: Versions,
}

/// What is known of a peer's version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// It is one of these, or, where none of them fits all answers, between two of them.
    pub(crate) possible: Versions,
    /// Whether one version fits all answers.
    pub(crate) fits: bool,
}

/// Which form of a method to call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Choice {
    /// The one with this index.
    Form(usize),
    /// It is not known yet what a call would reach.
    Unknown,
    /// The peer does not have the method.
    Missing,
}

/// The answers of one peer, for the versions of one family of schemas.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// All versions of the family.
    all: Versions,
    seen: Vec<Seen>,
    /// What the program has said itself.
    assumed: Option<Versions>,
    /// What the peer's own calls have shown.
    heard: Option<Versions>,
    verdict: Verdict,
}

/// A form that was called.
#[derive(Debug, Clone, Copy)]
struct Seen {
    method: MethodKey,
    /// Which of its forms.
    form: usize,
    versions: Versions,
    answered: bool,
}

impl Evidence {
    /// Of a family with so many versions.
    pub(crate) fn new(versions: usize) -> Evidence {
        let all = Versions::MAX >> (Versions::BITS - (versions as u32).clamp(1, Versions::BITS));
        let verdict = Verdict { possible: all, fits: true };
        Evidence { all, seen: Vec::new(), assumed: None, heard: None, verdict }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The program says that the peer has one of these versions.
    pub(crate) fn assume(&mut self, versions: Versions) {
        self.assumed = Some(versions & self.all);
        self.verdict = self.judge();
    }

    /// Notes that the peer has called in a form that only these versions have.
    pub(crate) fn hear(&mut self, versions: Versions) {
        self.heard = Some(self.heard.unwrap_or(self.all) & versions & self.all);
        self.verdict = self.judge();
    }

    /// Notes that a form of a method was answered, or that the peer knows no such method.
    pub(crate) fn note(&mut self, method: MethodKey, index: usize, form: Form, answered: bool) {
        let versions = form.versions;
        match self.seen.iter_mut().find(|seen| (seen.method, seen.form) == (method, index)) {
            // An object may do without what another has.
            Some(seen) => seen.answered |= answered,
            None => self.seen.push(Seen { method, form: index, versions, answered }),
        }
        self.verdict = self.judge();
    }

    /// Whether a form was called, and what came of it.
    fn outcome(&self, method: MethodKey, form: usize) -> Option<bool> {
        let seen = self.seen.iter().find(|seen| (seen.method, seen.form) == (method, form));
        seen.map(|seen| seen.answered)
    }

    /// The form of a method that was answered before.
    pub(crate) fn settled(&self, method: MethodKey) -> Option<usize> {
        let found = self.seen.iter().find(|seen| seen.method == method && seen.answered);
        found.map(|seen| seen.form)
    }

    /// Which of a method's forms, given from newer to older, to call next.
    pub(crate) fn choose(&self, method: MethodKey, forms: &[Form]) -> Choice {
        if let Some(form) = self.settled(method) {
            return Choice::Form(form);
        }
        let refused = |index: usize| self.outcome(method, index) == Some(false);
        let open = || forms.iter().enumerate().filter(|(index, _)| !refused(*index));
        let mut choice = Choice::Missing;
        for (index, form) in open() {
            if form.versions & self.verdict.possible == 0 {
                continue;
            }
            if form.collides & self.verdict.possible == 0 {
                return Choice::Form(index);
            }
            if !self.verdict.fits && self.must_be(form, forms, refused) {
                return Choice::Form(index);
            }
            // A method that was not refused in any form is first looked for in its newest.
            if !(0..forms.len()).any(refused) {
                choice = Choice::Unknown;
                break;
            }
        }
        if choice == Choice::Missing && self.assumed.is_none() {
            // A build next to the versions that are possible may have it all the same. If it has not, the
            // call reaches nothing.
            let near = self.pairs().fold(self.verdict.possible, |near, pair| near | pair);
            if let Some((index, _)) = open().find(|(_, form)| form.collides & near == 0) {
                return Choice::Form(index);
            }
        }
        choice
    }

    /// The versions whose forms a call in this form must suit.
    pub(crate) fn peers(&self, form: Form) -> Versions {
        let Verdict { possible, fits } = self.verdict;
        match (fits, possible & form.versions) {
            (true, 0) => form.versions,
            (true, both) => both,
            (false, _) => possible,
        }
    }

    /// Whether a build between two versions has the method in this form, and so nothing else at its
    /// ordinal: it has it in one of two forms, and refused the other.
    fn must_be(&self, form: &Form, forms: &[Form], refused: impl Fn(usize) -> bool) -> bool {
        let other = |pair: Versions| {
            let mut all = forms.iter().enumerate();
            all.any(|(index, other)| refused(index) && other.versions & pair != 0)
        };
        let mut pairs = self.pairs().filter(|pair| pair & form.collides != 0);
        pairs.all(|pair| pair & form.versions != 0 && other(pair))
    }

    fn judge(&self) -> Verdict {
        if let Some(assumed) = self.assumed {
            return Verdict { possible: assumed, fits: true };
        }
        let fit = |possible: Versions, seen: &Seen| match seen.answered {
            true => possible & seen.versions,
            false => possible & !seen.versions,
        };
        let heard = self.heard.filter(|heard| *heard != 0).unwrap_or(self.all);
        let possible = self.seen.iter().fold(heard, fit);
        if possible != 0 {
            return Verdict { possible, fits: true };
        }
        let between = self.pairs().fold(0, |between, pair| between | pair);
        Verdict { possible: if between != 0 { between } else { self.all }, fits: false }
    }

    /// The pairs of neighbouring versions between which the peer may be.
    fn pairs(&self) -> impl Iterator<Item = Versions> + '_ {
        let pairs = (0..Versions::BITS - 1).map(|newer| 0b11 << newer);
        pairs.filter(|pair| {
            let fits = |seen: &Seen| match seen.answered {
                true => seen.versions & pair != 0,
                false => pair & !seen.versions != 0,
            };
            pair & !self.all == 0 && self.seen.iter().all(fits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: Versions = 0b001;
    const MIDDLE: Versions = 0b010;
    const OLDEST: Versions = 0b100;

    /// Methods, with their forms.
    const TELL: (MethodKey, &[Form]) = ((1, 0, 0), &[Form { versions: NEWEST, collides: 0 }]);
    const WAIT: (MethodKey, &[Form]) = (
        (2, 0, 0),
        &[
            Form { versions: NEWEST, collides: 0 },
            Form { versions: MIDDLE, collides: NEWEST },
            Form { versions: OLDEST, collides: MIDDLE },
        ],
    );
    const ERASE: (MethodKey, &[Form]) = ((3, 0, 0), &[Form { versions: NEWEST, collides: MIDDLE }]);
    const SAME: (MethodKey, &[Form]) = (
        (4, 0, 0),
        &[Form { versions: NEWEST | MIDDLE, collides: 0 }, Form { versions: OLDEST, collides: 0 }],
    );

    fn note(evidence: &mut Evidence, method: (MethodKey, &[Form]), index: usize, answered: bool) {
        evidence.note(method.0, index, method.1[index], answered);
    }

    fn choose(evidence: &Evidence, method: (MethodKey, &[Form])) -> Choice {
        evidence.choose(method.0, method.1)
    }

    #[test]
    fn answers_rule_out_versions() {
        let mut evidence = Evidence::new(3);
        assert_eq!(evidence.verdict(), Verdict { possible: 0b111, fits: true });
        note(&mut evidence, SAME, 0, true);
        assert_eq!(evidence.verdict(), Verdict { possible: NEWEST | MIDDLE, fits: true });
        note(&mut evidence, TELL, 0, false);
        assert_eq!(evidence.verdict(), Verdict { possible: MIDDLE, fits: true });
        assert_eq!(choose(&evidence, WAIT), Choice::Form(1));
        assert_eq!(choose(&evidence, ERASE), Choice::Missing);
    }

    #[test]
    fn what_may_be_another_method_is_not_called() {
        let mut evidence = Evidence::new(3);
        assert_eq!(choose(&evidence, ERASE), Choice::Unknown);
        note(&mut evidence, WAIT, 0, false);
        // The middle form is another method in no version that is left, the oldest is one in the middle.
        assert_eq!(choose(&evidence, WAIT), Choice::Form(1));
        note(&mut evidence, WAIT, 1, false);
        assert_eq!(choose(&evidence, WAIT), Choice::Form(2));
        note(&mut evidence, WAIT, 2, false);
        assert_eq!(choose(&evidence, WAIT), Choice::Missing);
    }

    /// It has `tell` of the newest version, and `wait` of the middle one, whatever is called first.
    #[test]
    fn a_build_between_two_versions() {
        for tell_first in [true, false] {
            let mut evidence = Evidence::new(3);
            if tell_first {
                note(&mut evidence, TELL, 0, true);
                assert_eq!(choose(&evidence, WAIT), Choice::Form(0));
                note(&mut evidence, WAIT, 0, false);
            } else {
                note(&mut evidence, WAIT, 0, false);
                assert_eq!(choose(&evidence, WAIT), Choice::Form(1));
                note(&mut evidence, WAIT, 1, true);
                // The version has no such method. A build after it may, and nothing else is there.
                assert_eq!(choose(&evidence, TELL), Choice::Form(0));
                note(&mut evidence, TELL, 0, true);
            }
            assert_eq!(evidence.verdict(), Verdict { possible: NEWEST | MIDDLE, fits: false });
            assert_eq!(choose(&evidence, WAIT), Choice::Form(1));
            // Whether `erase` is there, or what was at its ordinal, nothing has told.
            assert_eq!(choose(&evidence, ERASE), Choice::Unknown);
            assert_eq!(choose(&evidence, SAME), Choice::Form(0));
        }
    }

    #[test]
    fn what_the_program_says_counts() {
        let mut evidence = Evidence::new(3);
        evidence.assume(NEWEST);
        assert_eq!(choose(&evidence, ERASE), Choice::Form(0));
        note(&mut evidence, TELL, 0, false);
        assert_eq!(evidence.verdict(), Verdict { possible: NEWEST, fits: true });
        // What the version lacks is not asked for, whatever a build next to it may have.
        let mut evidence = Evidence::new(3);
        assert_eq!(choose(&evidence, TELL), Choice::Form(0));
        evidence.assume(MIDDLE);
        assert_eq!(choose(&evidence, TELL), Choice::Missing);
    }

    #[test]
    fn all_thirty_two_versions_have_a_bit() {
        assert_eq!(Evidence::new(32).verdict().possible, u32::MAX);
        assert_eq!(Evidence::new(1).verdict().possible, 1);
    }
}
