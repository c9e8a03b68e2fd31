//! The table of steps and the sources say the same.

use std::collections::BTreeSet;

use muxvisor::failpoint;

use crate::architecture::tree;

/// Names that stand behind a call, or alone in a line of code that chooses one.
fn named_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for quoted in text.split('"').skip(1).step_by(2) {
        let is_step = quoted.split_once('.').is_some_and(|(room, step)| {
            let word = |text: &str| {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            };
            word(room) && word(step) && failpoint::ALL.contains(&quoted)
        });
        if is_step {
            found.insert(quoted.to_owned());
        }
    }
    found
}

#[test]
fn every_step_of_the_table_is_in_the_sources_and_no_other() {
    let sources: Vec<(String, String)> = tree::rust_files("src")
        .into_iter()
        .filter(|(path, _)| !path.starts_with("src/failpoint"))
        .collect();
    let mut used = BTreeSet::new();
    for (path, text) in &sources {
        used.extend(named_in(text));
        for call in ["failpoint::step(", "failpoint::io(", "failpoint::future("] {
            for (_, after) in text.match_indices(call).map(|(at, _)| text.split_at(at + call.len()))
            {
                let name = after.trim_start();
                let Some(name) = name.strip_prefix('"').and_then(|name| name.split_once('"'))
                else {
                    continue;
                };
                assert!(failpoint::ALL.contains(&name.0), "{path}: {} is in no table", name.0);
            }
        }
    }
    let unused: Vec<_> = failpoint::ALL
        .iter()
        .filter(|name| !used.contains(**name) && **name != "clock.wall")
        .collect();
    assert!(unused.is_empty(), "in the table and nowhere else: {unused:?}");
    let once: BTreeSet<_> = failpoint::ALL.iter().collect();
    assert_eq!(once.len(), failpoint::ALL.len(), "a name stands there twice");
}
