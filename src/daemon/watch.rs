//! Follows one attempt from its launch to its end: a task that waits for its records and for the
//! death of its shim, and reports what it finds. It decides nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failpoint;
use crate::model::{
    Ending, Exit, Order, Owner, ProcessMark, Report, Spent, Started, StopCause, files,
};
use crate::shim;
use crate::supervisor::Event;

use super::fence::Traces;
use super::notices::Notices;
use super::readable::readable;
use super::{Inbox, Incoming, ending, fence, process, status};

/// How long a set that cannot be killed is left alone before the next look.
const STUCK_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait before the next look at what could not be known.
const UNKNOWN_AGAIN: Duration = Duration::from_millis(100);

/// What to follow.
pub(super) struct Followed {
    /// What was ordered.
    pub(super) order: Order,
    /// Its directory.
    pub(super) dir: PathBuf,
    /// Where its shim listens.
    pub(super) socket: PathBuf,
    /// Its shim.
    pub(super) shim: ProcessMark,
    /// The boot that this daemon lives in.
    pub(super) boot_id: String,
}

/// Follows it until it is over, and says so to `inbox`.
pub(super) async fn follow(followed: Followed, notices: Notices, inbox: Inbox) {
    let Followed { order, dir, socket, mut shim, boot_id } = followed;
    let exit = loop {
        wait_for_end(&order, &dir, &shim, &boot_id, &notices, &inbox).await;
        match failpoint::io("follow.read-exit", || ending::exit_record(&dir, &order)) {
            Ok(Some(exit)) => break Some(exit),
            Ok(None) => {}
            Err(error) => {
                wait_for_knowledge(&order, &error).await;
                continue;
            }
        }
        // An attempt that was launched twice has one shim that runs it; the other one is gone.
        match shim::holder(&dir) {
            Ok(Some(pid)) => {
                reap(&shim, &boot_id).await;
                shim = process::mark(pid, &boot_id);
                // Just gone, or in a place that we cannot see into.
                if shim.start_ticks == 0 {
                    tokio::time::sleep(UNKNOWN_AGAIN).await;
                }
            }
            Ok(None) => break None,
            Err(error) => wait_for_knowledge(&order, &error).await,
        }
    };
    if exit.is_none() {
        failpoint::future("follow.fence", fence_until_empty(&order, &dir, &boot_id, &inbox)).await;
    }
    match read_end(&order, &dir, exit).await {
        Some((ending, spent)) => failpoint::step("follow.report-end", || {
            let (order, ending) = (Box::new(order), Box::new(ending));
            inbox.put(Incoming::Over { order, ending, spent });
        }),
        None => inbox.fault(format!("the reader of attempt {} panicked", order.attempt)),
    }
    // Its record is there a moment before it is gone, and nobody waits for that moment.
    reap(&shim, &boot_id).await;
    // A shim that was killed has left its sockets behind; any other has removed them itself.
    for left in [socket.with_extension("notify"), socket] {
        let _ = failpoint::io("follow.remove-socket", || std::fs::remove_file(left));
    }
}

/// What it left; `None` when the reader panicked.
async fn read_end(order: &Order, dir: &Path, exit: Option<Exit>) -> Option<(Ending, Vec<Spent>)> {
    loop {
        let (judged, dir, exit) = (order.clone(), dir.to_owned(), exit.clone());
        let read =
            move || failpoint::io("follow.read-result", || ending::read(&dir, &judged, exit));
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(read)) => return Some(read),
            Ok(Err(error)) => wait_for_knowledge(order, &error).await,
            Err(_) => return None,
        }
    }
}

/// Takes the exit status of a shim that is our child, once it has one.
async fn reap(shim: &ProcessMark, boot_id: &str) {
    let handle = process::open_ended(shim, boot_id).ok().flatten();
    if let Some(ended) = handle.and_then(|handle| readable(handle).ok()) {
        let _ = ended.readable().await;
    }
    process::reap(shim.pid);
}

/// Not knowing is not death: what cannot be read for want of something is read again.
async fn wait_for_knowledge(order: &Order, error: &io::Error) {
    tracing::warn!("attempt {} cannot be looked at: {error}", order.attempt);
    tokio::time::sleep(UNKNOWN_AGAIN).await;
}

/// Returns when the exit record is there or the shim is gone. Reports the start on the way.
async fn wait_for_end(
    order: &Order,
    dir: &Path,
    shim: &ProcessMark,
    boot_id: &str,
    notices: &Notices,
    inbox: &Inbox,
) {
    let notice = failpoint::io("follow.watch", || notices.watch(dir)).ok();
    let (mut reported, mut dismissed, mut said) = (false, !stays(order), None);
    let alive = loop {
        match process::open(shim, boot_id).and_then(|handle| handle.map(readable).transpose()) {
            Ok(alive) => break alive,
            Err(error) => wait_for_knowledge(order, &error).await,
        }
    };
    loop {
        reported = reported || report_start(order, dir, inbox);
        report_words(order, dir, &mut said, inbox);
        if reported && !dismissed && dir.join(files::SUBMITTED).exists() {
            dismissed = true;
            let attempt = order.attempt.clone();
            inbox.event(Event::StopAsked { attempt, cause: StopCause::Submitted });
        }
        if dir.join(files::EXIT).exists() {
            return;
        }
        let Some(alive) = &alive else { return };
        tokio::select! {
            () = arrived(notice.as_ref()) => {}
            _ = alive.readable() => {
                report_start(order, dir, inbox);
                report_words(order, dir, &mut said, inbox);
                return;
            }
        }
    }
}

/// Whether the agent of a task does not end by itself: one with a terminal waits for a person. Its
/// work is done when its result is handed in.
fn stays(order: &Order) -> bool {
    order.terminal && matches!(order.owner, Owner::Task { .. })
}

async fn arrived(notice: Option<&super::notices::Notice>) {
    match notice {
        Some(notice) => notice.arrived().await,
        // Without inotify the end of the shim is still seen, and the start a little later.
        None => tokio::time::sleep(UNKNOWN_AGAIN).await,
    }
}

/// Tells the start once the record of it is there; the supervisor takes it twice without harm.
fn report_start(order: &Order, dir: &Path, inbox: &Inbox) -> bool {
    let Some(started) = started_record(dir, order) else { return false };
    let attempt = order.attempt.clone();
    failpoint::step("follow.report-start", || {
        inbox.event(Event::Started { attempt, process: started.agent });
    });
    true
}

/// Tells what the agent says about itself, when that has changed.
fn report_words(order: &Order, dir: &Path, last: &mut Option<Report>, inbox: &Inbox) {
    if let Some(report) = status::news(dir, last) {
        let attempt = order.attempt.clone();
        inbox.event(Event::Reported { attempt, report: Box::new(report) });
    }
}

/// The start record, if it is there and belongs to this attempt.
pub(super) fn started_record(dir: &Path, order: &Order) -> Option<Started> {
    let text = std::fs::read_to_string(dir.join(files::STARTED)).ok()?;
    let started: Started = serde_json::from_str(&text).ok()?;
    (started.token == order.token.as_str()).then_some(started)
}

/// No shim, no record: whatever is left of the agent is ended before anybody hears that it is
/// over, so that no second copy can start beside it.
async fn fence_until_empty(order: &Order, dir: &Path, boot_id: &str, inbox: &Inbox) {
    let traces = Traces::of(order, dir, started_record(dir, order), boot_id);
    loop {
        let (traces, boot_id) = (traces.clone(), boot_id.to_owned());
        let sweep = tokio::task::spawn_blocking(move || fence::sweep(&traces, &boot_id)).await;
        let message = match sweep.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(left) if left.is_empty() => return,
            Ok(left) => {
                let pids: Vec<String> = left.iter().map(|mark| mark.pid.to_string()).collect();
                format!("unkillable: processes {} do not go away", pids.join(", "))
            }
            Err(error) => format!("what is left of it cannot be looked for: {error}"),
        };
        inbox.event(Event::Stuck { attempt: order.attempt.clone(), message });
        tokio::time::sleep(STUCK_AGAIN).await;
    }
}

impl Inbox {
    fn event(&self, event: Event) {
        self.put(Incoming::Supervisor(event));
    }

    fn fault(&self, text: String) {
        self.put(Incoming::Fault(text));
    }
}
