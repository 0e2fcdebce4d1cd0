//! Counts in texts: "1 call", "2 calls".

use std::fmt;

/// So many of something, whose plural ends in `s`.
pub(crate) struct Count<N>(pub(crate) N, pub(crate) &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Count<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count(number, what) = self;
        let plural = if *number == N::from(1) { "" } else { "s" };
        write!(f, "{number} {what}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn one_is_no_plural() {
        let texts = [0_usize, 1, 2].map(|number| Count(number, "call").to_string());
        assert_eq!(texts, ["0 calls", "1 call", "2 calls"]);
    }
}
