//! `status.json`: what a living agent says about itself, kept on disk for any daemon to read.
//!
//! Written under another name and renamed, not synced: after a crash of the machine there is no
//! agent that it could be about. A change is on disk at once, or 100 ms after the one before.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::notify::Word;
use crate::failpoint;
use crate::model::{ActivitySource, Doing, Report, Spec, files};

/// Between two writes.
const STEP_MS: u64 = 100;

/// The record and its file.
pub(super) struct Reporter {
    dir: PathBuf,
    now: Report,
    written: Option<Report>,
    /// What was said on the socket, and what in the output.
    notified: Option<Doing>,
    reported: Option<Doing>,
    tried_ms: Option<u64>,
    due_ms: Option<u64>,
}

impl Reporter {
    /// A record of nothing; its file does not exist until there is something to say.
    pub(super) fn new(dir: &Path, spec: &Spec) -> Self {
        let (attempt, token) = (spec.attempt.clone(), spec.token.clone());
        Self {
            dir: dir.to_owned(),
            now: Report { attempt, token, ..Report::default() },
            written: None,
            notified: None,
            reported: None,
            tried_ms: None,
            due_ms: None,
        }
    }

    /// Takes what was said on the socket.
    pub(super) fn hear(&mut self, now_ms: u64, wall_ms: i64, words: Vec<Word>) {
        if words.is_empty() {
            return;
        }
        for word in words {
            match word {
                Word::Ready => (self.now.ready, self.now.stopping) = (true, false),
                Word::Stopping => self.now.stopping = true,
                Word::Beat => self.now.beats += 1,
                Word::Extend(ms) => self.now.extended = (self.now.extended.0 + 1, ms),
                Word::Status(status) => self.now.status = status,
                Word::Doing(None) => self.notified = None,
                Word::Doing(Some((activity, kind))) => {
                    let before = self.notified.as_ref();
                    let same = before.filter(|was| was.activity == activity && was.kind == kind);
                    let at_ms = same.map_or(wall_ms, |was| was.at_ms);
                    let source = ActivitySource::Notify;
                    let doing = Doing { activity, kind, message: None, source, at_ms };
                    self.notified = Some(doing);
                }
            }
        }
        self.keep(now_ms);
    }

    /// Takes what the output says that the program is doing.
    pub(super) fn see(&mut self, now_ms: u64, doing: Option<Doing>) {
        self.reported = doing;
        self.keep(now_ms);
    }

    /// When [`Reporter::settle`] is to be called.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// Writes what has waited long enough.
    pub(super) fn settle(&mut self, now_ms: u64) {
        if self.due_ms.is_some_and(|due| due <= now_ms) {
            self.write(now_ms);
        }
    }

    /// Writes what waits: nothing more will be said.
    pub(super) fn close(&mut self, now_ms: u64) {
        if self.due_ms.is_some() {
            self.write(now_ms);
        }
    }

    fn keep(&mut self, now_ms: u64) {
        // Who was told on the socket knows better than who reads the output.
        self.now.doing = self.notified.clone().or_else(|| self.reported.clone());
        let never = self.written.is_none() && self.now == self.blank();
        if never || self.written.as_ref() == Some(&self.now) {
            self.due_ms = None;
            return;
        }
        let next = self.tried_ms.map_or(now_ms, |tried| tried + STEP_MS);
        let was_ready = self.written.as_ref().is_some_and(|written| written.ready);
        // Others start when this one is ready, so that is never held back.
        if next <= now_ms || (self.now.ready && !was_ready) {
            return self.write(now_ms);
        }
        self.due_ms = Some(next);
    }

    fn blank(&self) -> Report {
        let Report { attempt, token, .. } = self.now.clone();
        Report { attempt, token, ..Report::default() }
    }

    /// A disk that refuses is tried again when there is more to say.
    fn write(&mut self, now_ms: u64) {
        self.due_ms = None;
        self.tried_ms = Some(now_ms);
        if replace(&self.dir, &self.now).is_ok() {
            self.written = Some(self.now.clone());
        }
    }
}

fn replace(dir: &Path, report: &Report) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(report)?;
    bytes.push(b'\n');
    let temporary = dir.join(format!("{}.tmp", files::STATUS));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    failpoint::io("shim.write-status", || options.open(&temporary)?.write_all(&bytes))?;
    failpoint::io("shim.name-status", || fs::rename(temporary, dir.join(files::STATUS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activity, BlockKind};
    use crate::shim::ending;

    fn reporter(dir: &Path) -> Reporter {
        Reporter::new(dir, &ending::nameless("a".to_owned()))
    }

    fn read(dir: &Path) -> Option<Report> {
        serde_json::from_slice(&fs::read(dir.join(files::STATUS)).ok()?).unwrap()
    }

    fn status(text: &str) -> Vec<Word> {
        vec![Word::Status(Some(text.to_owned()))]
    }

    /// A storm costs ten writes a second, and its last word is written.
    #[test]
    fn changes_are_written_at_once_and_then_every_100_ms() {
        let dir = tempfile::tempdir().unwrap();
        let said = || read(dir.path()).unwrap().status;
        let mut reporter = reporter(dir.path());
        reporter.see(0, None);
        assert!(read(dir.path()).is_none() && reporter.due_ms().is_none());
        reporter.hear(1000, 0, status("a"));
        assert_eq!((said().as_deref(), reporter.due_ms()), (Some("a"), None));
        reporter.hear(1001, 0, status("b"));
        reporter.hear(1002, 0, status("c"));
        assert_eq!((said().as_deref(), reporter.due_ms()), (Some("a"), Some(1100)));
        reporter.settle(1099);
        assert_eq!(said().as_deref(), Some("a"));
        reporter.settle(1100);
        assert_eq!((said().as_deref(), reporter.due_ms()), (Some("c"), None));
        // Back to what is on disk: nothing to write any more.
        reporter.hear(1101, 0, status("d"));
        reporter.hear(1102, 0, status("c"));
        assert_eq!(reporter.due_ms(), None);
        reporter.hear(1103, 0, status("e"));
        reporter.close(1104);
        assert_eq!(said().as_deref(), Some("e"));
    }

    #[test]
    fn readiness_waits_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut reporter = reporter(dir.path());
        reporter.hear(1000, 0, status("a"));
        reporter.hear(1001, 0, vec![Word::Beat, Word::Ready, Word::Extend(7)]);
        let report = read(dir.path()).unwrap();
        assert_eq!((report.ready, report.beats, report.extended), (true, 1, (1, 7)));
        assert_eq!(report.status.as_deref(), Some("a"));
        reporter.hear(1002, 0, vec![Word::Stopping]);
        reporter.settle(1101);
        assert!(read(dir.path()).unwrap().stopping);
    }

    /// The socket is believed before the output, and the time is that of the change.
    #[test]
    fn who_speaks_on_the_socket_is_believed_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut reporter = reporter(dir.path());
        let idle = Doing {
            activity: Activity::Idle,
            kind: None,
            message: None,
            source: ActivitySource::Osc7501,
            at_ms: 3,
        };
        let blocked = Word::Doing(Some((Activity::Blocked, Some(BlockKind::Question))));
        reporter.see(1000, Some(idle.clone()));
        assert_eq!(read(dir.path()).unwrap().doing, Some(idle.clone()));
        reporter.hear(2000, 5, vec![blocked.clone()]);
        reporter.hear(3000, 6, vec![blocked]);
        reporter.see(4000, Some(Doing { at_ms: 9, ..idle.clone() }));
        let doing = read(dir.path()).unwrap().doing.unwrap();
        assert_eq!((doing.activity, doing.source), (Activity::Blocked, ActivitySource::Notify));
        assert_eq!(doing.at_ms, 5);
        reporter.hear(5000, 7, vec![Word::Doing(None)]);
        assert_eq!(read(dir.path()).unwrap().doing.unwrap().at_ms, 9);
    }

    /// Fault 62: what a disk refuses is written with the next change.
    #[test]
    fn a_disk_that_refuses_is_tried_again_with_the_next_change() {
        let dir = tempfile::tempdir().unwrap();
        let away = dir.path().join("not-yet");
        let mut reporter = reporter(&away);
        reporter.hear(1000, 0, status("a"));
        assert_eq!(reporter.due_ms(), None);
        fs::create_dir(&away).unwrap();
        reporter.hear(2000, 0, vec![Word::Beat]);
        let report = read(&away).unwrap();
        assert_eq!((report.status.as_deref(), report.beats), (Some("a"), 1));
    }
}
