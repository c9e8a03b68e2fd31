//! The watch over one living attempt.

use std::time::Duration;

use super::gate::Gate;
use super::sample::{Ask, Attention, ProbeNow, Sample, Ticket};
use super::watch::{Step, Watch};
use crate::model::{Activity, Care, Moment, Remedy, Report};

/// How long after a person typed nothing is done to the agent.
const TYPED_RECENTLY: Duration = Duration::from_secs(60);

/// Something that the monitor is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Sign {
    /// A deadline passed.
    Due,
    /// The answer to a [`Wish::Sample`]; one that was not asked for changes nothing.
    Sampled {
        /// The question.
        ticket: Ticket,
        /// The answer.
        sample: Sample,
    },
    /// All that the agent says about itself now.
    Reported(Box<Report>),
    /// The daemon stood still for so long: suspended, stopped, or starved.
    Woke {
        /// For how long, in milliseconds.
        gap_ms: u64,
    },
}

/// Something that the monitor wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Take a sample.
    Sample {
        /// To be given back with it.
        ticket: Ticket,
        /// What to look at.
        ask: Ask,
    },
    /// It is ready.
    Ready,
    /// It was not ready in time.
    StartTimeout {
        /// For people.
        why: String,
    },
    /// Press keys.
    Press {
        /// Their names.
        keys: Vec<String>,
        /// For people.
        why: String,
    },
    /// End it; its policy says what follows.
    Restart {
        /// For people.
        why: String,
    },
    /// End it, and go on with another agent.
    Failover {
        /// For people.
        why: String,
    },
    /// End it: its heartbeat stayed away.
    WatchdogMissed {
        /// For people.
        why: String,
    },
    /// Tell people.
    Tell(String),
}

/// Watches one attempt from the moment its agent runs.
#[derive(Clone, Debug)]
pub struct Monitor {
    /// Until it is ready.
    gate: Option<Gate>,
    watches: Vec<Watch>,
    watchdog: Option<Duration>,
    ready: Option<Moment>,
    /// How many heartbeats there were, and when the last one was heard.
    beats: (u64, Moment),
    extended: u64,
    typed: Option<Moment>,
    copy_mode: bool,
    /// What the agent says it does.
    doing: Option<Activity>,
    /// What its screen says, and since when.
    screen: Option<(Activity, Moment)>,
    tickets: u64,
    random: u64,
    over: bool,
}

impl Monitor {
    /// Watches an agent that runs since just now.
    pub fn started(care: &Care, now: Moment, random: u64) -> Self {
        let mut monitor = Self::new(care, now, random);
        monitor.gate = care.startup.as_ref().map(|startup| Gate::new(startup, now));
        if monitor.gate.is_none() {
            monitor.open(now, |monitor, index| now + monitor.initial_delay(index));
        }
        monitor
    }

    /// Watches an agent that an earlier daemon started: what that one saw is not known, and the
    /// first looks at many agents must not fall together.
    pub fn adopted(care: &Care, now: Moment, ready: Option<Moment>, random: u64) -> Self {
        let mut monitor = Self::new(care, now, random);
        monitor.gate = match ready {
            Some(_) => None,
            None => care.startup.as_ref().map(|startup| Gate::new(startup, now)),
        };
        if monitor.gate.is_none() {
            monitor.open(now, |monitor, index| monitor.somewhen(now, index));
            monitor.ready = ready.or(monitor.ready);
        }
        monitor
    }

    fn new(care: &Care, now: Moment, random: u64) -> Self {
        Self {
            gate: None,
            watches: care.probes.iter().cloned().map(Watch::new).collect(),
            watchdog: care.watchdog_ms.map(Duration::from_millis),
            ready: None,
            beats: (0, now),
            extended: 0,
            typed: None,
            copy_mode: false,
            doing: None,
            screen: None,
            tickets: 0,
            random,
            over: false,
        }
    }

    /// Goes on with another configuration. Probes that did not change go on as they are.
    pub fn revise(&mut self, care: &Care, now: Moment) -> Vec<Wish> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        self.watchdog = care.watchdog_ms.map(Duration::from_millis);
        self.beats.1 = now;
        let mut before = std::mem::take(&mut self.watches);
        for probe in &care.probes {
            let known = before.iter().position(|watch| watch.probe.name == probe.name);
            let watch = match known.map(|at| before.swap_remove(at)) {
                Some(watch) if watch.probe == *probe => watch,
                Some(watch) => Watch::after(probe.clone(), &watch),
                None => Watch::new(probe.clone()),
            };
            self.watches.push(watch);
        }
        match (&mut self.gate, &care.startup) {
            (None, _) => self.open_new(now),
            (Some(gate), Some(startup)) if gate.startup == *startup => {}
            (Some(gate), Some(startup)) => *gate = Gate::after(startup, now, gate),
            (Some(_), None) => self.pass_gate(now, &mut out),
        }
        self.ask(now, &mut out);
        out
    }

    /// Lets those begin that came later.
    fn open_new(&mut self, now: Moment) {
        for index in 0..self.watches.len() {
            if !self.watches[index].pulse.is_begun() {
                let first = self.somewhen(now, index);
                self.watches[index].pulse.begin(first);
            }
        }
    }

    /// Takes a sign and says what is to be done about it.
    pub fn handle(&mut self, now: Moment, sign: Sign) -> Vec<Wish> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        match sign {
            Sign::Due => {}
            Sign::Sampled { ticket, sample } => self.sampled(now, ticket, &sample, &mut out),
            Sign::Reported(report) => self.reported(now, &report, &mut out),
            Sign::Woke { gap_ms } => self.woke(now, Duration::from_millis(gap_ms)),
        }
        self.strike(now, &mut out);
        self.ask(now, &mut out);
        out
    }

    /// When [`Sign::Due`] is wanted.
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.over {
            return None;
        }
        let gate = self.gate.iter().flat_map(|gate| [gate.deadline, gate.pulse.due()]);
        let watches = self.watches.iter().map(|watch| watch.pulse.due());
        gate.chain(watches).chain([self.watchdog_deadline()]).flatten().min()
    }

    /// Whether and since when it is ready.
    pub fn ready(&self) -> Option<Moment> {
        self.ready
    }

    /// What its screen says it does, and since when.
    pub fn screen(&self) -> Option<(Activity, Moment)> {
        self.screen
    }

    /// How its probes stand, in the order of the configuration.
    pub fn explain(&self) -> Vec<ProbeNow> {
        let gate = self.gate.iter().map(Gate::explain);
        gate.chain(self.watches.iter().map(Watch::explain)).collect()
    }

    /// When it must be ready at the latest, where its startup probe has a time of its own.
    pub fn startup_deadline(&self) -> Option<Moment> {
        self.gate.as_ref()?.deadline
    }

    /// What its startup probe saw last, as the end of a sentence.
    pub fn startup_seen(&self) -> String {
        self.gate.as_ref().map_or_else(String::new, Gate::seen)
    }

    /// When its heartbeat must be heard at the latest.
    pub fn watchdog_deadline(&self) -> Option<Moment> {
        self.ready?;
        Some(self.beats.1 + self.watchdog?)
    }

    fn sampled(&mut self, now: Moment, ticket: Ticket, sample: &Sample, out: &mut Vec<Wish>) {
        if let Some(gate) = &mut self.gate
            && let Some(counts) = gate.pulse.answered(ticket)
        {
            if counts && gate.passes(now, &sample.reading) {
                self.pass_gate(now, out);
            }
            return;
        }
        let found = self
            .watches
            .iter_mut()
            .find_map(|watch| watch.pulse.answered(ticket).map(|counts| (watch, counts)));
        let Some((watch, true)) = found else { return };
        let Attention { copy_mode, typed_ms_ago } = sample.attention;
        self.copy_mode = copy_mode;
        let typed = typed_ms_ago.map(|ago| Moment(now.0.saturating_sub(ago)));
        self.typed = self.typed.max(typed);
        let attended = attended(now, self.copy_mode, self.typed);
        let (judged, screen) = watch.judge.judge(now, &sample.reading, self.doing);
        let steps = watch.judged(now, judged, attended.as_deref());
        if let Some(activity) = screen {
            let same = self.screen.filter(|(before, _)| *before == activity);
            self.screen = same.or(Some((activity, now)));
        }
        for step in steps {
            self.take_step(step, out);
        }
    }

    fn take_step(&mut self, step: Step, out: &mut Vec<Wish>) {
        out.push(match step {
            Step::Tell(text) => Wish::Tell(text),
            Step::Remedy(Remedy::Keys(keys), why) => Wish::Press { keys, why },
            Step::Remedy(Remedy::Alarm, why) => Wish::Tell(format!("alarm: {why}")),
            Step::Remedy(Remedy::Restart, why) => {
                self.end();
                Wish::Restart { why }
            }
            Step::Remedy(Remedy::Failover, why) => {
                self.end();
                Wish::Failover { why }
            }
        });
    }

    fn reported(&mut self, now: Moment, report: &Report, out: &mut Vec<Wish>) {
        self.doing = report.doing.as_ref().map(|doing| doing.activity);
        if report.beats != self.beats.0 {
            self.beats = (report.beats, now);
        }
        let (count, ms) = report.extended;
        if count != std::mem::replace(&mut self.extended, count)
            && let Some(gate) = &mut self.gate
        {
            let until = now + Duration::from_millis(ms);
            gate.deadline = gate.deadline.map(|deadline| deadline.max(until));
        }
        // Its own word counts, whatever else it was to be known by: it knows best.
        if report.ready && self.gate.is_some() {
            self.pass_gate(now, out);
        }
    }

    fn pass_gate(&mut self, now: Moment, out: &mut Vec<Wish>) {
        self.gate = None;
        self.open(now, |monitor, index| now + monitor.initial_delay(index));
        out.push(Wish::Ready);
    }

    /// It is ready: the probes begin to look.
    fn open(&mut self, now: Moment, first: impl Fn(&Self, usize) -> Moment) {
        self.ready = Some(now);
        self.beats.1 = now;
        for index in 0..self.watches.len() {
            let at = first(self, index);
            self.watches[index].pulse.begin(at);
        }
    }

    fn initial_delay(&self, index: usize) -> Duration {
        Duration::from_millis(self.watches[index].probe.initial_delay_ms)
    }

    /// A moment within the probe's next period that is different for every probe and attempt.
    fn somewhen(&self, now: Moment, index: usize) -> Moment {
        let period = u64::try_from(self.watches[index].pulse.period().as_millis()).unwrap_or(1);
        let mixed = (self.random ^ (index as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        now + Duration::from_millis((mixed >> 17) % period.max(1))
    }

    /// Nothing that was going on across a gap says anything about the agent, and time in which
    /// nobody listened is not counted against it.
    fn woke(&mut self, now: Moment, gap: Duration) {
        self.beats.1 = now;
        if let Some(gate) = &mut self.gate {
            gate.deadline = gate.deadline.map(|deadline| deadline + gap);
            gate.pulse.woke(gap, now);
        }
        for index in 0..self.watches.len() {
            let next = self.somewhen(now, index);
            let watch = &mut self.watches[index];
            watch.judge.forget();
            if watch.pulse.woke(gap, next) {
                watch.forget();
            }
        }
    }

    /// Says what a deadline that passed means.
    fn strike(&mut self, now: Moment, out: &mut Vec<Wish>) {
        if let Some(gate) =
            self.gate.as_ref().filter(|gate| gate.deadline.is_some_and(|at| at <= now))
        {
            out.push(Wish::StartTimeout { why: gate.why() });
            return self.end();
        }
        if !self.over && self.watchdog_deadline().is_some_and(|at| at <= now) {
            let seconds = self.watchdog.unwrap_or_default().as_secs_f64();
            let why = format!("its heartbeat stayed away for {seconds} s");
            out.push(Wish::WatchdogMissed { why });
            self.end();
        }
    }

    /// After a verdict nothing more is looked at, until its next life has a monitor of its own.
    fn end(&mut self) {
        self.over = true;
        self.watches.iter_mut().for_each(Watch::end);
    }

    fn ask(&mut self, now: Moment, out: &mut Vec<Wish>) {
        if self.over {
            return;
        }
        if let Some(gate) = &mut self.gate
            && let Some(ask) = gate.ask(now, Ticket(self.tickets))
        {
            out.push(Wish::Sample { ticket: Ticket(self.tickets), ask });
            self.tickets += 1;
        }
        for watch in &mut self.watches {
            if let Some(ask) = watch.ask(now, Ticket(self.tickets)) {
                out.push(Wish::Sample { ticket: Ticket(self.tickets), ask });
                self.tickets += 1;
            }
        }
    }
}

/// Why nothing may be done just now, if so.
fn attended(now: Moment, copy_mode: bool, typed: Option<Moment>) -> Option<String> {
    if copy_mode {
        return Some("a person looks at it in copy mode".to_owned());
    }
    let ago = now.since(typed?);
    (ago < TYPED_RECENTLY).then(|| format!("a person typed {} s ago", ago.as_secs()))
}
