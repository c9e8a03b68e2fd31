//! Usage limits and failover with real agents: small programs that say what the real ones say.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::scene::{Scene, send, task};
use crate::stage::pid_of;
use crate::wait::{let_pass, wait_for};

/// Says that a limit was hit until a file is there, then does its work.
const LIMITED: &str = r#"#!/bin/sh
echo "You've hit your 5-hour limit · resets in $1 seconds" >&2
exit 1
"#;

/// The rules that `claude` has built in, for agents of other names.
const RULES: &str = r#"
[[agent.first.on]]
name = "usage limit"
when = { screen = "hit your .*limit", exit = "failure" }
outcome = "rate-limited"
reset = "resets (.+)"
"#;

fn instance(scene: &Scene, name: &str) -> Value {
    let all = scene.ps()["instances"].as_array().expect("a list").clone();
    all.into_iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn plan(scene: &Scene, fallback: &str) -> String {
    let text = format!(
        "plan = 'p'\ngoal = 'g'\napproval = 'none'\n[[task]]\nid = 'a'\nagent = 'first'\n\
         description = 'Do it.'\nretries = 0\n{fallback}\n"
    );
    scene.file("plan.toml", &text).to_str().expect("UTF-8").to_owned()
}

/// Faults 71 and 74: a limit on the screen of a terminal moves an instance to the next agent at
/// once, with what it left behind; `ps` and `why` say so, and so does a daemon that comes later.
#[test]
fn an_instance_fails_over_and_the_next_daemon_knows() {
    let scene = Scene::new();
    let script = scene.file("limited.sh", LIMITED);
    let desk = scene.desk();
    let config = format!(
        "[agent.first]\ntype = 'service'\ncwd = '{0}'\ncommand = ['sh', '{1}', '3600']\n\
         [agent.first.failover]\ntargets = ['second']\n\
         [agent.second]\ncwd = '{0}'\n\
         command = ['sh', '-c', 'cat \"$MUXVISOR_HANDOVER\" > handed; exec sleep 1000']\n{RULES}",
        desk.display(),
        script.display(),
    );
    scene.configure(&config);
    assert_eq!(scene.call(&["start", "first"]).code, 0);
    wait_for("the second agent to serve", || {
        let seen = instance(&scene, "first");
        seen["serving"] == "second" && seen["state"] == "running"
    });
    wait_for("the handover", || {
        fs::read_to_string(desk.join("handed")).is_ok_and(|text| text.contains("5-hour limit"))
    });
    let seen = instance(&scene, "first");
    assert_eq!((&seen["switches"], &seen["switches_max"]), (&1.into(), &3.into()), "{seen}");
    let parked = &scene.ps()["parked"][0];
    assert_eq!(parked["agent"], "first", "{parked}");
    assert!(parked["why"].as_str().is_some_and(|why| why.contains("5-hour limit")), "{parked}");
    let pid = seen["pid"].clone();
    send(scene.daemon_that_answers(), Signal::SIGKILL);
    scene.start_daemon();
    wait_for("the next daemon to know", || {
        let seen = instance(&scene, "first");
        seen["serving"] == "second" && seen["pid"] == pid
    });
    assert_eq!(scene.ps()["parked"][0]["agent"], "first");
    let why = scene.json(&["why", "first"]);
    assert_eq!((&why["serving"], &why["parked"]["agent"]), (&"second".into(), &"first".into()));
}

/// Fault 71: tmux is shown the end of an output late, or has thrown it away when the window's
/// process ends (a busy machine, a slow disk). What was printed counts all the same, whether it
/// goes from top to bottom or was drawn.
#[test]
fn a_limit_that_the_window_does_not_show_is_seen() {
    for draws in ["", "\\033[2J\\033[3;1H"] {
        let scene = Scene::new();
        let text = format!(
            "#!/bin/sh\necho begun >> begun\nprintf \"{draws}You've hit your 5-hour limit, resets in \
             3600 seconds\\n\"\nuntil [ -e go ]; do sleep 0.02; done\nexit 1\n"
        );
        let script = scene.file("limited.sh", &text);
        let desk = scene.desk();
        let config = format!(
            "[agent.first]\ntype = 'service'\nrestart_delay = '20ms'\ncwd = '{0}'\n\
             command = ['sh', '{1}']\n[agent.first.failover]\ntargets = ['second']\n\
             [agent.second]\ncwd = '{0}'\ncommand = ['sh', '-c', 'exec sleep 1000']\n{RULES}",
            desk.display(),
            script.display(),
        );
        scene.configure(&config);
        assert_eq!(scene.call(&["start", "first"]).code, 0);
        let shown = |window: &str| scene.ask_tmux(&["capture-pane", "-p", "-t", window]);
        let mut window = String::new();
        wait_for("the limit on the screen", || {
            window = instance(&scene, "first")["window"].as_str().unwrap_or_default().to_owned();
            !window.is_empty() && shown(&window).contains("5-hour limit")
        });
        // As if it had not been shown yet.
        scene.ask_tmux(&["send-keys", "-R", "-t", &window]);
        wait_for("an empty screen", || shown(&window).trim().is_empty());
        scene.file("go", "");
        wait_for("the second agent to serve", || instance(&scene, "first")["serving"] == "second");
        let begun = fs::read_to_string(desk.join("begun")).expect("it has begun");
        assert_eq!(begun.lines().count(), 1, "{draws:?}: {begun}");
        assert_eq!(scene.ps()["parked"][0]["agent"], "first");
    }
}

/// A task goes on with its fallback and uses no attempt of its own; what it was told is fenced.
#[test]
fn a_task_fails_over_to_its_fallback() {
    let scene = Scene::new();
    let script = scene.file("limited.sh", LIMITED);
    let config = format!(
        "[agent.first]\ncommand = ['sh', '{}', '3600']\n\
         [agent.second]\ncommand = ['sh', '-c', 'cat > told; echo \"<result>done</result>\"']\n\
         {RULES}",
        script.display()
    );
    scene.configure(&config);
    let plan = plan(&scene, "fallback = ['second']");
    let answer = scene.call(&["run", &plan, "--json"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = &answer.document()["execution_results"];
    assert_eq!(task(results, "a")["status"], "success", "{results}");
    let told = fs::read_to_string(scene.desk().join("told")).expect("it was told");
    assert!(told.contains("## Handover") && told.contains("`first` worked on this"), "{told}");
    assert!(told.contains("5-hour limit"), "{told}");
}

/// A task whose agent nobody can stand in for waits until the limit is over, also when the daemon
/// is killed while it waits; then the same agent does it.
#[test]
fn a_parked_task_goes_on_when_the_limit_is_over() {
    let scene = Scene::new();
    let text = "#!/bin/sh\nif [ -e been ]; then echo '<result>done</result>'; exit; fi\n\
                : > been\necho \"You've hit your limit · resets in 4 seconds\" >&2\nexit 1\n";
    let script = scene.file("once.sh", text);
    scene.configure(&format!("[agent.first]\ncommand = ['sh', '{}']\n{RULES}", script.display()));
    let run = scene.read(&["run", &plan(&scene, ""), "--detach", "--json"]);
    let run = run["run"].as_str().expect("an id").to_owned();
    wait_for("the agent to be parked", || scene.ps()["parked"][0]["agent"] == "first");
    send(scene.daemon_that_answers(), Signal::SIGKILL);
    scene.start_daemon();
    let why = scene.json(&["why", &format!("{run}/a")]);
    let sentence = why["why"].as_str().unwrap_or_default();
    assert!(sentence.contains("parked") || why["state"] != "retry-wait", "{why}");
    assert_eq!(scene.call(&["wait", &run, "--timeout", "30s"]).code, 0);
    assert_eq!(scene.attempts_of("a").len(), 2);
    // The limit used no attempt, whoever tells it.
    let why = scene.json(&["why", &format!("{run}/a")]);
    assert_eq!(why["counters"]["attempts"]["value"], 1, "{why}");
    let shown = scene.json(&["show", &run])["tasks"][0].take();
    assert_eq!((&shown["attempts"], &shown["attempts_counted"]), (&2.into(), &1.into()), "{shown}");
    assert!(scene.call(&["show", &run]).stdout.contains(" 1/"));
    assert_eq!(scene.ps()["parked"], Value::Array(Vec::new()));
}

/// Fault 75: the one that took over is not disturbed while it works, though its time is over. When
/// it has ended the first one serves again, also under another daemon than the one that switched,
/// and never both.
#[test]
fn the_first_agent_comes_back_alone() {
    let scene = Scene::new();
    let desk = scene.desk().display().to_string();
    // Each says when another one lives while it begins.
    let script = "for pid in $(cat pids); do kill -0 $pid && echo $pid >> clash; done\n\
        echo $$ >> pids\n[ \"$1\" = second ] || [ -e well ] || exit 1\nexec sleep 1000\n";
    let script = scene.file("works.sh", script).display().to_string();
    scene.configure(&format!(
        "[agent.first]\ntype = 'service'\ncwd = '{desk}'\ncommand = ['sh', '{script}', 'first']\n\
         [[agent.first.on]]\nwhen = {{ exit = 'failure' }}\nthen = 'failover'\n\
         [agent.first.failover]\ntargets = ['second']\nfailback = 'after:2s'\n\
         [agent.second]\ncwd = '{desk}'\ncommand = ['sh', '{script}', 'second']\n"
    ));
    assert_eq!(scene.call(&["start", "first"]).code, 0);
    let runs = |serving: &str| {
        let seen = instance(&scene, "first");
        seen["state"] == "running" && seen["serving"].as_str().unwrap_or("first") == serving
    };
    wait_for("the second agent to serve", || runs("second"));
    scene.file("well", "");
    send(scene.daemon_that_answers(), Signal::SIGKILL);
    scene.start_daemon();
    let_pass(Duration::from_millis(2_500));
    assert!(runs("second"), "it works on: {}", instance(&scene, "first"));
    send(pid_of(&instance(&scene, "first")["pid"]).expect("it runs"), Signal::SIGKILL);
    wait_for("the first agent to serve again", || runs("first"));
    assert_eq!(scene.agents().len(), 1);
    assert!(!scene.desk().join("clash").exists(), "two at once");
    let attempts = scene.counts("SELECT agent, count(*) FROM attempt GROUP BY 1 ORDER BY 1");
    assert_eq!(attempts, [("first".to_owned(), 2), ("second".to_owned(), 1)]);
}

/// Draws like a full-screen program, says that a limit was hit, and then waits for a person.
const STAYS: &str = r#"#!/bin/sh
printf '\033[2J\033[H'
printf '\033[5;1HYou have hit your limit · resets in 3600 seconds'
printf '\033[3;1Hhello from above'
printf '\033[8;1H> '
exec cat
"#;

/// Design §6: an agent that says at its prompt that a limit was hit, and stays there, is ended long
/// before its time is over, uses no attempt, is parked, and another goes on; what that is told of
/// it is what its screen showed (features K2, L3).
#[test]
fn a_limit_at_the_prompt_is_no_matter_of_hours() {
    let scene = Scene::new();
    let script = scene.file("stays.sh", STAYS);
    let config = format!(
        "[agent.first]\nmode = 'tui'\ncommand = ['sh', '{}', '{{prompt}}']\nstop_timeout = '1s'\n\
         [[agent.first.on]]\nname = 'limit at its prompt'\noutcome = 'rate-limited'\n\
         when = {{ screen = 'hit your limit .*\\n(?:.*\\n)*> ?$', idle = '300ms', exit = 'failure' }}\n\
         reset = 'resets (.+)'\n\
         [agent.second]\ncommand = ['sh', '-c', 'cat > told; echo \"<result>done</result>\"']\n",
        script.display()
    );
    scene.configure(&config);
    let plan = plan(&scene, "fallback = ['second']\ntimeout = '1h'");
    let answer = scene.call(&["run", &plan, "--json"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let run = answer.document()["execution_results"]["plan_id"].as_str().expect("an id").to_owned();
    assert_eq!(scene.ps()["parked"][0]["agent"], "first");
    let why = scene.json(&["why", &format!("{run}/a")]).to_string();
    for words in ["rate-limited", "stands still", "limit at its prompt"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let told = fs::read_to_string(scene.desk().join("told")).expect("it was told");
    let rows = "hello from above\n\nYou have hit your limit · resets in 3600 seconds\n\n>";
    assert!(told.contains(rows), "{told}");
}

/// Feature K2: an agent that prints its banner and its task before it works, as codex does, hands
/// over neither.
#[test]
fn an_echo_of_the_task_is_not_handed_over() {
    let scene = Scene::new();
    let text = "#!/bin/sh\necho 'Codex v0'; echo user; cat; echo\n\
                echo \"You've hit your limit · resets in 3600 seconds\"\nexit 1\n";
    let script = scene.file("echoes.sh", text);
    let config = format!(
        "[agent.first]\ncommand = ['sh', '{}']\n\
         [agent.second]\ncommand = ['sh', '-c', 'cat > told; echo \"<result>done</result>\"']\n\
         {RULES}",
        script.display()
    );
    scene.configure(&config);
    let answer = scene.call(&["run", &plan(&scene, "fallback = ['second']"), "--json"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let told = fs::read_to_string(scene.desk().join("told")).expect("it was told");
    let lines = "Its last lines were:\n\n```\nYou've hit your limit · resets in 3600 seconds\n```";
    assert!(told.contains(lines), "{told}");
    assert_eq!(told.matches("## Task").count(), 1, "{told}");
}

/// A standing agent that nobody takes over from keeps its session at the prompt; people are told.
#[test]
fn a_standing_agent_at_its_limit_is_left_alone() {
    let scene = Scene::new();
    let script = scene.file("stays.sh", STAYS);
    let config = format!(
        "[agent.first]\ntype = 'service'\ncommand = ['sh', '{}']\n[[agent.first.on]]\n\
         outcome = 'rate-limited'\nwhen = {{ screen = 'hit your limit', idle = '200ms' }}\n",
        script.display()
    );
    scene.configure(&config);
    assert_eq!(scene.call(&["start", "first"]).code, 0);
    wait_for("people to be told", || {
        scene.json(&["why", "first"]).to_string().contains("alarm: probe `on: rule 1`")
    });
    let seen = instance(&scene, "first");
    assert_eq!((&seen["state"], &seen["restarts"]), (&"running".into(), &0.into()), "{seen}");
}
