//! How agents do (research 5.5, features I13, I14): the share of their last attempts that
//! succeeded, and whether they can be started at all. One that failed to start three times in a
//! row is passed over for a minute; then one attempt is a trial for all others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{Moment, Outcome};

/// Of how many attempts the share is.
const ATTEMPTS_MAX: usize = 20;
/// After how many failed starts in a row nobody is given to it.
const FAILED_STARTS_MAX: u32 = 3;
/// For how long.
const REST: Duration = Duration::from_secs(60);
/// What has run for so long is taken to have been started: that a program cannot be executed is
/// known only after its process is there.
const PROOF: Duration = Duration::from_secs(5);

/// How all agents do.
#[derive(Clone, Debug, Default)]
pub(super) struct Standings(BTreeMap<String, Standing>);

/// How an agent does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether each of its last attempts succeeded, the oldest first.
    recent: VecDeque<bool>,
    /// How many starts failed in a row.
    failed_starts: u32,
    /// Until when nobody is given to it.
    rests_until: Option<Moment>,
    /// Since when an attempt of it runs that was not heard of again.
    runs_since: Option<Moment>,
}

/// An attempt that is over, as the ledger remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// The agent.
    pub agent: String,
    /// When it was started.
    pub started: Moment,
    /// When it was over, and how; none while it lives.
    pub ended: Option<(Moment, Outcome)>,
    /// What it took of named pools.
    pub pools: Vec<String>,
}

impl Standing {
    /// How many of the last attempts succeeded, and how many those were.
    pub fn successes(&self) -> (usize, usize) {
        (self.recent.iter().filter(|success| **success).count(), self.recent.len())
    }

    /// How many starts failed in a row.
    pub const fn failed_starts(&self) -> u32 {
        self.failed_starts
    }

    /// Until when nobody is given to it, if that lies ahead.
    pub fn rests(&self, now: Moment) -> Option<Moment> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Whether its next attempt shows whether it can be started again.
    const fn is_on_trial(&self) -> bool {
        self.failed_starts >= FAILED_STARTS_MAX
    }

    /// When the attempt that runs will have shown that it can be started.
    fn proven_at(&self) -> Option<Moment> {
        self.runs_since.map(|since| since + PROOF).filter(|_| self.is_on_trial())
    }

    fn ended(&mut self, at: Moment, outcome: Outcome) {
        self.runs_since = None;
        match outcome {
            // A stop, a limit and an end that nobody saw tell nothing of the agent.
            Outcome::Cancelled | Outcome::RateLimited | Outcome::Lost => return,
            Outcome::ExecFailed | Outcome::StartTimeout => {
                self.failed_starts += 1;
                if self.is_on_trial() {
                    self.rests_until = Some(at + REST);
                }
            }
            Outcome::Success
            | Outcome::ExitCode
            | Outcome::Signal
            | Outcome::CoreDump
            | Outcome::OomKill
            | Outcome::Timeout
            | Outcome::IdleTimeout
            | Outcome::Watchdog
            | Outcome::Probe
            | Outcome::NoResult
            | Outcome::Malformed
            | Outcome::Auth
            | Outcome::Refused
            | Outcome::Hook => self.started(),
        }
        self.recent.push_back(outcome == Outcome::Success);
        while self.recent.len() > ATTEMPTS_MAX {
            self.recent.pop_front();
        }
    }

    fn started(&mut self) {
        self.failed_starts = 0;
        self.rests_until = None;
    }
}

impl Standings {
    /// How an agent does.
    pub(super) fn of(&self, agent: &str) -> Standing {
        self.0.get(agent).cloned().unwrap_or_default()
    }

    /// An attempt of it is over.
    pub(super) fn ended(&mut self, at: Moment, agent: &str, outcome: Outcome) {
        self.0.entry(agent.to_owned()).or_default().ended(at, outcome);
    }

    /// A process of it is there; whether its program can be executed is still to be seen.
    pub(super) fn runs(&mut self, now: Moment, agent: &str) {
        if let Some(standing) = self.0.get_mut(agent) {
            standing.runs_since = Some(now);
        }
    }

    /// Until when it may not be started; `live` is how many attempts of it live. After its rest one
    /// attempt at a time is a trial.
    pub(super) fn refuses(&self, now: Moment, agent: &str, live: usize) -> bool {
        let Some(standing) = self.0.get(agent) else { return false };
        let proven = standing.proven_at().is_some_and(|at| at <= now);
        !proven && (standing.rests(now).is_some() || standing.is_on_trial() && live > 0)
    }

    /// When the next of them may be started again.
    pub(super) fn next(&self, now: Moment) -> Option<Moment> {
        let proven = |one: &Standing| one.proven_at().filter(|at| *at > now);
        self.0.values().flat_map(|one| one.rests(now).into_iter().chain(proven(one))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ends: &[(u64, Outcome)]) -> Standings {
        let mut standings = Standings::default();
        ends.iter().for_each(|(at, outcome)| standings.ended(Moment(*at), "a", *outcome));
        standings
    }

    /// Feature I13: an agent that cannot be started is left alone for a minute, then tried once.
    #[test]
    fn three_failed_starts_in_a_row_are_a_rest_and_then_a_trial() {
        use Outcome::{ExecFailed, ExitCode, StartTimeout};
        let two = after(&[(1, ExecFailed), (2, StartTimeout)]);
        assert!(!two.refuses(Moment(3), "a", 0));
        let between = after(&[(1, ExecFailed), (2, ExecFailed), (3, ExitCode), (4, ExecFailed)]);
        assert!(!between.refuses(Moment(5), "a", 0));
        let mut three = after(&[(1, ExecFailed), (2, StartTimeout), (3, ExecFailed)]);
        assert!(three.refuses(Moment(60_002), "a", 0));
        assert!(!three.refuses(Moment(60_003), "a", 0), "a trial");
        assert!(three.refuses(Moment(60_003), "a", 1), "one at a time");
        assert_eq!(three.next(Moment(4)), Some(Moment(60_003)));
        three.ended(Moment(60_010), "a", ExecFailed);
        assert!(three.refuses(Moment(120_009), "a", 0), "the trial failed too");
        three.runs(Moment(120_100), "a");
        assert!(three.refuses(Moment(120_101), "a", 1), "its process says nothing yet");
        assert_eq!(three.next(Moment(120_101)), Some(Moment(125_100)));
        assert!(!three.refuses(Moment(125_100), "a", 5), "it runs");
        three.ended(Moment(130_000), "a", ExitCode);
        assert!(!three.refuses(Moment(130_001), "a", 5));
        assert!(!three.refuses(Moment(4), "b", 0));
    }

    /// Research 5.5: the share is of the last 20; what tells nothing of the agent is left out.
    #[test]
    fn the_share_is_of_the_last_twenty() {
        let mut ends = vec![(1, Outcome::ExitCode); 30];
        ends.extend([(2, Outcome::Success); 15]);
        ends.extend([(3, Outcome::Cancelled), (3, Outcome::RateLimited), (3, Outcome::Lost)]);
        assert_eq!(after(&ends).of("a").successes(), (15, 20));
        assert_eq!(Standings::default().of("a").successes(), (0, 0));
    }
}
