//! What the readers of an agent's policies know of the agent beside the table they read.

use std::path::Path;

use crate::document::Table;

/// What the readers need to know about the agent beside its table.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The directory of the file.
    pub(super) base_dir: &'a Path,
    /// Whether somebody can take over; for `[defaults]` that is not known yet.
    pub(super) fails_over: bool,
}

impl Around<'_> {
    /// Reports that a takeover is asked for, unless somebody can take over.
    pub(super) fn check_failover(&self, table: &Table<'_>, key: &str, said: &str) {
        if self.fails_over {
            return;
        }
        let message = format!("{said} has nobody to fail over to");
        let problem = table.findings().error("C13", table.value_span(key), message);
        problem.help("add a table `[agent.NAME.failover]` with `targets = [\"...\"]`");
    }
}
