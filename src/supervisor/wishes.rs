//! What a person wants of groups and of their members. One member that is asked for by its name is
//! taken out of the order, as far as nothing is under way; several of a group, or the group itself,
//! are started in order and stopped in reverse. None of it is counted or limited.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Desired, InstanceState, Moment, StartReason};
use crate::policy::RestartCounters;

use super::{Action, Answer, InstanceRequest, Supervisor};

/// What is wanted of one group.
#[derive(Default)]
struct Wish {
    members: BTreeSet<String>,
    /// It was asked for by its own name.
    whole: bool,
}

impl Supervisor {
    /// Answers a wish about several instances and groups, one answer for each instance.
    pub(super) fn asked_many(
        &mut self,
        now: Moment,
        names: &[String],
        request: InstanceRequest,
        out: &mut Vec<Action>,
    ) {
        let mut wishes: BTreeMap<String, Wish> = BTreeMap::new();
        let mut singles: Vec<&String> = Vec::new();
        for name in names {
            let group = self.group_of(name).map(|group| group.name.clone());
            match (group, self.groups.get(name)) {
                _ if singles.contains(&name) => {}
                (Some(group), _) if self.instances.contains_key(name) => {
                    wishes.entry(group).or_default().members.insert(name.clone());
                }
                (_, Some(group)) if !self.instances.contains_key(name) => {
                    let wish = wishes.entry(name.clone()).or_default();
                    wish.members.extend(group.members.iter().cloned());
                    wish.whole = true;
                }
                (Some(_) | None, _) => singles.push(name),
            }
        }
        for (group, wish) in wishes {
            match (wish.whole, wish.members.first()) {
                (false, Some(name)) if wish.members.len() == 1 => {
                    let answer = self.asked(now, name, request, out);
                    out.push(Action::Answer { name: name.clone(), answer });
                }
                _ => self.group_asked(now, &group, wish, request, out),
            }
        }
        for name in singles {
            let answer = self.asked(now, name, request, out);
            out.push(Action::Answer { name: name.clone(), answer });
        }
    }

    fn group_asked(
        &mut self,
        now: Moment,
        group: &str,
        wish: Wish,
        request: InstanceRequest,
        out: &mut Vec<Action>,
    ) {
        let members = self.groups.get(group).map(|it| it.members.clone()).unwrap_or_default();
        let wanted = |name: &&String| {
            wish.members.contains(*name) && self.instances.contains_key(name.as_str())
        };
        let mut members: Vec<String> = members.iter().filter(wanted).cloned().collect();
        let is_up =
            |name: &String| self.instances.get(name).is_some_and(|row| row.desired == Desired::Up);
        // What a person stopped stays out of a restart of its group, unless that would be nobody.
        if wish.whole && request == InstanceRequest::Restart && members.iter().any(is_up) {
            members.retain(is_up);
        }
        match request {
            InstanceRequest::Stop if wish.whole => self.change_group(group, |row| {
                row.failed = false;
                row.to_start.clear();
            }),
            InstanceRequest::Start | InstanceRequest::Restart | InstanceRequest::ResetFailed => {
                self.forgive(group);
            }
            InstanceRequest::Stop => {}
        }
        for name in members {
            let answer = match request {
                InstanceRequest::Start => self.member_start(now, &name, out),
                InstanceRequest::Stop => self.member_stop(now, group, &name, out),
                InstanceRequest::Restart => self.member_restart(group, &name, out),
                InstanceRequest::ResetFailed => self.asked(now, &name, request, out),
            };
            out.push(Action::Answer { name, answer });
        }
    }

    fn member_start(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) -> Answer {
        let lives = self.live_attempt(name).is_some();
        if lives || self.is_in_turn(name) {
            return self.asked(now, name, InstanceRequest::Start, out);
        }
        self.want_in_turn(name, StartReason::Manual, out);
        Answer::Accepted
    }

    /// Wants it down; it is told when those after it are gone, or killed when a person wanted the
    /// same before.
    fn member_stop(
        &mut self,
        now: Moment,
        group: &str,
        name: &str,
        out: &mut Vec<Action>,
    ) -> Answer {
        let live = self.live_attempt(name).cloned();
        let Some(row) = self.instances.get(name) else { return Answer::AlreadySo };
        let again = row.desired == Desired::Down;
        let state = match (row.state, &live) {
            (InstanceState::Stopped, None) if again => return Answer::AlreadySo,
            (InstanceState::Blocked, _) => InstanceState::Blocked,
            (_, Some(_)) => InstanceState::Stopping,
            (_, None) => InstanceState::Stopped,
        };
        let why = match state {
            InstanceState::Blocked => row.why.clone(),
            InstanceState::Stopped => "stopped on request".to_owned(),
            InstanceState::Starting
            | InstanceState::Running
            | InstanceState::Backoff
            | InstanceState::Stopping
            | InstanceState::Failed => "stopping on request".to_owned(),
        };
        self.leave_turn(group, name);
        self.hold_down(name);
        self.update(name, &why, out, |row| {
            row.not_before = None;
            row.state = state;
        });
        if let Some(attempt) = live.filter(|_| again) {
            self.end_now(now, &attempt, out);
        }
        Answer::Accepted
    }

    fn member_restart(&mut self, group: &str, name: &str, out: &mut Vec<Action>) -> Answer {
        let Some(row) = self.instances.get(name) else { return Answer::AlreadySo };
        if row.state == InstanceState::Blocked {
            return Answer::Denied(row.why.clone());
        }
        if self.live_attempt(name).is_none() {
            self.want_in_turn(name, StartReason::Manual, out);
            return Answer::Accepted;
        }
        self.put_in_turn(group, name, StartReason::Manual);
        self.update(name, "stopping, to be restarted", out, |row| {
            row.desired = Desired::Up;
            row.state = InstanceState::Stopping;
            row.not_before = None;
            RestartCounters::default().keep(row);
        });
        Answer::Accepted
    }

    /// Takes part of a wish about one instance: its group forgets its failures, and what waits for
    /// its turn there goes on waiting. `None` when it is as with any other instance.
    pub(super) fn asked_in_group(
        &mut self,
        name: &str,
        request: InstanceRequest,
        out: &mut Vec<Action>,
    ) -> Option<Answer> {
        let group = self.group_of(name)?.name.clone();
        let lives = self.live_attempt(name).is_some();
        match request {
            InstanceRequest::Stop => {
                self.leave_turn(&group, name);
                return None;
            }
            InstanceRequest::ResetFailed => {
                self.forgive(&group);
                return None;
            }
            InstanceRequest::Start | InstanceRequest::Restart => self.forgive(&group),
        }
        let row = self.instances.get(name)?;
        if row.state == InstanceState::Blocked {
            return None;
        }
        if self.is_in_turn(name) && !lives {
            let delayed = row.not_before.is_some();
            let answer = if delayed { Answer::Accepted } else { Answer::AlreadySo };
            self.want_in_turn(name, StartReason::Manual, out);
            return Some(answer);
        }
        if lives && row.state == InstanceState::Stopping {
            self.put_in_turn(&group, name, StartReason::Manual);
            self.update(name, "starts again when it has stopped", out, |row| {
                row.desired = Desired::Up;
            });
            return Some(Answer::Accepted);
        }
        None
    }

    /// A person acts, so the group's own failures are forgotten.
    fn forgive(&mut self, group: &str) {
        if !self.group_rows.contains_key(group) {
            return;
        }
        self.change_group(group, |row| {
            row.starts.clear();
            if std::mem::take(&mut row.failed) {
                "failures forgotten on request".clone_into(&mut row.why);
            }
        });
    }
}
