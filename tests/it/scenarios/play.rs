//! Plays one script: reads its events, hands them to the deciding rooms, and says what comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use muxvisor::daemon::{Core, Effect, Input, Turn};
use muxvisor::health::{Attention, Load, Reading, Sample, Ticket};
use muxvisor::model::{
    Activity, ActivitySource, AttemptId, CacheAnswer, CacheEntry, CacheQuestion, CacheSource,
    Doing, Ending, ExecFailure, Exit, Extract, Fact, Mint, Moment, Order, Output, Owner, Parking,
    Report, RunFact, RunId, Spent, StopStep, signal_number,
};
use muxvisor::plan::Plan;
use muxvisor::policy::{Agent, Group, Strategy};
use muxvisor::supervisor::{self, InstanceRequest, Remembered, Settings, Supervisor};
use muxvisor::workflow::{self, Workflow, document};

use super::hire::hire;
use super::tell::Teller;
use crate::props;

pub(super) struct Play {
    core: Core,
    now: Moment,
    agents: BTreeMap<String, Agent>,
    groups: Vec<Group>,
    plan: Option<Plan>,
    teller: Teller,
    /// The orders of every attempt that was launched, by owner.
    orders: BTreeMap<String, Vec<Order>>,
    /// The last question of every probe, by attempt and probe.
    asked: BTreeMap<(AttemptId, String), Ticket>,
    /// Results that were printed and whose agents have not ended.
    results: BTreeMap<AttemptId, String>,
    /// What is to be seen when attempts end.
    screens: BTreeMap<AttemptId, String>,
    /// What is written about the run.
    written: Vec<(Moment, RunFact)>,
    woken: Option<Moment>,
    /// What was asked about kept results, by task.
    looked_for: BTreeMap<String, CacheQuestion>,
}

fn run() -> RunId {
    RunId::of_day("2026-11-21", 1)
}

impl Play {
    pub(super) fn new(agents: &str, plan: &str, groups: &str) -> Self {
        let agents = props::agents(agents);
        let plan = (!plan.trim().is_empty()).then(|| props::plan(plan, &agents));
        let groups = groups.lines().map(str::trim).filter(|line| !line.is_empty());
        let supervisor = recovered(Moment(0), Remembered::default(), 1);
        Self {
            core: Core { supervisor, workflow: Workflow::new(128, Mint::new([2; 32])) },
            now: Moment(0),
            agents,
            groups: groups.map(group).collect(),
            plan,
            teller: Teller::default(),
            orders: BTreeMap::new(),
            asked: BTreeMap::new(),
            results: BTreeMap::new(),
            screens: BTreeMap::new(),
            written: Vec::new(),
            woken: None,
            looked_for: BTreeMap::new(),
        }
    }

    /// Plays a line `@MS EVENT` and tells what it brings about.
    pub(super) fn line(&mut self, line: &str) -> Vec<String> {
        let (at, event) = line[1..].split_once(' ').expect("a line is `@MS EVENT`");
        let at = Moment(at.parse().unwrap_or_else(|_| panic!("no time in `{line}`")));
        assert!(at >= self.now, "`{line}` goes back in time");
        self.now = at;
        let words: Vec<&str> = event.split_whitespace().collect();
        let mut said = self.event(&words, line);
        let wakes = self.core.next_deadline();
        if wakes != self.woken {
            self.woken = wakes;
            said.extend(wakes.map(|at| format!("wakes @{}", at.0)));
        }
        said
    }

    fn event(&mut self, words: &[&str], line: &str) -> Vec<String> {
        match words {
            ["prompt", name] => return self.prompt(name),
            ["results"] => return self.results(),
            ["hire", rest @ ..] => return self.hire(rest),
            ["result", name, ..] => {
                let text = line.split_once(name).expect("the name is in it").1.trim().to_owned();
                self.results.insert(self.order(name).attempt, text);
                return Vec::new();
            }
            // What is to be seen when it ends.
            ["screen", name, ..] => {
                let text = line.split_once(name).expect("the name is in it").1.trim().to_owned();
                self.screens.insert(self.order(name).attempt, text);
                return Vec::new();
            }
            ["handover", name] => {
                let text = self.order(name).handover.expect("it has one");
                return text
                    .lines()
                    .map(|line| format!("| {line}").trim_end().to_owned())
                    .collect();
            }
            // The daemon was killed, and the next one reads what was written.
            ["recover"] => return self.recover(),
            ["deadline"] => {
                let turn = self.core.deadline_reached(self.now);
                return self.told(turn);
            }
            _ => {}
        }
        let input = self.input(words).unwrap_or_else(|| panic!("`{line}` says nothing"));
        let turn = self.core.turn(self.now, input);
        self.told(turn)
    }

    fn input(&mut self, words: &[&str]) -> Option<Input> {
        use workflow::Event as W;
        Some(match words {
            ["submit", rest @ ..] => {
                let plan = self.plan.as_ref().expect("the scenario has a plan");
                let submission = props::submission(run(), plan, rest == ["ask"]);
                Input::Workflow(W::Submitted(Box::new(submission)))
            }
            ["approve", word] => Input::Workflow(W::Approved { run: run(), yes: *word == "yes" }),
            ["cancel"] => Input::Workflow(W::CancelAsked { run: run() }),
            // The answer about its work: `nothing`, `other` work the last time, or an entry that is
            // so old, and its text.
            ["found", task, rest @ ..] => {
                Input::Workflow(W::LookedUp(vec![self.found(task, rest)?]))
            }
            ["pause"] => Input::Workflow(W::PauseAsked { run: run(), stop: false }),
            ["pause", "stop"] => Input::Workflow(W::PauseAsked { run: run(), stop: true }),
            ["resume"] => Input::Workflow(W::ResumeAsked { run: run() }),
            ["answer", ask, answer] => Input::Workflow(W::Answered {
                run: run(),
                ask: (*ask).to_owned(),
                answer: (*answer).to_owned(),
                by: "person".to_owned(),
            }),
            // A run that is over is read from what is written, as the daemon does.
            ["retry", rest @ ..] => {
                if self.core.workflow.run(&run()).is_none() {
                    let over = Workflow::replay(&run(), &self.written);
                    self.core.workflow.adopt(over.expect("its own facts can be read"));
                }
                let live = self.core.workflow.run(&run()).expect("it was just adopted");
                let down = rest.contains(&"downstream");
                let task = rest.first().copied().filter(|word| *word != "downstream");
                let tasks = workflow::what_again(live, task, down).expect("it can be done again");
                Input::Workflow(W::AgainAsked { run: run(), tasks })
            }
            // It says so many tokens, of its input.
            ["uses", name, tokens] => Input::Workflow(W::AttemptSpent {
                run: run(),
                attempt: self.order(name).attempt,
                spent: vec![Spent { input: tokens.parse().ok()?, ..Spent::default() }],
                prices: Vec::new(),
            }),
            ["emit", name, rest @ ..] => Input::Workflow(W::Emitted {
                name: (*name).to_owned(),
                data: serde_json::from_str(&rest.join(" ")).unwrap_or_default(),
                dedup: None,
                by: None,
            }),
            words => Input::Supervisor(self.supervisor_event(words)?),
        })
    }

    fn supervisor_event(&mut self, words: &[&str]) -> Option<supervisor::Event> {
        use supervisor::Event as S;
        Some(match words {
            ["configured"] => self.configured(),
            // The configuration is read again, and holds this one group.
            ["regrouped", rest @ ..] => {
                let line = rest.join(" ");
                self.groups = if line.is_empty() { Vec::new() } else { vec![group(&line)] };
                self.configured()
            }
            ["ask-many", names @ .., request] => {
                let names = names.iter().map(|name| (*name).to_owned()).collect();
                S::AskedMany { names, request: wanted(request)? }
            }
            ["closing"] => S::Closing,
            ["ask", name, request] => {
                S::Asked { name: (*name).to_owned(), request: wanted(request)? }
            }
            ["launched", name] => {
                let order = self.order(name);
                let window = order.windowed.then(|| format!("@{name}"));
                let pane = order.windowed.then(|| format!("%{name}"));
                S::Launched { attempt: order.attempt, shim: props::mark(10), pane, window }
            }
            ["launch-failed", name, why @ ..] => {
                S::LaunchFailed { attempt: self.order(name).attempt, message: why.join(" ") }
            }
            ["started", name] => {
                S::Started { attempt: self.order(name).attempt, process: props::mark(11) }
            }
            ["stuck", name, why @ ..] => {
                S::Stuck { attempt: self.order(name).attempt, message: why.join(" ") }
            }
            ["woke", ms] => S::Woke { gap_ms: ms.parse().ok()? },
            ["said", name, rest @ ..] => {
                let order = self.order(name);
                let report = Box::new(report(&order, rest)?);
                S::Reported { attempt: order.attempt, report }
            }
            ["sampled", name, probe, rest @ ..] => {
                let attempt = self.order(name).attempt;
                let key = (attempt.clone(), (*probe).to_owned());
                let probe = self.asked.remove(&key).unwrap_or_else(|| panic!("{key:?}"));
                S::Sampled { attempt, probe, sample: sample(rest)? }
            }
            ["quiet", name, ms] => {
                S::Heard { attempt: self.order(name).attempt, quiet_ms: ms.parse().ok()? }
            }
            // It says what it does.
            ["does", name, word] => {
                let (order, activity) = (self.order(name), Activity::of_word(word)?);
                let (kind, message, at_ms) = (None, None, 0);
                let source = ActivitySource::Notify;
                let doing = Some(Doing { activity, kind, message, source, at_ms });
                let token = order.token.as_str().to_owned();
                let report = Box::new(Report { token, doing, ..Report::default() });
                S::Reported { attempt: order.attempt, report }
            }
            [how, name, rest @ ..] => {
                let attempt = self.order(name).attempt;
                let result = self.results.get(&attempt).map(String::as_str);
                let mut ending = ending(how, rest, result)?;
                if let Some(screen) = self.screens.get(&attempt) {
                    ending.screen.clone_from(screen);
                }
                S::Gone { attempt, ending: Box::new(ending) }
            }
            _ => return None,
        })
    }

    fn found(&mut self, task: &str, words: &[&str]) -> Option<CacheAnswer> {
        let asked = self.looked_for.remove(task).unwrap_or_else(|| panic!("{task} did not ask"));
        let before = RunId::of_day("2026-11-20", 1);
        let (mut last, mut entry) = (None, None);
        match words {
            ["nothing"] => {}
            ["other"] => {
                let mut work = asked.work.clone();
                work.parts.insert("prompt".to_owned(), String::new());
                work.key.clear();
                last = Some((before, work));
            }
            [age, text @ ..] => {
                let at = Moment(self.now.0.checked_sub(age.parse().ok()?)?);
                let (attempt, agent) = (AttemptId::new("earlier"), "claude".to_owned());
                let output = Output::of(text.join(" ").into());
                let source = CacheSource { run: before, attempt, agent };
                entry = Some(CacheEntry { source, at, output });
            }
            [] => return None,
        }
        Some(CacheAnswer { entry, last, ..CacheAnswer::nothing(asked, None) })
    }

    fn hire(&mut self, words: &[&str]) -> Vec<String> {
        let live = self.core.workflow.run(&run()).expect("it was submitted");
        match hire(live, words) {
            Ok(fact) => {
                let event = workflow::Event::Said { run: run(), facts: vec![fact] };
                let turn = self.core.turn(self.now, Input::Workflow(event));
                self.told(turn)
            }
            Err(why) => vec![format!("= refused: {why}")],
        }
    }

    fn configured(&self) -> supervisor::Event {
        let agents = self.agents.values().cloned().collect();
        supervisor::Event::Configured { agents, groups: self.groups.clone() }
    }

    /// As a daemon starts, but for what it finds out about attempts: the script tells that.
    fn recover(&mut self) -> Vec<String> {
        let known = &self.core.supervisor;
        let remembered = Remembered {
            attempts: known.attempts().cloned().collect(),
            instances: known.instances().cloned().collect(),
            groups: known.groups().cloned().collect(),
            parked: known.parked().cloned().collect(),
        };
        let number = u8::try_from(self.now.0 % 250).expect("it is small") + 3;
        self.core.supervisor = recovered(self.now, remembered, number);
        let live = self.core.workflow.run(&run()).is_some();
        self.core.workflow = Workflow::new(128, Mint::new([number + 1; 32]));
        let parked: Vec<Parking> = self.core.supervisor.parked().cloned().collect();
        for Parking { agent, until, .. } in parked {
            let event = workflow::Event::AgentParked { agent, until };
            self.core.workflow.handle(self.now, event);
        }
        if live {
            let run = Workflow::replay(&run(), &self.written);
            self.core.workflow.adopt(run.expect("its own facts can be read"));
        }
        let event = self.configured();
        let turn = self.core.turn(self.now, Input::Supervisor(event));
        self.told(turn)
    }

    /// The order of `task`, its last attempt, or `task#2`.
    fn order(&self, name: &str) -> Order {
        let (owner, n) = name.split_once('#').unwrap_or((name, ""));
        let orders = self.orders.get(owner).unwrap_or_else(|| panic!("{owner} was not launched"));
        let found = match n.parse::<u32>() {
            Ok(n) => orders.iter().find(|order| order.n == n),
            Err(_) => orders.last(),
        };
        found.unwrap_or_else(|| panic!("there is no {name}")).clone()
    }

    fn told(&mut self, turn: Turn) -> Vec<String> {
        for fact in &turn.facts {
            if let Fact::Run { fact, .. } = fact {
                self.written.push((self.now, fact.clone()));
            }
        }
        for effect in &turn.effects {
            if let Effect::Sample { attempt, probe, ask } = effect {
                self.asked.insert((attempt.clone(), ask.probe.clone()), *probe);
            }
            if let Effect::LookUp(asked) = effect {
                let asked = asked.iter().map(|asked| (asked.task.to_string(), asked.clone()));
                self.looked_for.extend(asked);
            }
            if let Effect::Launch(order) = effect {
                let owner = match &order.owner {
                    Owner::Task { task, .. } => task.to_string(),
                    Owner::Instance { name } => name.clone(),
                };
                let known = self.orders.entry(owner).or_default();
                if !known.iter().any(|other| other.attempt == order.attempt) {
                    known.push((**order).clone());
                }
            }
        }
        self.teller.turn(&turn)
    }

    /// What the prompt of an attempt says before it comes to its output.
    fn prompt(&self, name: &str) -> Vec<String> {
        let prompt = self.order(name).prompt.expect("it has a prompt");
        let until = prompt.find("## Output").unwrap_or(prompt.len());
        let lines = prompt[..until].lines().filter(|line| !line.is_empty());
        lines.map(|line| format!("| {line}")).collect()
    }

    fn results(&self) -> Vec<String> {
        let run = self.core.workflow.run(&run()).expect("it was submitted");
        let results = &document(run, None, self.now)["execution_results"];
        let counts = &results["summary"];
        let count = |key: &str| counts[key].to_string();
        let mut said = vec![format!(
            "| {}: {} of {} succeeded, {} failed, {} skipped; root cause {}",
            results["status"],
            count("successful"),
            count("total_tasks"),
            count("failed"),
            count("skipped"),
            results["root_cause"],
        )];
        let gaps = counts["gaps"].as_array().expect("gaps are a list");
        said.extend(gaps.iter().map(|gap| format!("| gap {}: {}", gap["task"], gap["reason"])));
        said
    }
}

/// What an agent says of itself: `said a ready`, `said a beats=2 working`, `said a extend=5000`.
fn report(order: &Order, words: &[&str]) -> Option<Report> {
    let mut report = Report { token: order.token.as_str().to_owned(), ..Report::default() };
    for word in words {
        match word.split_once('=') {
            Some(("beats", n)) => report.beats = n.parse().ok()?,
            Some(("extend", ms)) => report.extended = (1, ms.parse().ok()?),
            None if *word == "ready" => report.ready = true,
            None => {
                let activity = Activity::of_word(word)?;
                let source = ActivitySource::Notify;
                report.doing =
                    Some(Doing { activity, kind: None, message: None, source, at_ms: 0 });
            }
            Some(_) => return None,
        }
    }
    Some(report)
}

/// What a look showed: `passed`, `failed WHY`, `unknown WHY`, `screen TEXT`, `still CPU_MS TEXT`;
/// `typed` or `copying` before it when a person is there.
fn sample(words: &[&str]) -> Option<Sample> {
    let text = |rest: &[&str]| rest.join(" ");
    let (attention, words) = match words {
        ["typed", rest @ ..] => (Attention { copy_mode: false, typed_ms_ago: Some(0) }, rest),
        ["copying", rest @ ..] => (Attention { copy_mode: true, typed_ms_ago: None }, rest),
        rest => (Attention::default(), rest),
    };
    let reading = match words {
        ["passed"] => Reading::Passed,
        ["failed", why @ ..] => Reading::Failed { why: text(why) },
        ["unknown", why @ ..] => Reading::Unknown { why: text(why) },
        ["screen", rest @ ..] => Reading::Screen { text: text(rest) },
        ["still", cpu_ms, rest @ ..] => Reading::ScreenAndLoad {
            text: text(rest),
            load: Load { cpu_ms: cpu_ms.parse().ok()?, memory_bytes: 0 },
        },
        _ => return None,
    };
    Some(Sample { reading, attention })
}

fn recovered(now: Moment, remembered: Remembered, number: u8) -> Supervisor {
    let settings = Settings {
        keep_success: Some(Duration::from_secs(5)),
        keep_failure: Some(Duration::from_secs(3600)),
    };
    let mint = Mint::new([number; 32]);
    let supervisor = Supervisor::recover(now, settings, remembered, mint);
    supervisor.expect("its own rows can be read")
}

/// Reads `group NAME STRATEGY MEMBER... [limit COUNT in MS]`.
fn group(line: &str) -> Group {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number =
        |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("no number in `{line}`"));
    let (words, limit) = match words.as_slice() {
        [words @ .., "limit", count, "in", ms] => (words, (number(count), number(ms))),
        words => (words, (10, 600_000)),
    };
    let ["group", name, strategy, members @ ..] = words else { panic!("`{line}` is no group") };
    Group {
        name: (*name).to_owned(),
        strategy: Strategy::of_word(strategy).unwrap_or_else(|| panic!("no strategy: `{line}`")),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        start_limit_burst: u32::try_from(limit.0).expect("a small limit"),
        start_limit_interval_ms: limit.1,
    }
}

fn wanted(request: &str) -> Option<InstanceRequest> {
    Some(match request {
        "start" => InstanceRequest::Start,
        "stop" => InstanceRequest::Stop,
        "restart" => InstanceRequest::Restart,
        "reset-failed" => InstanceRequest::ResetFailed,
        _ => return None,
    })
}

/// How an agent ended: `exit a 1`, `killed a SIGKILL`, `stopped a`, `closed a`, `lost a`,
/// `exec-failed a WHY`, `malformed a WHY`.
fn ending(how: &str, rest: &[&str], result: Option<&str>) -> Option<Ending> {
    let exit = match (how, rest) {
        ("exit", [code]) => props::exited(code.parse().ok()?),
        ("killed", [name]) => props::killed(signal_number(name)?),
        ("stopped", []) => {
            let step = StopStep { step: "requested".to_owned(), at_ms: 0, alive: 1 };
            Exit { stop: vec![step], ..props::killed(15) }
        }
        ("closed", []) => Exit { window_closed: true, ..props::killed(1) },
        ("lost", []) => return Some(props::ending(None, result)),
        ("exec-failed", why) => {
            let message = why.join(" ");
            let failure = ExecFailure { step: "exec".to_owned(), errno: 2, message };
            Exit { exec_failure: Some(failure), ..props::exited(127) }
        }
        ("malformed", why) => {
            let extract = Extract::Malformed { reason: why.join(" ") };
            return Some(Ending { extract, ..props::ending(Some(props::exited(0)), None) });
        }
        _ => return None,
    };
    Some(props::ending(Some(exit), result))
}
