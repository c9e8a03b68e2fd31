//! `run`: check a plan, show it, submit it, watch it, and print what it brought.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::deadline::Interrupt;
use super::desk::Desk;
use super::failure::{COMPLETED, INTERRUPTED, WAITING, exit_code, usage};
use super::follow::{End, Follower};
use super::harvest::Harvest;
use super::history::History;
use super::reading::{Look, PlanFile, input, inputs};
use crate::control::view::{RunReply, RunView};
use crate::control::{Client, ClientError, Failure, FailureKind, Request, Submit};
use crate::model::ask::PLAN;
use crate::model::{RunId, RunState};
use crate::plan;

/// How many attempts a plan that is started by its name may run at once (feature E14, ruling Z2).
const BY_NAME_MAX: u32 = 10;

/// What to run, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A plan file, or the name of a plan that is there
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Approve it beforehand
    #[arg(long, short = 'y')]
    yes: bool,
    /// Let demo agents stand in for all others, and run no commands: nothing is needed, nothing costs
    #[arg(long)]
    demo: bool,
    /// A value for one of its inputs
    #[arg(long = "input", value_name = "K=V", value_parser = input)]
    inputs: Vec<(String, String)>,
    /// Do not watch: print the run's id and return
    #[arg(long)]
    detach: bool,
    /// Print the execution_results document (with --detach: the run's id)
    #[arg(long)]
    pub(crate) json: bool,
    /// How many attempts may run at once, instead of the plan's own limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_parallel: Option<u32>,
}

impl Args {
    /// A plan that a person has just seen, and wants to run.
    pub(crate) fn approved(plan: PathBuf) -> Self {
        let (inputs, max_parallel) = (Vec::new(), None);
        Self { plan, yes: true, demo: false, inputs, detach: false, json: false, max_parallel }
    }
}

/// Runs it. The exit code is that of the run.
pub(crate) fn run(args: &Args, desk: &Desk) -> Result<u8, Failure> {
    let look = Look {
        inputs: inputs(&args.inputs)?,
        demo: args.demo,
        max_parallel: args.max_parallel,
        to_run: true,
    };
    let file = PlanFile::read(desk, &args.plan)?;
    if let Some(count) = args.max_parallel.filter(|count| file.by_name && *count > BY_NAME_MAX) {
        let message =
            format!("a plan started by its name runs at most {BY_NAME_MAX} at once, not {count}");
        return Err(
            usage(message).hint("`muxvisor plan new` makes a file of it, which may have more")
        );
    }
    let mut plan = file.accept(desk, &args.plan, &look)?;
    let interrupt = Interrupt::catch().map_err(|error| {
        Failure::new(FailureKind::Internal, format!("Ctrl-C cannot be caught: {error}"))
    })?;
    // What earlier runs tell is known to the daemon, and belongs to what a person says yes to.
    let daemon = desk.daemon()?;
    let history = if args.demo { None } else { History::fill_in(desk, &mut plan) };
    let below = history.map_or_else(String::new, |history| history.text());
    desk.voice.say(&format!("{}{below}", plan::show(&plan)));
    let submitted = submit(args, desk, &daemon, file, look)?;
    if args.detach {
        return detach(desk, &submitted);
    }
    let run = submitted.run;
    desk.voice.say(&format!("{run} is submitted"));
    match Follower::new(desk, run.clone(), interrupt).follow(daemon)? {
        End::Over { results } => present(desk, &run, &results),
        End::Waiting => Err(waiting(desk, &run)),
        End::Interrupted => Ok(interrupted(desk, &run, &args.plan)),
    }
}

/// Presents what it brought (features O5-O7), and gives the exit code of the run.
fn present(desk: &Desk, run: &RunId, results: &Value) -> Result<u8, Failure> {
    let harvest = Harvest::of(results)?;
    if desk.voice.json {
        desk.voice.document(results)?;
    } else {
        // Only a run that is over knows which outputs nobody read.
        let view: RunView = desk.ask(&Request::Show { run: run.clone() })?;
        if let Some(result) = harvest.result(&view.finals, desk.voice) {
            desk.voice.say(&format!("\n{result}\n"));
        }
    }
    desk.voice.say(&harvest.summary(desk.voice));
    Ok(exit_code(harvest.outcome()))
}

fn submit(
    args: &Args,
    desk: &Desk,
    daemon: &Client,
    file: PlanFile,
    look: Look,
) -> Result<RunReply, Failure> {
    let request = Request::Submit(Box::new(Submit {
        text: file.text,
        path: file.path,
        cwd: desk.shell.cwd.clone(),
        env: desk.shell.environment(),
        inputs: look.inputs,
        yes: args.yes,
        demo: args.demo,
        max_parallel: args.max_parallel,
    }));
    daemon.ask_for(&request).map_err(|error| match error {
        // Asked again, it might run twice.
        ClientError::Lost(_) => Failure::new(FailureKind::Unreachable, error.to_string())
            .hint("`muxvisor runs` tells whether it was submitted; it is not submitted twice"),
        ClientError::Unreachable { .. }
        | ClientError::Socket(_)
        | ClientError::Foreign { .. }
        | ClientError::Frame(_)
        | ClientError::Refused(_) => error.into(),
    })
}

fn detach(desk: &Desk, submitted: &RunReply) -> Result<u8, Failure> {
    let RunReply { run, state } = submitted;
    if *state == RunState::AwaitingApproval {
        desk.voice.note(&format!("it waits for approval: muxvisor approve {run}"));
    }
    if desk.voice.json {
        desk.voice.document(&json!({ "run": run }))?;
    } else {
        desk.voice.say(&format!("{run} is submitted; `muxvisor wait {run}` waits for its end"));
    }
    Ok(COMPLETED)
}

/// The run stays where it is; only a person's word is missing.
fn waiting(desk: &Desk, run: &RunId) -> Failure {
    let view: Option<RunView> = desk.ask(&Request::Show { run: run.clone() }).ok();
    let asks = view.map(|view| view.steering.asks).unwrap_or_default();
    let asked = asks.iter().find(|ask| ask.id != PLAN);
    let failure = match asked {
        None => Failure::new(FailureKind::Waiting, format!("{run} waits for approval"))
            .hint(format!("muxvisor approve {run}; or run with --yes")),
        Some(ask) => {
            let message = format!("{run} waits for a person: {}", ask.question);
            Failure::new(FailureKind::Waiting, message).hint(ask.how.clone())
        }
    };
    debug_assert_eq!(failure.kind.exit_code(), WAITING, "design §11");
    failure
}

fn interrupted(desk: &Desk, run: &RunId, plan: &Path) -> u8 {
    desk.voice.note(&format!(
        "\nno longer watching; {run} ({}) goes on.\n  \
         muxvisor show {run}     how it stands\n  \
         muxvisor wait {run}     until its end\n  \
         muxvisor cancel {run}   stop it",
        plan.display()
    ));
    INTERRUPTED
}
