//! Standing instances: what a person wants of them against what is, and what the restart policy
//! says when one ends.
//!
//! ```text
//!            Start                      Started
//! stopped ──────────> starting ───────────────────> running
//!    ^                   │  ^                          │
//!    │ Stop              │  │ delay over               │ ended
//!    │                   v  │                          v
//!    ├────────────── stopping   backoff <────────── (policy) ──────> failed
//!    └──────────────────────────────┘ Stop
//! ```
//!
//! An operator's stop beats every timer. Starts that a person asks for are never limited and never
//! counted.

use std::path::PathBuf;

use crate::model::{
    AttemptEnd, AttemptId, AttemptRow, Desired, Fact, InstanceRow, InstanceState, Moment, Outcome,
    Owner, StartReason, StopCause, Then,
};
use crate::policy::{Agent, AgentType, Group, Identity, RestartCounters};

use super::failover::Server;
use super::{Action, Answer, InstanceRequest, Supervisor};

impl Supervisor {
    /// Takes the configured agents: standing ones become known, and `autostart` ones are started
    /// once, when they are seen for the first time. What a person stopped stays stopped.
    pub(super) fn configured(
        &mut self,
        now: Moment,
        agents: Vec<Agent>,
        groups: Vec<Group>,
        out: &mut Vec<Action>,
    ) {
        self.groups = groups.into_iter().map(|group| (group.name.clone(), group)).collect();
        self.agents = agents.into_iter().map(|agent| (agent.name.clone(), agent)).collect();
        self.judge_by_new_policies(now);
        self.rules.forget();
        let fresh: Vec<(String, bool)> = self
            .agents
            .values()
            .filter(|agent| agent.kind == AgentType::Service)
            .filter(|agent| self.is_new(&agent.name))
            .map(|agent| (agent.name.clone(), agent.autostart))
            .collect();
        for (name, autostart) in fresh {
            self.begin(now, &name, autostart, out);
        }
        self.regroup(now, out);
        self.remark_removals(out);
        self.forget_unconfigured(out);
        self.revise_monitors(now, out);
    }

    /// An instance that is new; lives of one of its name that was removed just before are counted
    /// on, so that every life of a name has a number of its own.
    pub(super) fn begin(&mut self, now: Moment, name: &str, up: bool, out: &mut Vec<Action>) {
        let attempts = self.instances.get(name).map_or(0, |row| row.attempts);
        self.instances.insert(name.to_owned(), InstanceRow { attempts, ..blank(name) });
        if up && !self.want_in_turn(name, StartReason::First, out) {
            self.want_up(now, name, StartReason::First, out);
        }
    }

    /// What is no longer configured and does not live is forgotten; what lives is, when it ends.
    pub(super) fn forget_unconfigured(&mut self, out: &mut Vec<Action>) {
        let lives = |row: &InstanceRow| {
            row.attempt.as_ref().is_some_and(|attempt| self.attempts.contains_key(attempt))
        };
        let gone: Vec<String> = self
            .instances
            .values()
            .filter(|row| !self.is_service(&row.name) && !lives(row))
            .map(|row| row.name.clone())
            .collect();
        for name in gone {
            self.instances.remove(&name);
            out.push(Action::Record(Fact::InstanceRemoved { name }));
        }
    }

    /// Answers a person.
    pub(super) fn asked(
        &mut self,
        now: Moment,
        name: &str,
        request: InstanceRequest,
        out: &mut Vec<Action>,
    ) -> Answer {
        let unparked = self.unpark_for(now, name, request, out);
        if let Some(answer) = self.asked_in_group(name, request, out) {
            return answer;
        }
        let live = self.live_attempt(name).cloned();
        let Some(row) = self.instances.get(name) else {
            return if unparked { Answer::Accepted } else { self.no_such_instance(name) };
        };
        match request {
            InstanceRequest::Start => match (row.state, live) {
                (InstanceState::Blocked, _) => Answer::Denied(row.why.clone()),
                (InstanceState::Stopping, Some(_)) => {
                    self.update(name, "starts again when it has stopped", out, |row| {
                        row.desired = Desired::Up;
                    });
                    Answer::Accepted
                }
                (_, Some(attempt)) if row.serving.is_some() => {
                    self.forget_switches(name);
                    self.start_anew(now, name, &attempt, out);
                    Answer::Accepted
                }
                (_, Some(_)) => Answer::AlreadySo,
                (_, None) => {
                    self.want_up(now, name, StartReason::Manual, out);
                    Answer::Accepted
                }
            },
            InstanceRequest::Stop => self.asked_to_stop(now, name, live, out),
            InstanceRequest::Restart => {
                if row.state == InstanceState::Blocked {
                    return Answer::Denied(row.why.clone());
                }
                match live {
                    Some(attempt) => {
                        self.forget_switches(name);
                        self.start_anew(now, name, &attempt, out);
                    }
                    None => self.want_up(now, name, StartReason::Manual, out),
                }
                Answer::Accepted
            }
            InstanceRequest::ResetFailed => {
                let none = row.starts.is_empty() && row.switches.is_empty() && row.streak == 0;
                if row.state != InstanceState::Failed && none {
                    return if unparked { Answer::Accepted } else { Answer::AlreadySo };
                }
                // Only a state that came of them changes with them.
                let failed = row.state == InstanceState::Failed;
                let why =
                    if failed { "failures forgotten on request" } else { &row.why }.to_owned();
                self.update(name, &why, out, |row| {
                    forget_failures(row);
                    row.switches.clear();
                    if failed {
                        row.serving = None;
                        row.state = InstanceState::Stopped;
                        row.desired = Desired::Down;
                    }
                });
                Answer::Accepted
            }
        }
    }

    /// Stops what lives of it, to be started again.
    fn start_anew(&mut self, now: Moment, name: &str, live: &AttemptId, out: &mut Vec<Action>) {
        self.update(name, "stopping, to be restarted", out, |row| {
            row.desired = Desired::Up;
            row.state = InstanceState::Stopping;
        });
        self.stop(now, live, StopCause::Restarting, out);
    }

    fn no_such_instance(&self, name: &str) -> Answer {
        Answer::Denied(match self.agents.get(name) {
            Some(_) => format!(
                "agent `{name}` is of type oneshot: only agents of type \"service\" can be \
                 started, stopped and restarted"
            ),
            None => format!("no agent of type \"service\" is called `{name}`"),
        })
    }

    fn asked_to_stop(
        &mut self,
        now: Moment,
        name: &str,
        live: Option<AttemptId>,
        out: &mut Vec<Action>,
    ) -> Answer {
        let row = self.instances.get(name).expect("the caller found it");
        if row.desired == Desired::Down && live.is_none() && row.state == InstanceState::Stopped {
            return Answer::AlreadySo;
        }
        let (state, why) = match (row.state, &live) {
            // What cannot be killed still stands in the way, and why it does must stay readable.
            (InstanceState::Blocked, _) => (InstanceState::Blocked, row.why.clone()),
            (_, Some(_)) => (InstanceState::Stopping, "stopping on request".to_owned()),
            (_, None) => (InstanceState::Stopped, "stopped on request".to_owned()),
        };
        self.hold_down(name);
        self.update(name, &why, out, |row| {
            row.not_before = None;
            row.state = state;
        });
        if let Some(attempt) = live {
            self.stop_or_kill(now, &attempt, out);
        }
        Answer::Accepted
    }

    /// Starts it because a person or the configuration wants it up: failures are forgotten.
    fn want_up(&mut self, now: Moment, name: &str, reason: StartReason, out: &mut Vec<Action>) {
        if reason == StartReason::Manual {
            self.forget_switches(name);
        }
        if let Some(row) = self.instances.get_mut(name) {
            row.desired = Desired::Up;
            forget_failures(row);
        }
        self.start_instance(now, name, reason, out);
    }

    pub(super) fn start_instance(
        &mut self,
        now: Moment,
        name: &str,
        why: StartReason,
        out: &mut Vec<Action>,
    ) {
        if self.closing {
            return self.comes_back(now, name, out);
        }
        let (agent, switched) = match self.choose_server(now, name) {
            Some((Server::Agent(agent), switched)) => (agent, switched),
            Some((Server::Parked(agent, until), _)) => {
                return self.wait_parked(name, &agent, until, out);
            }
            None => return self.forget_unconfigured(out),
        };
        let why = if switched { StartReason::Failover } else { why };
        let number = self.instances.get(name).map_or(1, |row| row.attempts + 1);
        let owner = Owner::Instance { name: name.to_owned() };
        let identity = Identity::mint(&mut self.mint, owner, number, why);
        // `.` stands for the daemon's own directory; the daemon fills it in at launch.
        let mut order = agent.order(identity, PathBuf::from("."));
        self.hand_over(&mut order);
        let by = if order.agent == name { String::new() } else { format!(" with {}", order.agent) };
        self.update(name, &format!("starting{by} ({why})"), out, |row| {
            row.state = InstanceState::Starting;
            row.attempt = Some(order.attempt.clone());
            row.attempts = number;
            row.not_before = None;
        });
        self.launch(now, order, out);
    }

    pub(super) fn instance_running(
        &mut self,
        owner: &Owner,
        id: &AttemptId,
        out: &mut Vec<Action>,
    ) {
        let Owner::Instance { name } = owner else { return };
        let waits = |row: &InstanceRow| {
            row.attempt.as_ref() == Some(id) && row.state != InstanceState::Stopping
        };
        if self.instances.get(name).is_some_and(waits) {
            let serving = self.attempts.get(id).map(|attempt| attempt.row.order.agent.clone());
            let serving = serving.filter(|serving| serving != name);
            let why = serving.map_or("running".to_owned(), |agent| format!("running with {agent}"));
            self.update(name, &why, out, |row| row.state = InstanceState::Running);
        }
    }

    pub(super) fn instance_blocked(&mut self, owner: &Owner, message: &str, out: &mut Vec<Action>) {
        let Owner::Instance { name } = owner else { return };
        self.update(name, message, out, |row| row.state = InstanceState::Blocked);
    }

    /// Decides what follows the end of an instance's attempt.
    pub(super) fn instance_ended(
        &mut self,
        now: Moment,
        name: &str,
        attempt: &AttemptRow,
        end: &AttemptEnd,
        then: Option<Then>,
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.instances.get(name) else { return };
        if row.attempt.as_ref() != Some(&attempt.order.attempt) {
            return;
        }
        if row.removal.is_some() {
            return self.removed_ended(now, name, out);
        }
        let desired = row.desired;
        if let Some(row) = self.instances.get_mut(name) {
            row.outcome = Some(end.outcome);
        }
        if desired == Desired::Down {
            let mut why = "stopped on request".to_owned();
            if end.outcome != Outcome::Cancelled {
                why = format!("{why}; {}", end.message);
            }
            self.update(name, &why, out, |row| row.state = InstanceState::Stopped);
            return self.forget_unconfigured(out);
        }
        if self.ended_in_group(name, attempt, end, out) {
            return;
        }
        if self.closing {
            return self.comes_back(now, name, out);
        }
        match (attempt.stopping, end.outcome) {
            (Some(StopCause::Restarting | StopCause::Cancelled), _) => {
                self.want_up(now, name, StartReason::Manual, out);
            }
            (Some(StopCause::Failover), _) => {
                self.failover_stopped(now, name, &attempt.order.agent, end, out);
            }
            // Its group was taken out of the configuration meanwhile.
            (Some(StopCause::Group), _) => {
                self.start_instance(now, name, StartReason::Group, out);
            }
            (None, Outcome::Cancelled) => self.update(name, &end.message, out, |row| {
                row.desired = Desired::Down;
                row.state = InstanceState::Stopped;
            }),
            (
                None
                | Some(
                    StopCause::Timeout
                    | StopCause::IdleTimeout
                    | StopCause::StartTimeout
                    | StopCause::Probe
                    | StopCause::Watchdog
                    | StopCause::Submitted,
                ),
                _,
            ) => {
                if !self.classified(now, name, end, then, out) {
                    self.apply_restart_policy(now, name, attempt, end, then, out);
                }
            }
        }
    }

    /// The policy leaves it alone, until a person acts.
    pub(super) fn rest(&mut self, name: &str, failed: bool, why: &str, out: &mut Vec<Action>) {
        self.update(name, why, out, |row| {
            row.state = if failed { InstanceState::Failed } else { InstanceState::Stopped };
        });
    }

    /// Changes a row, says why, and writes it down.
    pub(super) fn update(
        &mut self,
        name: &str,
        why: &str,
        out: &mut Vec<Action>,
        change: impl FnOnce(&mut InstanceRow),
    ) {
        let Some(row) = self.instances.get_mut(name) else { return };
        change(row);
        why.clone_into(&mut row.why);
        out.push(Action::Record(Fact::Instance(row.clone())));
    }
}

pub(super) fn blank(name: &str) -> InstanceRow {
    InstanceRow {
        name: name.to_owned(),
        desired: Desired::Down,
        state: InstanceState::Stopped,
        attempt: None,
        attempts: 0,
        restarts: 0,
        streak: 0,
        starts: Vec::new(),
        not_before: None,
        last_delay_ms: 0,
        serving: None,
        switches: Vec::new(),
        handover: None,
        removal: None,
        outcome: None,
        why: "never started".to_owned(),
    }
}

/// A restart that is under way stays under way.
fn forget_failures(row: &mut InstanceRow) {
    RestartCounters::default().keep(row);
}
