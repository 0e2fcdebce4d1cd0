//! Makes Rust names from the schema's names; and the names that capnpc makes, for when its code is
//! generated as well.

/// Rust's keywords (strict and reserved, 2024 edition). A name that is a keyword gets an
/// underscore.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "Self", "static", "struct", "super", "trait", "true", "try", "type",
    "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The words that capnpc 0.27 treats as keywords when it names a module.
const CAPNPC_KEYWORDS: &[&str] = &[
    "abstract", "alignof", "as", "be", "become", "box", "break", "const", "continue", "crate",
    "do", "else", "enum", "extern", "false", "final", "fn", "for", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "offsetof", "once", "override", "priv", "proc",
    "pub", "pure", "ref", "return", "self", "sizeof", "static", "struct", "super", "trait", "true",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Type names that the generated code uses without a path, so that no schema type may take them.
const USED_TYPES: &[&str] = &[
    "Box",
    "Client",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Drop",
    "Eq",
    "Err",
    "Fn",
    "FnOnce",
    "From",
    "Future",
    "Hash",
    "Into",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Some",
    "String",
    "Sync",
    "TryFrom",
    "Vec",
];

/// Methods that every handle has, or that method lookup would find on a smart pointer first.
const USED_METHODS: &[&str] = &[
    "add_cleanup",
    "as_ref",
    "borrow",
    "borrow_mut",
    "clone",
    "clone_from",
    "clone_into",
    "close",
    "deref",
    "dispatch_async",
    "drop",
    "from",
    "from_arc_async",
    "from_fn",
    "into",
    "new",
    "new_async",
    "to_owned",
    "try_from",
    "try_into",
];

/// `getTransactionsByTxID` -> `get_transactions_by_tx_id`: a run of capitals is one word.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if c.is_ascii_uppercase() && i > 0 && at(i - 1) != '_' {
            let after_word = !at(i - 1).is_ascii_uppercase();
            // The last capital of a run begins the next word (`HTTPServer`), unless only a plural
            // `s` follows in the word (`txIDs`).
            let plural = at(i + 1) == 's' && !at(i + 2).is_ascii_lowercase();
            let before_word = at(i + 1).is_ascii_lowercase() && !plural;
            if after_word || before_word {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The name of a field, parameter or method.
pub(crate) fn value(name: &str) -> String {
    escape(snake(name), KEYWORDS)
}

/// The name of a method: [`value`], and never one that handles have already.
pub(crate) fn method(name: &str) -> String {
    escape(value(name), USED_METHODS)
}

/// The name of a type, a trait or an enum's variant.
pub(crate) fn camel(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

/// The name of a type, kept apart from those that the generated code itself uses.
pub(crate) fn type_name(name: &str) -> String {
    escape(camel(name), USED_TYPES)
}

/// The name of a variant.
pub(crate) fn variant(name: &str) -> String {
    escape(camel(name), KEYWORDS)
}

/// `maxMoney` -> `MAX_MONEY`.
pub(crate) fn constant(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// The module of a schema file, from the file's stem.
pub(crate) fn module(stem: &str) -> String {
    value(&stem.replace('-', "_"))
}

/// capnpc's module of a schema file, from the file's stem.
pub(crate) fn raw_file(stem: &str) -> String {
    format!("{}_capnp", stem.replace('-', "_"))
}

/// Whether capnpc's code cannot compile with this name for a module or method: it does not know
/// the newer keywords.
pub(crate) fn breaks_capnpc(name: &str) -> bool {
    let mut raw = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            raw.push('_');
        }
        raw.push(c.to_ascii_lowercase());
    }
    KEYWORDS.contains(&raw.as_str()) && !CAPNPC_KEYWORDS.contains(&raw.as_str())
}

/// A type's name as the beginning of other names: without the underscores that made it unique.
pub(crate) fn stem(name: &str) -> &str {
    name.trim_end_matches('_')
}

/// A text as a part of a name: characters that a name cannot have become underscores.
pub(crate) fn part(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect()
}

/// Whether this can be an identifier of Rust.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn escape(mut name: String, taken: &[&str]) -> String {
    if taken.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_keeps_acronyms_together() {
        for (from, to) in [
            ("echo", "echo"),
            ("executeRpc", "execute_rpc"),
            ("getTransactionsByTxID", "get_transactions_by_tx_id"),
            ("getHTTPServer", "get_http_server"),
            ("txIDs", "tx_ids"),
            ("listIDsOf", "list_ids_of"),
            ("makeMiningOld2", "make_mining_old2"),
            ("uint32Id", "uint32_id"),
            ("BlockTemplate", "block_template"),
            ("RPC", "rpc"),
        ] {
            assert_eq!(snake(from), to, "{from}");
        }
    }

    #[test]
    fn keywords_and_used_names_get_an_underscore() {
        assert_eq!(value("type"), "type_");
        assert_eq!(value("self"), "self_");
        assert_eq!(value("async"), "async_");
        assert_eq!(method("close"), "close_");
        assert_eq!(method("closeAll"), "close_all");
        assert_eq!(type_name("Option"), "Option_");
        assert_eq!(variant("self"), "Self_");
        assert_eq!(module("type"), "type_");
        assert_eq!(module("common-types"), "common_types");
        assert_eq!(module("CrashReport"), "crash_report");
    }

    #[test]
    fn names_that_break_capnpc_are_known() {
        assert!(breaks_capnpc("async"));
        assert!(breaks_capnpc("Dyn"));
        assert!(!breaks_capnpc("type"));
        assert!(!breaks_capnpc("asyncTask"));
        assert_eq!(raw_file("common-types"), "common_types_capnp");
    }

    #[test]
    fn constants_and_identifiers() {
        assert_eq!(constant("maxMoney"), "MAX_MONEY");
        assert!(is_identifier("echo_2"));
        assert!(!is_identifier("2echo"));
        assert!(!is_identifier("foo.bar"));
        assert!(!is_identifier(""));
    }
}
