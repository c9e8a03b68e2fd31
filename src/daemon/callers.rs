//! What an agent may ask of the daemon that runs it. Agents have our user, so the socket cannot
//! keep them out; they are known by the shim that they descend from, by their control group, or by
//! their token (`[daemon] agent_api`). No bar against malice, which has our user's other means;
//! one against an agent that ends its neighbours or starts runs because it could.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cgroup;
use crate::control::{Failure, FailureKind, Peer, Reply, Request, Responder};
use crate::model::{AttemptId, AttemptRow, Owner, RunId};
use crate::policy::AgentApi;

use super::engine::Engine;
use super::process;

/// How many generations up a shim is looked for.
const GENERATIONS_MAX: usize = 1000;
/// How many kinds of refusals are remembered, so that each is written down once.
const REFUSALS_MAX: usize = 4096;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Caller {
    /// Nobody of ours: a person, or a program of theirs.
    Person,
    /// A process of this attempt.
    Agent(AttemptId),
    /// A process that is gone already, and may have been an agent's.
    Nobody,
}

/// Whom a request is about.
enum About<'r> {
    /// Nobody: it is asked before every other.
    Nothing,
    /// Everybody, but can be answered for one.
    All,
    /// Whatever this names, and nothing is changed.
    Named(&'r str),
    /// Things that are no agent's business.
    Others,
}

impl Engine {
    /// Gives the responder back when the caller may ask this. Otherwise it is answered.
    pub(super) fn admit(
        &mut self,
        peer: Peer,
        request: &Request,
        responder: Responder,
    ) -> Option<Responder> {
        let api = self.settings.config.daemon.agent_api;
        if api == AgentApi::Full || matches!(request, Request::Inside(_)) {
            return Some(responder);
        }
        let caller = self.caller(peer);
        let (verb, about) = about(request);
        let agent = match &caller {
            Caller::Person => return Some(responder),
            Caller::Agent(attempt) => self.core.supervisor.attempt(attempt),
            Caller::Nobody => None,
        };
        match about {
            About::Nothing if api == AgentApi::Own => return Some(responder),
            About::All if api == AgentApi::Own && agent.is_some() => {
                let own = agent.map(|row| row.order.attempt.clone());
                responder.reply(Reply::ok(&self.ps_of(own.as_ref())));
                return None;
            }
            About::Named(target) if api == AgentApi::Own => {
                if agent.is_some_and(|row| names(target, row)) {
                    return Some(responder);
                }
            }
            About::Nothing | About::All | About::Named(_) | About::Others => {}
        }
        let refusal = refusal(&caller, agent, verb, api);
        self.note_refusal(caller, peer, verb);
        responder.reply(refusal);
        None
    }

    /// Written down once for each attempt and verb: whoever asks again and again fills no disk.
    fn note_refusal(&mut self, caller: Caller, peer: Peer, verb: &'static str) {
        let attempt = match caller {
            Caller::Agent(attempt) => Some(attempt),
            Caller::Person | Caller::Nobody => None,
        };
        if self.refusals.len() >= REFUSALS_MAX || !self.refusals.insert((attempt.clone(), verb)) {
            return;
        }
        let pid = peer.pid.unwrap_or(0);
        let text = format!("process {pid} inside of it was denied `{verb}` (agent_api)");
        self.note(attempt.as_ref().map_or("daemon", AttemptId::as_str), text);
    }

    /// The attempt that a process belongs to, for what only agents ask.
    pub(super) fn agent_that_asks(&self, peer: Peer) -> Option<AttemptId> {
        match self.caller(peer) {
            Caller::Agent(attempt) => Some(attempt),
            Caller::Person | Caller::Nobody => None,
        }
    }

    /// The run whose agent a process belongs to.
    pub(super) fn run_that_asks(&self, peer: Peer) -> Option<RunId> {
        let row = self.core.supervisor.attempt(&self.agent_that_asks(peer)?)?;
        match &row.order.owner {
            Owner::Task { run, .. } => Some(run.clone()),
            Owner::Instance { .. } => None,
        }
    }

    fn caller(&self, peer: Peer) -> Caller {
        let mut live = self.core.supervisor.attempts().peekable();
        let Some(pid) = peer.pid.filter(|_| live.peek().is_some()) else { return Caller::Person };
        if peer.is_gone {
            return Caller::Nobody;
        }
        let rows: Vec<&AttemptRow> = live.collect();
        let attempts = self.settings.home.attempts();
        let known = |attempt: &AttemptId| rows.iter().any(|row| row.order.attempt == *attempt);
        let by_group = || cgroup::of_process(pid).map(AttemptId::new).filter(&known);
        let found = by_family(pid, &rows, &attempts).or_else(by_group);
        match found.or_else(|| by_token(pid, &rows)) {
            Some(attempt) => Caller::Agent(attempt),
            None => Caller::Person,
        }
    }
}

/// The attempt of the nearest shim above a process.
fn by_family(mut pid: i32, rows: &[&AttemptRow], attempts: &Path) -> Option<AttemptId> {
    for _ in 0..GENERATIONS_MAX {
        let stat = process::stat(pid).ok().flatten()?;
        let is_shim = |row: &&&AttemptRow| {
            row.shim.as_ref().is_some_and(|s| s.pid == pid && s.start_ticks == stat.start_ticks)
        };
        if let Some(row) = rows.iter().find(is_shim) {
            return Some(row.order.attempt.clone());
        }
        // One whose launch we have not heard of yet, or whose end we have.
        if let Some(attempt) = shim_of(pid, attempts) {
            return Some(attempt);
        }
        if stat.parent <= 1 {
            return None;
        }
        pid = stat.parent;
    }
    None
}

/// The attempt of a shim of this home, by its command line.
fn shim_of(pid: i32, attempts: &Path) -> Option<AttemptId> {
    attempt_in(&fs::read(format!("/proc/{pid}/cmdline")).ok()?, attempts)
}

/// Reads `muxvisor shim <attempts>/<id>`.
fn attempt_in(command_line: &[u8], attempts: &Path) -> Option<AttemptId> {
    let mut words = command_line.split(|byte| *byte == 0).skip(1);
    let dir = words.next().filter(|verb| verb == b"shim").and_then(|_| words.next())?;
    let id = Path::new(OsStr::from_bytes(dir)).strip_prefix(attempts).ok()?.to_str()?;
    (!id.is_empty() && !id.contains('/')).then(|| AttemptId::new(id))
}

fn by_token(pid: i32, rows: &[&AttemptRow]) -> Option<AttemptId> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let token =
        environ.split(|byte| *byte == 0).find_map(|e| e.strip_prefix(b"MUXVISOR_TOKEN="))?;
    let row = rows.iter().find(|row| row.order.token.as_str().as_bytes() == token)?;
    Some(row.order.attempt.clone())
}

/// Whether a name means the attempt, or whom it works for.
fn names(target: &str, row: &AttemptRow) -> bool {
    let owner = match &row.order.owner {
        Owner::Instance { name } => target == name,
        Owner::Task { run, task } => target == task.as_str() || target == format!("{run}/{task}"),
    };
    owner || target == row.order.attempt.as_str()
}

/// The verb of a request, and whom it is about.
fn about(request: &Request) -> (&'static str, About<'_>) {
    match request {
        Request::Hello => ("hello", About::Nothing),
        Request::Ps => ("ps", About::All),
        Request::Why { target } => ("why", About::Named(target)),
        Request::Logs { target, .. } => ("logs", About::Named(target)),
        Request::Submit(_) => ("run", About::Others),
        Request::Approve { .. } => ("approve", About::Others),
        Request::Cancel { .. } => ("cancel", About::Others),
        Request::Pause { .. } => ("pause", About::Others),
        Request::Resume { .. } => ("resume", About::Others),
        Request::Answer { .. } => ("decide", About::Others),
        Request::Retry { .. } => ("retry", About::Others),
        Request::Emit { .. } => ("emit", About::Others),
        Request::Cleanup { .. } => ("cleanup", About::Others),
        Request::Watch { .. } => ("watch", About::Others),
        Request::Runs { .. } => ("runs", About::Others),
        Request::Show { .. } => ("show", About::Others),
        Request::Results { .. } => ("results", About::Others),
        Request::Wait { .. } => ("wait", About::Others),
        Request::Up { .. } => ("up", About::Others),
        Request::Down { .. } => ("down", About::Others),
        Request::Start { .. } => ("start", About::Others),
        Request::Stop { .. } => ("stop", About::Others),
        Request::Restart { .. } => ("restart", About::Others),
        Request::ResetFailed { .. } => ("reset-failed", About::Others),
        Request::Attach { .. } => ("attach", About::Others),
        Request::Reload { .. } => ("reload", About::Others),
        Request::Agents { .. } => ("agents", About::Others),
        Request::Cost { .. } => ("cost", About::Others),
        Request::History { .. } => ("plan show", About::Others),
        // Judged by who asks, where it is answered.
        Request::Inside(_) => ("inside", About::Nothing),
        Request::Items(_) => ("items", About::Others),
        Request::Shutdown { .. } => ("shutdown", About::Others),
    }
}

fn refusal(
    caller: &Caller,
    agent: Option<&AttemptRow>,
    verb: &'static str,
    api: AgentApi,
) -> Failure {
    let who = match (caller, agent) {
        (Caller::Nobody, _) => "whoever asks has ended already, and may be an agent".to_owned(),
        (_, Some(row)) => format!("this is asked from inside of agent {}", row.order.label),
        (Caller::Agent(_) | Caller::Person, None) => {
            "this is asked from inside of an agent that has ended".to_owned()
        }
    };
    let rule = match api {
        AgentApi::None => "agents may ask nothing (agent_api = \"none\")",
        AgentApi::Own | AgentApi::Full => "agents may only look at themselves and submit results",
    };
    let has_task = agent.is_some_and(|row| matches!(row.order.owner, Owner::Task { .. }));
    let instead = match verb {
        // Whoever works on a task goes no deeper by another way (feature H13).
        "run" if has_task => "let the plan do it: a task of kind `plan`, or `lead` and `spawn`",
        "run" => "give the inner plan a home of its own (`muxvisor --home DIR run …`)",
        _ => "ask from outside of the agent",
    };
    Failure::new(FailureKind::Failed, format!("`{verb}` is denied: {who}; {rule}"))
        .hint(format!("{instead}, or allow it with `agent_api = \"full\"` under [daemon]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mint, Moment, Order, StartReason, TaskId};
    use crate::policy::{Agent, Identity};

    #[test]
    fn a_shim_is_known_by_its_command_line() {
        let attempts = Path::new("/h/attempts");
        let line = |text: &str| attempt_in(text.replace(' ', "\0").as_bytes(), attempts);
        assert_eq!(line("/bin/muxvisor shim /h/attempts/k3b7 "), Some(AttemptId::new("k3b7")));
        for other in [
            "/bin/muxvisor shim /other/attempts/k3b7 ",
            "/bin/muxvisor shim /h/attempts ",
            "/bin/muxvisor shim /h/attempts/a/b ",
            "/bin/muxvisor run /h/attempts/k3b7 ",
            "/bin/muxvisor shim",
            "",
        ] {
            assert_eq!(line(other), None, "{other}");
        }
    }

    fn order_of_a_task() -> Order {
        let owner = Owner::Task { run: RunId::new("PLAN-2026-11-21-001"), task: TaskId::new("a") };
        let mint = &mut Mint::new([1; 32]);
        let identity = Identity::mint(mint, owner, 1, StartReason::First);
        Agent::new("x").order(identity, "/".into())
    }

    #[test]
    fn a_refusal_says_who_what_and_what_to_do() {
        let caller = Caller::Agent(AttemptId::new("a"));
        let said = refusal(&caller, None, "run", AgentApi::Own);
        assert!(said.message.starts_with("`run` is denied"), "{said}");
        let hint = said.hint.unwrap();
        assert!(hint.contains("--home DIR") && hint.contains("agent_api = \"full\""), "{hint}");
        let row = AttemptRow::intended(order_of_a_task(), Moment(0));
        let said = refusal(&caller, Some(&row), "run", AgentApi::Own);
        let hint = said.hint.unwrap();
        assert!(hint.contains("kind `plan`") && !hint.contains("--home"), "H13: {hint}");
        let said = refusal(&Caller::Nobody, None, "stop", AgentApi::None);
        assert!(said.message.contains("has ended already"), "{said}");
        assert!(said.message.contains("ask nothing"), "{said}");
    }
}
