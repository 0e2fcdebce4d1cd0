//! Formats tokens as text: as prettyplease does, but with code on one line wherever it fits in [`WIDTH`],
//! and with a blank line between items.

use proc_macro2::TokenStream;

use crate::error::Error;

/// How long a line may become when lines are joined.
const WIDTH: usize = 100;

/// Formats the items of a file.
pub(super) fn format(tokens: TokenStream) -> Result<String, Error> {
    let file: syn::File = syn::parse2(tokens).map_err(|error| Error::Generator {
        problem: format!("the generated code is not Rust: {error}"),
    })?;
    let text = prettyplease::unparse(&file);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // Repeated because an outer expression can be joined only after the inner one is on one line.
    while join(&mut lines) {}
    shorten(&mut lines);
    Ok(spread(&lines))
}

/// Joins lines that prettyplease broke and that fit in one. Returns whether any did.
fn join(lines: &mut Vec<String>) -> bool {
    let before = lines.len();
    let mut index = 0;
    while index < lines.len() {
        let rest = &lines[index..];
        let found = bracket(rest).or_else(|| types(rest)).or_else(|| chain(rest));
        if let Some((count, line)) = found.or_else(|| closure(rest)).or_else(|| arm(rest)) {
            lines.splice(index..index + count, [line]);
        }
        index += 1;
    }
    lines.len() < before
}

/// Joins what the bracket at the end of the first line holds: arguments, parameters, or a struct's
/// fields. Returns the number of lines that are replaced, and the new line. The next functions
/// return the same.
fn bracket(lines: &[String]) -> Option<(usize, String)> {
    let first = lines.first().filter(|line| opens(line))?;
    let space = if first.ends_with('{') { " " } else { "" };
    let mut line = first.clone();
    for (index, next) in lines.iter().enumerate().skip(1) {
        let code = next.trim_start();
        if indent(next) == indent(first) {
            let closed = code.starts_with([')', '>', '}']);
            let line = format!("{}{space}{code}", line.trim_end_matches(','));
            return (closed && line.len() <= WIDTH).then_some((index + 1, line));
        }
        let item = code.ends_with(',') && !code.starts_with("//") || code.starts_with("..");
        if indent(next) != indent(first) + 4 || !item || line.len() > WIDTH {
            return None;
        }
        line.push_str(if index > 1 { " " } else { space });
        line.push_str(code);
    }
    None
}

/// Whether the line ends in an opening bracket whose items can be joined. Not a tuple's: one of a single
/// item needs the comma that is dropped here.
fn opens(line: &str) -> bool {
    let code = line.trim_start();
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if code.starts_with("//") {
        return false;
    }
    if let Some(before) = code.strip_suffix(['(', '<']) {
        return before.ends_with(|c| name(c) || c == '>');
    }
    // The value of a struct, not a declaration or a block.
    let last = code.strip_suffix(" {").and_then(|before| before.rsplit([' ', '(', ':']).next());
    let declares = ["pub ", "impl", "struct ", "fn ", "for ", "match ", "if ", "->"];
    last.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        && !declares.iter().any(|word| code.contains(word))
}

/// Joins `f::<`, one type, and `>(`, which prettyplease breaks where the arguments are long.
fn types(lines: &[String]) -> Option<(usize, String)> {
    let [first, ty, last, ..] = lines else { return None };
    let (ty, last) = (ty.trim_start().strip_suffix(',')?, last.trim_start());
    let line = format!("{first}{ty}{last}");
    let call = last.starts_with(">(") && (last == ">(" || !last.ends_with(['(', '{', '[']));
    (first.ends_with("::<") && call && line.len() <= WIDTH).then_some((3, line))
}

/// Joins a method call with the value that it is called on.
fn chain(lines: &[String]) -> Option<(usize, String)> {
    let [first, next, rest @ ..] = lines else { return None };
    let code = next.trim_start();
    let last = rest.first().is_none_or(|line| indent(line) <= indent(first));
    let line = format!("{first}{code}");
    let one = code.starts_with('.') && !code.starts_with("..") && !first.ends_with([',', '{']);
    (one && last && indent(next) == indent(first) + 4 && line.len() <= WIDTH).then_some((2, line))
}

/// Joins a closure whose body is an expression, without its braces.
fn closure(lines: &[String]) -> Option<(usize, String)> {
    let [first, body, last, ..] = lines else { return None };
    let before = first.strip_suffix('{').filter(|before| before.ends_with("| "))?;
    let after = last.trim_start().strip_prefix('}')?;
    let line = format!("{before}{}{after}", body.trim_start());
    let value = !body.ends_with([';', ',', '{']) && !body.trim_start().starts_with("//");
    (value && line.len() <= WIDTH).then_some((3, line))
}

/// Joins a match arm of one expression, without its braces.
fn arm(lines: &[String]) -> Option<(usize, String)> {
    let [first, body, last, ..] = lines else { return None };
    let before = first.strip_suffix('{').filter(|before| before.ends_with("=> "))?;
    let line = format!("{before}{},", body.trim_start());
    let value = !body.ends_with([';', ',', '{']) && !body.trim_start().starts_with("//");
    (value && last.trim() == "}" && line.len() <= WIDTH).then_some((3, line))
}

/// Puts a function of a trait implementation on one line if its body is one expression.
fn shorten(lines: &mut Vec<String>) {
    let mut index = 0;
    while index + 2 < lines.len() {
        let [first, body, last] = [&lines[index], &lines[index + 1], &lines[index + 2]];
        let line = format!("{first} {} }}", body.trim_start());
        let documented = index > 0 && lines[index - 1].trim_start().starts_with(['/', '#']);
        let whole = first.trim_start().starts_with("fn ") && first.ends_with('{');
        if whole && last.trim_start() == "}" && !documented && line.len() <= WIDTH {
            lines.splice(index..index + 3, [line]);
        }
        index += 1;
    }
}

/// Puts a blank line between items, which prettyplease prints close together.
fn spread(lines: &[String]) -> String {
    let mut out = String::new();
    let mut last = "";
    for line in lines {
        let (depth, last_depth) = (indent(line), indent(last));
        let (code, last_code) = (line.trim_start(), last.trim_start());
        let same = depth == last_depth && begins_item(code);
        let closed = last_code == "}" || last_code == "};" || last_code.ends_with("{}");
        let ended = closed || last_code.ends_with(';') && !last_code.starts_with("//");
        let apart = code.starts_with("///") || code.starts_with("#[") || !is_line(code);
        let imports = last.starts_with("use ") && !code.starts_with("use ");
        let short = last_code.starts_with("fn ") && last_code.ends_with(" }");
        let after_short = short && !(code.starts_with("fn ") && code.ends_with(" }"));
        if imports || same && (ended && (apart || closed) || after_short) {
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
        last = line;
    }
    out
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn begins_item(code: &str) -> bool {
    ["///", "#[", "pub ", "impl", "fn ", "const ", "type "]
        .iter()
        .any(|start| code.starts_with(start))
}

/// Whether this is a one-line item, which has no blank line between it and others of its kind.
fn is_line(code: &str) -> bool {
    code.starts_with("const ") || code.starts_with("type ") || code.starts_with("pub const ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn items_stand_apart() {
        let text = format(quote! {
            use a; use b;
            #[doc = " A."] pub const A: u8 = 1;
            #[doc = " B."] pub struct B { #[doc = " c"] pub c: u8, #[doc = " d"] pub d: u8 }
            impl B { #[doc = " e"] fn e() { loop {} } fn g() {} fn h() { 1 } fn i() { 2 } }
        });
        let text = text.unwrap_or_default();
        let want = "use a;\nuse b;\n\n/// A.\npub const A: u8 = 1;\n\n/// B.\npub struct B {\n    \
                    /// c\n    pub c: u8,\n    /// d\n    pub d: u8,\n}\n\nimpl B {\n    /// e\n    \
                    fn e() {\n        loop {}\n    }\n\n    fn g() {}\n\n    fn h() { 1 }\n    \
                    fn i() { 2 }\n}\n";
        assert_eq!(text, want);
    }

    #[test]
    fn lines_that_fit_are_joined() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut call = lines("f(\n    g(\n        a,\n        b,\n    ),\n)");
        while join(&mut call) {}
        assert_eq!(call, ["f(g(a, b))"]);
        let mut tuple = lines("Ok((\n    a,\n))");
        assert!(!join(&mut tuple));
        let mut long = lines(&format!("f(\n    {},\n    b,\n)", "a".repeat(WIDTH)));
        assert!(!join(&mut long));
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(format(quote!(pub fn)).is_err());
    }
}
