//! What a new configuration means for what lives already: instances are watched, limited and
//! stopped by the policies that hold now, whatever they were started with.

use crate::model::{AttemptRow, AttemptState, Moment, Owner};

use super::{Settings, Supervisor};

impl Supervisor {
    /// How long windows stay, from now on.
    pub fn keep_windows(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Whether the process of an instance differs from what its agent would be started as now.
    pub fn is_stale(&self, row: &AttemptRow) -> bool {
        let instance = matches!(row.order.owner, Owner::Instance { .. });
        let agent = self.agents.get(&row.order.agent);
        instance && agent.is_some_and(|agent| agent.makes_stale(&row.order))
    }

    /// Has living attempts of instances judged by the policies that hold now. In memory only: a
    /// later daemon is told its configuration first of all. Attempts of tasks keep what their run
    /// was submitted with.
    pub(super) fn judge_by_new_policies(&mut self, now: Moment) {
        for attempt in self.attempts.values_mut() {
            let order = &mut attempt.row.order;
            if matches!(order.owner, Owner::Task { .. }) {
                continue;
            }
            let Some(policy) = self.agents.get(&order.agent).map(|agent| &agent.policy) else {
                continue;
            };
            if order.limits.idle_ms != policy.idle_timeout_ms {
                let running = attempt.row.state == AttemptState::Running;
                attempt.ask_quiet = policy.idle_timeout_ms.filter(|_| running).map(|_| now);
            }
            order.take_policy(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{InstanceState, Mint, ProcessMark};
    use crate::policy::Agent;
    use crate::supervisor::{Action, Event, InstanceRequest, Remembered};

    use super::*;

    fn service(command: &str) -> Agent {
        let mut agent = Agent::new("a");
        agent.kind = crate::policy::AgentType::Service;
        agent.modes.headless.command = Some(vec![command.to_owned()]);
        agent.settle();
        agent
    }

    fn configured(supervisor: &mut Supervisor, now: Moment, agent: &Agent) -> Vec<Action> {
        let event = Event::Configured { agents: vec![agent.clone()], groups: Vec::new() };
        supervisor.handle(now, event)
    }

    /// Fault 56: the process goes on; policies hold at once; another command makes it stale.
    #[test]
    fn a_living_attempt_follows_its_policy_and_keeps_its_command() {
        let keep = Settings { keep_success: None, keep_failure: None };
        let mint = Mint::new([7; 32]);
        let mut supervisor =
            Supervisor::recover(Moment(0), keep, Remembered::default(), mint).unwrap();
        let mut agent = service("x");
        configured(&mut supervisor, Moment(0), &agent);
        let asked = Event::Asked { name: "a".to_owned(), request: InstanceRequest::Start };
        supervisor.handle(Moment(1), asked);
        let attempt = supervisor.attempts().next().unwrap().order.attempt.clone();
        let mark = |pid| ProcessMark { pid, start_ticks: 1, boot_id: "b".to_owned() };
        let launched =
            Event::Launched { attempt: attempt.clone(), shim: mark(2), pane: None, window: None };
        supervisor.handle(Moment(2), launched);
        supervisor.handle(Moment(3), Event::Started { attempt: attempt.clone(), process: mark(3) });
        agent.policy.idle_timeout_ms = Some(50);
        agent.policy.timeout_ms = Some(5_000);
        agent.policy.stop.timeout_ms = 77;
        agent.policy.care.watchdog_ms = Some(9_000);
        assert_eq!(configured(&mut supervisor, Moment(10), &agent), []);
        let row = supervisor.attempt(&attempt).unwrap();
        assert_eq!((row.order.stop.timeout_ms, row.order.care.watchdog_ms), (77, Some(9_000)));
        assert!(!supervisor.is_stale(row));
        assert_eq!(supervisor.next_deadline(), Some(Moment(10)), "silence is asked about");
        let asks = supervisor.handle(Moment(10), Event::DeadlineReached);
        assert_eq!(asks, [Action::AskQuiet { attempt: attempt.clone() }]);
        assert_eq!(supervisor.next_deadline(), Some(Moment(5_003)));
        agent.modes.headless.command = Some(vec!["y".to_owned()]);
        agent.settle();
        assert_eq!(configured(&mut supervisor, Moment(20), &agent), []);
        let row = supervisor.attempt(&attempt).unwrap();
        assert!(supervisor.is_stale(row) && row.order.argv == ["x"]);
        let states: Vec<_> = supervisor.instances().map(|row| row.state).collect();
        assert_eq!(states, [InstanceState::Running]);
    }
}
