//! `exit.json`: how it ended, put together and written.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::{now, record};
use crate::model::{
    Confinement, ExecFailure, Exit, KillMode, Resources, Spec, StdinFrom, StopSpec, Usage, files,
};

/// How the main process ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) core: bool,
    pub(super) wall_ms: i64,
    pub(super) monotonic_ms: u64,
}

impl Ended {
    /// What the shim itself exits with, as shells do it.
    pub(super) fn shim_code(self) -> i32 {
        self.code.unwrap_or_else(|| 128 + self.signal.unwrap_or(0))
    }
}

/// What all descendants that were waited for used.
pub(super) fn usage() -> Usage {
    let ms = |time: TimeVal| {
        let (seconds, micros) = (time.tv_sec().max(0), time.tv_usec().max(0));
        seconds.unsigned_abs() * 1000 + micros.unsigned_abs() / 1000
    };
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or_else(
        |_| Usage::default(),
        |used| Usage {
            user_ms: ms(used.user_time()),
            system_ms: ms(used.system_time()),
            max_rss_kib: used.max_rss().max(0).unsigned_abs(),
        },
    )
}

/// A record of `spec` with nothing in it yet.
pub(super) fn blank(spec: &Spec) -> Exit {
    let at = now::wall_ms();
    Exit {
        attempt: spec.attempt.clone(),
        token: spec.token.clone(),
        code: None,
        signal: None,
        core: false,
        oom: false,
        exec_failure: None,
        stop: Vec::new(),
        unkillable: Vec::new(),
        left: Vec::new(),
        window_closed: false,
        usage: Usage::default(),
        started_ms: at,
        ended_ms: at,
        ran_ms: 0,
        log_bytes: 0,
        log_gap: false,
    }
}

/// Records that the agent could not be started; returns the shim's own exit code.
pub(super) fn never_ran(dir: &Path, spec: &Spec, failed: ExecFailure) -> i32 {
    let code = if failed.errno == Errno::ENOENT as i32 { 127 } else { 126 };
    let exit = Exit { exec_failure: Some(failed), ..blank(spec) };
    match record::write(dir, files::EXIT, &exit) {
        Ok(()) => code,
        Err(_) => 74,
    }
}

/// Stands in for a spec that cannot be read; only the attempt's directory names it.
pub(super) fn nameless(attempt: String) -> Spec {
    let stop = StopSpec {
        keys: Vec::new(),
        signal: String::new(),
        timeout_ms: 0,
        send_sighup: false,
        mode: KillMode::ControlGroup,
    };
    Spec {
        schema: 1,
        label: attempt.clone(),
        attempt,
        token: String::new(),
        argv: Vec::new(),
        env: Vec::new(),
        cwd: PathBuf::new(),
        stdin: StdinFrom::Null,
        terminal: None,
        windowed: false,
        server: None,
        stop,
        socket: PathBuf::new(),
        oom_score_adjust: 0,
        resources: Resources::default(),
        confinement: Confinement::Nowhere,
        drain_ms: 0,
    }
}
