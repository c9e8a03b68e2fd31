//! Who is killed when: seeded, one blow or more in each second.

use std::fmt;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{Stage, lives};

/// Seconds between blows at each kind of victim; an agent dies in every one.
const SHIM_EVERY: u64 = 5;
const DAEMON_EVERY: u64 = 30;
const TMUX_EVERY: u64 = 120;
const RELOAD_EVERY: u64 = 7;

/// What was done.
#[derive(Default)]
pub(super) struct Chaos {
    state: u64,
    agents: u32,
    shims: u32,
    daemons: u32,
    servers: u32,
    reloads: u32,
    clients: u32,
    runs: u32,
}

impl Chaos {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed, ..Self::default() }
    }

    /// SplitMix64.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap()
    }

    fn end_one(&mut self, of: &[i32]) -> u32 {
        if of.is_empty() {
            return 0;
        }
        let victim = of[self.below(of.len())];
        u32::from(kill(Pid::from_raw(victim), Signal::SIGKILL).is_ok())
    }

    /// What this second brings.
    pub(super) fn strike(&mut self, stage: &Stage, second: u64) {
        let agents = stage.agents();
        self.agents += self.end_one(&agents);
        if second.is_multiple_of(SHIM_EVERY) {
            let shims = shims(stage);
            self.shims += self.end_one(&shims);
        }
        if second.is_multiple_of(TMUX_EVERY)
            && let Some(server) = stage.tmux_server()
        {
            self.servers += self.end_one(&[server]);
        }
        let daemon = daemon(stage);
        if second.is_multiple_of(DAEMON_EVERY) {
            self.daemons += self.end_one(&daemon);
        } else if second.is_multiple_of(RELOAD_EVERY) && !daemon.is_empty() {
            self.reloads += u32::from(kill(Pid::from_raw(daemon[0]), Signal::SIGHUP).is_ok());
        }
        self.clients += 2;
        // One that comes and goes before it is answered, and one that starts what is missing.
        drop(stage.start(&["wait", "s0", "--for", "stopped"]));
        let active = stage.ask(&["runs", "--active", "--json"]);
        if active.code == 0 && !active.out.contains("PLAN-") {
            self.runs +=
                u32::from(stage.ask(&["run", "soak.toml", "--detach", "--json"]).code == 0);
        }
    }
}

/// The shims of a home.
pub(super) fn shims(stage: &Stage) -> Vec<i32> {
    let is_shim = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"shim")
    };
    stage.processes().into_iter().filter(is_shim).collect()
}

/// The daemon of a home, if one lives.
pub(super) fn daemon(stage: &Stage) -> Vec<i32> {
    let written = fs::read_to_string(stage.at("run/daemon.lock")).unwrap_or_default();
    written.trim().parse().ok().filter(|pid| lives(*pid)).into_iter().collect()
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "killed: {} agents, {} shims, {} daemons, {} tmux servers; {} reloads, {} clients, \
             {} runs",
            self.agents,
            self.shims,
            self.daemons,
            self.servers,
            self.reloads,
            self.clients,
            self.runs
        )
    }
}
