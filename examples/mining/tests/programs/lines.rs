//! The README says how many lines each example has of its own, and it is no more than was meant.

const README: &str = include_str!("../../README.md");

/// All lines of a file, with comments and empty ones.
fn lines(file: &str) -> usize {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path).unwrap().lines().count()
}

#[test]
fn each_example_is_as_short_as_the_readme_says() {
    for (file, fewer_than) in [
        ("src/bin/tip-notifier.rs", 40),
        ("src/bin/template-watcher.rs", 40),
        ("src/bin/solo-miner.rs", 150),
        ("src/template_provider.rs", 150),
        ("tests/programs/pool.rs", 80),
    ] {
        let lines = lines(file);
        assert!(lines < fewer_than, "{file} has {lines} lines");
        let row = README.lines().find(|row| row.contains(&format!("]({file})"))).expect(file);
        assert!(row.ends_with(&format!("| {lines} |")), "the README says otherwise: {row}");
    }
}
