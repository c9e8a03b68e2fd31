//! What one sample means for one probe.

use std::time::Duration;

use super::sample::{Load, Reading, What};
use super::screen::{Pattern, bottom};
use crate::model::{Activity, Moment, ProbeKind, ReadySign};

/// Rows from the bottom in which a screen says that it is busy. What a program says about itself
/// stands around its input; what stands above is its work, or old.
const BUSY_ROWS: u16 = 12;

/// Well, ill, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Well, and what was seen.
    Passed(String),
    /// Ill, and what was seen.
    Failed(String),
    /// It could not be looked at, and why.
    Unknown(String),
    /// It takes two samples to say anything, and this was the first.
    Early,
}

/// Judges the samples of one probe.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    kind: Kind,
    /// The last load, and when it was.
    load: Option<(Moment, Load)>,
    /// What the screen showed, and since when.
    still: Option<(Moment, String)>,
    /// Since when the set uses no processor.
    quiet: Option<Moment>,
}

#[derive(Clone, Debug)]
enum Kind {
    Process,
    Stall {
        unchanged: Duration,
        busy: Option<Pattern>,
        ignore: Option<Pattern>,
        cpu_below: f64,
    },
    /// Whether a match is what is wished for, and how long the screen must have stood still for a
    /// match that is not.
    Screen {
        pattern: Pattern,
        rows: u16,
        wanted: bool,
        unchanged: Duration,
    },
    Exec {
        command: Vec<String>,
    },
    Resource {
        cpu_above: Option<f64>,
        memory_above: Option<u64>,
    },
}

impl Judge {
    pub(super) fn of_probe(kind: &ProbeKind) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new);
        Self::new(match kind {
            ProbeKind::Process => Kind::Process,
            ProbeKind::Stall { unchanged_ms, busy, ignore, cpu_below } => Kind::Stall {
                unchanged: Duration::from_millis(*unchanged_ms),
                busy: pattern(busy),
                ignore: pattern(ignore),
                cpu_below: *cpu_below,
            },
            ProbeKind::Screen { pattern, rows, unchanged_ms } => Kind::Screen {
                pattern: Pattern::new(pattern),
                rows: *rows,
                wanted: false,
                unchanged: Duration::from_millis(*unchanged_ms),
            },
            ProbeKind::Exec { command } => Kind::Exec { command: command.clone() },
            ProbeKind::Resource { cpu_above, memory_above } => {
                Kind::Resource { cpu_above: *cpu_above, memory_above: *memory_above }
            }
        })
    }

    /// For readiness; `None` when nothing is to be looked at, because the agent says it itself.
    pub(super) fn of_startup(sign: &ReadySign) -> Option<Self> {
        Some(Self::new(match sign {
            ReadySign::Notify => return None,
            ReadySign::Screen { pattern, rows } => Kind::Screen {
                pattern: Pattern::new(pattern),
                rows: *rows,
                wanted: true,
                unchanged: Duration::ZERO,
            },
            ReadySign::Exec { command } => Kind::Exec { command: command.clone() },
        }))
    }

    fn new(kind: Kind) -> Self {
        Self { kind, load: None, still: None, quiet: None }
    }

    /// What it needs to see.
    pub(super) fn what(&self) -> What {
        match &self.kind {
            Kind::Process => What::Process,
            Kind::Stall { .. } => What::ScreenAndLoad,
            Kind::Screen { .. } => What::Screen,
            Kind::Exec { command } => What::Exec { command: command.clone() },
            Kind::Resource { .. } => What::Load,
        }
    }

    /// What was seen so far says nothing any more.
    pub(super) fn forget(&mut self) {
        (self.load, self.still, self.quiet) = (None, None, None);
    }

    /// Judges a sample; `doing` is what the agent says about itself. The second answer is what the
    /// screen says it does, where a rule looks for that.
    pub(super) fn judge(
        &mut self,
        now: Moment,
        reading: &Reading,
        doing: Option<Activity>,
    ) -> (Judged, Option<Activity>) {
        let judged = match (&self.kind, reading) {
            (_, Reading::Unknown { why }) => Judged::Unknown(why.clone()),
            (_, Reading::Failed { why }) => Judged::Failed(why.clone()),
            (Kind::Process, Reading::Process(state)) => process(*state),
            (Kind::Screen { pattern, rows, wanted, unchanged }, Reading::Screen { text }) => {
                let judged = on_screen(pattern, &bottom(text, *rows), *wanted);
                let since = still_since(&mut self.still, now, text.trim_end().to_owned());
                at_rest(judged, now.since(since), *unchanged, doing)
            }
            (Kind::Exec { .. }, Reading::Passed) => Judged::Passed("exited with 0".to_owned()),
            (Kind::Resource { cpu_above, memory_above }, Reading::Load(load)) => {
                let (cpu_above, memory_above) = (*cpu_above, *memory_above);
                let percent = self.percent(now, *load);
                resources(percent, *load, cpu_above, memory_above)
            }
            (Kind::Stall { .. }, Reading::ScreenAndLoad { text, load }) => {
                return self.stall(now, text, *load, doing);
            }
            (
                Kind::Process
                | Kind::Stall { .. }
                | Kind::Screen { .. }
                | Kind::Exec { .. }
                | Kind::Resource { .. },
                Reading::Passed
                | Reading::Screen { .. }
                | Reading::Load(_)
                | Reading::ScreenAndLoad { .. }
                | Reading::Process(_),
            ) => Judged::Unknown("something else was looked at".to_owned()),
        };
        (judged, None)
    }

    /// Processor use since the last sample, in percent of one core. A set that has lost processes
    /// with their times may seem to have used less than nothing, and then nobody knows.
    fn percent(&mut self, now: Moment, load: Load) -> Option<f64> {
        let (at, before) = self.load.replace((now, load))?;
        let (passed, used) = (now.since(at).as_secs_f64(), load.cpu_ms.checked_sub(before.cpu_ms)?);
        (passed > 0.0).then(|| used as f64 / 10.0 / passed)
    }

    /// Three signals that must agree, all for as long: the screen stands still, the set uses no
    /// processor, and something says that the agent is busy. An agent that waits for work, or for
    /// a person, is well however long it waits.
    fn stall(
        &mut self,
        now: Moment,
        text: &str,
        load: Load,
        doing: Option<Activity>,
    ) -> (Judged, Option<Activity>) {
        let percent = self.percent(now, load);
        let Kind::Stall { unchanged, busy, ignore, cpu_below } = &self.kind else {
            return (Judged::Unknown("something else was looked at".to_owned()), None);
        };
        let shown = ignore.as_ref().map_or_else(|| text.to_owned(), |ignore| ignore.without(text));
        let since = still_since(&mut self.still, now, shown);
        self.quiet = match percent {
            Some(percent) if percent < *cpu_below => self.quiet.or(Some(now)),
            Some(_) | None => None,
        };
        let found = busy.as_ref().map(|busy| busy.find(&bottom(text, BUSY_ROWS)));
        let found = match found.transpose() {
            Ok(found) => found.flatten(),
            Err(why) => return (Judged::Unknown(why), None),
        };
        let on_screen = busy.as_ref().map(|_| match found {
            Some(_) => Activity::Working,
            None => Activity::Idle,
        });
        let says_busy = match doing {
            // Its own word counts more than its screen, which may show an old line.
            Some(Activity::Idle | Activity::Blocked | Activity::RateLimited) => false,
            Some(Activity::Working) => busy.is_none() || found.is_some(),
            Some(Activity::Unknown) | None => found.is_some(),
        };
        let long = |since: Moment| now.since(since) >= *unchanged;
        let judged = if says_busy && long(since) && self.quiet.is_some_and(long) {
            let text = found.map_or_else(|| "it says so".to_owned(), |text| format!("`{text}`"));
            let seconds = now.since(since).as_secs();
            Judged::Failed(format!(
                "stalled: busy ({text}), but its screen and its processes stand still for {seconds} s"
            ))
        } else {
            let word = if says_busy { "busy, and moves" } else { "not busy" };
            Judged::Passed(word.to_owned())
        };
        (judged, on_screen)
    }
}

/// Since when the screen shows this.
fn still_since(still: &mut Option<(Moment, String)>, now: Moment, shown: String) -> Moment {
    let before = still.take().filter(|(_, before)| *before == shown);
    let since = before.map_or(now, |(since, _)| since);
    *still = Some((since, shown));
    since
}

/// What a text on the screen means that counts only where nothing moves any more. While the agent
/// says itself that it works, it is something that it reads or writes.
fn at_rest(judged: Judged, rests: Duration, least: Duration, doing: Option<Activity>) -> Judged {
    let seconds = rests.as_secs();
    match judged {
        Judged::Failed(why) if least.is_zero() => Judged::Failed(why),
        Judged::Failed(why) if doing == Some(Activity::Working) => {
            Judged::Passed(format!("{why}, and it says that it works"))
        }
        Judged::Failed(why) if rests < least => {
            Judged::Passed(format!("{why}, and has stood still for {seconds} s"))
        }
        Judged::Failed(why) => Judged::Failed(format!("{why}, and stands still for {seconds} s")),
        judged @ (Judged::Passed(_) | Judged::Unknown(_) | Judged::Early) => judged,
    }
}

fn process(state: char) -> Judged {
    match state {
        'Z' | 'X' | 'x' => Judged::Failed("its process is a zombie".to_owned()),
        'T' | 't' => Judged::Failed("its process is stopped (state T)".to_owned()),
        other => Judged::Passed(format!("its process is in state {other}")),
    }
}

fn on_screen(pattern: &Pattern, rows: &str, wanted: bool) -> Judged {
    match (pattern.find(rows), wanted) {
        (Err(why), _) => Judged::Unknown(why),
        (Ok(Some(text)), true) => Judged::Passed(format!("its screen shows `{text}`")),
        (Ok(Some(text)), false) => Judged::Failed(format!("its screen shows `{text}`")),
        (Ok(None), true) => Judged::Failed("its screen does not show the pattern".to_owned()),
        (Ok(None), false) => Judged::Passed("its screen does not show the pattern".to_owned()),
    }
}

fn resources(
    percent: Option<f64>,
    load: Load,
    cpu_above: Option<f64>,
    memory_above: Option<u64>,
) -> Judged {
    let mebibytes = |bytes: u64| bytes >> 20;
    if let Some(limit) = memory_above.filter(|limit| load.memory_bytes > *limit) {
        let (has, limit) = (mebibytes(load.memory_bytes), mebibytes(limit));
        return Judged::Failed(format!("uses {has} MiB of memory, more than {limit} MiB"));
    }
    match (percent, cpu_above) {
        (Some(percent), Some(limit)) if percent > limit => {
            Judged::Failed(format!("uses {percent:.1} % of a core, more than {limit} %"))
        }
        // A share of time needs two samples.
        (None, Some(_)) => Judged::Early,
        (Some(percent), _) => Judged::Passed(format!("uses {percent:.1} % of a core")),
        (None, None) => Judged::Passed(format!("uses {} MiB", mebibytes(load.memory_bytes))),
    }
}
