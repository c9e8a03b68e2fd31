//! What the text of a file must and must not look like, whatever it means.

/// Rust files that do not say at their top what they decide or touch.
pub(crate) fn headless(files: &[(String, String)]) -> Vec<String> {
    let without = files.iter().filter(|(_, text)| !text.starts_with("//! "));
    without.map(|(path, _)| format!("{path}: the first line is no `//!` head")).collect()
}

/// Test modules that `main.rs` does not declare, which would therefore never run.
pub(crate) fn undeclared(main: &str, names: &[String]) -> Vec<String> {
    let declared = |name: &&String| main.lines().any(|line| line.trim() == format!("mod {name};"));
    let forgotten = names.iter().filter(|name| *name != "main" && !declared(name));
    forgotten.map(|name| format!("tests/it/{name}.rs is not declared in main.rs")).collect()
}

/// Rust files with more than `limit` lines before their tests.
pub(crate) fn too_long(files: &[(String, String)], limit: usize) -> Vec<String> {
    let sources = files.iter().filter(|(path, _)| !is_test_file(path));
    let lengths = sources.map(|(path, text)| (path, code(text).lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > limit);
    long.map(|(path, lines)| format!("{path}: {lines} lines, the limit is {limit}")).collect()
}

/// A source file without its `#[cfg(test)] mod …` at the end.
pub(crate) fn code(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |start| &text[..start])
}

/// The tests of a source file: at its end, or all of it.
pub(crate) fn tests<'t>(path: &str, text: &'t str) -> &'t str {
    if is_test_file(path) { text } else { &text[code(text).len()..] }
}

/// Whether a file under `src/` holds the tests of the room or file beside it.
fn is_test_file(path: &str) -> bool {
    path.starts_with("src/") && (path.ends_with("/tests.rs") || path.contains("/tests/"))
}

/// Lines that hold one of the words, as a word of its own where it begins or ends with a letter.
pub(crate) fn lines_with(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| holds(line, word)) {
            found.push(format!("{path}:{}: `{word}`", index + 1));
        }
    }
    found
}

fn holds(line: &str, word: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let begins_with_letter = part_of_word(word.chars().next());
    let ends_with_letter = part_of_word(word.chars().next_back());
    line.match_indices(word).any(|(at, _)| {
        let before = begins_with_letter && part_of_word(line[..at].chars().next_back());
        let after = ends_with_letter && part_of_word(line[at + word.len()..].chars().next());
        !before && !after
    })
}

/// File names that say nothing about what is inside.
pub(crate) fn meaningless(paths: &[String]) -> Vec<String> {
    const BANNED: &[&str] = &[
        "util", "utils", "common", "shared", "helper", "helpers", "misc", "types", "error",
        "errors", "manager", "handler",
    ];
    let stem = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.trim_end_matches(".rs").to_owned()
    };
    let bad = paths.iter().filter(|path| BANNED.contains(&stem(path).as_str()));
    bad.map(|path| format!("{path}: the name says nothing")).collect()
}
