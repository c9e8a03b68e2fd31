//! The lines at the end of a terminal that move: one for everything that runs, and the count.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::columns::span;
use crate::model::TaskId;

/// How often the moving lines move.
const EVERY: Duration = Duration::from_millis(120);

/// The moving lines.
#[derive(Debug, Default)]
pub(crate) struct Moving {
    lines: MultiProgress,
    tasks: BTreeMap<TaskId, ProgressBar>,
    total: Option<ProgressBar>,
}

impl Moving {
    /// Does something that prints, above the lines.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.lines.suspend(print);
    }

    /// A line for a task that runs.
    pub(super) fn add(&mut self, task: &TaskId, text: &str, since_ms: u64, expected: Option<u64>) {
        self.remove(task);
        let expected = expected.map_or(String::new(), |ms| format!(" of about {}", about(ms)));
        // What is set before the line has its place must not draw it.
        let line = ProgressBar::new_spinner()
            .with_elapsed(Duration::from_millis(since_ms))
            .with_style(style("{spinner} {msg} {elapsed}{prefix}"))
            .with_message(text.to_owned())
            .with_prefix(expected);
        let line = match &self.total {
            Some(total) => self.lines.insert_before(total, line),
            None => self.lines.add(line),
        };
        line.enable_steady_tick(EVERY);
        self.tasks.insert(task.clone(), line);
    }

    /// Takes it away.
    pub(super) fn remove(&mut self, task: &TaskId) {
        if let Some(line) = self.tasks.remove(task) {
            line.finish_and_clear();
            self.lines.remove(&line);
        }
    }

    /// How much of all is over, in the last line.
    pub(super) fn count(&mut self, over: usize, all: usize) {
        let lines = &self.lines;
        let total = self.total.get_or_insert_with(|| {
            lines.add(ProgressBar::new_spinner().with_style(style("  {msg}, {elapsed}")))
        });
        total.set_message(format!("{over} of {all} tasks are over"));
    }

    /// Leaves the end of the terminal to somebody who types.
    pub(super) fn rest(&self) {
        // What ticks on would draw over what is typed.
        self.tasks.values().for_each(ProgressBar::disable_steady_tick);
        let _ = self.lines.clear();
        self.lines.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Moves again.
    pub(super) fn go_on(&self) {
        self.lines.set_draw_target(ProgressDrawTarget::stderr());
        self.tasks.values().for_each(|line| line.enable_steady_tick(EVERY));
    }

    /// Takes all away.
    pub(super) fn clear(&mut self) {
        self.tasks.values().chain(&self.total).for_each(ProgressBar::finish_and_clear);
        self.tasks.clear();
        self.total = None;
        let _ = self.lines.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

/// An estimate: `3s` rather than `3.0s`.
pub(super) fn about(ms: u64) -> String {
    span(ms).replace(".0s", "s")
}
