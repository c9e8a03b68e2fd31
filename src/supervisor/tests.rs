//! The tables of this room: which fact an attempt takes where it stands, and what its end is
//! judged to be.

use serde_json::json;

use super::attempt::apply;
use super::*;
use crate::model::{
    Ending, ExecFailure, Exit, Extract, Mint, Owner, ProcessMark, PromptBy, ResultRule,
    ResultSource, StartReason, StopStep, TaskId, WallTime,
};
use crate::policy::Identity;

fn order() -> Order {
    let (run, task) = (crate::model::RunId::of_day("2026-11-21", 1), TaskId::new("task-1a"));
    let owner = Owner::Task { run, task };
    let identity = Identity::mint(&mut Mint::new([7; 32]), owner, 1, StartReason::First);
    let mut order = Agent::new("claude").order(identity, "/srv".into());
    order.limits.run_ms = Some(900_000);
    order.limits.idle_ms = Some(60_000);
    order
}

fn mark(pid: i32) -> ProcessMark {
    ProcessMark { pid, start_ticks: 1, boot_id: "boot".to_owned() }
}

fn launched() -> AttemptFact {
    AttemptFact::Launched { shim: mark(10), pane: Some("%1".into()), window: Some("@1".into()) }
}

fn stopping(cause: StopCause) -> AttemptFact {
    AttemptFact::Stopping { cause }
}

fn ended() -> AttemptFact {
    let end = judge(Moment(9), &order(), None, &ending(clean_exit(), Extract::Missing)).end;
    AttemptFact::Ended(end)
}

/// A row in each state, reached by the shortest way.
fn row(state: AttemptState) -> AttemptRow {
    let mut row = AttemptRow::intended(order(), Moment(1));
    let way = match state {
        AttemptState::Intended => vec![],
        AttemptState::Starting => vec![launched()],
        AttemptState::Running => vec![launched(), AttemptFact::Started { process: mark(11) }],
        AttemptState::Stopping => vec![launched(), stopping(StopCause::Timeout)],
        AttemptState::Ended => vec![ended()],
    };
    for fact in way {
        apply(&mut row, Moment(2), &fact).unwrap();
    }
    assert_eq!(row.state, state);
    row
}

/// Design §6: the whole table, one row per fact, one column per state; `-` is refused and leaves
/// everything as it was.
#[test]
fn an_attempt_takes_a_fact_only_where_it_fits() {
    let table = [
        (AttemptFact::Intended(Box::new(order())), "-----"),
        (launched(), "SSRT-"),
        (AttemptFact::Started { process: mark(12) }, "RRRT-"),
        (stopping(StopCause::Cancelled), "TTTT-"),
        (stopping(StopCause::Timeout), "TTT--"),
        (stopping(StopCause::Restarting), "TTT--"),
        (ended(), "EEEE-"),
    ];
    for (fact, expected) in table {
        for (state, letter) in AttemptState::ALL.iter().zip(expected.chars()) {
            let before = row(*state);
            let mut after = before.clone();
            let result = apply(&mut after, Moment(5), &fact);
            let wanted = match letter {
                'S' => Some(AttemptState::Starting),
                'R' => Some(AttemptState::Running),
                'T' => Some(AttemptState::Stopping),
                'E' => Some(AttemptState::Ended),
                _ => None,
            };
            match wanted {
                Some(wanted) => {
                    assert!(result.is_ok(), "{state} must take {fact:?}");
                    assert_eq!(after.state, wanted, "{state} after {fact:?}");
                }
                None => {
                    assert!(result.is_err(), "{state} must refuse {fact:?}");
                    assert_eq!(after, before, "a refused fact changes nothing");
                }
            }
        }
    }
}

#[test]
fn what_is_heard_twice_keeps_its_first_time() {
    let mut row = row(AttemptState::Running);
    apply(&mut row, Moment(50), &launched()).unwrap();
    apply(&mut row, Moment(60), &AttemptFact::Started { process: mark(11) }).unwrap();
    assert_eq!((row.launched, row.started), (Some(Moment(2)), Some(Moment(2))));
}

#[test]
fn an_operators_stop_outranks_a_time_limit_and_not_the_other_way() {
    let mut row = row(AttemptState::Stopping);
    apply(&mut row, Moment(5), &stopping(StopCause::Cancelled)).unwrap();
    assert!(apply(&mut row, Moment(6), &stopping(StopCause::IdleTimeout)).is_err());
    assert_eq!(row.stopping, Some(StopCause::Cancelled));
}

pub(super) fn clean_exit() -> Exit {
    Exit {
        attempt: String::new(),
        token: String::new(),
        code: Some(0),
        signal: None,
        core: false,
        oom: false,
        exec_failure: None,
        stop: Vec::new(),
        unkillable: Vec::new(),
        left: Vec::new(),
        window_closed: false,
        usage: crate::model::Usage::default(),
        started_ms: 0,
        ended_ms: 0,
        ran_ms: 0,
        log_bytes: 0,
        log_gap: false,
    }
}

fn ending(exit: Exit, extract: Extract) -> Ending {
    Ending {
        exit: Some(exit),
        extract,
        tail: String::new(),
        log: PathBuf::new(),
        screen: String::new(),
        read_at: WallTime::default(),
    }
}

fn told_to_stop(exit: Exit) -> Exit {
    let step = StopStep { step: "requested".to_owned(), at_ms: 0, alive: 1 };
    Exit { stop: vec![step], ..exit }
}

fn killed(signal: i32) -> Exit {
    Exit { code: None, signal: Some(signal), ..clean_exit() }
}

fn code(code: i32) -> Exit {
    Exit { code: Some(code), ..clean_exit() }
}

fn found(text: &str) -> Extract {
    Extract::Complete { source: ResultSource::Tagged, text: text.to_owned() }
}

fn outcome_of(order: &Order, cause: Option<StopCause>, ending: &Ending) -> Outcome {
    let verdict = judge(Moment(9), order, cause, ending);
    if verdict.end.outcome != Outcome::Success {
        assert_eq!(verdict.value, None, "a failure has no value");
    }
    assert!(!verdict.end.message.is_empty());
    verdict.end.outcome
}

/// Fault cases 25, 26, 28: how it ended by itself.
#[test]
fn an_end_is_judged_by_its_record_and_never_guessed() {
    let mut strict = order();
    strict.result_required = true;
    strict.success_codes = vec![0, 3];
    strict.success_signals = vec![15];
    let unclosed = || Extract::Malformed { reason: "no closing tag".to_owned() };
    let exec = ExecFailure { step: "exec".into(), errno: 2, message: "no such program".into() };
    let table = [
        (clean_exit(), found("x"), Outcome::Success),
        (code(3), found("x"), Outcome::Success),
        (killed(15), found("x"), Outcome::Success),
        (code(1), found("x"), Outcome::ExitCode),
        (code(137), found("x"), Outcome::ExitCode),
        (killed(9), found("x"), Outcome::Signal),
        (Exit { core: true, ..killed(11) }, found("x"), Outcome::CoreDump),
        // Fault 65: whoever of it was killed for memory, that is why it failed.
        (Exit { oom: true, ..killed(9) }, found("x"), Outcome::OomKill),
        (Exit { oom: true, ..code(137) }, found("x"), Outcome::OomKill),
        (Exit { oom: true, ..clean_exit() }, found("x"), Outcome::Success),
        (Exit { exec_failure: Some(exec), ..code(127) }, Extract::Missing, Outcome::ExecFailed),
        (Exit { code: None, ..clean_exit() }, found("x"), Outcome::Lost),
        (clean_exit(), Extract::Missing, Outcome::NoResult),
        (clean_exit(), unclosed(), Outcome::Malformed),
        (Exit { window_closed: true, ..killed(9) }, found("x"), Outcome::Cancelled),
        (told_to_stop(killed(9)), found("x"), Outcome::Cancelled),
    ];
    for (exit, extract, expected) in table {
        let ending = ending(exit, extract);
        assert_eq!(outcome_of(&strict, None, &ending), expected, "{ending:?}");
    }
    let nothing = Ending {
        exit: None,
        extract: found("x"),
        tail: String::new(),
        log: PathBuf::new(),
        screen: String::new(),
        read_at: WallTime::default(),
    };
    for cause in [None, Some(StopCause::Cancelled), Some(StopCause::Timeout)] {
        assert_eq!(outcome_of(&strict, cause, &nothing), Outcome::Lost);
    }
}

#[test]
fn a_stop_that_reached_it_decides_the_outcome() {
    let stopped = ending(told_to_stop(killed(15)), found("x"));
    let table = [
        (StopCause::Cancelled, Outcome::Cancelled),
        (StopCause::Restarting, Outcome::Cancelled),
        (StopCause::Timeout, Outcome::Timeout),
        (StopCause::IdleTimeout, Outcome::IdleTimeout),
        (StopCause::StartTimeout, Outcome::StartTimeout),
        (StopCause::Submitted, Outcome::Success),
    ];
    for (cause, expected) in table {
        assert_eq!(outcome_of(&order(), Some(cause), &stopped), expected);
    }
}

/// Fault case 4: it had ended by itself before the limit could strike, while no daemon looked.
#[test]
fn a_limit_that_came_too_late_takes_no_result_away() {
    let over = ending(clean_exit(), found("x"));
    for cause in [StopCause::Timeout, StopCause::IdleTimeout, StopCause::StartTimeout] {
        assert_eq!(outcome_of(&order(), Some(cause), &over), Outcome::Success);
    }
    assert_eq!(outcome_of(&order(), Some(StopCause::Cancelled), &over), Outcome::Cancelled);
}

#[test]
fn a_result_is_asked_for_only_where_one_is_wanted() {
    let lax = order();
    let mut none = order();
    none.result = ResultRule::None;
    let mut schema = order();
    schema.schema = Some(json!({ "type": "object", "required": ["a"] }));
    let bad = || Extract::Malformed { reason: "unclosed".to_owned() };
    let table = [
        (&lax, Extract::Missing, Outcome::Success),
        (&lax, bad(), Outcome::Malformed),
        (&none, bad(), Outcome::Success),
        (&schema, Extract::Missing, Outcome::NoResult),
        (&schema, found("{\"a\": 1}"), Outcome::Success),
        (&schema, found("{\"b\": 1}"), Outcome::Malformed),
        (&schema, found("prose"), Outcome::Malformed),
    ];
    for (order, extract, expected) in table {
        let ending = ending(clean_exit(), extract);
        assert_eq!(outcome_of(order, None, &ending), expected, "{ending:?}");
    }
    let verdict = judge(Moment(9), &schema, None, &ending(clean_exit(), found("{\"a\": 1}")));
    assert_eq!(verdict.value, Some(json!({ "a": 1 })));
    assert_eq!(verdict.end.source, Some(ResultSource::Tagged));
}

fn supervisor() -> Supervisor {
    let settings = Settings { keep_success: Some(Duration::ZERO), keep_failure: None };
    Supervisor::recover(Moment(0), settings, Remembered::default(), Mint::new([1; 32])).unwrap()
}

fn ordered() -> (Supervisor, AttemptId) {
    let mut supervisor = supervisor();
    let order = order();
    let id = order.attempt.clone();
    supervisor.handle(Moment(1), Event::Ordered(Box::new(order)));
    (supervisor, id)
}

fn launched_event(attempt: &AttemptId) -> Event {
    let (shim, pane, window) = (mark(10), None, Some("@1".to_owned()));
    Event::Launched { attempt: attempt.clone(), shim, pane, window }
}

fn stop_asked(attempt: &AttemptId) -> Event {
    Event::StopAsked { attempt: attempt.clone(), cause: StopCause::Cancelled }
}

fn kills(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Kill { .. })).count()
}

/// A plan that aborts, a person's cancel and a daemon that ends may all want the same stop; only a
/// second wish of the same person may cut the escalation short.
#[test]
fn only_asking_twice_kills() {
    let (mut supervisor, id) = ordered();
    supervisor.handle(Moment(2), launched_event(&id));
    let stop = Action::Stop { attempt: id.clone() };
    assert!(supervisor.handle(Moment(3), stop_asked(&id)).contains(&stop));
    assert_eq!(supervisor.handle(Moment(4), stop_asked(&id)), vec![]);
    assert_eq!(kills(&supervisor.handle(Moment(5), Event::Closing)), 0);
    assert_eq!(kills(&supervisor.handle(Moment(6), Event::Closing)), 1);
}

/// A launch that was made twice may fail once, beside the one that runs.
#[test]
fn a_failed_launch_beside_a_running_agent_changes_nothing() {
    let (mut supervisor, id) = ordered();
    supervisor.handle(Moment(2), launched_event(&id));
    let failed = Event::LaunchFailed { attempt: id.clone(), message: "no tmux".to_owned() };
    let actions = supervisor.handle(Moment(3), failed.clone());
    assert!(matches!(actions.as_slice(), [Action::Record(Fact::Noted { .. })]), "{actions:?}");
    supervisor.handle(Moment(4), stop_asked(&id));
    supervisor.handle(Moment(5), failed);
    assert!(supervisor.attempt(&id).is_some(), "its shim is not proven gone");
}

#[test]
fn nothing_is_launched_by_a_daemon_that_ends() {
    let mut supervisor = supervisor();
    supervisor.handle(Moment(1), Event::Closing);
    let actions = supervisor.handle(Moment(2), Event::Ordered(Box::new(order())));
    assert!(!actions.iter().any(|action| matches!(action, Action::Launch(_))), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Tell(News::Ended { .. }))));
    assert_eq!(supervisor.attempts().count(), 0);
}

/// Windows without a time to stay are not asked about in a circle while somebody looks.
#[test]
fn a_window_that_is_looked_at_is_left_alone_for_a_moment() {
    let mut supervisor = supervisor();
    let left = Event::WindowLeft { window: "@3".to_owned(), success: true };
    supervisor.handle(Moment(100), left.clone());
    assert_eq!(supervisor.next_deadline(), Some(Moment(1_100)));
    // Seen again, it stays no longer.
    supervisor.handle(Moment(200), left);
    assert_eq!(supervisor.next_deadline(), Some(Moment(1_100)));
    let close = Action::CloseWindow { window: "@3".to_owned(), success: true };
    assert_eq!(supervisor.handle(Moment(1_100), Event::DeadlineReached), vec![close]);
    assert_eq!(supervisor.next_deadline(), None);
}

/// Events with an old token are evidence and change nothing (design §7).
#[test]
fn reports_about_an_attempt_that_is_over_change_nothing() {
    let (mut supervisor, id) = ordered();
    let gone =
        || Event::Gone { attempt: id.clone(), ending: Box::new(ending(clean_exit(), found("x"))) };
    supervisor.handle(Moment(2), gone());
    let stale = [
        gone(),
        launched_event(&id),
        Event::Started { attempt: id.clone(), process: mark(11) },
        Event::LaunchFailed { attempt: id.clone(), message: String::new() },
        Event::NeverLaunched { attempt: id.clone() },
        Event::Stuck { attempt: id.clone(), message: String::new() },
        Event::Heard { attempt: id.clone(), quiet_ms: u64::MAX },
        stop_asked(&id),
    ];
    for event in stale {
        let text = format!("{event:?}");
        for action in supervisor.handle(Moment(3), event) {
            assert!(matches!(action, Action::Record(Fact::Noted { .. })), "{text}: {action:?}");
        }
        assert_eq!(supervisor.attempts().count(), 0);
    }
}

#[test]
fn rows_that_nobody_can_have_written_are_refused() {
    let settings = Settings { keep_success: None, keep_failure: None };
    let recover = |row: AttemptRow| {
        Supervisor::recover(
            Moment(9),
            settings.clone(),
            Remembered { attempts: vec![row], ..Remembered::default() },
            Mint::new([1; 32]),
        )
    };
    for state in AttemptState::ALL {
        assert_eq!(recover(row(*state)).is_ok(), *state != AttemptState::Ended, "{state}");
    }
    let broken = [
        AttemptRow { state: AttemptState::Running, ..row(AttemptState::Intended) },
        AttemptRow { state: AttemptState::Starting, ..row(AttemptState::Intended) },
        AttemptRow { state: AttemptState::Stopping, ..row(AttemptState::Running) },
        AttemptRow { state: AttemptState::Intended, ..row(AttemptState::Running) },
    ];
    for row in broken {
        assert!(recover(row.clone()).is_err(), "{row:?}");
    }
}

/// Fault 3: a daemon may die between the commit of a start and the typing of the prompt, and nobody
/// knows whether it did. Its successor orders it again, once; the shim types it once.
#[test]
fn a_prompt_is_ordered_again_by_who_finds_its_agent() {
    let mut row = row(AttemptState::Running);
    row.order.prompt_by = PromptBy::Type;
    row.order.prompt = Some("work".to_owned());
    let (attempt, process) = (row.order.attempt.clone(), row.process.clone().unwrap());
    let settings = Settings { keep_success: None, keep_failure: None };
    let remembered = Remembered { attempts: vec![row], ..Remembered::default() };
    let mint = Mint::new([1; 32]);
    let mut found = Supervisor::recover(Moment(5), settings, remembered, mint).unwrap();
    let started = Event::Started { attempt: attempt.clone(), process };
    let typed = |actions: &[Action]| {
        let text = "work".to_owned();
        actions.contains(&Action::TypePrompt { attempt: attempt.clone(), text })
    };
    assert!(typed(&found.handle(Moment(6), started.clone())));
    assert!(!typed(&found.handle(Moment(7), started)));
}
