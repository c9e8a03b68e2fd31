//! Judges an attempt that is over: what the shim recorded, what was found of a result, and why it
//! was stopped, make one outcome (design §5, §6). "Unknown" is never read as success.

use serde_json::Value;

use crate::model::{
    AttemptEnd, Ending, Exit, Extract, Moment, Order, Outcome, ResultRule, ResultSource, StopCause,
    signal_name,
};
use crate::transcript::{value_of, whole_value_of};

use super::rules::Ruling;

/// The end of an attempt, with the value of its result when it succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What is recorded.
    pub end: AttemptEnd,
    /// The result; `None` when there is none, or it was not accepted.
    pub value: Option<Value>,
    /// What a rule of its agent says about this end.
    pub ruling: Option<Ruling>,
}

impl Verdict {
    /// Takes over what a rule says. The judgement of the process stays readable in the message.
    pub(super) fn ruled(
        mut self,
        now: Moment,
        order: &Order,
        ending: &Ending,
        ruling: Ruling,
    ) -> Self {
        // One without a name of its own is called `rule 2`.
        let called = ruling.name.strip_prefix("rule ").unwrap_or(&ruling.name);
        let rule = format!("rule `{called}` matched {:?}", ruling.text);
        match (ruling.outcome, &ending.exit) {
            (Some(Outcome::Success), Some(exit)) if exit.exec_failure.is_none() => {
                if self.end.outcome != Outcome::Success {
                    self = accepted(now, order, exit, &ending.extract);
                }
            }
            // Nobody knows how it ended, and no rule makes that a success.
            (None | Some(Outcome::Success), _) => {}
            (Some(outcome), _) => {
                self.end = AttemptEnd { outcome, source: None, ..self.end };
                self.value = None;
            }
        }
        self.end.message = format!("{rule}; {}", self.end.message);
        self.ruling = Some(ruling);
        self
    }
}

/// Judges. `cause` says why it was being stopped, if it was.
pub fn judge(now: Moment, order: &Order, cause: Option<StopCause>, ending: &Ending) -> Verdict {
    let Some(exit) = &ending.exit else {
        let message = "nobody knows how it ended: its shim left no record".to_owned();
        return failed(now, None, Outcome::Lost, message);
    };
    if let Some(failure) = &exit.exec_failure {
        return failed(now, Some(exit), Outcome::ExecFailed, failure.message.clone());
    }
    if let Some((outcome, message)) = stopped(order, cause, exit) {
        return failed(now, Some(exit), outcome, message);
    }
    // An agent that was ended because it had handed in its result ended as it should.
    let dismissed = cause == Some(StopCause::Submitted) && !exit.stop.is_empty();
    if !dismissed && let Some((outcome, message)) = unclean(order, exit) {
        return failed(now, Some(exit), outcome, message);
    }
    accepted(now, order, exit, &ending.extract)
}

/// The verdict over a process that ended as it should: only its result is looked at.
fn accepted(now: Moment, order: &Order, exit: &Exit, extract: &Extract) -> Verdict {
    match result(order, extract) {
        Ok((value, source)) => Verdict { end: success(now, exit, source), value, ruling: None },
        Err((outcome, message)) => failed(now, Some(exit), outcome, message),
    }
}

/// A stop decides the outcome, whatever the agent made of it. A window that a person closed is an
/// operator's stop too (design §3). A time limit that struck when the agent was over already
/// stopped nothing: how it ended by itself counts, so that a daemon that slept loses no result.
fn stopped(order: &Order, cause: Option<StopCause>, exit: &Exit) -> Option<(Outcome, String)> {
    let seconds = |ms: Option<u64>| ms.unwrap_or(0) as f64 / 1000.0;
    let limits = &order.limits;
    let too_late = exit.stop.is_empty() && !exit.window_closed;
    Some(match cause {
        Some(
            StopCause::Timeout
            | StopCause::IdleTimeout
            | StopCause::StartTimeout
            | StopCause::Probe
            | StopCause::Watchdog
            | StopCause::Failover
            | StopCause::Group,
        ) if too_late => {
            return None;
        }
        Some(StopCause::Submitted) => return None,
        Some(StopCause::Cancelled) => (Outcome::Cancelled, "stopped on request".to_owned()),
        Some(StopCause::Restarting) => (Outcome::Cancelled, "stopped to be restarted".to_owned()),
        Some(StopCause::Timeout) => {
            (Outcome::Timeout, format!("ran longer than {} s", seconds(limits.run_ms)))
        }
        Some(StopCause::IdleTimeout) => {
            (Outcome::IdleTimeout, format!("printed nothing for {} s", seconds(limits.idle_ms)))
        }
        Some(StopCause::StartTimeout) => {
            (Outcome::StartTimeout, format!("did not start in {} s", seconds(limits.start_ms)))
        }
        Some(StopCause::Probe) => (Outcome::Probe, "a health probe failed".to_owned()),
        Some(StopCause::Watchdog) => (Outcome::Watchdog, "its heartbeat stayed away".to_owned()),
        Some(StopCause::Failover) => {
            (Outcome::Cancelled, "stopped so that another agent takes over".to_owned())
        }
        Some(StopCause::Group) => {
            (Outcome::Cancelled, "stopped with its group, to be restarted".to_owned())
        }
        None if exit.window_closed => (Outcome::Cancelled, "its window was closed".to_owned()),
        None if !exit.stop.is_empty() => {
            (Outcome::Cancelled, "its shim was told to stop it".to_owned())
        }
        None => return None,
    })
}

fn unclean(order: &Order, exit: &Exit) -> Option<(Outcome, String)> {
    if let Some(signal) = exit.signal {
        if order.success_signals.contains(&signal) {
            return None;
        }
        let name = signal_name(signal);
        return Some(if exit.oom {
            (Outcome::OomKill, starved(order))
        } else if exit.core {
            (Outcome::CoreDump, format!("killed by {name}, core dumped"))
        } else {
            (Outcome::Signal, format!("killed by {name}"))
        });
    }
    match exit.code {
        Some(code) if order.success_codes.contains(&code) => None,
        Some(_) if exit.oom => Some((Outcome::OomKill, starved(order))),
        Some(code) => Some((Outcome::ExitCode, format!("exited with code {code}"))),
        None => Some((Outcome::Lost, "its record holds neither code nor signal".to_owned())),
    }
}

/// The kernel killed some of it, and it failed: whoever died, that is why.
fn starved(order: &Order) -> String {
    match order.resources.memory_max {
        Some(bytes) => format!("killed by the kernel: it needed more than {bytes} bytes of memory"),
        None => "killed by the kernel: the memory of the machine ended".to_owned(),
    }
}

type Accepted = (Option<Value>, Option<ResultSource>);

fn result(order: &Order, extract: &Extract) -> Result<Accepted, (Outcome, String)> {
    let required = order.result_required || order.schema.is_some();
    match extract {
        Extract::Complete { source, text } => {
            let read = if order.prompt.is_some() { value_of } else { whole_value_of };
            read(text, order.schema.as_ref())
                .map(|value| (Some(value), Some(*source)))
                .map_err(|why| (Outcome::Malformed, why))
        }
        Extract::Malformed { reason } if order.result != ResultRule::None => {
            Err((Outcome::Malformed, reason.clone()))
        }
        Extract::Missing | Extract::Malformed { .. } if required => {
            Err((Outcome::NoResult, no_result(order.result)))
        }
        Extract::Missing | Extract::Malformed { .. } => Ok((None, None)),
    }
}

fn no_result(rule: ResultRule) -> String {
    match rule {
        ResultRule::Tag => "exited with success but printed no <result>…</result>".to_owned(),
        ResultRule::Submit | ResultRule::None => {
            "exited with success but submitted no result".to_owned()
        }
        ResultRule::Stdout => "exited with success but printed nothing".to_owned(),
    }
}

fn success(now: Moment, exit: &Exit, source: Option<ResultSource>) -> AttemptEnd {
    let from = source.map_or_else(String::new, |s| format!(", result {s}"));
    AttemptEnd {
        outcome: Outcome::Success,
        message: format!("succeeded{from}"),
        code: exit.code,
        signal: exit.signal,
        source,
        at: now,
    }
}

fn failed(now: Moment, exit: Option<&Exit>, outcome: Outcome, message: String) -> Verdict {
    let end = AttemptEnd {
        outcome,
        message,
        code: exit.and_then(|e| e.code),
        signal: exit.and_then(|e| e.signal),
        source: None,
        at: now,
    };
    Verdict { end, value: None, ruling: None }
}
