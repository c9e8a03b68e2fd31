//! What a home holds, looked at again and again, and whether it grows.

use std::fmt;
use std::fs;

use crate::stage::Stage;

use super::chaos;

/// What is there at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) rss_kib: usize,
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    pub(super) windows: usize,
    pub(super) shims: usize,
    pub(super) processes: usize,
    pub(super) sockets: usize,
    pub(super) folders: usize,
    pub(super) ledger_kib: usize,
}

/// How much more the last quarter may hold than the second, beside half as much again. The last
/// two grow with the history, which is kept on purpose.
const COLUMNS: [(&str, Option<usize>); 9] = [
    ("rss KiB", Some(8 << 10)),
    ("fds", Some(24)),
    ("threads", Some(12)),
    ("windows", Some(12)),
    ("shims", Some(12)),
    ("processes", Some(40)),
    ("sockets", Some(16)),
    ("folders", None),
    ("ledger KiB", None),
];

impl Sample {
    pub(super) fn of(stage: &Stage) -> Self {
        let (mut rss_kib, mut descriptors, mut threads) = (0, 0, 0);
        for pid in chaos::daemon(stage) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
            };
            (rss_kib, threads) = (field("VmRSS:"), field("Threads:"));
            descriptors = entries(&format!("/proc/{pid}/fd"));
        }
        let size = |name: &str| fs::metadata(stage.at(name)).map_or(0, |found| found.len());
        let ledger = size("ledger.db") + size("ledger.db-wal");
        let sockets = fs::read_dir(stage.at("run/s")).into_iter().flatten().flatten();
        let own = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".sock");
        Self {
            rss_kib,
            descriptors,
            threads,
            windows: stage.panes().len(),
            shims: chaos::shims(stage).len(),
            processes: stage.processes().len(),
            sockets: sockets.filter(|entry| own(&entry.file_name())).count(),
            folders: entries(&stage.at("attempts").display().to_string()),
            ledger_kib: usize::try_from(ledger >> 10).unwrap(),
        }
    }

    fn all(&self) -> [usize; 9] {
        [
            self.rss_kib,
            self.descriptors,
            self.threads,
            self.windows,
            self.shims,
            self.processes,
            self.sockets,
            self.folders,
            self.ledger_kib,
        ]
    }
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// All of them, in order.
#[derive(Default)]
pub(super) struct Samples(Vec<Sample>);

impl Samples {
    pub(super) fn take(&mut self, stage: &Stage) {
        let sample = Sample::of(stage);
        // Between two daemons there is nothing to be seen of one.
        if sample.rss_kib > 0 {
            self.0.push(sample);
        }
    }

    /// The median of a column in a quarter, from 0.
    fn median(&self, column: usize, quarter: usize) -> usize {
        let length = self.0.len();
        let part = &self.0[length * quarter / 4..length * (quarter + 1) / 4];
        let mut values: Vec<usize> = part.iter().map(|sample| sample.all()[column]).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    }

    /// Nothing grew but the history.
    pub(super) fn assert_flat(&self) {
        for (column, (name, slack)) in COLUMNS.iter().enumerate() {
            let (early, late) = (self.median(column, 1), self.median(column, 3));
            if let Some(slack) = slack {
                assert!(late <= early + early / 2 + slack, "{name} grew from {early} to {late}");
            }
        }
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:>9} {:>9} {:>9} {:>9}", "median of", "1st", "2nd", "3rd", "4th")?;
        for (column, (name, _)) in COLUMNS.iter().enumerate() {
            let of = |quarter| self.median(column, quarter);
            writeln!(f, "{name:<12} {:>9} {:>9} {:>9} {:>9}", of(0), of(1), of(2), of(3))?;
        }
        Ok(())
    }
}
