//! What runs of a plan learned, in `<home>/lessons/PLAN.md` (feature N11): written by the hook
//! `reflect`, or by hand, and told to later attempts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::engine::Engine;

/// How many lessons are told, the newest.
const LESSONS_MAX: usize = 20;
/// How many words they have together, at most.
const WORDS_MAX: usize = 300;
/// How much of a file is read.
const BYTES_MAX: u64 = 256 << 10;

impl Engine {
    /// The file of a plan. Its name keeps only what is harmless in a path.
    pub(super) fn lessons_of(&self, plan: &str) -> PathBuf {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name: String = plan.chars().map(|c| if fits(c) { c } else { '-' }).collect();
        self.settings.home.state().join("lessons").join(format!("{name}.md"))
    }

    /// The same for the plans of all runs that go on.
    pub(super) fn learn_all(&mut self) {
        let plans: BTreeSet<String> =
            self.core.workflow.runs().map(|run| run.plan.name.clone()).collect();
        plans.iter().for_each(|plan| self.learn(plan));
    }

    /// Reads the lessons of a plan, so that its next prompts tell them.
    pub(super) fn learn(&mut self, plan: &str) {
        let text = read(&self.lessons_of(plan));
        self.core.workflow.teach(plan, &newest(&text));
    }
}

/// No file is no lesson, nor is one that cannot be read.
fn read(path: &Path) -> String {
    let mut text = String::new();
    let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file());
    if let Some(file) = is_file.then(|| File::open(path).ok()).flatten() {
        let _ = file.take(BYTES_MAX).read_to_string(&mut text);
    }
    text
}

/// The newest lessons that fit, the oldest of them first. A lesson is a line that begins with `- `.
fn newest(text: &str) -> String {
    let mut words = 0;
    let fits = |line: &&str| {
        words += line.split_whitespace().count();
        words <= WORDS_MAX
    };
    let lessons = text.lines().filter(|line| line.starts_with("- ")).rev().take(LESSONS_MAX);
    let mut kept: Vec<&str> = lessons.take_while(fits).collect();
    kept.reverse();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lessons_are_told_as_far_as_they_fit() {
        let many: String = (0..50).map(|n| format!("- lesson {n}\n")).collect();
        let told = newest(&format!("# Lessons\n\n{many}"));
        assert_eq!(told.lines().count(), LESSONS_MAX);
        assert!(told.starts_with("- lesson 30\n") && told.ends_with("- lesson 49"), "{told}");
        let long = format!("- {}\n- short\n", "word ".repeat(400));
        assert_eq!(newest(&long), "- short");
        assert_eq!(newest(""), "");
    }
}
