//! Steering a run: `pause`, `resume`, `cancel`, `approve`, `decide`, `retry`, `emit`.

use std::path::PathBuf;

use serde_json::Value;

use super::desk::{Desk, run_id};
use super::failure::{COMPLETED, usage};
use super::reading::{Look, PlanFile, input, inputs};
use crate::control::steer::{AnswerReply, EmitReply, RetryReply, StaleView};
use crate::control::view::RunReply;
use crate::control::{Failure, Request, Submit};
use crate::model::{RunId, RunState};

/// What to pause.
#[derive(Debug, clap::Args)]
pub(crate) struct Pause {
    /// The run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Also stop what runs; it is made again after `resume`, and uses no retry
    #[arg(long)]
    stop: bool,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// A run, and nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to approve.
#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// What waits: a run, RUN/TASK, or a task of a live run
    #[arg(value_name = "RUN|TASK")]
    target: String,
    /// Say no: a run is cancelled, a task fails, a phase is left out
    #[arg(long)]
    reject: bool,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to decide.
#[derive(Debug, clap::Args)]
pub(crate) struct Decide {
    /// What asks: a run, or RUN/NAME of a question
    #[arg(value_name = "RUN")]
    target: String,
    /// The answer: after too many failures `retry`, `adjust` or `accept`
    answer: String,
    /// The edited plan, for `adjust`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// A value for one of its inputs; those not given keep theirs
    #[arg(long = "input", value_name = "K=V", value_parser = input)]
    inputs: Vec<(String, String)>,
    /// Let demo agents stand in for all others of the edited plan
    #[arg(long)]
    demo: bool,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do again.
#[derive(Debug, clap::Args)]
pub(crate) struct Retry {
    /// The run, live or over
    #[arg(value_parser = run_id)]
    run: RunId,
    /// A task, or an item as `task[key]`; everything that did not succeed when not given
    #[arg(long)]
    task: Option<String>,
    /// Also do again everything that depends on it
    #[arg(long)]
    with_downstream: bool,
    /// Go on with this edited plan: what it does not change keeps its result
    #[arg(long, value_name = "FILE", conflicts_with_all = ["task", "with_downstream"])]
    plan: Option<PathBuf>,
    /// A value for one of its inputs; those not given keep theirs
    #[arg(long = "input", value_name = "K=V", value_parser = input, requires = "plan")]
    inputs: Vec<(String, String)>,
    /// Let demo agents stand in for all others of the edited plan
    #[arg(long, requires = "plan")]
    demo: bool,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to emit.
#[derive(Debug, clap::Args)]
pub(crate) struct Emit {
    /// The event's name
    event: String,
    /// Its data: JSON, or else a text
    #[arg(long, value_name = "J")]
    data: Option<String>,
    /// Emitting it twice with the same key is emitting it once
    #[arg(long)]
    key: Option<String>,
    /// Print the document instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

/// Starts nothing more of a run.
pub(crate) fn pause(args: &Pause, desk: &Desk) -> Result<u8, Failure> {
    let request = Request::Pause { run: args.run.clone(), stop: args.stop };
    let hint = format!("; `muxvisor resume {}` goes on", args.run);
    tell(desk, &request, &hint)
}

/// Goes on with a paused run.
pub(crate) fn resume(args: &Run, desk: &Desk) -> Result<u8, Failure> {
    tell(desk, &Request::Resume { run: args.run.clone() }, "")
}

/// Stops a run's agents and ends it.
pub(crate) fn cancel(args: &Run, desk: &Desk) -> Result<u8, Failure> {
    let seen: RunReply = desk.daemon()?.ask_for(&Request::Cancel { run: args.run.clone() })?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(&format!("{} is being cancelled; it is {}", seen.run, seen.state));
    }
    Ok(COMPLETED)
}

fn tell(desk: &Desk, request: &Request, hint: &str) -> Result<u8, Failure> {
    let seen: RunReply = desk.daemon()?.ask_for(request)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(&format!("{} is {}{hint}", seen.run, seen.state));
    }
    Ok(COMPLETED)
}

/// Says yes or no to whatever waits for that.
pub(crate) fn approve(args: &Approve, desk: &Desk) -> Result<u8, Failure> {
    let (answer, word) = match args.reject {
        true => ("reject", "rejected"),
        false => ("approve", "approved"),
    };
    let request = Request::Answer { target: args.target.clone(), answer: answer.to_owned() };
    let seen: AnswerReply = desk.daemon()?.ask_for(&request)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else if seen.ask == "plan" {
        desk.voice.say(&format!("{} {word}; it is {}", seen.run, seen.state));
    } else {
        desk.voice.say(&format!("{} of {} {word}", seen.ask, seen.run));
    }
    Ok(COMPLETED)
}

/// Answers what a run asks.
pub(crate) fn decide(args: &Decide, desk: &Desk) -> Result<u8, Failure> {
    if args.answer == "adjust" {
        let Some(file) = &args.plan else {
            return Err(usage("`adjust` needs the edited plan")
                .hint(format!("muxvisor decide {} adjust --plan FILE", args.target)));
        };
        let run = RunId::parse(&args.target).map_err(|error| usage(error.to_string()))?;
        let plan = edited(desk, file, &args.inputs, args.demo)?;
        return again(desk, &Request::Retry { run, task: None, with_downstream: false, plan });
    }
    if args.plan.is_some() {
        return Err(usage("`--plan` goes with the answer `adjust`"));
    }
    let request = Request::Answer { target: args.target.clone(), answer: args.answer.clone() };
    let seen: AnswerReply = desk.daemon()?.ask_for(&request)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
    } else {
        desk.voice.say(&format!("{}: {}; {} is {}", seen.ask, seen.answer, seen.run, seen.state));
    }
    Ok(COMPLETED)
}

/// Does work again, in place.
pub(crate) fn retry(args: &Retry, desk: &Desk) -> Result<u8, Failure> {
    let plan = match &args.plan {
        Some(file) => edited(desk, file, &args.inputs, args.demo)?,
        None => None,
    };
    let (run, task, with_downstream) = (args.run.clone(), args.task.clone(), args.with_downstream);
    again(desk, &Request::Retry { run, task, with_downstream, plan })
}

fn again(desk: &Desk, request: &Request) -> Result<u8, Failure> {
    let seen: RetryReply = desk.daemon()?.ask_for(request)?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
        return Ok(COMPLETED);
    }
    let edited = matches!(request, Request::Retry { plan: Some(_), .. });
    desk.voice.say(&told_again(&seen, edited));
    Ok(COMPLETED)
}

/// What is done again, and what a person may do about it next.
fn told_again(seen: &RetryReply, edited: bool) -> String {
    let names: Vec<&str> = seen.again.iter().map(crate::model::TaskId::as_str).collect();
    let what = match names.as_slice() {
        [] if edited => "it goes on with the edited plan, and nothing is done again".to_owned(),
        [] => "nothing is done again".to_owned(),
        names => format!("{} done again", names.join(", ")),
    };
    let RetryReply { run, state, .. } = seen;
    let next = match (*state == RunState::Paused, state.is_end()) {
        (true, _) => format!("`muxvisor resume {run}` goes on"),
        (_, true) => format!("`muxvisor show {run}` says how it went"),
        (_, false) => format!("`muxvisor wait {run}` waits for its end"),
    };
    let stale = not_again(&seen.stale).map_or(String::new(), |told| format!("\n{told}"));
    format!("{run} is {state}: {what}; {next}{stale}")
}

/// What stays as it was, though it was made without what is done now.
fn not_again(stale: &[StaleView]) -> Option<String> {
    let one = |it: &StaleView| format!("{} (read `{}` while it was not done)", it.task, it.read);
    let names: Vec<String> = stale.iter().map(one).collect();
    let told = format!("not done again: {}; `--with-downstream` redoes them", names.join(", "));
    (!names.is_empty()).then_some(told)
}

/// The edited plan as it is sent; the daemon checks it, because it knows the run's inputs.
fn edited(
    desk: &Desk,
    file: &std::path::Path,
    given: &[(String, String)],
    demo: bool,
) -> Result<Option<Box<Submit>>, Failure> {
    let look = Look { inputs: inputs(given)?, demo, ..Look::default() };
    let PlanFile { path, text, .. } = PlanFile::read(desk, file)?;
    Ok(Some(Box::new(Submit {
        text,
        path,
        cwd: desk.shell.cwd.clone(),
        env: desk.shell.environment(),
        inputs: look.inputs,
        yes: true,
        demo,
        max_parallel: None,
    })))
}

/// Emits an event.
pub(crate) fn emit(args: &Emit, desk: &Desk) -> Result<u8, Failure> {
    let data = args.data.as_deref().map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    });
    let (event, key) = (args.event.clone(), args.key.clone());
    let seen: EmitReply = desk.daemon()?.ask_for(&Request::Emit { event, data, key })?;
    if desk.voice.json {
        desk.voice.document(&seen)?;
        return Ok(COMPLETED);
    }
    desk.voice.say(&match (seen.repeated, seen.kept) {
        (true, _) => format!("{} was emitted before with that key; nothing happened", seen.event),
        (false, true) => format!("{} is emitted and kept: nobody waits for it yet", seen.event),
        (false, false) => format!("{} is emitted", seen.event),
    });
    Ok(COMPLETED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_next_fits_the_state() {
        let told = |state, edited| {
            let run = RunId::parse("PLAN-2026-11-21-001").unwrap();
            told_again(&RetryReply { run, state, again: Vec::new(), stale: Vec::new() }, edited)
        };
        assert!(told(RunState::Paused, true).contains("with the edited plan"));
        for (state, next) in [
            (RunState::Paused, "`muxvisor resume PLAN-2026-11-21-001` goes on"),
            (RunState::Running, "`muxvisor wait PLAN-2026-11-21-001` waits for its end"),
            (RunState::Failed, "`muxvisor show PLAN-2026-11-21-001` says how it went"),
        ] {
            assert!(told(state, false).ends_with(next), "{}", told(state, false));
        }
    }
}
