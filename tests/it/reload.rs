//! A changed configuration is taken up without a restart of anything that did not ask for one,
//! and a wrong one changes nothing (faults 54 to 57).

#![expect(clippy::disallowed_methods, reason = "files are saved by real programs, and timed")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::stage::{Said, Stage, lives, pid_of};
use crate::wait::{let_pass, wait_for};

/// Two agents that stand; `more` goes to the first.
fn two(stage: &Stage, more: &str) -> String {
    let cwd = stage.desk();
    let cwd = cwd.display();
    format!(
        "[agent.one]\ntype = 'service'\nautostart = true\ncwd = '{cwd}'\n\
         command = ['sleep', '1000']\n{more}\n\
         [agent.two]\ntype = 'service'\nautostart = true\ncwd = '{cwd}'\n\
         command = ['sleep', '1000']\n"
    )
}

fn instance(stage: &Stage, name: &str) -> Value {
    let ps = stage.ps();
    let mut all = ps["instances"].as_array().unwrap().iter();
    all.find(|one| one["name"] == name).cloned().unwrap_or(Value::Null)
}

/// The pids of instances that run.
#[track_caller]
fn pids(stage: &Stage, names: &[&str]) -> Vec<i32> {
    let mut found = Vec::new();
    wait_for(&format!("{names:?} to run"), || {
        let seen: Vec<Value> = names.iter().map(|name| instance(stage, name)).collect();
        found = seen.iter().filter_map(|one| pid_of(&one["pid"])).collect();
        found.len() == names.len() && seen.iter().all(|one| one["state"] == "running")
    });
    found
}

/// A daemon whose two agents run, and their pids.
#[track_caller]
fn standing(stage: &Stage) -> Vec<i32> {
    stage.configure(&two(stage, ""));
    stage.start_daemon();
    pids(stage, &["one", "two"])
}

fn configuration(stage: &Stage) -> Value {
    stage.ps()["configuration"].clone()
}

/// How often the daemon has taken a configuration up.
fn taken_up(stage: &Stage) -> usize {
    stage.log().matches("configuration read again").count()
}

#[track_caller]
fn hang_up(stage: &Stage) {
    kill(Pid::from_raw(stage.daemon_that_answers()), Signal::SIGHUP).unwrap();
}

#[track_caller]
fn wait_for_problem(stage: &Stage, part: &str) {
    wait_for(&format!("a problem with `{part}`"), || {
        let seen = configuration(stage);
        format!("{} {}", seen["problem"], seen["findings"]).contains(part)
    });
}

/// What holds is what the file says, and the file has no problem.
#[track_caller]
fn wait_for_rest(stage: &Stage) {
    wait_for("the file to hold", || {
        let said = stage.ask(&["reload", "--dry-run", "--json"]);
        said.code == 0
            && said.document()["changes"] == json!([])
            && configuration(stage)["problem"].is_null()
    });
}

fn changes(said: &Said) -> Vec<String> {
    let document = said.document();
    let told = |change: &Value| {
        format!("{} {}", change["holds"].as_str().unwrap(), change["name"].as_str().unwrap())
    };
    document["changes"].as_array().unwrap().iter().map(told).collect()
}

/// Fault 54: whatever is wrong with the file, what held holds, the problem can be seen everywhere,
/// and goes away with it.
#[test]
fn a_wrong_file_keeps_the_last_good_configuration() {
    let stage = Stage::new();
    let before = standing(&stage);
    let file = stage.at("muxvisor.toml");
    let good = two(&stage, "");
    let cases = [
        ("[agent.one]\ntype = 'service'\ncomm", "C01"),
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("[agent.one]\ncommand = ['x']\ncommand = ['y']\n", "duplicate key"),
        ("[agent.one]\ncommand = ['x']\ncomand = ['y']\n", "unknown key"),
        ("[agent.one]\ncommand = ['x']\nrestart_delay = '5m'\n", "C07"),
    ];
    for (text, problem) in cases {
        fs::write(&file, text).unwrap();
        wait_for_problem(&stage, problem);
    }
    fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    wait_for_problem(&stage, "UTF-8");
    let said = stage.ask(&["reload"]);
    assert_eq!(said.code, 2, "{said:?}");
    fs::write(&file, "[agent.one]\ncommand = ['x']\ncomand = ['y']\n").unwrap();
    wait_for_problem(&stage, "comand");
    let said = stage.ask(&["reload", "--json"]);
    let error = &said.document()["error"];
    assert_eq!((said.code, &error["kind"]), (2, &json!("invalid")), "{said:?}");
    assert_eq!(error["findings"][0]["line"], 3, "{said:?}");
    let shown = stage.ask(&["ps"]).out;
    assert!(shown.contains("last good one kept, since ") && shown.contains("3:1 C01"), "{shown}");
    assert!(stage.ask(&["doctor"]).out.contains("last good one kept"));
    // Gone is not empty: it may be on its way back.
    fs::remove_file(&file).unwrap();
    wait_for_problem(&stage, "is gone");
    assert_eq!(stage.ask(&["reload"]).code, 2);
    assert_eq!(pids(&stage, &["one", "two"]), before);
    assert_eq!(taken_up(&stage), 0, "nothing was taken up");
    // A byte-order mark is no problem, and ends the others.
    fs::write(
        &file,
        format!("\u{feff}{}", good.replace("[agent.one]", "[agent.one]\ntimeout='1d'")),
    )
    .unwrap();
    wait_for_rest(&stage);
    assert_eq!(configuration(&stage)["findings"], json!([]));
    assert_eq!(pids(&stage, &["one", "two"]), before);
    assert_eq!(taken_up(&stage), 1);
}

/// Fault 54: by links, in directories that come and go.
#[test]
fn the_file_is_followed_wherever_it_goes() {
    let stage = Stage::new();
    let desk = stage.desk();
    let say = |more: &str| two(&stage, more);
    fs::create_dir_all(desk.join("v1")).unwrap();
    fs::create_dir_all(desk.join("v2")).unwrap();
    fs::write(desk.join("v1/m.toml"), say("")).unwrap();
    symlink("v1", desk.join("now")).unwrap();
    symlink("now/m.toml", desk.join("m.toml")).unwrap();
    let path = desk.join("m.toml");
    let started = stage.ask(&["--config", path.to_str().unwrap(), "up"]);
    assert_eq!(started.code, 0, "{started:?}");
    let before = pids(&stage, &["one", "two"]);
    let mut times = 0;
    let mut took = |what: &str| {
        times += 1;
        wait_for(what, || taken_up(&stage) >= times);
        wait_for_rest(&stage);
        assert_eq!(taken_up(&stage), times, "{what}: {}", stage.log());
    };
    fs::write(desk.join("v1/m.toml"), say("timeout = '1d'")).unwrap();
    took("the target to be written");
    fs::write(desk.join("v2/m.toml"), say("timeout = '2d'")).unwrap();
    symlink("v2", desk.join("next")).unwrap();
    fs::rename(desk.join("next"), desk.join("now")).unwrap();
    took("the directory's link to be swapped");
    fs::write(desk.join("v2/m.toml"), say("timeout = '3d'")).unwrap();
    took("the new target to be written");
    fs::write(desk.join("own.toml"), say("timeout = '4d'")).unwrap();
    fs::rename(desk.join("own.toml"), desk.join("m.toml")).unwrap();
    took("a file in the place of the link");
    fs::remove_file(desk.join("m.toml")).unwrap();
    symlink("later/deep/m.toml", desk.join("m.toml")).unwrap();
    wait_for_problem(&stage, "m.toml");
    fs::create_dir(desk.join("later")).unwrap();
    fs::create_dir(desk.join("later/deep")).unwrap();
    fs::write(desk.join("later/deep/m.toml"), say("timeout = '5d'")).unwrap();
    took("a directory that was not there");
    fs::rename(desk.join("later/deep"), desk.join("later/old")).unwrap();
    wait_for_problem(&stage, "m.toml");
    fs::create_dir(desk.join("later/deep")).unwrap();
    fs::write(desk.join("later/deep/m.toml"), say("timeout = '6d'")).unwrap();
    took("another directory of that name");
    // What comes back as it was is no longer gone.
    fs::rename(desk.join("later/deep/m.toml"), desk.join("later/m.toml")).unwrap();
    wait_for_problem(&stage, "m.toml");
    fs::rename(desk.join("later/m.toml"), desk.join("later/deep/m.toml")).unwrap();
    wait_for_rest(&stage);
    assert_eq!(pids(&stage, &["one", "two"]), before);
}

/// Saves a text as some editor or script does.
fn save(file: &Path, text: &str, way: usize) {
    let beside = file.with_extension("new");
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program}");
    };
    let (path, new) = (file.to_str().unwrap(), beside.to_str().unwrap());
    match way % 6 {
        // As vim does: the old one is moved away, the new one moved in.
        0 => {
            fs::write(&beside, text).unwrap();
            fs::rename(file, file.with_extension("toml~")).unwrap();
            fs::rename(&beside, file).unwrap();
        }
        1 => fs::write(file, text).unwrap(),
        2 => {
            fs::write(&beside, text).unwrap();
            run("mv", &[new, path]);
        }
        3 => {
            fs::write(&beside, text).unwrap();
            run("cp", &[new, path]);
        }
        4 => {
            let delay = text.lines().find(|line| line.starts_with("restart_delay")).unwrap();
            run("sed", &["-i", &format!("s/^restart_delay.*/{delay}/"), path]);
        }
        // Emptied first, filled a moment later.
        _ => {
            fs::write(file, "").unwrap();
            fs::write(file, text).unwrap();
        }
    }
}

/// Fault 55: 200 saves in 2 s are taken up once, when the file has come to rest.
#[test]
fn a_storm_of_saves_is_taken_up_once() {
    let stage = Stage::new();
    let before = standing(&stage);
    let file = stage.at("muxvisor.toml");
    let (began, mut last) = (Instant::now(), Instant::now());
    // A slow machine may leave the file alone for as long as counts as rest.
    let mut rests = 0;
    for n in 0..200 {
        let due = began + Duration::from_millis(10 * n);
        let_pass(due.saturating_duration_since(Instant::now()));
        rests += usize::from(last.elapsed() > Duration::from_millis(150));
        let text = two(&stage, &format!("restart_delay = '{}ms'", 1000 + n));
        save(&file, &text, usize::try_from(n).unwrap());
        last = Instant::now();
    }
    wait_for("the last one to be taken up", || {
        let said = stage.ask(&["reload", "--dry-run", "--json"]);
        said.code == 0 && said.document()["changes"] == json!([])
    });
    wait_for_rest(&stage);
    let times = taken_up(&stage);
    assert!((1..=1 + rests).contains(&times), "{times} times, {rests} rests:\n{}", stage.log());
    assert_eq!(pids(&stage, &["one", "two"]), before);
    // The same content once more is nothing new, however it is saved.
    let text = fs::read_to_string(&file).unwrap();
    for way in [0, 1, 2, 3] {
        save(&file, &text, way);
        let_pass(Duration::from_millis(300));
    }
    assert_eq!(taken_up(&stage), times);
}

/// Fault 56: each change has the effect that the table says, and nothing else is restarted.
#[test]
fn only_what_changed_is_touched() {
    let stage = Stage::new();
    let before = standing(&stage);
    stage.configure(&two(&stage, "stop_signal = 'SIGINT'\nstop_timeout = '7s'"));
    wait_for_rest(&stage);
    assert_eq!(pids(&stage, &["one", "two"]), before);
    assert_eq!(instance(&stage, "one")["stale"], false);
    let another = two(&stage, "stop_signal = 'SIGINT'\nenv = { SECRET = 'hidden' }");
    stage.configure(&another);
    wait_for("one to be stale", || instance(&stage, "one")["stale"] == true);
    assert_eq!(instance(&stage, "two")["stale"], false);
    assert!(stage.ask(&["ps"]).out.contains("running, stale"));
    assert!(!stage.log().contains("hidden"), "values are never told");
    assert_eq!(pids(&stage, &["one", "two"]), before);
    // The daemon dies: the mark is worked out again, not remembered.
    stage.kill_daemon();
    stage.start_daemon();
    assert_eq!(pids(&stage, &["one", "two"]), before);
    assert_eq!(instance(&stage, "one")["stale"], true);
    let said = stage.ask(&["reload", "--restart-stale", "--json"]);
    assert_eq!(said.document()["restarted"], json!(["one"]), "{said:?}");
    wait_for("one to be restarted", || {
        let one = instance(&stage, "one");
        one["state"] == "running" && one["stale"] == false && one["pid"] != before[0]
    });
    assert_eq!(pids(&stage, &["two"]), before[1..]);
    // It was stopped by the policy that holds, not by the one that it was started with.
    let attempts = fs::read_dir(stage.at("attempts")).unwrap().flatten();
    let exits: Vec<String> = attempts
        .filter_map(|attempt| fs::read_to_string(attempt.path().join("exit.json")).ok())
        .collect();
    assert_eq!(exits.len(), 1);
    assert!(exits[0].contains("SIGINT"), "{exits:?}");
}

/// A table that comes back before the removed agent has ended is that of a new one, which is
/// started after it, by whatever daemon.
#[test]
fn an_agent_that_comes_back_at_once_is_started_again() {
    for by_hand in [true, false] {
        let stage = Stage::new();
        let open = stage.at("open");
        let slow = format!(
            "command = ['sh', '-c', '''trap \"until test -e {}; do sleep 0.05; done; exit\" TERM HUP; \
             while :; do sleep 0.05; done''']\nstop_timeout = '30s'",
            open.display()
        );
        let whole = two(&stage, "").replacen("command = ['sleep', '1000']", &slow, 1);
        stage.configure(&whole);
        stage.start_daemon();
        let before = pids(&stage, &["one", "two"]);
        let (_, second) = whole.split_once("[agent.two]").unwrap();
        stage.configure(&format!("[agent.two]{second}"));
        assert_eq!(stage.ask(&["reload"]).code, 0);
        assert_eq!(instance(&stage, "one")["state"], "stopping");
        stage.configure(&whole);
        if by_hand {
            assert_eq!(stage.ask(&["reload"]).code, 0);
        }
        wait_for("one to be known as new", || {
            instance(&stage, "one")["why"].as_str().unwrap_or_default().contains("new in the")
        });
        assert!(lives(before[0]));
        if by_hand {
            stage.kill_daemon();
            stage.start_daemon();
        }
        fs::write(&open, "").unwrap();
        wait_for("one to be started again", || {
            let one = instance(&stage, "one");
            one["state"] == "running" && one["pid"] != before[0]
        });
        assert!(!lives(before[0]));
        assert_eq!(pids(&stage, &["two"]), before[1..]);
    }
}

/// Fault 56: what is gone from the file is stopped by a person's word, not by a save.
#[test]
fn a_removal_waits_for_a_person() {
    let stage = Stage::new();
    let before = standing(&stage);
    let renamed = two(&stage, "").replace("[agent.one]", "[agent.uno]");
    stage.configure(&renamed);
    wait_for("the removal to be seen", || {
        configuration(&stage)["pending_removals"] == json!(["one"])
    });
    let uno = pids(&stage, &["uno"]);
    assert_eq!(pids(&stage, &["one", "two"]), before);
    assert!(stage.ask(&["ps"]).out.contains("agent `one` is gone from the file"));
    let dry = stage.ask(&["reload", "--dry-run", "--json"]);
    assert_eq!(changes(&dry), ["removed one"], "{dry:?}");
    assert_eq!(pids(&stage, &["one", "two"]), before, "a dry run changes nothing");
    assert_eq!(configuration(&stage)["pending_removals"], json!(["one"]));
    let done = stage.ask(&["reload", "--json"]);
    assert_eq!(changes(&done), ["removed one"], "{done:?}");
    wait_for("one to be gone", || instance(&stage, "one").is_null() && !lives(before[0]));
    assert_eq!(configuration(&stage)["pending_removals"], json!([]));
    assert_eq!(pids(&stage, &["uno", "two"]), [uno[0], before[1]]);
    // By signal as well, and a stop that takes its time is asked for once.
    let script = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done";
    let slow = format!(
        "[agent.slow]\ntype = 'service'\nautostart = true\ncommand = ['sh', '-c', \"{script}\"]\n"
    );
    stage.configure(&format!("{renamed}{slow}"));
    let slow = pids(&stage, &["slow"]);
    stage.configure(&renamed);
    for _ in 0..5 {
        hang_up(&stage);
    }
    wait_for("slow to be gone", || instance(&stage, "slow").is_null());
    assert!(!lives(slow[0]));
    let ended = stage.counts(
        "SELECT outcome || ' ' || coalesce(json_extract(ending, '$.code'), 'none'), count(*) FROM attempt
         WHERE instance = 'slow' GROUP BY 1",
    );
    assert_eq!(ended, [("cancelled 0".to_owned(), 1)], "it left by itself");
    assert_eq!(pids(&stage, &["uno", "two"]), [uno[0], before[1]]);
}

/// Fault 56: what went from the file while no daemon ran waits for a person as well, and is not
/// started again as what nobody knows any more.
#[test]
fn a_removal_without_a_daemon_waits_for_a_person() {
    let stage = Stage::new();
    let before = standing(&stage);
    kill(Pid::from_raw(stage.daemon_that_answers()), Signal::SIGKILL).unwrap();
    stage.configure(&two(&stage, "").replace("[agent.one]", "[agent.uno]"));
    stage.ask(&["up", "uno"]);
    wait_for("the removal to be seen", || {
        configuration(&stage)["pending_removals"] == json!(["one"])
    });
    let refused = stage.ask(&["restart", "one"]);
    assert!(refused.code == 2 && refused.err.contains("it can only be stopped"), "{refused:?}");
    assert_eq!(pids(&stage, &["one", "two"]), before);
    let dry = stage.ask(&["reload", "--dry-run", "--json"]);
    assert_eq!(changes(&dry), ["removed one"], "{dry:?}");
    let done = stage.ask(&["reload", "--json"]);
    assert_eq!(changes(&done), ["removed one"], "{done:?}");
    wait_for("one to be gone", || instance(&stage, "one").is_null() && !lives(before[0]));
    assert_eq!(configuration(&stage)["pending_removals"], json!([]));
    assert_eq!(pids(&stage, &["two"]), before[1..]);
}

/// Fault 57: a thousand signals while the file changes, and while an agent is being stopped; the
/// last content holds.
#[test]
fn a_storm_of_signals_ends_with_the_last_content() {
    let stage = Stage::new();
    let before = standing(&stage);
    let daemon = stage.daemon().unwrap();
    let file = stage.at("muxvisor.toml");
    let mut stop = None;
    for n in 0..1000 {
        if n % 100 == 0 {
            let text = two(&stage, &format!("restart_delay = '{}ms'", 1000 + n));
            save(&file, &text, 0);
        }
        if n == 500 {
            stop = Some(stage.start(&["stop", "two"]));
        }
        kill(Pid::from_raw(daemon), Signal::SIGHUP).unwrap();
    }
    assert_eq!(stop.unwrap().end().code, 0);
    wait_for_rest(&stage);
    wait_for("two to be stopped", || instance(&stage, "two")["state"] == "stopped");
    assert!(!lives(before[1]));
    assert_eq!(pids(&stage, &["one"]), before[..1]);
    assert_eq!(instance(&stage, "two")["desired"], "down", "a stop survives every reload");
    assert_eq!(stage.daemon(), Some(daemon));
    assert!((1..=10).contains(&taken_up(&stage)), "{}", stage.log());
}

/// Fault 54: the file is broken, and the daemon is killed. The next one goes on with the last good
/// one, says so everywhere, and takes the file when it is mended; nobody is restarted for it.
#[test]
fn a_daemon_that_starts_with_a_broken_file_uses_the_last_good_one() {
    let stage = Stage::new();
    let before = standing(&stage);
    let kept = stage.at("config.good");
    let mode = fs::metadata(&kept).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    stage.configure(&two(&stage, "restrat = 'always'"));
    for killed_again in [false, true] {
        stage.kill_daemon();
        stage.start_daemon();
        assert_eq!(pids(&stage, &["one", "two"]), before, "killed again: {killed_again}");
        let seen = configuration(&stage);
        assert_eq!(seen["findings"][0]["code"], "C01", "{seen}");
        assert!(seen["kept_since_ms"].is_i64() && seen["last_good_ms"].is_i64(), "{seen}");
    }
    let log = stage.log();
    assert!(log.contains("the last good one of 20") && log.contains("C01"), "{log}");
    let shown = stage.ask(&["ps"]).out;
    assert!(shown.contains("last good one kept, since ") && shown.contains("C01"), "{shown}");
    let doctor = stage.ask(&["doctor"]).out;
    assert!(doctor.contains("meanwhile daemons start with that of 20"), "{doctor}");
    let refused = stage.ask(&["reload"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let said = refused.err;
    assert!(said.contains("the last good one of 20") && said.contains("restrat"), "{said}");
    // It is supervised: who dies is started again.
    kill(Pid::from_raw(before[1]), Signal::SIGKILL).unwrap();
    wait_for("another second one", || {
        pid_of(&instance(&stage, "two")["pid"]).is_some_and(|pid| pid != before[1])
    });
    stage.configure(&two(&stage, "restart_delay = '77ms'"));
    wait_for("the mended file", || configuration(&stage)["problem"].is_null());
    wait_for("it to be kept", || fs::read_to_string(&kept).unwrap().contains("77ms"));
    assert_eq!(pids(&stage, &["one"]), before[..1]);
}

/// Without a last good one a broken file is refused, with all that is wrong; and what was right at
/// another path is not taken for it.
#[test]
fn without_a_last_good_one_a_broken_file_is_refused() {
    let stage = Stage::new();
    stage.configure("[agent.one]\ntype = 'servic'\nrestrat = 'no'\n");
    let refused = |arguments: &[&str]| {
        let said = stage.ask(arguments);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("restrat") && said.err.contains("servic"), "{said:?}");
    };
    refused(&["up"]);
    refused(&["daemon"]);
    let other = stage.file("other.toml", &two(&stage, ""));
    let said = stage.ask(&["runs", "--config", other.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    pids(&stage, &["one", "two"]);
    stage.kill_daemon();
    refused(&["up"]);
    // The file that was good may also be one that cannot be read any more.
    fs::remove_file(&other).unwrap();
    let said = stage.ask(&["runs", "--config", other.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(configuration(&stage)["problem"].is_string());
}
