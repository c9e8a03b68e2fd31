//! Starts a daemon: takes up what an earlier one left, then serves (design §7).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::cgroup;
use crate::clock::Clock;
use crate::failpoint;
use crate::ledger::{self, Ledger, Memory, RunLog};
use crate::model::{AttemptRow, Mint, Outcome, Owner, ProcessMark};
use crate::signals;
use crate::supervisor::{Event, Remembered, Supervisor};
use crate::tmux::{self, PaneSeen, Tmux};
use crate::workflow::{self, Workflow};

use super::crashes::Start;
use super::door::Door;
use super::ears::Ears;
use super::engine::{Engine, Leaving, Pending, forward, tmux_config};
use super::log::LogFile;
use super::notices::Notices;
use super::standing::{Standing, kept_windows};
use super::watch::Followed;
use super::windows::Windows;
use super::{Core, Error, Inbox, Incoming, Input, Settings, adopt, herald, leftovers, process};

/// How many requests may wait for the loop.
const CALLS_WAITING_MAX: usize = 64;

/// What the daemon before this one left.
struct Last {
    /// Its tmux server.
    server: Option<ProcessMark>,
    /// The attempts that had not ended.
    attempts: Vec<AttemptRow>,
    /// Whether the machine was down since its last commit.
    rebooted: bool,
}

pub(super) async fn serve(settings: Settings) -> Result<(), Error> {
    let log = failpoint::step("start.open-log", || log_to_file(&settings))?;
    let home = settings.home.clone();
    let system = |doing| move |source| Error::System { doing, source };
    tracing::info!(pid = std::process::id(), home = %home.state().display(), "starting");
    let (sender, incoming) = mpsc::unbounded_channel();
    let inbox = Inbox(sender);
    // From here on signals wait for the loop: one that comes during the start must not end it.
    hear_signals(inbox.clone()).map_err(system("catch signals"))?;
    let ground = failpoint::step("start.settle-ground", || settle(&settings));
    let start = Start::begin(home.state());
    let (ledger, memory) = failpoint::step("start.open-ledger", || Ledger::open(&home.ledger()))?;
    let clock = Clock::start(memory.clock.as_ref()).map_err(system("start the clock"))?;
    let mut last = Last {
        server: tmux_config(&settings).recorded_server(),
        attempts: Vec::new(),
        rebooted: memory.clock.as_ref().is_some_and(|mark| mark.boot_id != clock.boot_id()),
    };
    let (tmux, panes) = match connect(&settings, &inbox).await {
        Ok((tmux, panes)) => (Some(tmux), panes),
        Err(error) if living(&memory.attempts, clock.boot_id()) > 0 => {
            // Living agents are not left alone because they cannot be shown.
            tracing::error!("{error}");
            (None, Vec::new())
        }
        Err(error) => return Err(error.into()),
    };
    let windows = Windows { down: tmux.is_none().then_some(0), ..Windows::default() };
    let notices = Notices::start().map_err(system("watch for files"))?;
    let mut core =
        failpoint::step("start.recover", || recover(&settings, &clock, memory, start.is_wary()))?;
    let reader = Arc::new(ledger.reader()?);
    core.workflow.remember(&past(reader.lately()?));
    last.attempts = core.supervisor.attempts().cloned().collect();
    let (calls_in, calls) = mpsc::channel(CALLS_WAITING_MAX);
    let (config, kept) = (settings.config_source.first(), settings.kept.clone());
    let mut engine = Engine {
        started_wall_ms: clock.wall_ms(),
        summaries: Arc::default(),
        standing: Standing::new(config, kept, clock.wall_ms()),
        reader,
        settings,
        core,
        clock,
        ledger,
        tmux,
        windows,
        notices,
        ground,
        inbox,
        // Nothing is answered before the loop runs, so nobody sees a state half taken up.
        door: failpoint::step("start.bind-socket", || Door::open(home.daemon_socket(), calls_in))?,
        log,
        watchers: BTreeMap::new(),
        updated: BTreeMap::new(),
        waiters: Vec::new(),
        askers: Vec::new(),
        last_run: (String::new(), 0),
        leaving: Leaving::No,
        refusals: BTreeSet::new(),
        pending: Pending::default(),
        outage: None,
        held: Vec::new(),
    };
    failpoint::step("start.watch-runtime", || engine.watch_runtime())?;
    failpoint::step("start.watch-config", || engine.watch_config());
    engine.begin_with_config();
    engine.resume(last, &panes).await?;
    failpoint::step("start.forget-crashes", || start.done());
    attend(engine, Ears { incoming, calls }).await
}

/// Serves, and tells whoever started the daemon as a service.
async fn attend(engine: Engine, ears: Ears) -> Result<(), Error> {
    tracing::info!("serving");
    let herald = engine.settings.herald.clone();
    failpoint::step("start.tell-ready", || herald::tell(herald.as_deref(), "READY=1"));
    let result = engine.serve(ears).await;
    failpoint::step("leave.tell-stopping", || herald::tell(herald.as_deref(), "STOPPING=1"));
    tracing::info!(?result, "ended");
    result
}

fn hear_signals(inbox: Inbox) -> io::Result<()> {
    signals::listen(move |signal| {
        inbox.put(Incoming::Signal(signal));
        true
    })
}

/// Takes the ground for the agents' control groups, before there is a child in the way.
fn settle(settings: &Settings) -> cgroup::Way {
    let place = cgroup::Place::of_this_process().ok().flatten();
    let way = cgroup::settle(&settings.cgroup, place.as_ref());
    tracing::info!("limits: {}", way.describe());
    way
}

/// The server, and what is in it.
async fn connect(settings: &Settings, inbox: &Inbox) -> Result<(Tmux, Vec<PaneSeen>), tmux::Error> {
    let connected = Tmux::connect(tmux_config(settings));
    let (tmux, said) = failpoint::future("start.connect-tmux", connected).await?;
    let panes = failpoint::future("start.list-panes", tmux.list()).await?;
    forward(said, inbox.clone());
    Ok((tmux, panes))
}

/// How many of these have a window and a shim that lives.
fn living(rows: &[AttemptRow], boot_id: &str) -> usize {
    let lives = |row: &&AttemptRow| {
        let shim = row.shim.as_ref().filter(|_| row.order.windowed);
        shim.is_some_and(|shim| !matches!(process::open(shim, boot_id), Ok(None)))
    };
    rows.iter().filter(lives).count()
}

fn log_to_file(settings: &Settings) -> Result<LogFile, Error> {
    let daemon = &settings.config.daemon;
    let log = LogFile::open(settings.home.log(), daemon.log_max_bytes, daemon.log_backups)
        .map_err(|source| Error::System { doing: "open daemon.log", source })?;
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .with_writer(Mutex::new(log.clone()))
        .finish();
    // A second daemon in one process exists only in tests, and logs with the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(log)
}

/// Rebuilds what is decided from what is written. A `wary` start takes up no run.
fn recover(settings: &Settings, clock: &Clock, memory: Memory, wary: bool) -> Result<Core, Error> {
    let now = clock.now();
    let config = &settings.config.daemon;
    let windows = kept_windows(config);
    let mut workflow = Workflow::new(config.max_parallel as usize, mint()?);
    for parking in &memory.parked {
        let (agent, until) = (parking.agent.clone(), parking.until);
        workflow.handle(now, workflow::Event::AgentParked { agent, until });
    }
    for signal in &memory.signals {
        workflow.keep_event(signal.clone());
    }
    if wary {
        tracing::error!("the last starts crashed: no run is taken up; their agents live on");
    } else {
        memory.runs.iter().for_each(|log| adopt_run(&mut workflow, log));
    }
    let attempts = memory.attempts.into_iter().filter(|row| is_wanted(&workflow, row)).collect();
    let remembered = Remembered {
        attempts,
        instances: memory.instances,
        groups: memory.groups,
        parked: memory.parked,
    };
    let supervisor = Supervisor::recover(now, windows, remembered, mint()?)?;
    Ok(Core { supervisor, workflow })
}

/// What is remembered of attempts, for rates and for how agents do.
fn past(lately: Vec<ledger::Lately>) -> Vec<workflow::PastAttempt> {
    let past = |one: ledger::Lately| workflow::PastAttempt {
        agent: one.agent,
        started: one.started,
        ended: one.end.map(|end| (end.at, end.outcome)),
        pools: one.pools,
    };
    lately.into_iter().map(past).collect()
}

/// Attempts of a run that is not taken up are left alone: were they judged now, nobody would take
/// their results, and the run would wait for them for ever.
fn is_wanted(workflow: &Workflow, row: &AttemptRow) -> bool {
    match &row.order.owner {
        Owner::Task { run, .. } => workflow.run(run).is_some(),
        Owner::Instance { .. } => true,
    }
}

fn adopt_run(workflow: &mut Workflow, log: &RunLog) {
    match Workflow::replay(&log.run, &log.entries) {
        Ok(run) => workflow.adopt(run),
        Err(error) => tracing::error!("{error}; its facts stay in the ledger"),
    }
}

/// A mint with a seed that nobody can guess.
fn mint() -> Result<Mint, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Error::System { doing: "get random bytes", source: error.into() })?;
    Ok(Mint::new(seed))
}

impl Engine {
    /// Goes on where the last daemon stopped.
    async fn resume(&mut self, last: Last, panes: &[PaneSeen]) -> Result<(), Error> {
        self.learn_all();
        let left = &last.attempts;
        let server = self.tmux.as_ref().map(|tmux| tmux.server().clone());
        let live = living(left, self.clock.boot_id());
        if live > 0 && server.is_some_and(|now| last.server.is_some_and(|last| last != now)) {
            self.tell_outage(live);
        }
        failpoint::step("start.adopt", || self.take_up(left, panes, last.rebooted));
        failpoint::step("start.sweep-windows", || self.sweep_windows(panes));
        failpoint::step("start.sweep-sockets", || {
            leftovers::sweep(self.settings.home.runtime(), &self.reader);
        });
        self.give_windows();
        if self.tmux.is_none() {
            self.connect_tmux(Duration::ZERO);
        }
        match failpoint::future("start.end-recovery", self.ledger.recovered()).await {
            // Agents are found again also when there is no room to write that down.
            Ok(()) | Err(ledger::Error::Disk { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Compares every attempt that has not ended with what is there, and follows what lives.
    fn take_up(&mut self, left: &[AttemptRow], panes: &[PaneSeen], rebooted: bool) {
        // First, because an attempt that turns out to be over asks for the policy of its agent.
        self.configure();
        for row in left {
            let dir = self.attempt_dir(&row.order.attempt);
            let boot_id = self.clock.boot_id().to_owned();
            let (event, shim) = adopt::look(row, &dir, panes, &boot_id, rebooted).tell(row);
            tracing::info!(attempt = %row.order.attempt, ?event, "taken up");
            if let Some(event) = event {
                self.decide(Input::Supervisor(event));
            }
            if let Some(shim) = shim {
                self.follow(row, shim);
            }
            self.drop_dead_views(panes, &row.order, &dir);
        }
        // Wakes what became due while no daemon ran.
        let now = self.clock.now();
        let turn = self.core.deadline_reached(now);
        self.keep_turn(now, turn);
    }

    /// A socket that somebody deletes is made anew at once; waiting for a signal would leave every
    /// new client outside until then. Asked again it watches the directory that is there now.
    pub(super) fn watch_runtime(&self) -> Result<(), Error> {
        let dir = self.settings.home.runtime().to_owned();
        let notice = self.notices.watch_removals(&dir);
        let notice = notice
            .map_err(|source| Error::System { doing: "watch the runtime directory", source })?;
        let Some(notice) = notice else { return Ok(()) };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let mut is_there = true;
            while is_there {
                notice.arrived().await;
                is_there = dir.exists();
                inbox.put(Incoming::Removal);
            }
        });
        Ok(())
    }

    /// Tells the deciding rooms what is configured.
    pub(super) fn configure(&mut self) {
        let config = &self.settings.config;
        let agents = config.agents.values().cloned().collect();
        let groups = config.groups.values().cloned().collect();
        self.decide(Input::Supervisor(Event::Configured { agents, groups }));
    }

    fn follow(&self, row: &AttemptRow, shim: ProcessMark) {
        let dir = self.attempt_dir(&row.order.attempt);
        let boot_id = self.clock.boot_id().to_owned();
        let socket = self.settings.home.shim_socket(&row.order.attempt);
        let followed = Followed { order: row.order.clone(), dir, socket, shim, boot_id };
        self.inbox.follow(followed, self.notices.clone());
    }

    /// Windows of attempts that have ended are closed after their time; panes without our mark are
    /// never touched.
    pub(super) fn sweep_windows(&mut self, panes: &[PaneSeen]) {
        for pane in panes.iter().filter(|pane| pane.dead && pane.token.is_some()) {
            let Some(id) = adopt::attempt_of(pane, &self.settings.home.attempts()) else {
                continue;
            };
            let found = self.reader.attempt(&id).ok().flatten();
            let end = found.and_then(|record| record.row.end);
            let Some(end) = end else { continue };
            let success = end.outcome == Outcome::Success;
            let window = pane.window.clone();
            self.decide(Input::Supervisor(Event::WindowLeft { window, success }));
        }
    }
}
