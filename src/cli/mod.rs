//! The command line: one file per command, and what they share.
//!
//! It reads arguments, asks the daemon, and shows answers; it decides nothing about agents. Exit
//! codes and JSON shapes are a contract (`docs/command-line.md`).

mod agents;
mod attach;
mod autostart;
mod catalogue;
mod check;
mod cleanup;
mod columns;
mod configuration;
mod cost;
mod daemon;
mod deadline;
mod desk;
mod doctor;
mod drafting;
mod examined;
mod failure;
mod follow;
mod graph;
mod harvest;
mod history;
mod home;
mod hook;
mod inside;
mod items;
mod logs;
mod moving;
mod msg;
mod note;
mod notify;
mod plan;
mod progress;
mod prompt;
mod ps;
mod pulse;
mod questions;
mod reading;
mod reload;
mod results;
mod run;
mod runs;
mod scope;
mod shell;
mod show;
mod soundness;
mod spawn;
mod steer;
mod stock;
mod submit;
mod templates;
mod units;
mod view;
mod voice;
mod wait;
mod why;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};

use crate::control::Failure;
use desk::{Desk, Places};
use shell::Shell;
use voice::Voice;

const EXIT_CODES: &str = "\
Exit codes:
   0  completed
   1  failed
   2  wrong usage, invalid plan or configuration
   3  partial: something succeeded, something did not
   4  cancelled
   5  waiting for a person, and not on a terminal
  10  no daemon or no tmux to be reached
  70  internal error
 130  Ctrl-C: `run` watches no longer, the run goes on

Commands that need the daemon start it. `ps`, `doctor`, `check`, `plan` (but `plan draft`),
`templates`, `submit`, `notify`, `note`, `msg` and `spawn` never do.
With --json the document stands alone on standard output, errors as {\"error\": ...} too.";

/// Supervises fleets of AI coding agents; its process table is tmux.
#[derive(Debug, Parser)]
#[command(name = "muxvisor", bin_name = "muxvisor", version, after_long_help = EXIT_CODES)]
#[command(max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    places: Places,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a plan: check it, show it, ask, watch it, print its result
    Run(run::Args),
    /// Check or show a plan without running it
    #[command(subcommand)]
    Plan(plan::Verb),
    /// List the templates of prompts, or see what one makes of values
    #[command(subcommand)]
    Templates(templates::Verb),
    /// List instances and live attempts
    Ps(ps::Args),
    /// Go into the tmux window of an instance, run or task
    Attach(attach::Args),
    /// Show an agent in this terminal, without tmux; Ctrl-\ leaves
    View(view::Args),
    /// Print what an agent wrote
    Logs(logs::Args),
    /// List the runs
    Runs(runs::Args),
    /// Show a run with its tasks
    Show(show::Args),
    /// Print what a run produced
    Results(results::Args),
    /// Wait until a run is over, or something is in a state
    Wait(wait::Args),
    /// Draw who waits for whom in a run
    Graph(graph::Args),
    /// Start nothing more of a run; `resume` goes on
    Pause(steer::Pause),
    /// Go on with a paused run
    Resume(steer::Run),
    /// Approve or reject a run, phase or task that waits for a person
    Approve(steer::Approve),
    /// Answer what a run asks: after too many failures `retry`, `adjust` or `accept`
    Decide(steer::Decide),
    /// Do again what failed, or what is named; also in a run that is over
    Retry(steer::Retry),
    /// Emit an event that tasks and triggers wait for
    Emit(steer::Emit),
    /// Stop a run's agents and end it
    Cancel(steer::Run),
    /// Delete runs that ended long ago
    Cleanup(cleanup::Args),
    /// Want instances running, those that start by themselves or those named
    Up(units::Any),
    /// Want instances stopped, all or those named; it stays so
    Down(units::Any),
    /// Start instances
    Start(units::Named),
    /// Stop instances; they stay stopped
    Stop(units::Named),
    /// Stop instances and start them again
    Restart(units::Named),
    /// Forget an instance's restarts, so that it may start again
    ResetFailed(units::One),
    /// Explain why an instance, run or task stands where it stands
    Why(why::Args),
    /// Who can do what, and how they stand; take over agents of others
    Agents(agents::Args),
    /// Tokens, money and time that runs used
    Cost(cost::Args),
    /// Take up a changed configuration, or tell what that would change
    Reload(reload::Args),
    /// Print every problem of a configuration file
    Check(check::Args),
    /// Look at everything the daemon stands on, and say what is wrong
    Doctor(doctor::Args),
    /// Be the daemon, in the foreground
    Daemon(daemon::Args),
    /// Hand in a result (inside an agent)
    Submit(submit::Args),
    /// Say how it is (inside an agent, or a hook of it)
    Notify(notify::Args),
    /// Report what was made, tested, found or used, or ask for a yes (inside an agent)
    Note(note::Args),
    /// Write to another agent, or read what was written (inside an agent)
    #[command(subcommand)]
    Msg(msg::Verb),
    /// Look after work items: tasks with what was made, tested and found
    #[command(subcommand)]
    Items(items::Verb),
    /// Be a hook of a task
    #[command(subcommand, hide = true)]
    Hook(hook::Verb),
    /// Have a worker do something (inside the agent of a lead)
    Spawn(Box<spawn::Args>),
}

/// Runs the command that the arguments name, the program's own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let shell = Shell::read();
    match Arguments::try_parse_from(&arguments) {
        Ok(Arguments { places, verb }) => {
            let voice = Voice::new(verb.json(), &shell);
            let desk = Desk::new(places, shell, voice);
            let code = verb.run(&desk).unwrap_or_else(|failure| voice.fail(&failure));
            voice.end(code).into()
        }
        Err(error) => misused(shown(error), &arguments, &shell).into(),
    }
}

/// The same error without what is hidden: clap lists every subcommand where one is missing.
fn shown(mut error: clap::Error) -> clap::Error {
    let known = error.get(ContextKind::ValidSubcommand).cloned();
    if let Some(ContextValue::Strings(mut names)) = known {
        let command = Arguments::command();
        names.retain(|name| !command.find_subcommand(name).is_some_and(clap::Command::is_hide_set));
        error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(names));
    }
    error
}

/// Help and version are answers; anything else is a failure, as a document if one was wanted.
fn misused(error: clap::Error, arguments: &[OsString], shell: &Shell) -> u8 {
    let wants_document = arguments.iter().any(|argument| argument == "--json");
    if !error.use_stderr() || !wants_document {
        voice::keep_failure(error.print().and_then(|()| std::io::stdout().flush()));
        return Voice::new(false, shell).end(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim);
    // What is wrong may go on in the lines below, such as the names of what is missing.
    let message: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let message = message.join(" ").trim_start_matches("error: ").to_owned();
    let hint = lines.find_map(|line| line.strip_prefix("tip: ")).unwrap_or("see `muxvisor --help`");
    Voice::new(true, shell).fail(&failure::usage(message).hint(hint))
}

impl Verb {
    fn run(&self, desk: &Desk) -> Result<u8, Failure> {
        match self {
            Verb::Run(args) => run::run(args, desk),
            Verb::Plan(verb) => plan::run(verb, desk),
            Verb::Templates(verb) => templates::run(verb, desk),
            Verb::Ps(args) => ps::run(args, desk),
            Verb::Attach(args) => attach::run(args, desk),
            Verb::View(args) => view::run(args, desk),
            Verb::Logs(args) => logs::run(args, desk),
            Verb::Runs(args) => runs::run(args, desk),
            Verb::Show(args) => show::run(args, desk),
            Verb::Results(args) => results::run(args, desk),
            Verb::Wait(args) => wait::run(args, desk),
            Verb::Graph(args) => graph::run(args, desk),
            Verb::Pause(args) => steer::pause(args, desk),
            Verb::Resume(args) => steer::resume(args, desk),
            Verb::Approve(args) => steer::approve(args, desk),
            Verb::Decide(args) => steer::decide(args, desk),
            Verb::Retry(args) => steer::retry(args, desk),
            Verb::Emit(args) => steer::emit(args, desk),
            Verb::Cancel(args) => steer::cancel(args, desk),
            Verb::Cleanup(args) => cleanup::run(args, desk),
            Verb::Up(args) => units::up(args, desk),
            Verb::Down(args) => units::down(args, desk),
            Verb::Start(args) => units::start(args, desk),
            Verb::Stop(args) => units::stop(args, desk),
            Verb::Restart(args) => units::restart(args, desk),
            Verb::ResetFailed(args) => units::reset_failed(args, desk),
            Verb::Why(args) => why::run(args, desk),
            Verb::Agents(args) => agents::run(args, desk),
            Verb::Cost(args) => cost::run(args, desk),
            Verb::Reload(args) => reload::run(args, desk),
            Verb::Check(args) => check::run(args, desk),
            Verb::Doctor(args) => doctor::run(args, desk),
            Verb::Daemon(args) => daemon::run(args, desk),
            Verb::Submit(args) => submit::run(args, desk),
            Verb::Notify(args) => notify::run(args, desk),
            Verb::Note(args) => note::run(args, desk),
            Verb::Msg(verb) => msg::run(verb, desk),
            Verb::Spawn(args) => spawn::run(args, desk),
            Verb::Items(verb) => items::run(verb, desk),
            Verb::Hook(verb) => hook::run(*verb, desk),
        }
    }

    /// Whether standard output is to carry a document.
    const fn json(&self) -> bool {
        match self {
            Verb::Run(args) => args.json,
            Verb::Plan(verb) => verb.json(),
            Verb::Templates(verb) => verb.json(),
            Verb::Ps(args) => args.json,
            Verb::Attach(args) => args.json,
            Verb::Logs(args) => args.json,
            Verb::Runs(args) => args.json,
            Verb::Show(args) => args.json,
            Verb::Results(args) => args.json,
            Verb::Wait(args) => args.json,
            Verb::Pause(args) => args.json,
            Verb::Resume(args) | Verb::Cancel(args) => args.json,
            Verb::Approve(args) => args.json,
            Verb::Decide(args) => args.json,
            Verb::Retry(args) => args.json,
            Verb::Emit(args) => args.json,
            Verb::Cleanup(args) => args.json,
            Verb::Up(args) | Verb::Down(args) => args.json,
            Verb::Start(args) | Verb::Stop(args) | Verb::Restart(args) => args.json,
            Verb::ResetFailed(args) => args.json,
            Verb::Why(args) => args.json,
            Verb::Agents(args) => args.json(),
            Verb::Cost(args) => args.json,
            Verb::Reload(args) => args.json,
            Verb::Check(args) => args.json,
            Verb::Doctor(args) => args.json,
            Verb::Items(verb) => verb.json(),
            Verb::Daemon(_) | Verb::Notify(_) | Verb::View(_) | Verb::Graph(_) | Verb::Hook(_) => {
                false
            }
            Verb::Submit(args) => args.json,
            Verb::Note(args) => args.json,
            Verb::Msg(verb) => verb.json(),
            Verb::Spawn(args) => args.json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// What is missing is named without what is hidden.
    #[test]
    fn a_missing_verb_is_told_without_hidden_ones() {
        let told = |line: &str| {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            shown(error).render().to_string()
        };
        let missing = told("muxvisor --home h");
        assert!(missing.contains("subcommands: run, plan") && missing.contains("items, spawn"));
        assert!(!missing.contains("hook"), "{missing}");
        assert!(told("muxvisor plan --home h").contains("check, show"));
    }

    /// Flags for the home stand before or after the verb.
    #[test]
    fn global_flags_stand_anywhere() {
        for line in
            ["muxvisor --home h ps", "muxvisor ps --home h", "muxvisor plan show p --home h"]
        {
            let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert!(format!("{:?}", parsed.places).contains("\"h\""), "{line}");
        }
    }
}
