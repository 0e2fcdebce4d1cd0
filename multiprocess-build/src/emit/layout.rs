//! Tokens to text: prettyplease, and a blank line between items.

use proc_macro2::TokenStream;

use crate::error::Error;

/// Formats the items of a file.
pub(super) fn format(tokens: TokenStream) -> Result<String, Error> {
    let file: syn::File = syn::parse2(tokens).map_err(|error| Error::Generator {
        problem: format!("the generated code is not Rust: {error}"),
    })?;
    Ok(spread(&prettyplease::unparse(&file)))
}

/// Puts a blank line between items, which prettyplease prints close together.
fn spread(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut last = "";
    for line in text.lines() {
        let (depth, last_depth) = (indent(line), indent(last));
        let (code, last_code) = (line.trim_start(), last.trim_start());
        let same = depth == last_depth && begins_item(code);
        let closed = last_code == "}" || last_code.ends_with("{}");
        let ended = closed || last_code.ends_with(';') && !last_code.starts_with("//");
        let apart = code.starts_with("///") || code.starts_with("#[") || !is_line(code);
        let imports = last.starts_with("use ") && !code.starts_with("use ");
        if imports || same && ended && (apart || closed) {
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

/// Whether it is an item that stands with others of its kind.
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
            impl B { fn e() { loop {} } fn g() {} }
        });
        let text = text.unwrap_or_default();
        let want = "use a;\nuse b;\n\n/// A.\npub const A: u8 = 1;\n\n/// B.\npub struct B {\n    \
                    /// c\n    pub c: u8,\n    /// d\n    pub d: u8,\n}\n\nimpl B {\n    fn e() {\n        \
                    loop {}\n    }\n\n    fn g() {}\n}\n";
        assert_eq!(text, want);
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(format(quote!(pub fn)).is_err());
    }
}
