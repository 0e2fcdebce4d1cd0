//! The schema's comments as rustdoc, without anything that rustdoc or clippy would warn of.
//!
//! The comments are plain text that mostly reads well as Markdown. What is escaped: brackets and
//! angles (links and HTML to rustdoc), lone backticks, bare addresses. Indented blocks become
//! fenced text, so that rustdoc does not compile them, and list items keep their continuation
//! lines.

use proc_macro2::TokenStream;
use quote::quote;

/// `#[doc]` attributes with the schema's comment, or with `otherwise` where it has none.
pub(super) fn attributes(comment: &str, otherwise: impl FnOnce() -> String) -> TokenStream {
    lines(&text(comment, otherwise))
}

/// `#[doc]` attributes with the schema's comment and a paragraph of ours.
pub(super) fn with(
    comment: &str,
    otherwise: impl FnOnce() -> String,
    paragraph: &str,
) -> TokenStream {
    lines(&format!("{}\n\n {paragraph}", text(comment, otherwise)))
}

/// `#[doc]` attributes with Markdown of ours.
pub(super) fn lines(markdown: &str) -> TokenStream {
    let lines = markdown.lines();
    quote!(#(#[doc = #lines])*)
}

/// The comment as Markdown, each line with a space before it.
pub(super) fn text(comment: &str, otherwise: impl FnOnce() -> String) -> String {
    let markdown = if comment.trim().is_empty() { otherwise() } else { markdown(comment) };
    let line = |line: &str| if line.is_empty() { String::new() } else { format!(" {line}") };
    markdown.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn markdown(comment: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    let mut fenced = false;
    for line in comment.lines().map(str::trim_end).chain([""]) {
        if line.trim_start().starts_with("```") {
            flush(&mut paragraph, &mut out);
            out.push(if fenced { "```" } else { "```text" }.to_owned());
            fenced = !fenced;
            continue;
        }
        if fenced {
            out.push(line.to_owned());
            continue;
        }
        let indented = line.starts_with("    ") || line.starts_with('\t');
        if indented && paragraph.is_empty() {
            block.push(line);
            continue;
        }
        if !block.is_empty() {
            out.push("```text".to_owned());
            out.extend(block.drain(..).map(|line| line.get(4..).unwrap_or(line.trim()).to_owned()));
            out.push("```".to_owned());
        }
        if line.is_empty() {
            flush(&mut paragraph, &mut out);
            out.push(String::new());
        } else {
            paragraph.push(line);
        }
    }
    flush(&mut paragraph, &mut out);
    if fenced {
        out.push("```".to_owned());
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out.join("\n")
}

/// Moves a paragraph to the output.
fn flush(paragraph: &mut Vec<&str>, out: &mut Vec<String>) {
    if paragraph.is_empty() {
        return;
    }
    let mut in_item = 0;
    let mut text = Vec::new();
    for line in paragraph.drain(..) {
        let line = line.trim_start();
        match marker(line, in_item == 0 && !text.is_empty()) {
            Some(width) => {
                in_item = width;
                text.push(line.to_owned());
            }
            None => text.push(" ".repeat(in_item) + line),
        }
    }
    out.extend(escape(&text.join("\n")).lines().map(str::to_owned));
}

/// The width of a list marker that the line begins with. Inside plain text only a bullet or a
/// number 1 begins a list.
fn marker(line: &str, in_text: bool) -> Option<usize> {
    if line.starts_with("- ") || line.starts_with("* ") || line.starts_with("+ ") {
        return Some(2);
    }
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let rest = line.get(digits..).unwrap_or_default();
    let number = (1..10).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") "));
    (number && (!in_text || line.starts_with("1. ") || line.starts_with("1) ")))
        .then_some(digits + 2)
}

/// Escapes one paragraph, leaving what stands in backticks as it is.
fn escape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (piece, escaped) = match c {
            '`' => match code(rest) {
                Some(length) => (length, rest[..length].to_owned()),
                None => {
                    let ticks = rest.len() - rest.trim_start_matches('`').len();
                    (ticks, "\\`".repeat(ticks))
                }
            },
            '[' | ']' | '<' | '>' => (1, format!("\\{c}")),
            'h' if rest.starts_with("http://") || rest.starts_with("https://") => {
                let end = rest.find(|c: char| c.is_whitespace() || "<>[]`\"".contains(c));
                let address = &rest[..end.unwrap_or(rest.len())];
                let address = address.trim_end_matches(|c| ".,;:!?)'".contains(c));
                (address.len(), format!("<{address}>"))
            }
            _ => (c.len_utf8(), c.to_string()),
        };
        out.push_str(&escaped);
        rest = &rest[piece..];
    }
    out
}

/// The length of the code span that the text begins with.
fn code(text: &str) -> Option<usize> {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let mut from = ticks;
    while let Some(found) = text.get(from..)?.find('`') {
        let start = from + found;
        let tail = &text[start..];
        let length = tail.len() - tail.trim_start_matches('`').len();
        from = start + length;
        if length == ticks {
            return Some(from);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_outside_of_code() {
        assert_eq!(escape("a [b] <c> `[d]` e`"), "a \\[b\\] \\<c\\> `[d]` e\\`");
        assert_eq!(escape("see https://x.org/a_b."), "see <https://x.org/a_b>.");
        assert_eq!(escape("``a`b`` c"), "``a`b`` c");
    }

    #[test]
    fn blocks_become_text() {
        assert_eq!(
            markdown("Run:\n\n    foo <x>\n    bar\n\nEnd."),
            "Run:\n\n```text\nfoo <x>\nbar\n```\n\nEnd."
        );
        assert_eq!(markdown("```\nlet x\n```"), "```text\nlet x\n```");
        assert_eq!(markdown("```\nopen"), "```text\nopen\n\n```");
    }

    #[test]
    fn list_items_keep_their_lines() {
        assert_eq!(markdown("Of:\n- one\nmore\n- two"), "Of:\n- one\n  more\n- two");
        assert_eq!(markdown("in\n2009. Then"), "in\n2009. Then");
        assert_eq!(markdown("1. one\ntwo"), "1. one\n   two");
    }

    #[test]
    fn a_missing_comment_is_replaced() {
        assert_eq!(text(" \n", || "The `a` of `b`.".to_owned()), " The `a` of `b`.");
    }
}
