//! Takes the samples that probes ask for. Nothing here blocks the loop, and nothing runs on when
//! its time is over; what is seen goes back to it as an event.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::engine::Engine;
use super::readable::readable;
use super::{bound, ending, load, process};
use crate::clock::Clock;
use crate::failpoint;
use crate::health::{Ask, Attention, Load, Reading, Sample, Ticket, What};
use crate::model::{AttemptId, AttemptRow, Spec, files, signal_name};
use crate::supervisor::Event;
use crate::tmux::{Looked, Tmux};

use super::Incoming;

/// How long a killed probe may take to be gone before it is left to be reaped later.
const GONE: Duration = Duration::from_secs(1);
/// A sample that took so much longer than it may shows that the daemon stood still meanwhile.
const LATE: Duration = Duration::from_secs(1);

/// What is looked at, and with what.
struct Look {
    row: AttemptRow,
    dir: PathBuf,
    tmux: Option<Tmux>,
    clock: Clock,
}

impl Engine {
    pub(super) fn sample(&self, attempt: &AttemptId, probe: Ticket, ask: Ask) {
        let Some(row) = self.core.supervisor.attempt(attempt).cloned() else { return };
        let dir = self.attempt_dir(attempt);
        let look = Look { row, dir, tmux: self.tmux.clone(), clock: self.clock.clone() };
        let (attempt, inbox) = (attempt.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let sample = failpoint::future("probe.look", look.take(&ask)).await;
            tracing::trace!(%attempt, probe = ask.probe, ?sample, "sampled");
            failpoint::step("probe.report", || {
                inbox.put(Incoming::Supervisor(Event::Sampled { attempt, probe, sample }));
            });
        });
    }
}

impl Look {
    async fn take(&self, ask: &Ask) -> Sample {
        let limit = Duration::from_millis(ask.timeout_ms);
        let began = self.clock.now();
        let (reading, looked) = match &ask.what {
            What::Exec { command } => (self.exec(command, limit).await, self.looked().await),
            What::Process => (self.process(), self.looked().await),
            What::Load => {
                let load = self.load().await.map_or_else(unknown, Reading::Load);
                (load, self.looked().await)
            }
            What::Screen => self.screen().await,
            What::ScreenAndLoad => self.screen_and_load().await,
        };
        let now = self.clock.now();
        let reading = if now.since(began) > limit + GONE + LATE {
            unknown("the daemon stood still meanwhile")
        } else {
            reading
        };
        Sample { reading, attention: self.attention(looked) }
    }

    fn attention(&self, looked: Looked) -> Attention {
        // Terminals tell their use in whole seconds.
        let now_s = self.clock.wall_ms().div_euclid(1000);
        let ago = looked.used_s.map(|used| u64::try_from(now_s - used).unwrap_or(0) * 1000);
        Attention { copy_mode: looked.in_mode, typed_ms_ago: ago }
    }

    /// Its window, and whom to ask about it.
    fn place(&self) -> Option<(&Tmux, &str, &str)> {
        Some((self.tmux.as_ref()?, self.row.pane.as_deref()?, self.row.window.as_deref()?))
    }

    async fn looked(&self) -> Looked {
        match self.place() {
            Some((tmux, pane, window)) => tmux.looked_at(pane, window).await.unwrap_or_default(),
            None => Looked::default(),
        }
    }

    /// The visible screen. An agent that never had a window shows the end of its log.
    async fn screen(&self) -> (Reading, Looked) {
        if let Some((tmux, pane, window)) = self.place() {
            return match failpoint::future("probe.see-screen", tmux.screen(pane, window)).await {
                Ok((text, looked)) => (Reading::Screen { text }, looked),
                Err(error) => (unknown(error), Looked::default()),
            };
        }
        if self.row.order.windowed {
            return (unknown("it has no window just now"), Looked::default());
        }
        let log = self.dir.join(files::LOG);
        let reading = match spawn_blocking(move || ending::last_lines(&log)).await {
            Ok(Ok(text)) => Reading::Screen { text },
            Ok(Err(error)) => unknown(error),
            Err(error) => unknown(error),
        };
        (reading, Looked::default())
    }

    async fn screen_and_load(&self) -> (Reading, Looked) {
        let (screen, looked) = self.screen().await;
        let Reading::Screen { text } = screen else { return (screen, looked) };
        let reading = match self.load().await {
            Ok(load) => Reading::ScreenAndLoad { text, load },
            Err(why) => unknown(why),
        };
        (reading, looked)
    }

    async fn load(&self) -> Result<Load, String> {
        let shim = self.row.shim.clone().ok_or("its shim is not known")?;
        let boot_id = self.clock.boot_id().to_owned();
        let load = spawn_blocking(move || load::under(&shim, &boot_id)).await;
        load.map_err(|error| error.to_string())?
    }

    fn process(&self) -> Reading {
        let state = self.row.process.as_ref().map(process::state);
        match state {
            Some(Ok(Some(state))) => Reading::Process(state),
            // Its end is known from its shim, and never from here.
            Some(Ok(None)) | None => unknown("its process is gone"),
            Some(Err(error)) => unknown(error),
        }
    }

    /// Runs a command in a process group of its own, which does not outlive its time.
    async fn exec(&self, command: &[String], limit: Duration) -> Reading {
        let path = self.dir.join(files::SPEC);
        let spec = spawn_blocking(move || -> Result<Spec, String> {
            let text = failpoint::io("probe.read-spec", || std::fs::read(path));
            let text = text.map_err(|error| error.to_string())?;
            serde_json::from_slice(&text).map_err(|error| error.to_string())
        });
        let spec = match spec.await {
            Ok(Ok(spec)) => spec,
            Ok(Err(why)) => return unknown(format!("spec.json cannot be read: {why}")),
            Err(error) => return unknown(error),
        };
        let Some((program, arguments)) = command.split_first() else {
            return unknown("its command is empty");
        };
        let pid = self.row.process.as_ref().map_or(String::new(), |mark| mark.pid.to_string());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&spec.cwd).env_clear().envs(spec.env);
        command.env("MUXVISOR_NAME", self.name()).env("MUXVISOR_PID", pid);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        bound::bind(&mut command);
        match failpoint::io("probe.start", || command.spawn()) {
            Ok(child) => finish(child, limit).await,
            Err(error) => unknown(format!("`{program}` cannot be run: {error}")),
        }
    }

    fn name(&self) -> &str {
        match &self.row.order.owner {
            crate::model::Owner::Task { task, .. } => task.as_str(),
            crate::model::Owner::Instance { name } => name,
        }
    }
}

/// Waits for the end of a probe, and ends whatever it leaves in its group.
async fn finish(mut child: Child, limit: Duration) -> Reading {
    let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
        return unknown("its process is not known");
    };
    let ended = match pidfd_open(pid, PidfdFlags::empty()).map_err(Into::into).and_then(readable) {
        Ok(ended) => timeout(limit, async { ended.readable().await.map(drop) }).await,
        Err(error) => Ok(Err(error)),
    };
    // Nobody has waited for the leader yet, so the group's number is still its own.
    let _ = failpoint::step("probe.end", || kill_process_group(pid, Signal::KILL));
    let status = timeout(GONE, child.wait()).await;
    match (ended, status) {
        (Err(_), _) => {
            Reading::Failed { why: format!("took longer than {} s", limit.as_secs_f64()) }
        }
        (Ok(Err(error)), _) | (Ok(Ok(())), Ok(Err(error))) => unknown(error),
        (Ok(Ok(())), Err(_)) => unknown("it ended and cannot be waited for"),
        (Ok(Ok(())), Ok(Ok(status))) => judged(status),
    }
}

fn judged(status: ExitStatus) -> Reading {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(0), _) => Reading::Passed,
        (Some(code), _) => Reading::Failed { why: format!("exited with code {code}") },
        (None, Some(signal)) => {
            Reading::Failed { why: format!("killed by {}", signal_name(signal)) }
        }
        (None, None) => unknown("it ended, and nobody knows how"),
    }
}

fn unknown(why: impl ToString) -> Reading {
    Reading::Unknown { why: why.to_string() }
}
