//! Living agents that are watched: what is done about them, and what is not (faults 48 to 52, 70).

use std::fs;
use std::time::Duration;

use muxvisor::health::{Monitor, Reading, Sample, Sign, Wish};
use muxvisor::model::{Moment, Remedy};
use muxvisor::policy::Config;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::scene::{Scene, send};
use crate::stage::{lives, pid_of};
use crate::wait::{let_pass, wait_for};

/// One agent called `bot` that stands in the desk, with these keys and probes.
fn scene(keys: &str, script: &str) -> Scene {
    let scene = Scene::new();
    let script = scene.file("bot.sh", script);
    scene.configure(&format!(
        "[agent.bot]\ntype='service'\ncwd='{}'\ncommand=['sh','{}']\n\
         restart_delay='20ms'\nrestart_max_delay='20ms'\nstart_limit_burst=100\n\
         stop_timeout='300ms'\n{keys}",
        scene.desk().display(),
        script.display()
    ));
    assert_eq!(scene.call(&["start", "bot"]).code, 0);
    scene
}

fn read(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.desk().join(name)).unwrap_or_default()
}

fn why(scene: &Scene) -> Value {
    scene.json(&["why", "bot"])
}

/// The only probe, as `why` shows it.
fn probe(why: &Value) -> &Value {
    &why["health"]["probes"][0]
}

fn bot(scene: &Scene) -> Value {
    scene.ps()["instances"][0].clone()
}

#[track_caller]
fn first_pid(scene: &Scene) -> i32 {
    let mut pid = None;
    wait_for("a running bot", || {
        pid = pid_of(&bot(scene)["pid"]);
        pid.is_some()
    });
    pid.expect("the condition was that it is there")
}

/// It lives on as it was, and was never restarted.
#[track_caller]
fn assert_untouched(scene: &Scene, pid: i32) {
    let bot = bot(scene);
    assert_eq!((&bot["pid"], &bot["restarts"]), (&json!(pid), &json!(0)), "{bot}");
}

/// Fault 48: a probe that hangs, forks and ignores signals is ended with its group when its time
/// is over, never runs twice at once, and leaves no zombie.
#[test]
fn a_probe_does_not_outlive_its_time() {
    let scene = scene(
        "[[agent.bot.probe]]\nkind='exec'\ncommand=['sh','hangs.sh']\nperiod='200ms'\n\
         timeout='100ms'\non_failure=['alarm']\n",
        "exec sleep 1000",
    );
    scene.file(
        "hangs.sh",
        "read before < last && kill -0 $before && echo $before >> clash\n\
         echo $$ > last; trap '' TERM HUP INT\n\
         sleep 1000 & echo $! >> pids\n echo $MUXVISOR_NAME $MUXVISOR_PID >> named\n\
         echo $$ >> pids; wait; sleep 1000\n",
    );
    let pid = first_pid(&scene);
    wait_for("five probes", || read(&scene, "pids").lines().count() >= 10);
    wait_for("a verdict", || probe(&why(&scene))["state"] == "failing");
    let text = why(&scene).to_string();
    assert!(text.contains("took longer than 0.1 s") && text.contains("alarm"), "{text}");
    let health = bot(&scene)["health"].clone();
    assert_eq!((&health["state"], &health["failing"]), (&json!("failing"), &json!(["exec"])));
    let table = scene.call(&["ps"]).stdout;
    assert!(table.contains("running, failing") && table.contains("failing: exec: took"), "{table}");
    let counters = &why(&scene)["counters"];
    assert_eq!(counters["attempts"], json!({"value": 1, "limit": null}), "{counters}");
    assert_eq!(counters["starts_in_window"], json!({"value": 0, "limit": 100}), "{counters}");
    assert_untouched(&scene, pid);
    assert_eq!(read(&scene, "named").lines().next(), Some(&*format!("bot {pid}")));
    assert_eq!(scene.call(&["stop", "bot"]).code, 0);
    assert_eq!(scene.call(&["wait", "bot", "--for", "stopped", "--timeout", "10s"]).code, 0);
    let all = || read(&scene, "pids");
    wait_for("the end of every probe", || all().lines().all(|pid| !lives(pid.parse().unwrap())));
    assert_eq!(read(&scene, "clash"), "", "two at once");
    let daemon = scene.daemon().unwrap();
    wait_for("no zombie of the daemon", || {
        let dead = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(&format!(") Z {daemon} "))
        };
        !all().lines().any(dead)
    });
}

/// Fault 49: a probe that cannot be run says nothing, for ever.
#[test]
fn a_probe_that_cannot_be_run_restarts_nobody() {
    let scene = scene(
        "[[agent.bot.probe]]\nkind='exec'\ncommand=['/nonexistent/check']\nperiod='50ms'\n\
         failure_threshold=1\n",
        "exec sleep 1000",
    );
    let pid = first_pid(&scene);
    let mut seen = Value::Null;
    wait_for("ten looks", || {
        seen = why(&scene);
        probe(&seen)["unknown_ms"].as_u64().is_some_and(|ms| ms > 500)
    });
    let reason = probe(&seen)["unknown_why"].as_str().unwrap();
    assert!(reason.contains("/nonexistent/check` cannot be run"), "{seen:#}");
    assert_eq!(probe(&seen)["state"], "waiting");
    assert_untouched(&scene, pid);
}

/// Fault 50: a screen that says busy and stands still, nobody at work: Escape, then a restart, and
/// `why` tells all of it.
#[test]
fn a_stalled_agent_is_woken_and_then_restarted() {
    let scene = scene(
        "[[agent.bot.probe]]\nkind='stall'\nscreen_unchanged='400ms'\nbusy='esc to interrupt'\n\
         period='100ms'\nfailure_threshold=1\nremedy_gap='300ms'\n\
         on_failure=['keys:Escape','restart']\n",
        "stty raw -echo; echo life >> lives\nprintf '* Thinking (esc to interrupt)'\n\
         sleep 1000 & echo $! > child\n\
         while :; do dd bs=1 count=1 2>/dev/null | od -An -to1 >> keys; done\n",
    );
    wait_for("the child", || read(&scene, "child").ends_with('\n'));
    send(read(&scene, "child").trim().parse().unwrap(), Signal::SIGSTOP);
    wait_for("a second life", || read(&scene, "lives").lines().count() >= 2);
    assert!(read(&scene, "keys").contains("033"), "Escape was pressed: {}", read(&scene, "keys"));
    let told = why(&scene)["decisions"].to_string();
    for words in [
        "stalled: busy (`esc to interrupt`)",
        "pressing Escape",
        "told to stop: probe",
        "ended: probe: probe `stall`: stalled",
        "backoff: probe `stall`: stalled",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(bot(&scene)["restarts"].as_u64() >= Some(1));
}

/// Fault 51: an agent that waits at its prompt while a clock ticks below it is well, and idle.
#[test]
fn an_agent_that_waits_for_work_is_left_alone() {
    let scene = scene(
        "[[agent.bot.probe]]\nkind='stall'\nscreen_unchanged='100ms'\nbusy='esc to interrupt'\n\
         period='50ms'\nfailure_threshold=1\nignore='clock [0-9]+'\n",
        "printf '> \\r\\n'; n=0\nwhile :; do n=$((n+1)); printf '\\rclock %d' $n; sleep 0.1; done\n",
    );
    let pid = first_pid(&scene);
    let mut seen = Value::Null;
    wait_for("a second of it", || {
        seen = why(&scene)["health"].clone();
        seen["activity_ms"].as_u64().is_some_and(|ms| ms > 1_000)
    });
    assert_eq!((&seen["activity"], &seen["activity_source"]), (&json!("idle"), &json!("screen")));
    assert_eq!(seen["probes"][0]["state"], "passing", "{seen:#}");
    assert_untouched(&scene, pid);
}

/// Fault 52: what scrolled away, or stands above the rows that are looked at, is not seen; what
/// stands there is. Nothing is looked at before the prompt is there.
#[test]
fn old_text_is_no_state() {
    let keys = "startup={screen='^> $',rows=2,period='50ms',timeout='20s'}\n\
         [[agent.bot.probe]]\nkind='screen'\nscreen='panicked'\nrows=8\nperiod='50ms'\n\
         failure_threshold=1\n";
    let old = "echo panicked\nfor n in $(seq 80); do echo line; done\necho panicked\n\
         for n in $(seq 12); do echo line; done\nprintf '> '\nexec sleep 1000\n";
    let scene_old = scene(keys, old);
    let pid = first_pid(&scene_old);
    wait_for("a look", || probe(&why(&scene_old))["state"] == "passing");
    let text = scene_old.ask_tmux(&["capture-pane", "-p", "-t", "agents:"]);
    assert!(text.contains("panicked"), "it is visible, above: {text}");
    assert_untouched(&scene_old, pid);
    let new = "echo panicked; printf '> '\necho life >> lives\nexec sleep 1000\n";
    let scene_new = scene(keys, new);
    wait_for("a second life", || read(&scene_new, "lives").lines().count() >= 2);
}

/// The time of a startup probe holds where it has one, also when it is longer than that of a start,
/// and `why` tells when it is over; without one, that of the start holds.
#[test]
fn a_startup_probe_has_its_own_time() {
    let keys = "start_timeout='300ms'\n\
                startup={exec=['test','-e','ready'],period='50ms',timeout='40s'}\n";
    let slow = scene(keys, "exec sleep 1000");
    let pid = first_pid(&slow);
    let_pass(Duration::from_millis(900));
    let seen = why(&slow);
    let next = &seen["next"];
    assert_eq!(next["text"], "stop it (start-timeout)", "{next}");
    assert!(next["due_in_ms"].as_u64().is_some_and(|ms| ms > 10_000), "{next}");
    slow.file("ready", "");
    wait_for("readiness", || why(&slow)["health"]["ready_ms"].is_u64());
    assert_untouched(&slow, pid);
    let late = scene("start_timeout='1200ms'\nstartup={notify=true}\n", "exec sleep 1000");
    wait_for("the end of its time", || bot(&late)["outcome"] == "start-timeout");
    let said = why(&late)["decisions"].to_string();
    assert!(said.contains("after its launch: it never said READY=1"), "{said}");
}

/// Fault 70: time in which the daemon stood still is held against nobody.
#[test]
fn a_daemon_that_was_stopped_blames_nobody() {
    let scene = scene(
        "startup={exec=['test','-e','ready'],period='200ms',timeout='1500ms'}\n\
         [[agent.bot.probe]]\nkind='exec'\ncommand=['test','-e','ready']\nperiod='200ms'\n\
         failure_threshold=1\n",
        "exec sleep 1000",
    );
    let pid = first_pid(&scene);
    let daemon = scene.daemon().unwrap();
    send(daemon, Signal::SIGSTOP);
    let_pass(Duration::from_millis(2_500));
    scene.file("ready", "");
    send(daemon, Signal::SIGCONT);
    wait_for("readiness", || why(&scene)["health"]["ready_ms"].is_u64());
    wait_for("a look", || probe(&why(&scene))["state"] == "passing");
    send(daemon, Signal::SIGSTOP);
    let_pass(Duration::from_millis(1_500));
    send(daemon, Signal::SIGCONT);
    wait_for("another look", || {
        let why = why(&scene);
        probe(&why)["state"] == "passing" && probe(&why)["last_ms"].as_u64() < Some(200)
    });
    assert_untouched(&scene, pid);
}

/// A prompt is typed when somebody is there to read it, once, whatever becomes of the daemon.
#[test]
fn a_prompt_is_typed_when_the_agent_is_ready_and_once() {
    let scene = Scene::new();
    let script = scene.file("reads.sh", "while read line; do echo \"$line\" >> typed; done\n");
    let desk = scene.desk().display().to_string();
    let plan = format!(
        "plan='typed'\ngoal='g'\napproval='none'\n\
         [agent.tui]\nmode='tui'\nprompt='type'\ncommand=['sh','{}']\n\
         startup={{exec=['test','-e','{desk}/ready'],period='50ms',timeout='60s'}}\n\
         [[task]]\nid='a'\nagent='tui'\ndescription='count the sheep'\n",
        script.display()
    );
    let path = scene.file("plan.toml", &plan);
    let run = scene.read(&["run", path.to_str().unwrap(), "--detach", "--json"]);
    let run = run["run"].as_str().unwrap().to_owned();
    let target = format!("{run}/a");
    let health = || scene.json(&["why", &target])["health"].clone();
    wait_for("a look", || health()["probes"][0]["last"].is_string());
    assert_eq!(read(&scene, "typed"), "", "nobody reads yet");
    scene.file("ready", "");
    let sheep = || read(&scene, "typed").matches("count the sheep").count();
    wait_for("the prompt", || sheep() >= 1);
    let before = sheep();
    scene.kill_daemon();
    scene.start_daemon();
    wait_for("the next daemon to know it", || health()["ready_ms"].is_u64());
    // Time for a second prompt to arrive, if there were one.
    let_pass(Duration::from_millis(500));
    assert_eq!(sheep(), before);
    assert_eq!(scene.call(&["cancel", &run]).code, 0);
}

/// Whether the shipped agent is ended when its window shows this and nothing moves.
fn is_ended(agent: &str, screen: &str) -> bool {
    let care = Config::built_in().agents[agent].policy.care.watched(Some(&Remedy::Restart));
    let mut monitor = Monitor::started(&care, Moment(0), 7);
    let mut wishes = monitor.handle(Moment(0), Sign::Due);
    let mut now = Moment(0);
    for _ in 0..20 {
        for wish in std::mem::take(&mut wishes) {
            let Wish::Sample { ticket, .. } = wish else { continue };
            let sample = Sample::of(Reading::Screen { text: screen.to_owned() });
            wishes.extend(monitor.handle(now, Sign::Sampled { ticket, sample }));
        }
        if wishes.iter().any(|wish| matches!(wish, Wish::Restart { .. })) {
            return true;
        }
        now = monitor.next_deadline().expect("it is looked at again and again");
        wishes.extend(monitor.handle(now, Sign::Due));
    }
    false
}

/// The screens of claude 2.1 and codex 0.169 at a usage limit, and such on which an agent speaks of
/// limits, or has gone on.
#[test]
fn the_limit_screens_of_known_programs_are_known() {
    let claude = |said: &str| format!("❯ do it\n\n{said}\n\n───\n❯ \n───\n  ? for shortcuts\n\n");
    let codex =
        |said: &str| format!("› do it\n\n\n{said}\n\n\n› Ask Codex to do anything\n\n  model\n");
    let rejected = "● API Error: Request rejected (429) · The usage limit has been reached";
    let would = "● API Error: Request rejected (429) · This request would exceed your account's \
                 rate limit. Please try again later.";
    let hit = "■ You’ve hit your usage limit. Upgrade to Pro or try again later.";
    let table = [
        ("claude", claude(&format!("{rejected}\n\n✻ Crunched for 3m 2s")), true),
        ("claude", claude(&format!("{would}\n\n✻ Churned for 1s")), true),
        ("claude", claude("  ⎿  You've hit your 5-hour limit · resets 9:44am (UTC)"), true),
        ("claude", claude("● 5-hour limit reached ∙ resets 3pm\n     /upgrade to go on"), true),
        (
            "claude",
            claude("✻ Session limit reached · Retrying in 8s (8:23pm) · attempt 5/10"),
            false,
        ),
        ("claude", claude("● The usage limit reached its end, so I wrote a test for it."), false),
        ("claude", claude("● The page says:\n  You've hit your 5-hour limit · resets 3pm"), false),
        (
            "claude",
            claude("● You've hit your limit · resets 3pm\n\n● That is what it says."),
            false,
        ),
        ("claude", claude(&format!("{rejected}\n\n❯ go on\n\n● Done.")), false),
        ("claude", "● You've hit your limit · resets 3pm\n\n✢ Thinking…".to_owned(), false),
        ("codex", codex(hit), true),
        ("codex", codex(&format!("{hit}\nagain at 3pm.")), true),
        ("codex", codex("• The page says: You’ve hit your usage limit."), false),
        ("codex", codex(&format!("{hit}\n\n› go on\n\n• Done.")), false),
    ];
    for (agent, screen, ends) in table {
        assert_eq!(is_ended(agent, &screen), ends, "{agent}: {screen}");
    }
}
