//! The items of runs, one run after the other, the newest first. Those of runs that are over are
//! kept from one question to the next: to replay two hundred runs takes long, to look whether any
//! of them has a newer fact does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::items::ItemView;
use crate::ledger::{Reader, RunMark};
use crate::model::{RunId, RunState};
use crate::workflow::{Run, Workflow};

use super::item_view::item;
use super::now::Now;

/// As much is kept at most, as JSON counts it; what is older is replayed again.
const BYTES_MAX: usize = 16 << 20;

/// What is told of one run.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) run: RunId,
    pub(super) state: RunState,
    pub(super) items: Vec<ItemView>,
}

/// The runs that are over, as they were told of last.
#[derive(Debug, Default)]
pub(super) struct Summaries {
    kept: Mutex<BTreeMap<RunId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// The last fact that it knows of.
    last: i64,
    bytes: usize,
    summary: Arc<Summary>,
}

impl Summaries {
    fn known(&self, mark: &RunMark) -> Option<Arc<Summary>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.get(&mark.run).filter(|known| known.last == mark.last)?;
        Some(Arc::clone(&known.summary))
    }

    fn keep(&self, mark: &RunMark, summary: &Arc<Summary>) {
        let Ok(text) = serde_json::to_vec(&summary.items) else { return };
        let (last, bytes, summary) = (mark.last, text.len(), Arc::clone(summary));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(mark.run.clone(), Kept { last, bytes, summary });
        while kept.values().map(|one| one.bytes).sum::<usize>() > BYTES_MAX {
            kept.pop_first();
        }
    }

    /// Forgets what is told of no more.
    fn retain(&self, marks: &[RunMark]) {
        let there: BTreeSet<&RunId> = marks.iter().map(|mark| &mark.run).collect();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|run, _| there.contains(run));
    }
}

/// Where items come from.
pub(super) struct Runs<'a> {
    pub(super) live: Vec<Run>,
    pub(super) reader: &'a Reader,
    pub(super) kept: &'a Summaries,
    pub(super) now: Now,
}

impl Runs<'_> {
    /// The newest runs, the newest first, each read when its turn comes.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn newest(
        &self,
        count: usize,
    ) -> Result<impl Iterator<Item = Arc<Summary>> + '_, crate::ledger::Error> {
        let marks = self.reader.newest_runs(count)?;
        self.kept.retain(&marks);
        Ok(marks.into_iter().filter_map(|mark| self.of(&mark)))
    }

    /// One run.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn one(&self, run: &RunId) -> Result<Option<Arc<Summary>>, crate::ledger::Error> {
        Ok(self.reader.run_mark(run)?.and_then(|mark| self.of(&mark)))
    }

    fn of(&self, mark: &RunMark) -> Option<Arc<Summary>> {
        if let Some(live) = self.live.iter().find(|run| run.id == mark.run) {
            return Some(Arc::new(self.told(live)));
        }
        if let Some(known) = self.kept.known(mark) {
            return Some(known);
        }
        let log = self.reader.run_log(&mark.run).ok()??;
        let run = Workflow::replay(&mark.run, &log.entries).ok()?;
        let summary = Arc::new(self.told(&run));
        if run.state.is_end() {
            self.kept.keep(mark, &summary);
        }
        Some(summary)
    }

    fn told(&self, run: &Run) -> Summary {
        let items = run.tasks().map(|(plan, task)| item(run, plan, task, self.now)).collect();
        Summary { run: run.id.clone(), state: run.state, items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of a run counts until something happens to it, or it is not told of any more.
    #[test]
    fn a_summary_counts_until_something_happens() {
        let summaries = Summaries::default();
        let mark = |number, last| RunMark { run: RunId::of_day("2026-11-21", number), last };
        let summary = |mark: &RunMark| {
            let (run, state) = (mark.run.clone(), RunState::Completed);
            Arc::new(Summary { run, state, items: Vec::new() })
        };
        for number in 1..=3 {
            let mark = mark(number, 7);
            summaries.keep(&mark, &summary(&mark));
        }
        assert!(summaries.known(&mark(2, 7)).is_some());
        assert!(summaries.known(&mark(2, 8)).is_none(), "it was taken up again");
        summaries.retain(&[mark(2, 7), mark(3, 7)]);
        assert!(summaries.known(&mark(1, 7)).is_none());
        assert!(summaries.known(&mark(3, 7)).is_some());
    }
}
