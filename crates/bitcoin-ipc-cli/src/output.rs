//! The programs' output: colours only on a terminal.

use std::fmt::Display;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

const STRONG: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// One line that says what went wrong.
pub(super) fn error(program: &str, message: &str) {
    anstream::eprintln!("{program}: {BAD}error{BAD:#}: {}", one_line(message));
}

/// The most characters of a message that are shown.
const MAX_LINE: usize = 500;

/// A message as one line without control characters, because parts of it may come from the other
/// side.
pub(super) fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let shown =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let line: String = lines.join(" | ").chars().map(shown).collect();
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

/// A note that is not part of the result.
pub(super) fn note(message: impl Display) {
    anstream::eprintln!("{DIM}{message}{DIM:#}");
}

/// A line of the result. If nobody reads the output any more, the program ends.
pub(super) fn line(text: impl Display) {
    use std::io::Write;
    or_end(writeln!(anstream::stdout(), "{text}"));
}

/// The whole result.
pub(super) fn script(text: &[u8]) {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    or_end(stdout.write_all(text).and_then(|()| stdout.flush()));
}

fn or_end(written: std::io::Result<()>) {
    if let Err(problem) = written {
        if problem.kind() != std::io::ErrorKind::BrokenPipe {
            error("bitcoin-ipc", &format!("cannot write the result: {problem}"));
        }
        std::process::exit(1);
    }
}

/// A row of a table: a name and its value.
pub(super) fn row(name: &str, value: impl Display) {
    line(format_args!("{DIM}{name:<22}{DIM:#} {value}"));
}

/// A step of the demonstration with the time that it took.
pub(super) fn step(time: Duration, what: impl Display) {
    let ms = time.as_secs_f64() * 1000.0;
    line(format_args!("{DIM}{ms:>9.2} ms{DIM:#}  {what}"));
}

/// A line in bold.
pub(super) fn title(text: impl Display) {
    line(format_args!("{STRONG}{text}{STRONG:#}"));
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_message_is_one_harmless_line() {
        assert_eq!(one_line("failed: \n  Traceback\n\n    x"), "failed: | Traceback | x");
        assert_eq!(one_line("\x1b[2Jgone\u{9b}"), "\\u{1b}[2Jgone\\u{9b}");
        assert_eq!(one_line("häuser"), "häuser");
    }
}
