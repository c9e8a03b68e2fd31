//! Launches an attempt: writes what its shim is to run, then starts the shim, in a window or
//! without one. Doing it twice is harmless, because a shim that finds another one holding the
//! same directory, or finds that its agent was started before, touches nothing.
#![expect(clippy::disallowed_methods, reason = "a shim without a window is started here")]

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failpoint;
use crate::model::{
    Confinement, Order, Owner, PromptBy, ServerMark, Spec, StdinFrom, TerminalSpec, files,
};
use crate::plan;

use super::home::Home;

/// Size of the inner terminal until a window says otherwise; tmux's `default-size`.
pub(super) const TERMINAL: (u16, u16) = (200, 50);
/// How long the log is drained after the main process ended (design §3).
const DRAIN_MS: u64 = 2000;
/// The longest example that is handed over; a variable holds 128 KiB.
const EXAMPLE_BYTES_MAX: usize = 64 << 10;

/// What an order does not say about its surroundings.
pub(super) struct Surroundings<'a> {
    /// The daemon's home.
    pub(super) home: &'a Home,
    /// The owner's environment: the submitter's, or the daemon's for instances.
    pub(super) env: &'a [(String, String)],
    /// The daemon's own directory, for instances that name none.
    pub(super) cwd: &'a Path,
    /// This program, for agents that ask something of us.
    pub(super) program: &'a Path,
    /// The tmux server.
    pub(super) server: Option<ServerMark>,
    /// Where the agent is put.
    pub(super) confinement: Confinement,
}

/// Makes the attempt's directory and `spec.json`. A whole spec that is there already is left alone,
/// because a shim may hold its lock. One that a power cut tore is written anew, since nothing of it
/// was synced; no shim can have run by it.
pub(super) fn write_spec(order: &Order, around: &Surroundings<'_>) -> io::Result<PathBuf> {
    let dir = around.home.attempt(&order.attempt);
    failpoint::io("launch.make-folder", || {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)
    })?;
    let path = dir.join(files::SPEC);
    if let Some(prompt) = &order.prompt
        && !fs::read(dir.join(files::PROMPT)).is_ok_and(|there| there == prompt.as_bytes())
    {
        failpoint::io("launch.write-prompt", || {
            write_private(&dir.join(files::PROMPT), prompt.as_bytes())
        })?;
    }
    if is_whole(&path, order) {
        return Ok(dir);
    }
    if let Some(handover) = &order.handover {
        failpoint::io("launch.write-handover", || {
            write_private(&dir.join(files::HANDOVER), handover.as_bytes())
        })?;
    }
    for (name, value) in &order.files {
        write_private(&dir.join(input_file(name)), value.as_bytes())?;
    }
    let spec = serde_json::to_vec_pretty(&spec(order, around, &dir))?;
    let partial = dir.join("spec.json.tmp");
    failpoint::io("launch.write-spec", || write_private(&partial, &spec))?;
    failpoint::io("launch.name-spec", || fs::rename(partial, path))?;
    Ok(dir)
}

/// The file in an attempt's directory that holds a value which is too large for a variable.
fn input_file(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("input-{}", name.chars().map(fit).collect::<String>())
}

/// Whether the spec of this very attempt is there.
fn is_whole(path: &Path, order: &Order) -> bool {
    let spec = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Spec>(&bytes).ok());
    spec.is_some_and(|spec| spec.token == order.token.as_str())
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

fn spec(order: &Order, around: &Surroundings<'_>, dir: &Path) -> Spec {
    let (columns, rows) = TERMINAL;
    let echo = order.prompt_by != PromptBy::Type;
    let stdin = if order.prompt_by == PromptBy::Stdin && order.prompt.is_some() {
        StdinFrom::File(files::PROMPT.into())
    } else if order.terminal {
        StdinFrom::Terminal
    } else {
        StdinFrom::Null
    };
    Spec {
        schema: 1,
        attempt: order.attempt.to_string(),
        token: order.token.as_str().to_owned(),
        label: order.label.clone(),
        argv: argv(order, dir),
        env: environment(order, around, dir),
        cwd: around.cwd.join(&order.cwd),
        stdin,
        terminal: order.terminal.then_some(TerminalSpec { columns, rows, echo }),
        windowed: order.windowed,
        server: around.server.clone().filter(|_| order.windowed),
        stop: order.stop.clone(),
        socket: around.home.shim_socket(&order.attempt),
        oom_score_adjust: order.oom_score_adjust,
        resources: order.resources.clone(),
        confinement: around.confinement.clone(),
        drain_ms: DRAIN_MS,
    }
}

/// Fills in the placeholders that depend on the attempt, each once: text that comes from a prompt
/// is never looked at again. The arguments of a command are values of the run already: braces in
/// them came from other agents and mean nothing.
fn argv(order: &Order, dir: &Path) -> Vec<String> {
    let is_command = order.prompt.is_none() && matches!(order.owner, Owner::Task { .. });
    if is_command {
        return order.argv.clone();
    }
    let prompt = order.prompt.as_deref().unwrap_or_default();
    let values = [
        ("{prompt}", prompt.to_owned()),
        ("{prompt_file}", dir.join(files::PROMPT).display().to_string()),
        ("{result_file}", dir.join(files::SUBMITTED).display().to_string()),
    ];
    order.argv.iter().map(|word| fill(word, &values)).collect()
}

fn fill(word: &str, values: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The owner's environment without tmux's, with what the order adds, and with the attempt's own
/// words last, so that nothing can pretend to be another attempt.
fn environment(order: &Order, around: &Surroundings<'_>, dir: &Path) -> Vec<(String, String)> {
    let home = around.home.state().display().to_string();
    let own = [
        ("MUXVISOR_ATTEMPT", order.n.to_string()),
        ("MUXVISOR_ATTEMPT_ID", order.attempt.to_string()),
        ("MUXVISOR_TOKEN", order.token.as_str().to_owned()),
        ("MUXVISOR_RESULT", dir.join(files::SUBMITTED).display().to_string()),
        ("MUXVISOR_SOCKET", around.home.daemon_socket().display().to_string()),
        ("MUXVISOR_HOME", home),
        ("MUXVISOR_PROGRAM", around.program.display().to_string()),
        ("TERM", "xterm-256color".to_owned()),
        ("COLORTERM", "truecolor".to_owned()),
    ];
    let handover = order.handover.as_ref().map(|_| dir.join(files::HANDOVER));
    let handover =
        handover.map(|path| ("MUXVISOR_HANDOVER".to_owned(), path.display().to_string()));
    let beat_us = order.care.watchdog_ms.map(|ms| ms.saturating_mul(1000).to_string());
    let example = order.schema.as_ref().and_then(example);
    let own: Vec<(String, String)> = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(handover)
        .chain(beat_us.map(|us| ("WATCHDOG_USEC".to_owned(), us)))
        .chain(example.map(|value| ("MUXVISOR_EXAMPLE".to_owned(), value)))
        .collect();
    let is_own = |name: &str| own.iter().any(|(known, _)| known == name);
    // What tmux and systemd say to whoever started us is not for the agent.
    let is_foreign = |name: &str| {
        matches!(name, "TMUX" | "TMUX_PANE" | "NOTIFY_SOCKET" | "WATCHDOG_USEC" | "WATCHDOG_PID")
    };
    let in_file = |name: &String| dir.join(input_file(name)).display().to_string();
    let in_files = order.files.keys().map(|name| (format!("{name}_FILE"), in_file(name)));
    let added = order.env.iter().map(|(name, value)| (name.clone(), value.clone())).chain(in_files);
    let added: Vec<(String, String)> = added.filter(|(name, _)| !is_own(name)).collect();
    let replaced = |name: &str| added.iter().any(|(known, _)| known == name) || is_own(name);
    let kept = |name: &str| !is_foreign(name) && !replaced(name) && order.env_filter.keeps(name);
    let mut all: Vec<(String, String)> =
        around.env.iter().filter(|(name, _)| kept(name)).cloned().collect();
    all.extend(added);
    all.extend(own);
    all
}

/// A value of the wanted shape, for demonstrations; `None` when a short one cannot be made up.
fn example(schema: &serde_json::Value) -> Option<String> {
    let value = plan::example(schema);
    let text = value.to_string();
    let fits = jsonschema::validator_for(schema).is_ok_and(|checks| checks.is_valid(&value));
    (fits && text.len() <= EXAMPLE_BYTES_MAX).then_some(text)
}

/// Starts a shim without a window, in a process group of its own so that no terminal's signal
/// meant for the daemon reaches it. Returns its pid.
pub(super) fn start_windowless(program: &Path, dir: &Path) -> io::Result<i32> {
    let mut command = Command::new(program);
    // It needs nothing of ours, and whoever looks for carriers of a token must not find it.
    command
        .arg("shim")
        .arg(dir)
        .args(failpoint::words())
        .env_clear()
        .current_dir("/")
        .process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = failpoint::io("launch.start-shim", || command.spawn())?;
    Ok(i32::try_from(child.id()).expect("Linux pids fit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_others_stay() {
        let values = [("{prompt}", "say {prompt} and {x}".to_owned())];
        assert_eq!(fill("a {prompt} {y} {", &values), "a say {prompt} and {x} {y} {");
        assert_eq!(fill("{prompt}{prompt}", &[("{prompt}", "p".to_owned())]), "pp");
    }
}
