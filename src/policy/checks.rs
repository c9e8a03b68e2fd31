//! Checks an agent whose keys were all read: its name, and whether the keys agree.

use crate::document::{Span, Spanned, Table};
use crate::model::{Probe, PromptBy, Remedy, ResultRule, UsageFormat};

use super::agent::{Agent, AgentMode, AgentType, Modes};

/// The longest name of an agent, in bytes; it becomes a part of window and file names.
const NAME_BYTES_MAX: usize = 64;

/// The code of what is said of an agent and does not reach its program.
const NOT_PASSED: &str = "C17";

/// What to do about a model that is not passed on.
pub const MODEL_HELP: &str =
    "add what its program wants, such as `model_args = [\"--model\", \"{model}\"]`, to the agent";
/// What to do about a list of tools that is not passed on.
pub const TOOLS_HELP: &str = "add what its program wants, such as `tools_args = [\"--tools\", \"{tools}\"]`, to the agent; \
     until then it may use whatever its program allows";

/// Keys that can bring any contradiction about.
const OF_MODES: &[&str] = &["mode", "headless", "tui", "type"];

/// Checks the name in the header of an agent or a group.
pub(super) fn check_name(tables: &Table<'_>, what: &str, name: &Spanned<String>) {
    let text = name.value.as_str();
    let complaint = if text == "command" && what == "agent" {
        "is what tasks without an agent are called".to_owned()
    } else if let Some(complaint) = complaint_about_name(text) {
        complaint
    } else {
        return;
    };
    let message = format!("the name of {what} `{text}` {complaint}");
    tables.findings().error("C02", name.span, message);
}

/// What is wrong with a name, if anything is.
pub(super) fn complaint_about_name(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    if text.len() > NAME_BYTES_MAX {
        Some(format!("is longer than {NAME_BYTES_MAX} bytes"))
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some("must begin with a letter (a to z, A to Z) or a digit".to_owned())
    } else if !text.chars().all(allowed) {
        Some("may hold letters (a to z, A to Z), digits, `_`, `-`, `.` and `@` only".to_owned())
    } else {
        None
    }
}

/// Checks whether the keys of an agent agree with each other. Each contradiction is told at the
/// key of this table that brings it about.
pub(super) fn check_agent(table: &Table<'_>, header: Span, agent: &Agent) {
    if agent.command.is_empty() {
        // A command that could not be read, or a base without any, was told there.
        let has_any =
            |modes: &Modes| modes.headless.command.is_some() || modes.tui.command.is_some();
        let told = table.has("command") || table.has("extends") && !has_any(&agent.modes);
        if !told {
            let message = format!("agent `{}` has no `command`", agent.name);
            let help = "name its program, or another agent that it `extends`";
            table.findings().error("C03", header, message).help(help);
        }
        return;
    }
    let clash = |keys: &[&str], message: &str, help: &str| {
        // Without any of the keys here, it is inherited and was told where it came from.
        let key = keys.iter().chain(OF_MODES).find(|key| table.has(key));
        if let Some(key) = key {
            table.findings().error("C06", table.value_span(key), message).help(help);
        }
    };
    if agent.autostart && agent.kind == AgentType::Oneshot {
        let message = "`autostart` is for services, this agent is a oneshot";
        clash(&["autostart", "type"], message, "add `type = \"service\"`");
    }
    check_prompt(agent, &clash);
    if agent.takes("{model}") && agent.model.is_none() {
        let message = "the command takes `{model}`, and there is no `model`";
        clash(&["command", "model"], message, "add `model = \"...\"`");
    }
    check_passed(table, agent);
    if agent.mode == AgentMode::Tui && !agent.terminal {
        clash(&["terminal", "mode"], "`mode = \"tui\"` needs a terminal", "leave `terminal` out");
    }
    let keys = |probe: &Probe| probe.on_failure.iter().any(|r| matches!(r, Remedy::Keys(_)));
    if !agent.terminal && agent.policy.care.probes.iter().any(keys) {
        let message = "a remedy presses keys, and the agent has no terminal";
        clash(&["probe", "terminal"], message, "add `terminal = true`");
    }
    check_machine_output(table, agent);
    if agent.require_result && agent.result == ResultRule::None {
        let message = "a result is required, and `result = \"none\"` says that there is none";
        clash(&["require_result", "result", "type"], message, "say where the result is found");
    }
}

/// An answer in machine output is only looked for where its format is named: in its strings a line
/// break is `\n`, and would come out so.
fn check_machine_output(table: &Table<'_>, agent: &Agent) {
    let program = agent.command.first().and_then(|program| program.rsplit('/').next());
    let has = |word: &str| agent.command.iter().any(|argument| argument == word);
    let format = match program {
        Some("codex") if has("--json") => "codex",
        Some("claude") if has("json") || has("stream-json") => "claude",
        Some(_) | None => return,
    };
    let key = ["command", "headless", "tui"].into_iter().find(|key| table.has(key));
    let unsaid = matches!(agent.usage, UsageFormat::Auto | UsageFormat::None);
    let Some(key) = key.filter(|_| unsaid && !table.has("usage")) else { return };
    let message = "the command prints JSON, and the result is looked for in it as if it were text";
    let problem = table.findings().warning("C06", table.value_span(key), message);
    problem.help(format!("add `usage = \"{format}\"`, and the answer is taken out of it"));
}

/// What a program never hears of limits nothing and chooses nothing.
fn check_passed(table: &Table<'_>, agent: &Agent) {
    let warn = |keys: &[&str], message: &str, help: &str| {
        let key = keys.iter().chain(OF_MODES).chain(&["extends"]).find(|key| table.has(key));
        if let Some(key) = key {
            table.findings().warning(NOT_PASSED, table.value_span(key), message).help(help);
        }
    };
    if agent.model.is_some() && !agent.passes_model() {
        let message = "`model` is not passed on: the command takes no `{model}`, and there is no \
                       `model_args`";
        warn(&["model", "model_args", "command"], message, MODEL_HELP);
    }
    if !agent.traits.tools.is_empty() && !agent.passes_tools() {
        let message = "`tools` is not passed on: there is no `tools_args`";
        warn(&["tools", "tools_args", "command"], message, TOOLS_HELP);
    }
}

fn check_prompt(agent: &Agent, clash: &dyn Fn(&[&str], &str, &str)) {
    let keys = &["prompt", "command", "terminal"];
    match agent.prompt {
        PromptBy::Argv if !agent.takes("{prompt}") => {
            let message = "`prompt = \"argv\"` needs `{prompt}` in the command";
            clash(keys, message, "add \"{prompt}\" to `command`");
        }
        PromptBy::File if !agent.takes("{prompt_file}") => {
            let message = "`prompt = \"file\"` needs `{prompt_file}` in the command";
            clash(keys, message, "add \"{prompt_file}\" to `command`");
        }
        // In the mode `tui` the missing terminal itself is told.
        PromptBy::Type if !agent.terminal && agent.mode == AgentMode::Headless => {
            let message = "`prompt = \"type\"` needs a terminal to type into";
            clash(keys, message, "add `terminal = true`");
        }
        PromptBy::Argv | PromptBy::File | PromptBy::Type => {}
        PromptBy::Stdin | PromptBy::None => {
            if agent.takes("{prompt}") {
                let word = agent.prompt.word();
                let message = format!("the command takes `{{prompt}}`, but `prompt = \"{word}\"`");
                clash(keys, &message, "leave `prompt` out, or write \"argv\"");
            }
        }
    }
}
