//! Reads how an agent is called: command, prompt, terminal, result and what goes with them, which
//! may differ between its modes.

use std::path::{Component, Path, PathBuf};

use crate::document::{Kind, Table, Value};
use crate::model::{PromptBy, ResultRule, UsageFormat};

use super::agent::Invocation;

/// Reads the keys that are there.
pub(super) fn read_invocation(table: &mut Table<'_>, base_dir: &Path) -> Invocation {
    Invocation {
        command: read_command(table, base_dir),
        prompt: table.word("prompt", PromptBy::ALL, PromptBy::word).map(|word| word.value),
        terminal: table.flag("terminal").map(|flag| flag.value),
        result: read_result(table),
        model_args: read_piece(table, "model_args", "{model}"),
        tools_args: read_piece(table, "tools_args", "{tools}"),
        usage: table.word("usage", UsageFormat::ALL, UsageFormat::word).map(|word| word.value),
    }
}

/// Arguments that are added for a value, which they must hold; none switches them off.
fn read_piece(table: &mut Table<'_>, key: &str, placeholder: &str) -> Option<Vec<String>> {
    let value = table.value(key)?;
    let piece: Vec<String> = value.texts()?.into_iter().map(|word| word.value).collect();
    if piece.iter().any(|word| word.contains('\0')) {
        bad_command(&value, &format!("`{}` holds a zero byte", value.label()), None);
        return None;
    }
    if !piece.is_empty() && !piece.iter().any(|word| word.contains(placeholder)) {
        let message = format!("`{key}` holds no `{placeholder}`");
        let help = format!("e.g. [\"--option\", \"{placeholder}\"]");
        bad_command(&value, &message, Some(&help));
        return None;
    }
    check_placeholders(&value, &piece, &[placeholder]);
    Some(piece)
}

/// A path that a file names is meant relative to that file.
pub(super) fn beside(base_dir: &Path, path: &str) -> PathBuf {
    let joined = base_dir.join(path);
    joined.components().filter(|part| *part != Component::CurDir).collect()
}

impl Invocation {
    /// Takes over what another table says of this agent. What was said of the options of one
    /// program is not said of another, and what was said of its output not of another command.
    pub(super) fn adjust(&mut self, other: &Invocation) {
        let program = |written: &Invocation| written.command.as_ref()?.first().cloned();
        if other.command.is_some() {
            if program(other) != program(self) {
                (self.model_args, self.tools_args) = (None, None);
            }
            self.usage = None;
        }
        self.overlay(other);
    }

    /// Takes over what the other says.
    pub(super) fn overlay(&mut self, other: &Invocation) {
        self.command = other.command.clone().or(self.command.take());
        self.model_args = other.model_args.clone().or(self.model_args.take());
        self.tools_args = other.tools_args.clone().or(self.tools_args.take());
        self.usage = other.usage.or(self.usage);
        self.prompt = other.prompt.or(self.prompt);
        self.terminal = other.terminal.or(self.terminal);
        self.result = other.result.or(self.result);
    }
}

/// Program and arguments of something that is not an agent, without placeholders.
pub(super) fn read_program(value: &Value<'_>, base_dir: &Path) -> Option<Vec<String>> {
    program(value, base_dir, arguments(value)?)
}

fn read_command(table: &mut Table<'_>, base_dir: &Path) -> Option<Vec<String>> {
    let shell = table.flag("shell");
    let Some(value) = table.value("command") else {
        if let Some(shell) = shell.filter(|flag| flag.value) {
            let message = "`shell` needs a `command` beside it";
            table.findings().error("C03", shell.span, message);
        }
        return None;
    };
    let argv = match shell.is_some_and(|flag| flag.value) {
        true => vec!["sh".to_owned(), "-c".to_owned(), script(&value)?],
        false => arguments(&value)?,
    };
    let argv = program(&value, base_dir, argv)?;
    const KNOWN: &[&str] = &["{prompt}", "{prompt_file}", "{model}", "{result_file}"];
    check_shell(&value, &argv);
    check_placeholders(&value, &argv, KNOWN);
    Some(argv)
}

/// Checks that it can be run, and finds its program.
fn program(value: &Value<'_>, base_dir: &Path, mut argv: Vec<String>) -> Option<Vec<String>> {
    let complaint = match argv.first().map(String::as_str) {
        None => Some("is empty"),
        Some("") => Some("begins with an empty string"),
        Some(_) if argv.iter().any(|argument| argument.contains('\0')) => Some("holds a zero byte"),
        Some(_) => None,
    };
    if let Some(complaint) = complaint {
        bad_command(value, &format!("`{}` {complaint}", value.label()), None);
        return None;
    }
    if argv[0].contains('/') {
        argv[0] = beside(base_dir, &argv[0]).to_string_lossy().into_owned();
    }
    Some(argv)
}

/// The text of a `command` with `shell = true`.
fn script(value: &Value<'_>) -> Option<String> {
    if value.kind() == Kind::Array {
        let message = format!("`{}` is a string when `shell = true`", value.label());
        bad_command(value, &message, Some("leave `shell` out to run a list without a shell"));
        return None;
    }
    value.text().map(|text| text.value)
}

fn arguments(value: &Value<'_>) -> Option<Vec<String>> {
    if value.kind() != Kind::String {
        return Some(value.texts()?.into_iter().map(|argument| argument.value).collect());
    }
    let text = value.text()?.value;
    let message = format!("`{}` is a list of program and arguments, not a string", value.label());
    let plain = |c: char| c.is_alphanumeric() || " -_./=,:@{}+".contains(c);
    let help = if text.chars().all(plain) && !text.trim().is_empty() {
        let words: Vec<_> = text.split_whitespace().map(|word| format!("\"{word}\"")).collect();
        format!("write `[{}]`", words.join(", "))
    } else {
        "write a list, or add `shell = true` to have a shell read it".to_owned()
    };
    bad_command(value, &message, Some(&help));
    None
}

/// A prompt holds what other agents and the web said: in a shell's script it would be commands.
fn check_shell(value: &Value<'_>, argv: &[String]) {
    const SHELLS: &[&str] = &["sh", "bash", "dash", "ksh", "zsh", "fish"];
    let program = argv[0].rsplit('/').next().unwrap_or_default();
    // Flags may be written together: `bash -lc`.
    let flag =
        |text: &String| text.starts_with('-') && !text.starts_with("--") && text.ends_with('c');
    let script_at = argv.iter().position(flag).map(|at| at + 1);
    let script = script_at.and_then(|at| argv.get(at)).filter(|_| SHELLS.contains(&program));
    if script.is_some_and(|script| script.contains("{prompt}")) {
        let span = value.span().narrowed(value.findings().source(), "{prompt}");
        let message = "the shell would read the prompt as a part of its script";
        value
            .findings()
            .error("C10", span, message)
            .help("read it from standard input, or pass it behind the script")
            .note(
                "e.g. command = [\"sh\", \"-c\", 'my-agent --task \"$1\"', \"sh\", \"{prompt}\"]",
            );
    }
}

fn check_placeholders(value: &Value<'_>, argv: &[String], known: &[&str]) {
    for argument in argv.iter().filter(|argument| argument.starts_with('{')) {
        let word = argument[1..].strip_suffix('}').unwrap_or_default();
        let name = word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !word.is_empty();
        if !name || known.contains(&argument.as_str()) {
            continue;
        }
        let span = value.span().narrowed(value.findings().source(), argument);
        let message = format!("there is no placeholder `{argument}`");
        let problem = value.findings().error("C03", span, message);
        match crate::document::did_you_mean(argument, known.iter().copied()) {
            Some(help) => problem.help(help),
            None => problem.note(format!("placeholders: {}", known.join(", "))),
        };
    }
}

fn bad_command(value: &Value<'_>, message: &str, help: Option<&str>) {
    let problem = value.findings().error("C03", value.span(), message);
    problem.maybe_help(help.map(str::to_owned));
}

/// A rule, or an extractor of a structured output, which has a colon.
fn read_result(table: &mut Table<'_>) -> Option<ResultRule> {
    let value = table.value("result")?;
    let extractor = value.kind() == Kind::Table
        || value.kind() == Kind::String && value.text()?.value.contains(':');
    if extractor {
        let message = format!("`{}`: extractors are not supported yet", value.label());
        let problem = value.findings().error("C09", value.span(), message);
        problem.help("write \"tag\", \"submit\", \"stdout\" or \"none\"");
        return None;
    }
    value.word(ResultRule::ALL, ResultRule::word).map(|word| word.value)
}
