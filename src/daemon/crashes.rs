//! Counts starts that crashed, so that a run whose recovery crashes the daemon cannot keep it from
//! serving everything else (design §7). A start that was killed does not count: whoever kills
//! daemons in a row must not lose a run by it, and only the dying process itself knows the cause.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// After so many crashed starts in a row, runs and their attempts are left as they are.
const CRASHES_MAX: usize = 3;

/// A start that is under way.
pub(super) struct Start {
    marks: PathBuf,
    before: usize,
    under_way: Arc<AtomicBool>,
}

impl Start {
    /// Begins it: from here on a panic leaves a mark.
    pub(super) fn begin(state: &Path) -> Self {
        let marks = state.join("crashed-starts");
        let start =
            Self { before: count(&marks), under_way: Arc::new(AtomicBool::new(true)), marks };
        let (marks, under_way) = (start.marks.clone(), start.under_way.clone());
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if under_way.load(Ordering::Relaxed) {
                // Without the mark the next start merely tries once more.
                let _ = mark(&marks);
            }
            told(panic);
        }));
        start
    }

    /// Whether the starts before this one crashed so often that runs are better left alone.
    pub(super) fn is_wary(&self) -> bool {
        self.before >= CRASHES_MAX
    }

    /// It is done: earlier crashes are forgotten, and the next start tries everything again.
    pub(super) fn done(self) {
        self.under_way.store(false, Ordering::Relaxed);
        if self.before > 0 {
            let _ = fs::remove_file(&self.marks);
        }
    }
}

/// One byte for each crash.
fn mark(marks: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(marks)?.write_all(b".")
}

fn count(marks: &Path) -> usize {
    fs::read(marks).map_or(0, |marks| marks.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_crashes_make_wary_until_a_start_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let marks = dir.path().join("crashed-starts");
        for crashes in 0..3 {
            assert_eq!(count(&marks), crashes);
            mark(&marks).unwrap();
        }
        let start = Start::begin(dir.path());
        assert!(start.is_wary());
        start.done();
        assert!(!Start::begin(dir.path()).is_wary());
    }
}
