//! Takes up what an earlier daemon left: compares every attempt of the ledger with its directory,
//! its shim and its window, and says what was found as ordinary events (design §7).

use std::path::Path;

use crate::model::{AttemptId, AttemptRow, AttemptState, Ending, Order, ProcessMark, files};
use crate::shim;
use crate::supervisor::Event;
use crate::tmux::PaneSeen;

use super::{process, watch};

/// Pane and window.
pub(super) type Place = (Option<String>, Option<String>);

/// The word in a window's command that tells a viewer from a shim.
pub(super) const VIEWER: &str = "--server";

/// What became of an attempt while nobody looked.
#[derive(Debug)]
pub(super) enum Found {
    /// It has ended, or its shim is gone: its end is read, after fencing if need be.
    Over {
        /// The shim that was.
        shim: ProcessMark,
        /// Its pane and window.
        place: Place,
    },
    /// Its shim lives.
    Alive {
        /// The shim.
        shim: ProcessMark,
        /// Its pane and window.
        place: Place,
    },
    /// It was never launched.
    NeverLaunched,
    /// It may have run before the machine went down, and left nothing.
    Lost,
}

impl Found {
    /// The event that tells the supervisor, and the shim to follow, if any.
    pub(super) fn tell(self, row: &AttemptRow) -> (Option<Event>, Option<ProcessMark>) {
        let attempt = row.order.attempt.clone();
        match self {
            // A window that nobody wrote down would never be closed.
            Found::Over { shim, place: (pane, window) } if row.window != window => {
                let event = Event::Launched { attempt, shim: shim.clone(), pane, window };
                (Some(event), Some(shim))
            }
            Found::Over { shim, .. } => (None, Some(shim)),
            Found::Alive { shim, place: (pane, window) } => {
                let event = Event::Launched { attempt, shim: shim.clone(), pane, window };
                (Some(event), Some(shim))
            }
            Found::NeverLaunched => (Some(Event::NeverLaunched { attempt }), None),
            Found::Lost => {
                let ending = Box::new(Ending::unknown());
                (Some(Event::Gone { attempt, ending }), None)
            }
        }
    }
}

/// Looks at one attempt. `rebooted` says that the machine was down since the last commit: a start
/// record that was not synced in time is gone then, so nobody knows what was never launched.
pub(super) fn look(
    row: &AttemptRow,
    dir: &Path,
    panes: &[PaneSeen],
    boot_id: &str,
    rebooted: bool,
) -> Found {
    let order = &row.order;
    let pane = pane_of(panes, order, dir);
    // What is not listed is gone, and its id may be another window's by now.
    let place = (pane.map(|pane| pane.pane.clone()), pane.map(|pane| pane.window.clone()));
    let shown = if pane.is_some_and(|pane| pane.dead) { (None, None) } else { place.clone() };
    let nobody = ProcessMark { pid: 0, start_ticks: 0, boot_id: boot_id.to_owned() };
    if dir.join(files::EXIT).exists() {
        let started = watch::started_record(dir, order).map(|started| started.shim);
        return Found::Over { shim: started.or(row.shim.clone()).unwrap_or(nobody), place };
    }
    if let Some(started) = watch::started_record(dir, order) {
        return match process::open(&started.shim, boot_id) {
            Ok(None) => Found::Over { shim: started.shim, place },
            // What cannot be known just now is found out by following it.
            Ok(Some(_)) | Err(_) => Found::Alive { shim: started.shim, place: shown },
        };
    }
    if let Ok(Some(pid)) = shim::holder(dir) {
        // It has not started its agent yet. Whoever holds the lock is its shim.
        return Found::Alive { shim: process::mark(pid, boot_id), place: shown };
    }
    match (row.state, pane) {
        (AttemptState::Intended, None) if rebooted => Found::Lost,
        (AttemptState::Intended | AttemptState::Stopping, None) => Found::NeverLaunched,
        // A shim was there and is gone without a record; or it has not locked its spec yet.
        (_, Some(pane)) if !pane.dead && !is_view(pane, order, dir) => {
            Found::Alive { shim: process::mark(pane.pid, boot_id), place }
        }
        (
            AttemptState::Intended
            | AttemptState::Starting
            | AttemptState::Running
            | AttemptState::Stopping
            | AttemptState::Ended,
            _,
        ) => Found::Over { shim: row.shim.clone().unwrap_or(nobody), place },
    }
}

/// The pane of an attempt: one that lives, if there are several.
pub(super) fn pane_of<'a>(
    panes: &'a [PaneSeen],
    order: &Order,
    dir: &Path,
) -> Option<&'a PaneSeen> {
    let ours = || panes.iter().filter(|pane| belongs(pane, order, dir));
    ours().find(|pane| !pane.dead).or_else(|| ours().next())
}

/// Whether a pane holds, or held, a viewer of an attempt, and not its shim.
pub(super) fn is_view(pane: &PaneSeen, order: &Order, dir: &Path) -> bool {
    belongs(pane, order, dir) && pane.start_command.contains(VIEWER)
}

/// Whose pane it is, by the folder in its command: a person may have put it into a window of any
/// name. `attempts` is where the folders are.
pub(super) fn attempt_of(pane: &PaneSeen, attempts: &Path) -> Option<AttemptId> {
    let folders = format!("{}/", attempts.display());
    let (_, after) = pane.start_command.split_once(&folders)?;
    let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    (end > 0).then(|| AttemptId::new(&after[..end]))
}

/// A pane is an attempt's by its mark, or by the command it was started with.
fn belongs(pane: &PaneSeen, order: &Order, dir: &Path) -> bool {
    pane.token.as_ref() == Some(&order.token)
        || pane.start_command.contains(&dir.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_names_its_attempt_in_its_command() {
        let whose = |command: &str| {
            let text = |text: &str| text.to_owned();
            let pane = PaneSeen {
                session: text("agents"),
                window: text("@3"),
                name: text("theirs"),
                pane: text("%4"),
                pid: 12,
                dead: true,
                death: None,
                token: None,
                start_command: text(command),
            };
            attempt_of(&pane, Path::new("/h/attempts")).map(|id| id.to_string())
        };
        assert_eq!(whose("\"/x/muxvisor\" shim /h/attempts/k3b7").as_deref(), Some("k3b7"));
        let view = "x view --server 4:5 \"/h/attempts/k3b7\" more";
        assert_eq!(whose(view).as_deref(), Some("k3b7"));
        assert_eq!(whose("sleep 1000"), None);
        assert_eq!(whose("ls /h/attempts/"), None);
    }
}
