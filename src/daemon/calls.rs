//! Answers requests. What changes something is answered after its commit; what only asks is
//! answered from memory, or from the ledger by a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::control::view::{self, RunReply, UnitReply, UnitsReply};
use crate::control::{Call, Failure, FailureKind, Reply, Request, Responder, WatchEvent};
use crate::failpoint;
use crate::ledger::Reader;
use crate::model::ask::{APPROVE, REJECT};
use crate::model::{InstanceState, Owner, RunId, RunState};
use crate::supervisor::{Answer, Event, InstanceRequest};
use crate::workflow;

use super::engine::{Engine, Leaving};
use super::now::Now;
use super::steer::Again;
use super::waiter::Waiter;
use super::{Input, archive, cost};

impl Engine {
    pub(super) fn call(&mut self, call: Call) {
        let Call { peer, request, responder } = call;
        let Some(responder) = self.admit(peer, &request, responder) else { return };
        if let Some(failure) = self.one_is_meant(&request) {
            return responder.reply(failure);
        }
        match request {
            Request::Hello => responder.reply(Reply::ok(&self.daemon_view())),
            Request::Ps => responder.reply(Reply::ok(&self.ps())),
            Request::Agents { capability } => responder.reply(self.agents(capability.as_deref())),
            Request::Submit(submit) => self.submit(*submit, responder),
            Request::Approve { run, reject } => {
                let answer = if reject { REJECT } else { APPROVE };
                self.answer(run.as_str(), answer, responder);
            }
            Request::Answer { target, answer } => self.answer(&target, &answer, responder),
            Request::Pause { run, stop } => self.pause(run, stop, responder),
            Request::Resume { run } => self.resume_run(run, responder),
            Request::Retry { run, task, with_downstream, plan } => {
                self.again(Again { run, task, with_downstream, plan }, responder);
            }
            Request::Emit { event, data, key } => self.emit(peer, event, data, key, responder),
            Request::Cleanup { days } => self.cleanup(days, responder),
            Request::Cancel { run } => {
                let event = workflow::Event::CancelAsked { run: run.clone() };
                self.change_run(run, event, responder);
            }
            Request::Watch { run } => self.watch(run, responder),
            Request::Runs { active } => self.list_runs(active, responder),
            Request::Show { run } => self.show(run, responder),
            Request::Results { run } => self.results(run, responder),
            Request::Wait { target, for_state: state, timeout_ms } => {
                let until = timeout_ms.map(|ms| self.clock.now() + Duration::from_millis(ms));
                self.wait_for(Waiter { target, state, until, responder });
            }
            Request::Up { names } => self.units(names, InstanceRequest::Start, responder),
            Request::Down { names } => self.units(names, InstanceRequest::Stop, responder),
            Request::Start { names } => self.units(names, InstanceRequest::Start, responder),
            Request::Stop { names } => self.units(names, InstanceRequest::Stop, responder),
            Request::Restart { names } => self.units(names, InstanceRequest::Restart, responder),
            Request::ResetFailed { name } => {
                self.units(vec![name], InstanceRequest::ResetFailed, responder);
            }
            Request::Reload { dry_run, restart_stale } => {
                self.asked_to_reload(dry_run, restart_stale, responder);
            }
            Request::Why { target } => self.why(target, responder),
            Request::Attach { target } => self.attach(target, responder),
            Request::Logs { target, attempt } => self.logs(target, attempt, responder),
            Request::Cost { run } => {
                let agents = self.settings.config.agents.clone();
                self.ask_ledger(responder, move |reader, now| {
                    cost::cost(reader, run, &agents, now)
                });
            }
            Request::History { plan } => {
                self.ask_ledger(responder, move |reader, _| cost::history(reader, &plan));
            }
            Request::Inside(inside) => self.inside(peer, *inside, responder),
            Request::Items(ask) => self.items(*ask, responder),
            Request::Shutdown { stop_agents } => {
                if stop_agents {
                    self.stop_all();
                } else {
                    self.leaving = Leaving::Now;
                }
                self.reply(responder, Reply::done());
            }
        }
    }

    fn list_runs(&self, active: bool, responder: Responder) {
        let live = self.core.workflow.runs();
        let asks = live.map(|run| (run.id.clone(), run.open_questions().count())).collect();
        self.ask_ledger(responder, move |reader, now| archive::runs(reader, active, &asks, now));
    }

    fn wait_for(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
        self.wake_waiters(self.clock.now());
    }

    fn logs(&self, target: String, attempt: Option<u32>, responder: Responder) {
        let home = self.settings.home.clone();
        let live: Vec<RunId> = self.core.workflow.runs().map(|run| run.id.clone()).collect();
        self.ask_ledger(responder, move |reader, _| {
            archive::logs(reader, &home, &live, &target, attempt)
        });
    }

    /// What is said to whoever names a group where only one of its members can be meant.
    fn one_is_meant(&self, request: &Request) -> Option<Failure> {
        let (Request::Wait { target, .. }
        | Request::Logs { target, .. }
        | Request::Attach { target: Some(target) }) = request
        else {
            return None;
        };
        let group = self.settings.config.groups.get(target)?;
        if self.settings.config.agents.contains_key(target) {
            return None;
        }
        let message = format!("`{target}` is a group, and one instance is wanted here");
        let hint = format!("name one of its members: {}", group.members.join(", "));
        Some(Failure::new(FailureKind::Usage, message).hint(hint))
    }

    /// Lets a thread of its own read the ledger, so that the loop never waits for a disk.
    pub(super) fn ask_ledger(
        &self,
        responder: Responder,
        question: impl FnOnce(&Reader, Now) -> Reply + Send + 'static,
    ) {
        let reader = Arc::clone(&self.reader);
        let now = Now { moment: self.clock.now(), wall_ms: self.clock.wall_ms() };
        let answer = move || failpoint::step("archive.read", || question(&reader, now));
        tokio::task::spawn_blocking(move || responder.reply(answer()));
    }

    /// Changes a live run.
    fn change_run(&mut self, run: RunId, event: workflow::Event, responder: Responder) {
        if self.core.workflow.run(&run).is_none() {
            return self.ask_ledger(responder, move |reader, _| archive::not_live(reader, &run));
        }
        self.decide(Input::Workflow(event));
        self.reply_run(run, responder);
    }

    pub(super) fn reply_run(&mut self, run: RunId, responder: Responder) {
        let state = self.core.workflow.run(&run).map_or(RunState::Initializing, |run| run.state);
        self.reply(responder, Reply::ok(&RunReply { run, state }));
    }

    fn watch(&mut self, run: RunId, mut responder: Responder) {
        let Some(live) = self.core.workflow.run(&run) else {
            let reader = Arc::clone(&self.reader);
            let now = Now { moment: self.clock.now(), wall_ms: self.clock.wall_ms() };
            tokio::task::spawn_blocking(move || archive::watch(&reader, &run, now, responder));
            return;
        };
        let snapshot = WatchEvent::Snapshot { run: Box::new(self.run_view(live)) };
        if responder.event(snapshot).is_ok() {
            self.watchers.entry(run).or_default().push(responder);
        }
    }

    fn results(&self, run: RunId, responder: Responder) {
        match self.core.workflow.run(&run) {
            Some(live) => {
                let message = format!("{run} is {}: its results are not complete", live.state);
                let hint = format!("`muxvisor wait {run}` waits for its end");
                responder.reply(Failure::new(FailureKind::Waiting, message).hint(hint));
            }
            None => {
                self.ask_ledger(responder, move |reader, now| archive::results(reader, &run, now))
            }
        }
    }

    fn units(&mut self, names: Vec<String>, request: InstanceRequest, responder: Responder) {
        if let Some(failure) = self.starts_nobody(request) {
            return responder.reply(failure);
        }
        let names = if names.is_empty() { self.all_instances(request) } else { names };
        // A name that means nothing stops all of it, so that a typing mistake does nothing.
        if let Some(failure) = names
            .iter()
            .find_map(|name| self.no_instance(name).or_else(|| self.no_way_back(name, request)))
        {
            return responder.reply(failure);
        }
        let now = self.clock.now();
        let event = Event::AskedMany { names: names.clone(), request };
        let mut turn = self.core.turn(now, Input::Supervisor(event));
        let mut answers = std::mem::take(&mut turn.answers);
        self.keep_turn(now, turn);
        // In the order in which they were named, the members of a group in its own.
        answers.sort_by_key(|(name, _)| names.iter().position(|named| named == name));
        let units =
            answers.into_iter().map(|(name, answer)| self.unit(name, answer)).collect::<Vec<_>>();
        self.reply(responder, Reply::ok(&UnitsReply { units }));
    }

    /// What is said to whoever wants something started by a daemon that is about to end.
    fn starts_nobody(&self, request: InstanceRequest) -> Option<Failure> {
        let starts = matches!(request, InstanceRequest::Start | InstanceRequest::Restart);
        if !starts || self.leaving == Leaving::No {
            return None;
        }
        let hint = "nothing was changed; ask again when `muxvisor ps` shows no daemon any more";
        Some(super::refusal::ending().hint(hint))
    }

    fn no_instance(&self, name: &str) -> Option<Failure> {
        let supervisor = &self.core.supervisor;
        if supervisor.is_group(name) || supervisor.instances().any(|row| row.name == name) {
            return None;
        }
        let message = match self.settings.config.agents.get(name) {
            Some(_) => {
                format!("agent `{name}` is of type \"oneshot\": it cannot be started by itself")
            }
            None => format!("no agent of type \"service\" is called `{name}`"),
        };
        let known: Vec<&str> =
            self.core.supervisor.instances().map(|row| row.name.as_str()).collect();
        let hint = match known.as_slice() {
            [] => "give an agent `type = \"service\"` in the configuration".to_owned(),
            names => format!("there is {}{}", names.join(", "), self.groups_told()),
        };
        Some(Failure::new(FailureKind::Usage, message).hint(hint))
    }

    /// The groups, which may be named as well.
    fn groups_told(&self) -> String {
        let groups: Vec<&str> = self.settings.config.groups.keys().map(String::as_str).collect();
        match groups.as_slice() {
            [] => String::new(),
            [one] => format!("; and the group {one}"),
            more => format!("; and the groups {}", more.join(", ")),
        }
    }

    /// Refuses to start what is not configured any more: it would be stopped, and gone for good.
    fn no_way_back(&self, name: &str, request: InstanceRequest) -> Option<Failure> {
        let starts = matches!(request, InstanceRequest::Start | InstanceRequest::Restart);
        let supervisor = &self.core.supervisor;
        if !starts || supervisor.is_group(name) || self.settings.config.agents.contains_key(name) {
            return None;
        }
        let message =
            format!("agent `{name}` is gone from the configuration: it can only be stopped");
        let hint = "`muxvisor stop` ends it, or write its table again";
        Some(Failure::new(FailureKind::Usage, message).hint(hint))
    }

    /// `up` without names means what starts by itself, or all when nothing does; `down` means all.
    fn all_instances(&self, request: InstanceRequest) -> Vec<String> {
        let all = || self.core.supervisor.instances().map(|row| row.name.clone());
        let starts = |name: &String| {
            self.settings.config.agents.get(name).is_some_and(|agent| agent.autostart)
        };
        let chosen: Vec<String> = match request {
            InstanceRequest::Start => all().filter(starts).collect(),
            InstanceRequest::Stop | InstanceRequest::Restart | InstanceRequest::ResetFailed => {
                Vec::new()
            }
        };
        if chosen.is_empty() { all().collect() } else { chosen }
    }

    fn unit(&self, name: String, answer: Answer) -> UnitReply {
        let row = self.core.supervisor.instances().find(|row| row.name == name);
        let (answer, denied) = match answer {
            Answer::Accepted => (view::Answer::Accepted, None),
            Answer::AlreadySo => (view::Answer::Already, None),
            Answer::Denied(why) => (view::Answer::Denied, Some(why)),
        };
        let shown = row.map(|row| self.core.supervisor.shown(row));
        let (state, why) = shown.unwrap_or((InstanceState::Stopped, String::new()));
        let why = denied.unwrap_or(why);
        UnitReply { name, answer, state, why }
    }

    fn attach(&self, target: Option<String>, responder: Responder) {
        let socket = self.settings.home.tmux_socket();
        let Some(target) = target else {
            let newest = self.core.supervisor.attempts().filter(|row| row.window.is_some());
            let newest = newest.max_by_key(|row| row.launched);
            return responder.reply(newest.map_or_else(
                || archive::session(&socket, crate::tmux::KEEPER_SESSION),
                |row| archive::place(&socket, row),
            ));
        };
        let named = |row: &&crate::model::AttemptRow| match &row.order.owner {
            Owner::Task { run, task } => {
                task.as_str() == target || format!("{run}/{task}") == target
            }
            Owner::Instance { name } => *name == target,
        };
        let live = self.core.supervisor.attempts().filter(named).max_by_key(|row| row.launched);
        if live.is_some_and(|row| row.order.windowed && row.window.is_none()) {
            let message = format!("{target} has no window just now");
            let hint = format!("`muxvisor view {target}` shows it in this terminal");
            return responder.reply(Failure::new(FailureKind::Unreachable, message).hint(hint));
        }
        if let Some(row) = live {
            return responder.reply(archive::place(&socket, row));
        }
        let is_run = RunId::parse(&target).is_ok();
        self.ask_ledger(responder, move |reader, _| {
            archive::attach(reader, &socket, &target, is_run)
        });
    }
}
