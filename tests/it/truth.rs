//! What a run says about the end of each attempt is what happened: exact codes, exact signals, and
//! never a guess (features of exit truth; design §6).

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::scene::{Scene, task};

/// Signals that end a process and that a shell can send to itself, by number.
const FATAL: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (7, "BUS"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (29, "IO"),
    (30, "PWR"),
    (31, "SYS"),
];

const HEAD: &str = r#"
plan = "truth"
goal = "See whether every end is told as it was"
approval = "none"
stop_after_failures = 0
max_parallel = 32
[defaults]
retries = 0
"#;

/// `outcome`, `kind`, `exit_code`, `signal` of the error of a task.
fn told(results: &Value, id: &str) -> Value {
    let task = task(results, id);
    let error = &task["error"];
    json!([task["status"], error["outcome"], error["kind"], error["exit_code"], error["signal"]])
}

/// Exit codes are told as they are, through pipes, through a terminal and without a window.
#[test]
fn exit_codes_are_exact() {
    let codes = [0, 1, 42, 126, 127, 128, 137, 255];
    let mut plan = HEAD.to_owned();
    plan += r#"
[agent.piped]
command = ["sh", "-c", 'read a; read b; read code; exit $code']
[agent.seen]
command = ["sh", "-c", 'read a; read b; read code; exit $code']
terminal = true
[agent.at_once]
command = ["/bin/true"]
prompt = "none"
"#;
    for code in codes {
        for agent in ["piped", "seen"] {
            let id = format!("{agent}-{code}");
            writeln!(plan, "[[task]]\nid = '{id}'\nagent = '{agent}'\ndescription = '{code}'")
                .unwrap();
        }
        let id = format!("command-{code}");
        writeln!(plan, "[[task]]\nid='{id}'\nkind='command'\nrun=['sh','-c','exit {code}']")
            .unwrap();
    }
    plan += "[[task]]\nid = 'quick'\nagent = 'at_once'\ndescription = 'Nothing.'\n";
    let (code, results) = Scene::new().run(&plan, &[]);
    assert_eq!(code, 3, "{results}");
    for code in codes {
        for way in ["piped", "seen", "command"] {
            let expected = match code {
                0 => json!(["success", null, null, null, null]),
                code => json!(["failed", "exit-code", "exit", code, null]),
            };
            assert_eq!(told(&results, &format!("{way}-{code}")), expected, "{way} {code}");
        }
    }
    assert_eq!(told(&results, "quick"), json!(["success", null, null, null, null]));
}

/// Every fatal signal is told by its name; a core is told as one where the system left one.
#[test]
fn signals_are_exact() {
    let mut plan = HEAD.to_owned();
    plan += r#"
[agent.piped]
command = ["sh", "-c", 'read a; read b; read signal; ulimit -c 0; kill -$signal $$']
[agent.seen]
command = ["sh", "-c", 'read a; read b; read signal; ulimit -c 0; kill -$signal $$']
terminal = true
[agent.dumping]
command = ["sh", "-c", 'ulimit -c unlimited; kill -ABRT $$']
"#;
    for (number, name) in FATAL {
        for agent in ["piped", "seen"] {
            let id = format!("{agent}-{name}");
            writeln!(plan, "[[task]]\nid='{id}'\nagent='{agent}'\ndescription='{number}'").unwrap();
        }
        let id = format!("command-{name}");
        let script = format!("ulimit -c 0; kill -{number} $$");
        writeln!(plan, "[[task]]\nid='{id}'\nkind='command'\nrun=['sh','-c','{script}']").unwrap();
    }
    plan += "[[task]]\nid = 'core'\nagent = 'dumping'\ndescription = 'Leave a core.'\n";
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 1, "{results}");
    for (_, name) in FATAL {
        for way in ["piped", "seen", "command"] {
            let expected = json!(["failed", "signal", "exit", null, format!("SIG{name}")]);
            assert_eq!(told(&results, &format!("{way}-{name}")), expected, "{way} {name}");
        }
    }
    let dumped = told(&results, "core");
    let dir = scene.attempts_of("core").remove(0);
    let exit = std::fs::read_to_string(dir.join("exit.json")).unwrap();
    let exit: Value = serde_json::from_str(&exit).unwrap();
    let word = if exit["core"] == true { "core-dump" } else { "signal" };
    assert_eq!(dumped, json!(["failed", word, "exit", null, "SIGABRT"]));
}

/// What never ran says so, and why.
#[test]
fn what_cannot_be_started_is_told_as_that() {
    let scene = Scene::new();
    scene.file("not-a-program", "no magic, no mode\n");
    let plan = format!(
        r#"{HEAD}
[agent.fine]
command = ["/bin/true"]
[[task]]
id = "program"
kind = "command"
run = ["./no-such-program", "x"]
[[task]]
id = "searched"
kind = "command"
run = ["no-such-program-anywhere"]
[[task]]
id = "forbidden"
kind = "command"
run = ["./not-a-program"]
[[task]]
id = "folder"
kind = "command"
run = ["/bin/true"]
cwd = "no/such/folder"
[[task]]
id = "agent-folder"
agent = "fine"
description = "Work in a folder that is not there."
cwd = "no/such/folder"
"#
    );
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 1, "{results}");
    for id in ["program", "searched", "forbidden", "folder", "agent-folder"] {
        let expected = json!(["failed", "exec-failed", "spawn", null, null]);
        assert_eq!(told(&results, id), expected, "{id}");
        let message = task(&results, id)["error"]["message"].as_str().unwrap().to_owned();
        let named = ["no-such-program", "not-a-program", "no/such/folder"];
        assert!(named.iter().any(|name| message.contains(name)), "{id}: {message}");
    }
}

/// A hundred agents that are killed in one moment are a hundred exact ends (a sweep of deaths is
/// no outage, and none is lost).
#[test]
fn a_hundred_killed_at_once_are_a_hundred_exact_ends() {
    let mut plan = HEAD.replace("max_parallel = 32", "max_parallel = 128");
    plan += "[agent.waits]\ncommand = ['sleep', '1000']\n";
    for n in 0..100 {
        writeln!(plan, "[[task]]\nid = 't{n}'\nagent = 'waits'\ndescription = 'Wait.'").unwrap();
    }
    let scene = Scene::new();
    let path = scene.file("plan.toml", &plan);
    let going = scene.begin(&["run", path.to_str().unwrap(), "--json"]);
    let mut pids = Vec::new();
    crate::wait::wait_for("a hundred agents", || {
        let attempts = Value::from(scene.live());
        let attempts = attempts.as_array().unwrap();
        pids = attempts.iter().filter_map(|attempt| attempt["pid"].as_i64()).collect();
        pids.len() == 100
    });
    for pid in &pids {
        crate::scene::send(i32::try_from(*pid).unwrap(), nix::sys::signal::Signal::SIGKILL);
    }
    let answer = going.end();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let results = answer.document()["execution_results"].take();
    for n in 0..100 {
        let expected = json!(["failed", "signal", "exit", null, "SIGKILL"]);
        assert_eq!(told(&results, &format!("t{n}")), expected, "t{n}");
    }
    assert!(!answer.stdout.contains("\"lost\""));
}

/// Agents with habits: what they leave running, close, or hand on is dealt with and told exactly.
#[test]
fn habits_of_agents_are_dealt_with() {
    let agents = [
        ("leaves", "", "echo '<result>ok</result>'; sleep 1000 & exit 0"),
        ("tty-leaves", "terminal = true", "echo '<result>ok</result>'; sleep 1000 & exit 0"),
        ("closes", "", "exec >&- 2>&- <&-; sleep 0.2; exit 4"),
        ("naps", "terminal = true", "kill -TSTP $$; echo '<result>ok</result>'"),
        ("zero", "", "printf '<result>a\\0b</result>'"),
        ("long", "", "printf '<result>'; head -c 300000 /dev/zero | tr '\\0' x; echo '</result>'"),
        (
            "flood",
            "",
            "printf '<result>'; head -c 9000000 /dev/zero | tr '\\0' x; echo '</result>'",
        ),
        ("sees", "", "echo \"<result>$FRUIT $TMUX$TMUX_PANE $TERM $(pwd)</result>\""),
        ("'finance@desk'", "", "echo '<result>ok</result>'"),
    ];
    let mut plan = HEAD.to_owned();
    for (name, keys, script) in agents {
        let id = name.trim_matches('\'').replace('@', "-");
        writeln!(plan, "[agent.{name}]\n{keys}\ncommand = ['sh', '-c', '''{script}''']").unwrap();
        let agent = name.trim_matches('\'');
        writeln!(plan, "[[task]]\nid = '{id}'\nagent = '{agent}'\ndescription = 'x'").unwrap();
    }
    for id in ["zero", "long"] {
        writeln!(plan, "[[task]]\nid = 'env-{id}'\nkind = 'command'\nrun = ['env']").unwrap();
        writeln!(plan, "input_context = {{ X = '${{{id}.output}}' }}").unwrap();
        writeln!(plan, "[[task]]\nid = 'arg-{id}'\nkind = 'command'").unwrap();
        writeln!(plan, "run = ['echo', '${{{id}.output}}']").unwrap();
    }
    let scene = Scene::new();
    let path = scene.file("plan.toml", &plan);
    let mut command = scene.command(&["run", path.to_str().unwrap(), "--json"]);
    command.env("FRUIT", "pear").env("TMUX", "/tmp/x,1,1").env("TMUX_PANE", "%1");
    let answer = scene.begin_command(command).end();
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(answer.stderr.lines().all(|line| line.len() < 1000), "no endless lines for people");
    let results = answer.document()["execution_results"].take();
    for id in ["leaves", "tty-leaves", "naps", "finance-desk"] {
        assert_eq!(told(&results, id), json!(["success", null, null, null, null]), "{id}");
        assert_eq!(task(&results, id)["output"], "ok", "{id}");
    }
    assert_eq!(told(&results, "closes"), json!(["failed", "exit-code", "exit", 4, null]));
    assert_eq!(told(&results, "flood"), json!(["failed", "malformed", "malformed", 0, null]));
    let seen = format!("pear  xterm-256color {}", scene.desk().display());
    assert_eq!(task(&results, "sees")["output"], json!(seen));
    assert_eq!(task(&results, "zero")["output"], "a\0b");
    // What fits into no variable comes in a file; an argument cannot.
    for (id, why) in [("zero", "zero byte"), ("long", "300000 bytes")] {
        assert_eq!(told(&results, &format!("env-{id}"))[0], "success");
        let id = format!("arg-{id}");
        assert_eq!(told(&results, &id)[0], "failed");
        let message = task(&results, &id)["error"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{id}: {message}");
    }
    assert!(scene.agents().is_empty(), "what they left is gone");
}
