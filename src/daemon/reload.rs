//! Takes up a changed configuration (design §8): everything is read and checked, then compared,
//! then applied; any problem keeps the last good one, and stays to be seen. What a file watcher
//! found removes nothing: only a person stops an agent.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::control::view::{ConfigurationView, ReloadReply};
use crate::control::{Failure, FailureKind, Reply, Responder};
use crate::failpoint;
use crate::model::{AttemptRow, Change, Holds, Moment, Owner, StopCause, Subject};
use crate::policy::{AgentType, Changes, Config, diff};
use crate::supervisor::{Event, InstanceRequest};
use crate::workflow;

use super::config_source::print;
use super::config_watch::ConfigWatch;
use super::engine::Engine;
use super::last_good::LastGood;
use super::standing::kept_windows;
use super::{Incoming, Input, archive};

/// How long a file must have been left alone before it is read: editors and scripts save in
/// several steps.
const SETTLES_AFTER: Duration = Duration::from_millis(250);

/// Who wants the file to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Nobody: it has changed.
    Itself,
    /// A person, by signal or request.
    Person,
}

impl Engine {
    /// Has the loop told whenever the file may have changed.
    pub(super) fn watch_config(&self) {
        let inbox = self.inbox.clone();
        match ConfigWatch::start(self.settings.config_source.path().to_owned()) {
            Ok(mut watch) => {
                tokio::spawn(async move {
                    while watch.touched().await {
                        inbox.put(Incoming::ConfigTouched);
                    }
                });
                // What happened between the start and the watch.
                self.inbox.put(Incoming::ConfigTouched);
            }
            Err(error) => {
                tracing::warn!("the configuration is read again on SIGHUP only: {error}");
            }
        }
    }

    /// Keeps the file that a daemon was started with, or tells why it was not that.
    pub(super) fn begin_with_config(&mut self) {
        match self.standing.kept.clone() {
            Some((failure, _)) => self.tell_kept(&failure),
            None => {
                let first = self.settings.config_source.first().map(str::to_owned);
                self.keep_good(first.as_deref());
            }
        }
    }

    /// What the file says is right, and holds: the next daemon is to know it too.
    fn keep_good(&mut self, text: Option<&str>) {
        let home = &self.settings.home;
        let Some(text) = text else {
            self.standing.good_ms = None;
            return LastGood::forget(home);
        };
        let path = self.settings.config_source.path();
        match LastGood::keep(home, path, text, self.clock.wall_ms()) {
            Ok(accepted_ms) => self.standing.good_ms = Some(accepted_ms),
            Err(error) => {
                tracing::error!("{} cannot be written: {error}", home.last_good().display());
            }
        }
    }

    /// The file is looked at when it has been left alone for a moment.
    pub(super) fn config_touched(&mut self) {
        self.standing.look_at = Some(self.clock.now() + SETTLES_AFTER);
    }

    /// Looks at the file if it is time.
    pub(super) fn look_at_config(&mut self, now: Moment) {
        if self.standing.look_at.is_some_and(|at| at <= now) {
            self.standing.look_at = None;
            // What is wrong was noted, and nobody waits for an answer.
            let _ = self.reload(By::Itself);
        }
    }

    /// Reads the file, and applies what it says.
    pub(super) fn reload(&mut self, by: By) -> Result<Changes, Failure> {
        let Some(new) = self.read_config(by)? else { return Ok(self.retire_left(by)) };
        let old = &self.settings.config;
        let all = diff(old, &new);
        let removes = all.removed_agents().next().is_some();
        let in_force = match by {
            By::Person => new.clone(),
            By::Itself => new.clone().keeping(old),
        };
        let mut applied = diff(old, &in_force);
        self.standing.pending = (removes && by == By::Itself).then(|| Box::new(new));
        self.standing.kept = None;
        self.tell_changes(&all, &applied);
        self.retire(&applied);
        self.settings.config = in_force;
        self.apply_settings();
        failpoint::step("reload.apply", || self.configure());
        applied.0.extend(self.retire_left(by).0);
        Ok(applied)
    }

    /// What the file says: `None` when it says what holds. A problem is noted once.
    fn read_config(&mut self, by: By) -> Result<Option<Config>, Failure> {
        let read = failpoint::step("reload.read", || self.read_text());
        let seen = read.as_ref().map(|text| text.as_deref().map(print));
        let same = seen.as_ref().is_ok_and(|seen| *seen == self.standing.seen);
        // What lies beside the file is read again when a person asks.
        let asked = by == By::Person && self.standing.pending.is_none();
        if same && !asked {
            return match (&self.standing.kept, by, &self.standing.pending) {
                (Some((failure, _)), _, _) => Err(failure.clone()),
                (None, By::Person, Some(pending)) => Ok(Some((**pending).clone())),
                (None, _, _) => Ok(None),
            };
        }
        // What could not be read is looked at again, even when it comes back as it was.
        self.standing.had_file |= matches!(seen, Ok(Some(_)));
        self.standing.seen = seen.unwrap_or_default();
        let read = read.and_then(|text| {
            let new = self.settings.config_source.parse(text.clone())?;
            Ok((new, text))
        });
        match read {
            Ok((new, _)) if same && new == self.settings.config => Ok(None),
            Ok((new, text)) => {
                self.keep_good(text.as_deref());
                Ok(Some(new))
            }
            Err(failure) => {
                self.keep_last_good(&failure);
                Err(failure)
            }
        }
    }

    /// The text of the file. One that is gone says nothing: it may be on its way back.
    fn read_text(&self) -> Result<Option<String>, Failure> {
        let text = self.settings.config_source.text()?;
        if text.is_none() && self.standing.had_file {
            let shown = self.settings.config_source.path().display();
            let message = format!("the configuration {shown} is gone");
            let hint = "write it again, with a comment only to have none of it";
            return Err(Failure::new(FailureKind::Invalid, message).hint(hint));
        }
        Ok(text)
    }

    fn keep_last_good(&mut self, failure: &Failure) {
        if self.standing.kept.as_ref().is_some_and(|(known, _)| known == failure) {
            return;
        }
        let since = match &self.standing.kept {
            Some((_, since)) => *since,
            None => self.clock.wall_ms(),
        };
        self.standing.kept = Some((failure.clone(), since));
        self.tell_kept(failure);
    }

    fn tell_kept(&mut self, failure: &Failure) {
        for finding in &failure.findings {
            let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
            tracing::error!("{place}: {}: {}", finding.code, finding.message);
        }
        let one = self.last_good_one();
        self.note("configuration", format!("{one} is kept: {failure}"));
    }

    fn last_good_one(&self) -> String {
        let of = self.standing.good_ms.map(|ms| format!(" of {}", archive::rfc3339(ms)));
        format!("the last good one{}", of.unwrap_or_default())
    }

    fn tell_changes(&mut self, all: &Changes, applied: &Changes) {
        let mut lines: Vec<&str> = applied.0.iter().map(|change| change.text.as_str()).collect();
        lines.sort_unstable();
        tracing::info!("configuration read again: {} changes", lines.len());
        let waits: Vec<&str> = all.removed_agents().collect();
        let waits = waits.into_iter().filter(|name| applied.removed_agents().all(|n| n != *name));
        for name in waits {
            tracing::warn!("configuration: {}", pending_sentence(name));
        }
        if !lines.is_empty() {
            self.note("configuration", format!("read again: {}", lines.join("; ")));
        }
    }

    /// Stops the instances of agents that are gone.
    fn retire(&mut self, changes: &Changes) {
        for name in changes.removed_agents() {
            self.decide(Input::Supervisor(Event::Removed { name: name.to_owned() }));
        }
    }

    /// Stops what was left by a daemon before, if a person asked.
    fn retire_left(&mut self, by: By) -> Changes {
        if by == By::Itself {
            return Changes::default();
        }
        let left = self.left(&self.settings.config);
        left.0.iter().for_each(|change| tracing::info!("configuration: {}", change.text));
        self.retire(&left);
        left
    }

    /// Living instances whose agents neither what holds nor this has: they went while no daemon
    /// ran, so that no comparison of two files finds them.
    fn left(&self, new: &Config) -> Changes {
        let stands = |config: &Config, name: &str| {
            config.agents.get(name).is_some_and(|agent| agent.kind == AgentType::Service)
        };
        let left = |row: &AttemptRow| match &row.order.owner {
            Owner::Instance { name } if row.stopping != Some(StopCause::Cancelled) => {
                let known = stands(&self.settings.config, name) || stands(new, name);
                (!known).then(|| name.clone())
            }
            Owner::Instance { .. } | Owner::Task { .. } => None,
        };
        let names: BTreeSet<String> = self.core.supervisor.attempts().filter_map(left).collect();
        Changes(names.into_iter().map(departure).collect())
    }

    fn ask_instance(&mut self, name: &str, request: InstanceRequest) {
        let event = Event::Asked { name: name.to_owned(), request };
        self.decide(Input::Supervisor(event));
    }

    /// Hands on the daemon's own settings; those that are looked up when they are needed hold
    /// already.
    fn apply_settings(&mut self) {
        let daemon = &self.settings.config.daemon;
        self.core.supervisor.keep_windows(kept_windows(daemon));
        self.core.workflow.limit(daemon.max_parallel as usize);
        self.log.limit(daemon.log_max_bytes, daemon.log_backups);
        // Whatever waits for a slot may have one now.
        self.decide(Input::Workflow(workflow::Event::DeadlineReached));
    }

    /// Answers `reload`.
    pub(super) fn asked_to_reload(&mut self, dry: bool, restart: bool, responder: Responder) {
        let outcome = if dry { self.would_change() } else { self.reload(By::Person) };
        let changes = match outcome {
            Ok(changes) => changes.0,
            Err(failure) => {
                let hint = failure.hint.as_deref();
                let hint = hint.unwrap_or("`muxvisor check` shows every problem");
                let hint = format!("{} is kept; {hint}", self.last_good_one());
                return self.reply(responder, failure.hint(hint));
            }
        };
        let stale = self.stale();
        let mut restarted = Vec::new();
        if restart && !dry {
            for name in &stale {
                self.ask_instance(name, InstanceRequest::Restart);
            }
            restarted.clone_from(&stale);
        }
        let path = self.settings.config_source.path().to_owned();
        let reply = ReloadReply { path, dry_run: dry, changes, stale, restarted };
        self.reply(responder, Reply::ok(&reply));
    }

    /// What `reload` would change; nothing is changed, and nothing is remembered of it.
    fn would_change(&self) -> Result<Changes, Failure> {
        let text = self.read_text()?;
        let new = self.settings.config_source.parse(text)?;
        let mut changes = diff(&self.settings.config, &new);
        changes.0.extend(self.left(&new).0);
        Ok(changes)
    }

    /// Instances that run as something that they would not be started as now.
    fn stale(&self) -> Vec<String> {
        let supervisor = &self.core.supervisor;
        let name = |row: &AttemptRow| match &row.order.owner {
            Owner::Instance { name } => Some(name.clone()),
            Owner::Task { .. } => None,
        };
        let gone = |row: &&AttemptRow| row.stopping.is_none();
        let stale = supervisor.attempts().filter(|row| supervisor.is_stale(row)).filter(gone);
        stale.filter_map(name).collect()
    }

    /// How the file stands to what holds.
    pub(super) fn configuration_view(&self) -> ConfigurationView {
        let kept = self.standing.kept.as_ref();
        let pending = self.standing.pending.as_ref();
        let pending = pending.map(|new| diff(&self.settings.config, new));
        let left = self.left(&self.settings.config);
        let waits = pending.iter().chain([&left]).flat_map(Changes::removed_agents);
        ConfigurationView {
            path: self.settings.config_source.path().to_owned(),
            kept_since_ms: kept.map(|(_, since)| *since),
            last_good_ms: self.standing.good_ms,
            problem: kept.map(|(failure, _)| failure.message.clone()),
            findings: kept.map(|(failure, _)| failure.findings.clone()).unwrap_or_default(),
            pending_removals: waits.map(str::to_owned).collect(),
        }
    }
}

fn departure(name: String) -> Change {
    let text = format!("agent `{name}` is gone; its instance is stopped");
    Change { subject: Subject::Agent, name, holds: Holds::Removed, text }
}

fn pending_sentence(name: &str) -> String {
    format!("agent `{name}` is gone from the file; it holds until `reload` or SIGHUP")
}
