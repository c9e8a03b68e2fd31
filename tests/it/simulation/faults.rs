//! What befalls the machine: the tmux server dies and comes back, the disk is full, everybody is
//! suspended, the configuration changes under way.

use muxvisor::daemon::Input;
use muxvisor::model::{AttemptId, Desired, InstanceRow, InstanceState, Moment, Owner};
use muxvisor::policy::AgentType;
use muxvisor::supervisor::Event;
use muxvisor::workflow;

use super::plans;
use super::world::{Happening, World};

/// Lateness from which on a daemon knows that it stood still, as in `daemon::engine`.
const OVERSLEPT_MS: u64 = 1_000;

impl World {
    /// The window that an attempt has in the present server.
    pub(super) fn window_of(&self, id: &AttemptId, windowed: bool) -> Option<String> {
        (windowed && self.server_lives).then(|| format!("@{id}.{}", self.server))
    }

    /// The server dies with all its windows (faults 20-22). Agents live on.
    pub(super) fn tmux_dies(&mut self) {
        if !self.server_lives {
            return;
        }
        self.server_lives = false;
        self.server += 1;
        let after = *self.chance.pick(&[10, 2_000, 60_000]);
        self.soon(after, Happening::TmuxBack);
        self.tell_daemon(Event::WindowsLost);
    }

    /// A new server: everybody who lives is given a window.
    pub(super) fn tmux_back(&mut self) {
        self.server_lives = true;
        let Some(core) = &self.core else { return };
        let lacks = core.supervisor.attempts().filter(|row| row.order.windowed);
        let lacks: Vec<AttemptId> = lacks.map(|row| row.order.attempt.clone()).collect();
        lacks.iter().for_each(|id| self.give_window(id));
    }

    fn give_window(&mut self, id: &AttemptId) {
        let row = self.core.as_ref().and_then(|core| core.supervisor.attempt(id));
        let Some(shim) = row.and_then(|row| row.shim.clone()) else { return };
        let lives = self.shims.living(id).is_some_and(|shim| !shim.told);
        let window = self.window_of(id, lives);
        if window.is_some() {
            let attempt = id.clone();
            self.report(&Event::Launched { attempt, shim, pane: window.clone(), window });
        }
    }

    /// What is said of a server that is gone says nothing of the present one, and what an agent
    /// says is read when it is heard: as the daemon does it before its rooms hear of it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are heard as they are")]
    pub(super) fn as_heard(&mut self, event: Event) -> Option<Event> {
        let mark = format!(".{}", self.server);
        match event {
            Event::Launched { attempt, shim, window: Some(window), .. }
                if !self.server_lives || !window.ends_with(&mark) =>
            {
                if self.server_lives {
                    self.soon(200, Happening::WindowWanted(attempt.clone()));
                }
                Some(Event::Launched { attempt, shim, pane: None, window: None })
            }
            Event::WindowLeft { window, .. } if !self.server_lives || !window.ends_with(&mark) => {
                None
            }
            Event::Reported { attempt, .. } => {
                let said = self.shims.get(&attempt)?.said.clone();
                Some(Event::Reported { attempt, report: Box::new(said) })
            }
            event => Some(event),
        }
    }

    pub(super) fn window_wanted(&mut self, id: &AttemptId) {
        let lacks = |core: &muxvisor::daemon::Core| {
            core.supervisor.attempt(id).is_some_and(|row| row.window.is_none())
        };
        if self.core.as_ref().is_some_and(lacks) {
            self.give_window(id);
        }
    }

    /// The daemon hears something at once; one that waits for its disk hears it later.
    pub(super) fn tell_daemon(&mut self, event: Event) {
        if self.core.is_none() {
            return;
        }
        if self.stuck {
            self.held.push(event);
            self.dies();
            return;
        }
        self.hears(event);
        // Several may be decided before they are committed together.
        if self.chance.percent(80) {
            self.settle();
        } else {
            let to = self.daemon;
            self.soon(0, Happening::Report { to, event: super::happenings::nothing() });
        }
    }

    /// What an attempt used is read from its output before its end is told, as in `daemon::ending`.
    fn hears(&mut self, event: Event) {
        if let Event::Gone { attempt, ending } = &event
            && ending.exit.is_some()
            && let Some(row) = self.core().supervisor.attempt(attempt).cloned()
            && let Owner::Task { run, .. } = &row.order.owner
        {
            let (run, attempt, prices) = (run.clone(), attempt.clone(), Vec::new());
            let spent = vec![self.cost(&row.order)];
            let spent = workflow::Event::AttemptSpent { run, attempt, spent, prices };
            self.decide(Input::Workflow(spent));
        }
        self.decide(Input::Supervisor(event));
    }

    /// Nothing can be written (fault 60): what was decided waits, nothing is done, what is heard is
    /// held, nobody wakes up.
    pub(super) fn disk_fills(&mut self, ms: u64) {
        self.disk_full += 1;
        self.at(ms, Happening::DiskFree);
    }

    /// As `daemon::outage` does it.
    pub(super) fn disk_free(&mut self) {
        self.disk_full -= 1;
        if self.disk_full > 0 || !std::mem::take(&mut self.stuck) {
            return;
        }
        let gap_ms = self.now.0 - self.stuck_since.0;
        self.settle();
        let daemon = self.daemon;
        if self.core.is_some() {
            self.decide(Input::Supervisor(Event::Woke { gap_ms }));
        }
        for event in std::mem::take(&mut self.held) {
            if self.core.is_some() && self.daemon == daemon {
                self.hears(event);
            }
        }
        if self.core.is_some() {
            self.settle();
        }
        self.feel_gap(self.now);
    }

    /// Everything stands still but the clock (faults 69, 70).
    pub(super) fn sleeps(&mut self, ms: u64) {
        let slept = self.now;
        self.now = Moment(slept.0 + ms);
        let queue = std::mem::take(&mut self.queue);
        let later = |((at, n), what)| ((Moment(Moment::max(at, slept).0 + ms), n), what);
        self.queue = queue.into_iter().map(later).collect();
        self.feel_gap(slept);
    }

    /// As the engine finds out that it stood still.
    fn feel_gap(&mut self, slept: Moment) {
        if self.stuck {
            return;
        }
        let due = self.core.as_ref().and_then(muxvisor::daemon::Core::next_deadline);
        let Some(due) = due.filter(|due| due.0 + OVERSLEPT_MS < self.now.0) else { return };
        let gap_ms = self.now.0 - slept.min(due).0;
        self.decide(Input::Supervisor(Event::Woke { gap_ms }));
        self.settle();
    }

    /// Another configuration (faults 56-59): some services are gone or back, others are judged by
    /// other policies, and the group is another one or none.
    pub(super) fn reload(&mut self) {
        if self.core.is_some() && !self.stuck {
            self.settle();
        }
        if self.core.is_none() || self.stuck || self.closing {
            return self.soon(1_000, Happening::Reload);
        }
        let before = std::mem::replace(&mut self.agents, self.written.clone());
        let services = self.written.values().filter(|agent| agent.kind == AgentType::Service);
        let services: Vec<String> = services.map(|agent| agent.name.clone()).collect();
        for name in services {
            if self.chance.percent(15) {
                self.agents.remove(&name);
            } else if self.chance.percent(50) {
                let agent = self.agents.get_mut(&name).expect("it was just written");
                plans::alter(&mut self.chance, &mut agent.policy);
            }
        }
        self.groups = match self.chance.percent(50) {
            true => plans::groups(&mut self.chance, &self.agents),
            false => std::mem::take(&mut self.groups),
        };
        let agents = &self.agents;
        self.groups.iter_mut().for_each(|it| it.members.retain(|name| agents.contains_key(name)));
        self.groups.retain(|group| !group.members.is_empty());
        let gone: Vec<String> =
            before.into_keys().filter(|name| !self.agents.contains_key(name)).collect();
        self.laws.reconfigured(self.now);
        for name in gone {
            self.decide(Input::Supervisor(Event::Removed { name }));
        }
        let agents = self.agents.values().cloned().collect();
        let groups = self.groups.clone();
        self.decide(Input::Supervisor(Event::Configured { agents, groups }));
        self.settle();
    }

    /// The faults have been over for a while: nobody waits for something that never comes.
    pub(super) fn inspect(&mut self) {
        let now = self.now;
        let rows: Vec<InstanceRow> = self.ledger.instances.values().cloned().collect();
        let waits = |row: &InstanceRow| match row.state {
            InstanceState::Starting | InstanceState::Stopping => true,
            InstanceState::Backoff => row.not_before.is_none_or(|at| at <= now),
            InstanceState::Blocked => row.desired == Desired::Up,
            InstanceState::Stopped | InstanceState::Running | InstanceState::Failed => false,
        };
        let before = std::mem::replace(&mut self.inspected, rows.clone());
        // A member may rightly wait for one that is parked.
        let parked = |row: &InstanceRow| {
            let group = self.groups.iter().find(|group| group.members.contains(&row.name));
            let others = group.into_iter().flat_map(|group| &group.members);
            let mut others = others.filter_map(|name| self.ledger.instances.get(name));
            others.any(|row| row.not_before.is_some_and(|at| at > before_ms(now)))
        };
        for row in rows.iter().filter(|row| waits(row) && before.contains(row)) {
            let told = format!("{row:?}\n{:?}", self.ledger.groups);
            assert!(parked(row), "{} waits for ever: {told}", row.name);
        }
    }
}

/// What was due before then had time enough.
fn before_ms(now: Moment) -> Moment {
    Moment(now.0.saturating_sub(60_000))
}
