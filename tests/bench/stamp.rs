//! The work of most benchmarked steps: note on the monotonic clock when it began and ended.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One step: when its first instruction ran, and when it was about to end; nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(crate) began: i64,
    pub(crate) ended: i64,
}

/// Now, on the clock of the stamps.
pub(crate) fn now() -> i64 {
    let at = clock_gettime(ClockId::Monotonic);
    at.tv_sec * 1_000_000_000 + at.tv_nsec
}

/// Runs as a step: `stamp FILE [MILLISECONDS]`.
pub(crate) fn leave(file: &str, rest: &[&str]) {
    let began = now();
    if let Some(ms) = rest.first() {
        std::thread::sleep(Duration::from_millis(ms.parse().unwrap()));
    }
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(format!("{began} {}\n", now()).as_bytes()).unwrap();
}

/// What the steps noted so far, in the order of their beginning.
pub(crate) fn read(file: &Path) -> Vec<Stamp> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut stamps: Vec<Stamp> = text
        .lines()
        .filter_map(|line| {
            let (began, ended) = line.split_once(' ')?;
            Some(Stamp { began: began.parse().ok()?, ended: ended.parse().ok()? })
        })
        .collect();
    stamps.sort();
    stamps
}

/// From each step's end to the next one's beginning, in milliseconds.
pub(crate) fn gaps(file: &Path) -> Vec<f64> {
    read(file).windows(2).map(|pair| ms(pair[1].began - pair[0].ended)).collect()
}

/// Nanoseconds as milliseconds.
pub(crate) fn ms(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Waits until that many steps have noted themselves.
pub(crate) fn wait(file: &Path, count: usize) {
    until(&format!("{count} steps"), || read(file).len() >= count);
}

/// Polls, fine enough for what is measured and for two minutes at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = now() + 120_000_000_000;
    while !holds() {
        assert!(now() < end, "waited two minutes for {what}");
        std::thread::sleep(Duration::from_micros(300));
    }
}
