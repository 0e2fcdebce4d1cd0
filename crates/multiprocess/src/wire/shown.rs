//! How the parameters of a call are shown in the log: named, cut off, and without what is redacted.

use std::fmt::{self, Write};

use super::Wire;

/// Writes parameters one after the other. Made by `PayloadCodec::show`.
pub struct Shown<'a> {
    to: &'a mut CutOff,
    some: bool,
}

opaque!(Shown, impl std::fmt::Debug for Shown<'_>);

impl Shown<'_> {
    fn name(&mut self, name: &str) -> fmt::Result {
        let before = if std::mem::replace(&mut self.some, true) { ", " } else { "" };
        write!(self.to, "{before}{name} = ")
    }

    /// Shows one parameter.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn field<W: Wire>(&mut self, name: &str, value: &W::Value) -> fmt::Result {
        self.name(name)?;
        write!(self.to, "{}", Value::<W>(value))
    }

    /// Shows that there is one, and not what it is.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn redacted(&mut self, name: &str) -> fmt::Result {
        self.name(name)?;
        self.to.write_str("<redacted>")
    }
}

/// A value as its marker shows it.
pub(super) struct Value<'a, W: Wire>(pub(super) &'a W::Value);

impl<W: Wire> fmt::Display for Value<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        W::show(self.0, f)
    }
}

/// Several values in brackets.
pub(super) fn show_list<'v, W: Wire>(
    values: impl Iterator<Item = &'v W::Value>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result
where
    W::Value: 'v,
{
    f.write_str("[")?;
    for (index, value) in values.enumerate() {
        let before = if index == 0 { "" } else { ", " };
        write!(f, "{before}{}", Value::<W>(value))?;
    }
    f.write_str("]")
}

/// Bytes as hexadecimal digits.
pub(crate) fn show_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A text that takes so many characters and no more: whoever writes more gets an error, and stops.
struct CutOff {
    text: String,
    room: usize,
}

impl Write for CutOff {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // A line of the log stays one line.
            let shown = c.escape_debug().filter(|_| c.is_control()).collect::<String>();
            let shown = if shown.is_empty() { c.to_string() } else { shown };
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push_str(&shown);
        }
        Ok(())
    }
}

/// What `show` writes, up to so many characters.
pub(super) fn cut_off(room: usize, show: impl FnOnce(&mut Shown<'_>) -> fmt::Result) -> String {
    let mut to = CutOff { text: String::new(), room };
    let all = show(&mut Shown { to: &mut to, some: false });
    if all.is_err() {
        to.text.push_str("...");
    }
    to.text
}

#[cfg(test)]
mod tests {
    use super::super::{Data, List, Text};
    use super::cut_off;

    #[test]
    fn parameters_are_named_cut_off_and_redacted() {
        let show = |room| {
            cut_off(room, |to| {
                to.field::<Text>("text", &"a\nb".to_owned())?;
                to.redacted("key")?;
                to.field::<List<Data>>("more", &vec![vec![1, 0xab]; 2])
            })
        };
        let all = r#"text = "a\nb", key = <redacted>, more = [01ab, 01ab]"#;
        assert_eq!(show(200), all);
        assert_eq!(show(all.len()), all);
        assert_eq!(show(all.len() - 1), format!("{}...", &all[..all.len() - 1]));
        assert_eq!(show(0), "...");
    }
}
