//! The rules of watching, a table or a law each. `Desk` answers what a monitor asks for.

use proptest::prelude::*;

use super::*;
use crate::model::{
    Activity, ActivitySource, Care, Doing, ExitMatch, Moment, Probe, ProbeKind, ReadySign, Remedy,
    Report, Rule, Startup,
};

fn probe(kind: ProbeKind, ladder: &[Remedy]) -> Probe {
    Probe {
        name: "p".to_owned(),
        kind,
        period_ms: 10_000,
        timeout_ms: 5_000,
        initial_delay_ms: 0,
        failure_threshold: 3,
        success_threshold: 1,
        on_failure: ladder.to_vec(),
        remedy_gap_ms: 30_000,
    }
}

fn exec() -> ProbeKind {
    ProbeKind::Exec { command: vec!["check".to_owned()] }
}

fn stall() -> ProbeKind {
    ProbeKind::Stall {
        unchanged_ms: 60_000,
        busy: Some("esc to interrupt".to_owned()),
        ignore: Some(r"\d\d:\d\d:\d\d".to_owned()),
        cpu_below: 1.0,
    }
}

fn care(probes: Vec<Probe>) -> Care {
    Care { probes, ..Care::default() }
}

fn failed() -> Reading {
    Reading::Failed { why: "exited with 1".to_owned() }
}

fn unknown() -> Reading {
    Reading::Unknown { why: "no such program".to_owned() }
}

fn report() -> Report {
    Report::default()
}

fn doing(activity: Activity) -> Option<Doing> {
    let source = ActivitySource::Notify;
    Some(Doing { activity, kind: None, message: None, source, at_ms: 0 })
}

/// A monitor, the time, and what it wants.
struct Desk {
    monitor: Monitor,
    now: Moment,
    open: Vec<Ticket>,
    wishes: Vec<Wish>,
}

impl Desk {
    fn new(care: &Care) -> Self {
        let monitor = Monitor::started(care, Moment(0), 7);
        Self { monitor, now: Moment(0), open: Vec::new(), wishes: Vec::new() }
    }

    fn sign(&mut self, sign: Sign) {
        for wish in self.monitor.handle(self.now, sign) {
            if let Wish::Sample { ticket, .. } = wish {
                self.open.push(ticket);
            } else {
                self.wishes.push(wish);
            }
        }
    }

    /// Lets time pass until a sample is wanted, and takes it.
    fn sample(&mut self, sample: Sample) {
        if self.open.is_empty() {
            self.now = self.monitor.next_deadline().expect("something is due").max(self.now);
            self.sign(Sign::Due);
        }
        let ticket = self.open.pop().expect("a sample is asked for");
        self.sign(Sign::Sampled { ticket, sample });
    }

    fn read(&mut self, reading: Reading) {
        self.sample(Sample::of(reading));
    }

    fn remedies(&self) -> Vec<String> {
        let word = |wish: &Wish| match wish {
            Wish::Press { keys, .. } => Some(format!("keys {}", keys.join(" "))),
            Wish::Restart { .. } => Some("restart".to_owned()),
            Wish::Failover { .. } => Some("failover".to_owned()),
            Wish::StartTimeout { .. } => Some("start-timeout".to_owned()),
            Wish::WatchdogMissed { .. } => Some("watchdog".to_owned()),
            Wish::Tell(text) if text.starts_with("alarm") => Some("alarm".to_owned()),
            Wish::Tell(_) | Wish::Ready | Wish::Sample { .. } => None,
        };
        self.wishes.iter().filter_map(word).collect()
    }
}

/// `P`assed, `F`ailed, `U`nknown, in a row; what is done in the end.
#[test]
fn what_is_counted() {
    let table = [
        ("FFF", &["restart"][..]),
        ("FF", &[]),
        // Fault 53: flapping below the threshold.
        ("FFPFFPFFPFFP", &[]),
        // Fault 49: what cannot be looked at neither counts nor makes anything well.
        ("UUUUUUUU", &[]),
        ("FFUUF", &["restart"]),
        ("FFUPUF", &[]),
    ];
    for (samples, expected) in table {
        let mut desk = Desk::new(&care(vec![probe(exec(), &[Remedy::Restart])]));
        for letter in samples.chars() {
            desk.read(match letter {
                'P' => Reading::Passed,
                'F' => failed(),
                _ => unknown(),
            });
        }
        assert_eq!(desk.remedies(), expected, "{samples}");
    }
}

#[test]
fn after_a_verdict_nothing_more_is_asked() {
    let mut desk = Desk::new(&care(vec![probe(exec(), &[Remedy::Restart])]));
    (0..3).for_each(|_| desk.read(failed()));
    assert_eq!(desk.monitor.next_deadline(), None);
    assert_eq!(desk.monitor.explain()[0].state, ProbeState::Over);
    assert!(
        desk.wishes.iter().any(|wish| matches!(wish, Wish::Restart { why }
        if why == "probe `p`: exited with 1")),
        "{:?}",
        desk.wishes
    );
}

fn ladder() -> Vec<Remedy> {
    vec![Remedy::Keys(vec!["Escape".to_owned()]), Remedy::Alarm, Remedy::Failover]
}

/// Steps are a gap apart, and only while it goes on failing.
#[test]
fn a_ladder_is_climbed_slowly() {
    let mut desk = Desk::new(&care(vec![probe(exec(), &ladder())]));
    let mut at = Vec::new();
    while desk.remedies().len() < 3 {
        let before = desk.remedies().len();
        desk.read(failed());
        if desk.remedies().len() > before {
            at.push(desk.now.0);
        }
    }
    assert_eq!(desk.remedies(), ["keys Escape", "alarm", "failover"]);
    assert_eq!(at, [20_000, 50_000, 80_000]);
}

#[test]
fn a_ladder_begins_anew_when_it_has_helped() {
    let mut desk = Desk::new(&care(vec![probe(exec(), &ladder())]));
    (0..3).for_each(|_| desk.read(failed()));
    desk.read(Reading::Passed);
    (0..3).for_each(|_| desk.read(failed()));
    assert_eq!(desk.remedies(), ["keys Escape", "keys Escape"]);
}

/// hive#4399: nothing is done under the hands of a person, and it is once they have gone.
#[test]
fn a_person_at_the_window_suspends_the_remedies() {
    for attention in [
        Attention { copy_mode: true, typed_ms_ago: None },
        Attention { copy_mode: false, typed_ms_ago: Some(59_000) },
    ] {
        let mut desk = Desk::new(&care(vec![probe(exec(), &[Remedy::Restart])]));
        for _ in 0..5 {
            desk.sample(Sample { reading: failed(), attention });
        }
        assert_eq!(desk.remedies(), [""; 0], "{attention:?}");
        assert!(desk.monitor.explain()[0].suspended.is_some());
        // So long after, it is counted anew.
        desk.now.0 += 60_000;
        (0..3).for_each(|_| desk.read(failed()));
        assert_eq!(desk.remedies(), ["restart"]);
    }
}

fn startup(sign: ReadySign) -> Care {
    let startup = Startup { sign, period_ms: 1_000, timeout_ms: Some(20_000) };
    Care {
        startup: Some(startup),
        probes: vec![Probe { initial_delay_ms: 3_000, ..probe(exec(), &[Remedy::Restart]) }],
        watchdog_ms: Some(15_000),
        ..Care::default()
    }
}

fn screen_sign() -> ReadySign {
    ReadySign::Screen { pattern: "^> $".to_owned(), rows: 4 }
}

#[test]
fn nothing_is_looked_at_before_it_is_ready() {
    let mut desk = Desk::new(&startup(screen_sign()));
    desk.sign(Sign::Due);
    assert_eq!(desk.open.len(), 1, "only the startup probe");
    desk.read(Reading::Screen { text: "loading".to_owned() });
    desk.read(unknown());
    desk.read(Reading::Screen { text: "hello\n\n>\n\n".to_owned() });
    assert_eq!(desk.wishes, [Wish::Ready]);
    assert_eq!(desk.monitor.ready(), Some(desk.now));
    assert_eq!(desk.monitor.next_deadline(), Some(Moment(desk.now.0 + 3_000)));
}

#[test]
fn an_agent_that_does_not_get_ready_is_too_late() {
    let mut desk = Desk::new(&startup(screen_sign()));
    for _ in 0..20 {
        desk.read(Reading::Screen { text: "loading".to_owned() });
    }
    assert_eq!(desk.remedies(), [""; 0]);
    desk.now = Moment(20_000);
    desk.sign(Sign::Due);
    assert_eq!(desk.remedies(), ["start-timeout"]);
    let mut silent = Desk::new(&startup(ReadySign::Notify));
    assert_eq!(silent.monitor.next_deadline(), Some(Moment(20_000)), "there is nothing to look at");
    silent.now = Moment(20_000);
    silent.sign(Sign::Due);
    let why = "was not ready in 20 s: it never said READY=1".to_owned();
    assert_eq!(silent.wishes, [Wish::StartTimeout { why }]);
}

#[test]
fn an_agent_may_ask_for_more_time_and_say_that_it_is_ready() {
    let mut desk = Desk::new(&startup(ReadySign::Notify));
    desk.now = Moment(19_000);
    desk.sign(Sign::Reported(Box::new(Report { extended: (1, 30_000), ..report() })));
    assert_eq!(desk.monitor.next_deadline(), Some(Moment(49_000)));
    desk.now = Moment(48_000);
    // The same request again, in a report about something else, is no new one.
    desk.sign(Sign::Reported(Box::new(Report { extended: (1, 30_000), ..report() })));
    assert_eq!(desk.monitor.next_deadline(), Some(Moment(49_000)));
    desk.sign(Sign::Reported(Box::new(Report { ready: true, extended: (1, 30_000), ..report() })));
    assert_eq!(desk.wishes, [Wish::Ready]);
}

#[test]
fn a_heartbeat_that_stays_away_ends_it() {
    let mut desk = Desk::new(&Care { probes: vec![], ..startup(ReadySign::Notify) });
    let beat = |beats| Sign::Reported(Box::new(Report { ready: true, beats, ..report() }));
    desk.sign(beat(0));
    for (at, beats) in [(14_000, 1), (28_000, 2)] {
        desk.now = Moment(at);
        desk.sign(Sign::Due);
        desk.sign(beat(beats));
    }
    desk.now = Moment(42_000);
    desk.sign(beat(2));
    assert_eq!(desk.remedies(), [""; 0]);
    assert_eq!(desk.monitor.next_deadline(), Some(Moment(43_000)), "a report is no heartbeat");
    desk.now = Moment(43_000);
    desk.sign(Sign::Due);
    assert_eq!(desk.remedies(), ["watchdog"]);
}

/// Faults 69 and 70: the time in which the daemon stood still is nobody's fault.
#[test]
fn a_gap_is_not_held_against_the_agent() {
    let care = Care { watchdog_ms: Some(40_000), ..startup(ReadySign::Notify) };
    let mut desk = Desk::new(&care);
    desk.sign(Sign::Reported(Box::new(Report { ready: true, ..report() })));
    desk.read(failed());
    desk.read(failed());
    desk.now.0 += 10_000;
    desk.sign(Sign::Due);
    let late = desk.open.pop().expect("it was due");
    desk.now.0 += 60_000;
    desk.sign(Sign::Woke { gap_ms: 60_000 });
    desk.sign(Sign::Due);
    assert_eq!(desk.open, [], "the old question is still open");
    desk.sign(Sign::Sampled { ticket: late, sample: Sample::of(failed()) });
    assert_eq!(desk.remedies(), [""; 0], "neither the watchdog nor the probe");
    desk.read(failed());
    desk.read(failed());
    assert_eq!(desk.remedies(), [""; 0], "it is counted anew");
    assert_eq!(desk.monitor.explain()[0].failures, (2, 3));
}

#[test]
fn a_gap_does_not_shorten_the_start() {
    let mut desk = Desk::new(&startup(ReadySign::Notify));
    desk.now = Moment(30_000);
    desk.sign(Sign::Woke { gap_ms: 25_000 });
    assert_eq!(desk.remedies(), [""; 0]);
    assert_eq!(desk.monitor.next_deadline(), Some(Moment(45_000)));
}

fn still(text: &str, cpu_ms: u64) -> Reading {
    let load = Load { cpu_ms, memory_bytes: 0 };
    Reading::ScreenAndLoad { text: text.to_owned(), load }
}

/// Fault 50: a frozen spinner, no processor. All three signals, for as long as configured.
#[test]
fn a_stall_needs_three_signals_that_agree() {
    let busy = "work\n* Thinking (esc to interrupt)\n> ";
    let idle = "done\n> ";
    let old = format!("esc to interrupt\n{}", "line\n".repeat(30));
    let table: [(&str, bool, Option<Activity>, bool); 7] = [
        (busy, false, None, true),
        (busy, true, None, false),
        (idle, false, None, false),
        // Fault 52: what was busy once stands above.
        (&old, false, None, false),
        (busy, false, Some(Activity::Working), true),
        (busy, false, Some(Activity::Idle), false),
        (busy, false, Some(Activity::Blocked), false),
    ];
    for (text, works, says, stalls) in table {
        let mut desk = Desk::new(&care(vec![probe(stall(), &[Remedy::Restart])]));
        let report = Report { doing: says.and_then(doing), ..report() };
        desk.sign(Sign::Reported(Box::new(report)));
        for n in 0..20_u64 {
            if desk.open.is_empty() && desk.monitor.next_deadline().is_none() {
                break;
            }
            desk.read(still(text, if works { n * 200 } else { n }));
        }
        assert_eq!(desk.remedies().is_empty(), !stalls, "{text:?} {works} {says:?}");
        // A minute, begun at the second look, and then three failures.
        let first = if stalls { 90_000 } else { 190_000 };
        assert_eq!(desk.now, Moment(first), "{text:?}");
    }
}

/// A rule that counts while the agent lives ends who stands still with its text, and nobody else.
#[test]
fn a_rule_about_an_idle_agent_needs_a_screen_at_rest() {
    let limit = "You've hit your limit\n> ";
    let table: [(&str, bool, Option<Activity>, bool, bool); 6] = [
        (limit, false, None, true, true),
        (limit, false, Some(Activity::Idle), true, true),
        (limit, true, None, true, false),
        (limit, false, Some(Activity::Working), true, false),
        ("done\n> ", false, None, true, false),
        (limit, false, None, false, false),
    ];
    for (text, moves, says, terminal, ends) in table {
        let rule = Rule {
            name: "limit".to_owned(),
            screen: Some("hit your limit".to_owned()),
            idle_ms: Some(30_000),
            exit: ExitMatch::Failure,
            outcome: None,
            reset: None,
            then: None,
        };
        let then = terminal.then_some(Remedy::Restart);
        let care = Care { rules: vec![rule], ..Care::default() }.watched(then.as_ref());
        assert_eq!(care.probes.len(), usize::from(terminal));
        let mut desk = Desk::new(&care);
        let report = Report { doing: says.and_then(doing), ..report() };
        desk.sign(Sign::Reported(Box::new(report)));
        for n in 0..20 {
            if desk.open.is_empty() && desk.monitor.next_deadline().is_none() {
                break;
            }
            let moving = if moves { n } else { 0 };
            desk.read(Reading::Screen { text: format!("{moving}\n{text}\n\n") });
        }
        assert_eq!(!desk.remedies().is_empty(), ends, "{text:?} {moves} {says:?} {terminal}");
        if ends {
            assert_eq!(desk.now, Moment(30_000));
        }
    }
}

/// Fault 51: an agent that waits at its prompt, below it a clock, is well for ever and not busy.
#[test]
fn idling_at_a_prompt_is_no_stall() {
    let mut desk = Desk::new(&care(vec![probe(stall(), &[Remedy::Restart])]));
    for n in 0..1_000_u64 {
        desk.read(still(&format!("> \n12:{:02}:{:02}", n / 60 % 60, n % 60), n));
    }
    assert_eq!(desk.remedies(), [""; 0]);
    assert_eq!(desk.monitor.screen(), Some((Activity::Idle, Moment(0))));
}

/// A clock beside a frozen spinner does not hide the stall; a screen that moves does.
#[test]
fn clocks_are_left_out_of_the_comparison() {
    for (clock, stalls) in [("12:00:", true), ("tick ", false)] {
        let mut desk = Desk::new(&care(vec![probe(stall(), &[Remedy::Alarm])]));
        for n in 10..30_u64 {
            desk.read(still(&format!("esc to interrupt\n{clock}{n}"), n));
        }
        assert_eq!(!desk.remedies().is_empty(), stalls, "{clock}");
    }
}

#[test]
fn screens_states_and_loads_are_judged() {
    let shows = |text: &str| Reading::Screen { text: text.to_owned() };
    let load = |cpu_ms, memory_bytes| Reading::Load(Load { cpu_ms, memory_bytes });
    let panics =
        || ProbeKind::Screen { pattern: "panicked at".to_owned(), rows: 3, unchanged_ms: 0 };
    let resource = || ProbeKind::Resource { cpu_above: Some(50.0), memory_above: Some(10 << 20) };
    let table = [
        (panics(), vec![shows("thread panicked at x\n$ ")], true),
        (panics(), vec![shows("panicked at x\n1\n2\n3")], false),
        (ProbeKind::Process, vec![Reading::Process('S')], false),
        (ProbeKind::Process, vec![Reading::Process('D')], false),
        (ProbeKind::Process, vec![Reading::Process('T')], true),
        (ProbeKind::Process, vec![Reading::Process('Z')], true),
        (resource(), vec![load(0, 11 << 20)], true),
        (resource(), vec![load(0, 1)], false),
        (resource(), vec![load(0, 1), load(5_001, 1)], true),
        (resource(), vec![load(0, 1), load(5_000, 1)], false),
        // Times that shrink are not known.
        (resource(), vec![load(9_000, 1), load(0, 1)], false),
        (ProbeKind::Process, vec![shows("what?")], false),
    ];
    for (kind, readings, fails) in table {
        let probe = Probe { failure_threshold: 1, ..probe(kind.clone(), &[Remedy::Alarm]) };
        let mut desk = Desk::new(&care(vec![probe]));
        readings.iter().for_each(|reading| desk.read(reading.clone()));
        assert_eq!(!desk.remedies().is_empty(), fails, "{kind:?} {readings:?}");
    }
}

/// kubelet's rule: after a start of the daemon, not all probes of all agents at once.
#[test]
fn adopted_agents_are_looked_at_one_by_one() {
    let care = care(vec![probe(exec(), &[]), Probe { name: "q".to_owned(), ..probe(exec(), &[]) }]);
    let first = |random| {
        let monitor = Monitor::adopted(&care, Moment(5), Some(Moment(1)), random);
        assert_eq!(monitor.ready(), Some(Moment(1)));
        monitor.explain().iter().map(|probe| probe.next.unwrap().0).collect::<Vec<u64>>()
    };
    let all: Vec<u64> = (0..50_u64).flat_map(|n| first(n * 0x1234_5678_9abc)).collect();
    assert!(all.iter().all(|at| (5..10_005).contains(at)), "{all:?}");
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(distinct.len() > 90, "{distinct:?}");
}

#[test]
fn a_changed_configuration_keeps_what_did_not_change() {
    let (one, two) = (probe(exec(), &[Remedy::Restart]), probe(stall(), &[]));
    let two = Probe { name: "q".to_owned(), ..two };
    let mut desk = Desk::new(&care(vec![one.clone()]));
    desk.read(failed());
    desk.now.0 += 10_000;
    desk.sign(Sign::Due);
    let open = desk.open[0];
    assert!(desk.monitor.revise(&care(vec![two.clone(), one.clone()]), desk.now).is_empty());
    assert_eq!(desk.monitor.explain()[1].failures, (1, 3));
    // What is changed is begun anew, but not before its last question is answered.
    let other = Probe { period_ms: 1, ..one };
    desk.monitor.revise(&care(vec![other]), desk.now);
    desk.now.0 += 1_000;
    desk.sign(Sign::Due);
    assert_eq!(desk.open, [open]);
    desk.sign(Sign::Sampled { ticket: open, sample: Sample::of(failed()) });
    assert_eq!((desk.monitor.explain()[0].failures, desk.open.len()), ((0, 3), 2));
}

#[test]
fn an_agent_that_no_longer_has_to_say_so_is_ready() {
    let mut monitor = Monitor::started(&startup(ReadySign::Notify), Moment(0), 1);
    assert_eq!(monitor.revise(&care(vec![]), Moment(5)), [Wish::Ready]);
    assert_eq!(monitor.ready(), Some(Moment(5)));
}

/// What may come to a monitor.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Answer(usize, Reading, bool),
    Gap(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reading = prop_oneof![
        3 => Just(failed()),
        1 => Just(Reading::Passed),
        3 => Just(unknown()),
        1 => Just(still("esc to interrupt", 0)),
        1 => Just(Reading::Process('T')),
    ];
    let step = prop_oneof![
        3 => (0..20_000_u64).prop_map(Step::Pass),
        4 => (0..4_usize, reading, any::<bool>()).prop_map(|(n, r, h)| Step::Answer(n, r, h)),
        1 => (0..100_000_u64).prop_map(Step::Gap),
    ];
    prop::collection::vec(step, 0..200)
}

/// Plays steps; answers which probe each ticket belonged to. Checks on the way that a probe never
/// has two samples under way.
fn play(care: &Care, steps: &[Step], only_unknown: bool) -> (Desk, u32) {
    let mut desk = Desk::new(care);
    let mut open: Vec<(Ticket, String)> = Vec::new();
    let mut failures = 0;
    let sign = |desk: &mut Desk, open: &mut Vec<(Ticket, String)>, sign: Sign| {
        for wish in desk.monitor.handle(desk.now, sign) {
            if let Wish::Sample { ticket, ask } = wish {
                assert!(open.iter().all(|(_, probe)| *probe != ask.probe), "two of {}", ask.probe);
                open.push((ticket, ask.probe));
            } else {
                desk.wishes.push(wish);
            }
        }
    };
    for step in steps {
        match step {
            Step::Pass(ms) => {
                desk.now.0 += ms;
                sign(&mut desk, &mut open, Sign::Due);
            }
            Step::Gap(gap_ms) => {
                desk.now.0 += gap_ms;
                sign(&mut desk, &mut open, Sign::Woke { gap_ms: *gap_ms });
            }
            Step::Answer(n, reading, typed) if !open.is_empty() => {
                let (ticket, _) = open.remove(n % open.len());
                let reading = if only_unknown { unknown() } else { reading.clone() };
                failures += u32::from(reading == failed());
                let attention = Attention { copy_mode: *typed, typed_ms_ago: None };
                let sample = Sample { reading, attention };
                sign(&mut desk, &mut open, Sign::Sampled { ticket, sample });
            }
            Step::Answer(..) => {}
        }
        if !desk.remedies().is_empty() {
            break;
        }
    }
    (desk, failures)
}

fn mixed() -> Care {
    let named = |name: &str, kind| Probe {
        name: name.to_owned(),
        period_ms: 3_000,
        ..probe(kind, &[Remedy::Restart])
    };
    care(vec![
        named("a", exec()),
        named("b", stall()),
        named("c", ProbeKind::Process),
        named("d", exec()),
    ])
}

proptest! {
    #[test]
    fn unknown_never_causes_a_remedy(steps in steps()) {
        let (desk, _) = play(&mixed(), &steps, true);
        prop_assert_eq!(desk.remedies(), Vec::<String>::new());
    }

    /// One question per probe at a time (checked inside), and no remedy below the threshold.
    #[test]
    fn no_remedy_before_the_threshold(steps in steps()) {
        let one = care(vec![probe(exec(), &[Remedy::Restart])]);
        let (desk, failures) = play(&one, &steps, false);
        prop_assert!(desk.remedies().is_empty() || failures >= 3);
        play(&mixed(), &steps, false);
    }
}
