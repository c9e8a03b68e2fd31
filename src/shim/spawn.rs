//! Fork and exec of the agent: a child that is held back until its record is on disk, and whose
//! failure to exec comes back with its exact errno.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{
    AccessFlags, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, faccessat, pipe2, read,
    setsid, write,
};

use super::leaf::Leaf;
use super::notify;
use super::now;
use super::os::{self, Forked};
use crate::failpoint;
use crate::model::{ExecFailure, Spec};

/// The agent's standard streams.
pub(super) struct Streams {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// The inner terminal's slave, to become the controlling terminal.
    pub(super) terminal: Option<OwnedFd>,
}

/// A forked agent that waits for the word to exec.
pub(super) struct Held {
    pub(super) pid: i32,
    go: OwnedFd,
    verdict: OwnedFd,
}

/// Everything the child needs, made before the fork.
struct Orders {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: PathBuf,
    streams: Streams,
    go: OwnedFd,
    verdict: OwnedFd,
}

/// Forks the agent, in a session of its own and in its control group, and holds it. `socket` is
/// where it may say how it is.
pub(super) fn fork_held(
    spec: &Spec,
    streams: Streams,
    leaf: Option<&Leaf>,
    socket: Option<&Path>,
) -> Result<Held, ExecFailure> {
    let failed = |errno: Errno| failure("fork", errno, "cannot start a process");
    let (go_read, go) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let (verdict, verdict_write) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let env = agent_env(&spec.env, socket);
    let mut orders = Orders {
        candidates: candidates(spec, &env)?,
        argv: c_strings(spec.argv.iter().cloned(), "the command")?,
        env: c_strings(env.iter().map(|(k, v)| format!("{k}={v}")), "the environment")?,
        cwd: spec.cwd.clone(),
        streams,
        go: go_read,
        verdict: verdict_write,
    };
    let born_inside = leaf.and_then(Leaf::open).and_then(|group| os::fork_into(group.as_fd()).ok());
    let outside = born_inside.is_none();
    match born_inside.map_or_else(|| patiently(os::fork), Ok).map_err(failed)? {
        Forked::Parent(pid) => {
            let held = Held { pid, go, verdict };
            let enter = |leaf: &Leaf| failpoint::step("shim.enter-group", || leaf.admit(pid));
            leaf.filter(|_| outside).map_or(Ok(()), enter)?;
            Ok(held)
        }
        Forked::Child => {
            // Why: as long as the child holds this end, its wait cannot end with the shim's death.
            drop(go);
            drop(verdict);
            if env.iter().any(|(name, _)| name == "WATCHDOG_USEC") {
                // Only the child knows its number before it runs.
                orders.env.extend(CString::new(format!("WATCHDOG_PID={}", std::process::id())));
            }
            let Err((step, errno)) = become_agent(&orders);
            let mut report = vec![step];
            report.extend_from_slice(&(errno as i32).to_le_bytes());
            let _ = write(&orders.verdict, &report);
            os::leave(127)
        }
    }
}

/// Finds what can be seen before a fork: a directory that cannot be entered, a program that is
/// missing or not executable. The rest, such as a missing interpreter, only exec itself finds.
pub(super) fn preflight(spec: &Spec) -> Result<(), ExecFailure> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let entered = open(&spec.cwd, flags, Mode::empty());
    let cwd = match entered {
        Ok(cwd) => cwd,
        Err(errno @ (Errno::ENOENT | Errno::ENOTDIR)) => return Err(describe(b'c', errno, spec)),
        Err(_) => return Ok(()),
    };
    let candidates = candidates(spec, &agent_env(&spec.env, None))?;
    let mut worst = Errno::ENOENT;
    for path in &candidates {
        match faccessat(&cwd, path.as_c_str(), AccessFlags::X_OK, AtFlags::empty()) {
            Err(Errno::EACCES) => worst = Errno::EACCES,
            Err(errno @ (Errno::ENOENT | Errno::ENOTDIR)) if candidates.len() == 1 => worst = errno,
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Ok(()) | Err(_) => return Ok(()),
        }
    }
    Err(describe(b'x', worst, spec))
}

/// How long is waited before a fork is tried again that the system had no room for: a minute in
/// all, because what is lacking is the machine's fault and not the agent's (fault 63).
const FORK_AGAIN_MS: [u16; 12] =
    [10, 50, 250, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 10_000, 10_000];

fn patiently<T>(mut fork: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    for wait_ms in FORK_AGAIN_MS {
        match fork() {
            Err(Errno::EAGAIN | Errno::ENOMEM) => now::pause(wait_ms),
            done => return done,
        }
    }
    fork()
}

impl Held {
    /// Lets the agent run; returns when it has become its program, or could not.
    pub(super) fn release(self, spec: &Spec) -> Result<(), ExecFailure> {
        // A child that died meanwhile is told by its wait status, not here.
        let _ = write(&self.go, b"g");
        drop(self.go);
        let mut report = [0; 5];
        let length = loop {
            match read(&self.verdict, &mut report) {
                Err(Errno::EINTR) => {}
                other => break other.unwrap_or(0),
            }
        };
        match report {
            [step, a, b, c, d] if length == 5 => {
                let errno = Errno::from_raw(i32::from_le_bytes([a, b, c, d]));
                Err(describe(step, errno, spec))
            }
            _ => Ok(()),
        }
    }
}

/// Runs in the child; comes back only with the step and errno that failed.
fn become_agent(orders: &Orders) -> Result<Infallible, (u8, Errno)> {
    let step = |name: u8| move |errno: Errno| (name, errno);
    setsid().map_err(step(b't'))?;
    if let Some(slave) = &orders.streams.terminal {
        rustix::process::ioctl_tiocsctty(slave)
            .map_err(|e| (b't', Errno::from_raw(e.raw_os_error())))?;
    }
    dup2_stdin(&orders.streams.stdin).map_err(step(b'i'))?;
    dup2_stdout(&orders.streams.stdout).map_err(step(b'i'))?;
    dup2_stderr(&orders.streams.stderr).map_err(step(b'i'))?;
    os::default_signals();
    SigSet::empty().thread_set_mask().map_err(step(b'f'))?;
    // Nobody holds the agent of a dead shim; it must not run on beside its successor.
    set_pdeathsig(Signal::SIGKILL).map_err(step(b'f'))?;
    chdir(&orders.cwd).map_err(step(b'c'))?;
    os::close_rest_on_exec();
    wait_for_go(orders.go.as_fd());
    Err((b'x', exec(orders)))
}

/// Ends the child when the shim died without giving the word.
fn wait_for_go(go: impl AsFd) {
    let mut word = [0];
    loop {
        match read(&go, &mut word) {
            Ok(1) => return,
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => os::leave(127),
        }
    }
}

/// Tries the candidates as execvp does, but never falls back to a shell.
fn exec(orders: &Orders) -> Errno {
    let mut worst = Errno::ENOENT;
    for path in &orders.candidates {
        let Err(errno) = execve(path, &orders.argv, &orders.env);
        let absent = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
        if errno == Errno::EACCES {
            worst = errno;
        } else if !absent || orders.candidates.len() == 1 {
            return errno;
        }
    }
    worst
}

/// What the surroundings say to somebody else, and must not reach the agent.
const NOT_ITS_OWN: [&str; 4] = ["TMUX", "TMUX_PANE", notify::VARIABLE, "WATCHDOG_PID"];

/// `spec.env` without what is not the agent's own, with a terminal type, and with its socket.
fn agent_env(env: &[(String, String)], socket: Option<&Path>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> =
        env.iter().filter(|(k, _)| !NOT_ITS_OWN.contains(&k.as_str())).cloned().collect();
    let socket = socket.and_then(Path::to_str);
    kept.extend(socket.map(|path| (notify::VARIABLE.to_owned(), path.to_owned())));
    for (key, value) in [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")] {
        if kept.iter().all(|(k, _)| k != key) {
            kept.push((key.to_owned(), value.to_owned()));
        }
    }
    kept
}

/// The paths to try: the program itself if it has a slash, else one for each entry of `PATH`.
fn candidates(spec: &Spec, env: &[(String, String)]) -> Result<Vec<CString>, ExecFailure> {
    let program = spec.argv.first().filter(|p| !p.is_empty());
    let program = program.ok_or_else(|| failure("spec", Errno::EINVAL, "the command is empty"))?;
    if program.contains('/') {
        return c_strings([program.clone()].into_iter(), "the command");
    }
    let path =
        env.iter().find(|(k, _)| k == "PATH").map_or("/usr/local/bin:/usr/bin:/bin", |(_, v)| v);
    let entries = path.split(':').map(|dir| if dir.is_empty() { "." } else { dir });
    c_strings(entries.map(|dir| format!("{dir}/{program}")), "the command")
}

fn c_strings(texts: impl Iterator<Item = String>, what: &str) -> Result<Vec<CString>, ExecFailure> {
    texts
        .map(|text| {
            CString::new(text)
                .map_err(|_| failure("spec", Errno::EINVAL, &format!("{what} holds a zero byte")))
        })
        .collect()
}

/// A failure with the system's own words behind ours.
pub(super) fn failure(step: &str, errno: Errno, what: &str) -> ExecFailure {
    let message = format!("{what}: {}", errno.desc());
    ExecFailure { step: step.to_owned(), errno: errno as i32, message }
}

fn describe(step: u8, errno: Errno, spec: &Spec) -> ExecFailure {
    let program = spec.argv.first().map_or("", String::as_str);
    match step {
        b'c' => failure("cwd", errno, &format!("cannot enter `{}`", spec.cwd.display())),
        b't' => failure("terminal", errno, "cannot give the agent its terminal"),
        b'i' => failure("stdin", errno, "cannot connect the standard streams"),
        b'x' => failure("exec", errno, &exec_message(program, errno, spec)),
        _ => failure("fork", errno, "cannot prepare the process"),
    }
}

fn exec_message(program: &str, errno: Errno, spec: &Spec) -> String {
    let exists = spec.cwd.join(OsStr::from_bytes(program.as_bytes())).exists();
    if errno != Errno::ENOENT {
        format!("cannot run `{program}`")
    } else if !program.contains('/') {
        format!("cannot run `{program}`, which is in no directory of PATH")
    } else if exists {
        format!("cannot run `{program}`, whose interpreter (first line) is missing")
    } else {
        format!("cannot run `{program}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 63: a shortage passes, anything else is told at once.
    #[test]
    fn a_fork_is_tried_again_only_for_want_of_room() {
        let mut answers = vec![Ok(7), Err(Errno::ENOMEM), Err(Errno::EAGAIN)];
        assert_eq!(patiently(|| answers.pop().unwrap()), Ok(7));
        let mut tries = 0;
        let refused = patiently(|| -> nix::Result<i32> {
            tries += 1;
            Err(Errno::EPERM)
        });
        assert_eq!((refused, tries), (Err(Errno::EPERM), 1));
    }
}
