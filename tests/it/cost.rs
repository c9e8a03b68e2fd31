//! `cost`, and what agents write about the tokens that they use, with real processes.

use serde_json::json;

use super::stage::Stage;

/// Agents that say what they used: one like Claude Code, one like Codex, one that fails.
const AGENTS: &str = r#"
[agent.speaker]
usage   = "claude"
command = ["sh", "-c", '''
cat >/dev/null
printf '%s\n' '{"type":"system","subtype":"init","model":"big-1","session_id":"s1"}'
printf '%s\n' '{"type":"result","result":"Here: <result>\nwell \"done\"\n</result>","session_id":"s1","total_cost_usd":0.5,"modelUsage":{"big-1":{"inputTokens":100,"outputTokens":20,"cacheReadInputTokens":7,"cacheCreationInputTokens":3,"costUSD":0.5}}}'
''']
cost = "high"
capabilities = ["speak"]

[agent.counter]
usage   = "codex"
model   = "small-2"
model_args = ["{model}"]
command = ["sh", "-c", '''
cat >/dev/null
printf '%s\n' '{"type":"thread.started","thread_id":"t1"}'
printf '%s\n' '{"type":"item.completed","item":{"type":"agent_message","text":"<result>two</result>"}}'
printf '%s\n' '{"type":"turn.completed","usage":{"input_tokens":1000,"cached_input_tokens":400,"output_tokens":50}}'
''']
cost = "low"
capabilities = ["speak"]

[agent.failing]
usage   = "codex"
model   = "unknown-9"
model_args = ["{model}"]
command = ["sh", "-c", '''
cat >/dev/null
printf '%s\n' '{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":0,"output_tokens":1}}'
exit 3
''']
"#;

const PLAN: &str = r#"
plan = "spends"
goal = "Spend."
approval = "none"

[[task]]
id = "say"
agent = "speaker"
description = "Say it."

[[task]]
id = "count"
agent = "counter"
description = "Count ${say.output}."
input_context = { said = "${say.output}" }

[[task]]
id = "fail"
agent = "failing"
description = "Fail."
retries = 0
optional = true
"#;

/// Features P1 to P5: tokens, money, time and agents of a run, by task, agent and model, failed
/// attempts included; the result comes from the machine output as it was meant.
#[test]
fn what_agents_use_is_told() {
    let stage = Stage::new();
    stage.configure(AGENTS);
    std::fs::write(
        stage.at("prices.toml"),
        "[prices]\n'small*' = { input = 1.0, output = 4.0, cache_read = 0.5 }\n",
    )
    .unwrap();
    stage.file("plan.toml", PLAN);
    let document = stage.json(&["run", "plan.toml"]);
    let results = &document["execution_results"];
    let run = results["plan_id"].as_str().unwrap();
    let tasks = results["phases"][0]["tasks"].as_array().unwrap();
    assert_eq!(tasks[0]["output"], "well \"done\"", "{tasks:#?}");
    assert_eq!(tasks[1]["output"], "two");
    let usage = &results["usage"];
    assert_eq!((&usage["tokens_in"], &usage["tokens_out"]), (&json!(1_120), &json!(71)));
    assert_eq!(usage["agents"], 3);
    let cost = usage["cost_usd"].as_f64().unwrap();
    // 0.5 told by the program; 600 × 1 + 400 × 0.5 + 50 × 4 millionths by the table.
    assert!((cost - 0.501).abs() < 1e-9, "{cost}");

    let seen = stage.json(&["cost", run]);
    assert_eq!(seen["total"]["tokens_in"], 1_120);
    assert_eq!(seen["total"]["tokens_unpriced"], 11, "nobody made up a price");
    assert_eq!(seen["total"]["estimated"], true);
    assert_eq!(seen["tasks"][0]["task"], "say");
    assert_eq!(seen["tasks"][0]["estimated"], false);
    assert_eq!(seen["attempts"].as_array().unwrap().len(), 3);
    assert_eq!((&seen["runs"][0]["agents"], &seen["runs"][0]["attempts"]), (&json!(3), &json!(3)));
    assert!(seen["runs"][0]["duration_ms"].as_u64().unwrap() > 0);
    let models: Vec<&str> =
        seen["models"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(models, ["big-1", "small-2", "unknown-9"]);
    // Feature P6.
    let advice = seen["advice"][0].as_str().unwrap();
    assert!(advice.contains("`counter` costs less and can do `speak` too"), "{advice}");

    assert_eq!(stage.json(&["cost"])["total"], seen["total"]);
    let said = stage.ask(&["cost"]);
    assert!(said.out.contains("~$0.5010+?"), "{said:?}");
    let said = stage.ask(&["cost", "PLAN-2001-01-01-001"]);
    assert_eq!(said.code, 2, "{said:?}");
    // Features I13, P5: how agents did is known, also to the next daemon.
    let ratio = |stage: &Stage| stage.json(&["agents", "show", "failing"])["success_ratio"].clone();
    assert_eq!(ratio(&stage), json!(0.0));
    let daemon = stage.daemon().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    super::wait::wait_for("the daemon to be gone", || stage.daemon().is_none());
    stage.start_daemon();
    assert_eq!(ratio(&stage), json!(0.0));
    assert_eq!(stage.json(&["agents", "show", "speaker"])["attempts"], 1);
}

/// Features P1 to P4: what an agent used and nobody told is unknown and not nothing, alone and in
/// sums, which say that they are the least that it was; a command uses none.
#[test]
fn what_nobody_told_is_unknown_and_not_nothing() {
    let stage = Stage::new();
    let silent = "[agent.silent]\nusage = \"none\"\n\
         command = [\"sh\", \"-c\", \"cat >/dev/null; echo '<result>x</result>'\"]\n";
    stage.configure(&format!("{AGENTS}{silent}"));
    let plan = PLAN.split("[[task]]\nid = \"fail\"").next().unwrap();
    let more = "[[task]]\nid = \"hush\"\nagent = \"silent\"\ndescription = \"Say nothing.\"\n\
         [[task]]\nid = \"list\"\nkind = \"command\"\nrun = [\"true\"]\n";
    stage.file("plan.toml", &format!("{plan}{more}"));
    let document = stage.json(&["run", "plan.toml"]);
    assert_eq!(document["execution_results"]["usage"]["tokens_in"], 1_110, "a fixed number");
    let run = document["execution_results"]["plan_id"].as_str().unwrap();
    let seen = stage.json(&["cost", run]);
    let used = |list: &str, key: &str, name: &str| {
        let rows = seen[list].as_array().unwrap();
        let row = rows.iter().find(|row| row[key] == name).unwrap();
        json!([row["tokens_in"], row["tokens_out"], row["cost_usd"], row["attempts_unknown"]])
    };
    for (list, key, name) in
        [("tasks", "task", "hush"), ("attempts", "task", "hush"), ("agents", "name", "silent")]
    {
        assert_eq!(used(list, key, name), json!([null, null, null, 1]), "{list}");
    }
    for list in ["tasks", "attempts"] {
        assert_eq!(used(list, "task", "list"), json!([0, 0, 0.0, 0]), "{list}");
        assert_eq!(used(list, "task", "say"), json!([110, 20, 0.5, 0]), "{list}");
    }
    for whole in [&seen["total"], &seen["runs"][0]] {
        assert_eq!((&whole["tokens_in"], &whole["attempts_unknown"]), (&json!(1_110), &json!(1)));
    }
    let said = stage.ask(&["cost", run]).out;
    assert!(said.contains("in all: 1110+? tokens in, 70+? tokens out, $0.5000+?"), "{said}");
    assert!(said.contains("of 1 of 4 attempts nobody told what they used"), "{said}");
    let row = said.lines().find(|line| line.starts_with("hush")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[..5], ["hush", "silent", "-", "-", "-"]);
}

/// Features E15, P8: what earlier runs took is the estimate where the plan gives none.
#[test]
fn earlier_runs_tell_how_long_a_plan_takes() {
    let stage = Stage::new();
    stage.configure(AGENTS);
    stage.file("plan.toml", PLAN);
    assert_eq!(stage.json(&["plan", "show", "plan.toml"])["avg_session_minutes"], json!(null));
    for _ in 0..2 {
        stage.json(&["run", "plan.toml"]);
    }
    let seen = stage.json(&["plan", "show", "plan.toml"]);
    assert_eq!((&seen["runs"], &seen["completion_rate"]), (&json!(2), &json!(1.0)));
    assert!(seen["avg_session_minutes"].as_f64().unwrap() > 0.0);
    assert_eq!(seen["estimated_from_runs"], json!(["say", "count"]), "what failed tells nothing");
    let said = stage.ask(&["plan", "show", "plan.toml"]);
    assert!(said.out.contains("~ from 2 runs: say, count"), "{said:?}");
}

/// Features E15, P8: who says yes to a run is told what earlier ones took, and so is the daemon,
/// which judges by it what takes too long; a plan's own word counts, and a demo tells nothing.
#[test]
fn earlier_runs_tell_where_a_person_confirms() {
    let stage = Stage::new();
    stage.configure(AGENTS);
    let plan = PLAN.replace("id = \"count\"", "id = \"count\"\nexpected = \"7s\"");
    stage.file("plan.toml", &plan);
    assert_eq!(stage.ask(&["run", "plan.toml", "--demo"]).code, 0);
    let first = stage.ask(&["run", "plan.toml"]);
    assert!(!first.out.contains("History"), "{first:?}");
    let second = stage.ask(&["run", "plan.toml"]);
    assert!(second.out.contains("History: 1 earlier run, 100 % completed"), "{second:?}");
    assert!(second.out.contains("~ from 1 run: say"), "{second:?}");
    let run = stage.json(&["runs"])["runs"][0]["run"].as_str().unwrap().to_owned();
    let seen = stage.json(&["show", &run]);
    let expected = |id: &str| {
        let tasks = seen["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["task"] == id).unwrap()["expected_ms"].clone()
    };
    assert!(expected("say").as_u64().is_some_and(|ms| ms > 0), "{seen}");
    assert_eq!((&expected("count"), &expected("fail")), (&json!(7_000), &json!(null)));
}

/// Features E15, P8, A22: runs within a run are estimated by earlier ones too, and a task that is a
/// plan by the runs of that.
#[test]
fn earlier_runs_tell_how_long_inner_ones_take() {
    let stage = Stage::new();
    let sleeps = "plan = 'inner'\ngoal = 'g'\n[[task]]\nid = 'w'\nkind = 'command'\nrun = ['true']\n\
                  [[task]]\nid = 'x'\nkind = 'command'\nrun = ['true']\nexpected = '7s'\n";
    stage.file("inner.toml", sleeps);
    let outer = "plan = 'outer'\ngoal = 'g'\napproval = 'none'\n[[task]]\nid = 's'\nkind = 'plan'\n\
                 file = 'inner.toml'\n";
    stage.file("plan.toml", outer);
    let expected = || {
        let done = stage.json(&["run", "plan.toml"]);
        let run = done["execution_results"]["plan_id"].as_str().unwrap();
        let seen = stage.json(&["show", run]);
        let child = seen["tasks"][0]["child"].as_str().unwrap();
        let inner = stage.json(&["show", child]);
        let ms = |view: &serde_json::Value, at: usize| view["tasks"][at]["expected_ms"].clone();
        [ms(&seen, 0), ms(&inner, 0), ms(&inner, 1)]
    };
    assert_eq!(expected(), [json!(null), json!(null), json!(7_000)]);
    let [task, inner, said] = expected();
    for told in [&task, &inner] {
        assert!(told.as_u64().is_some_and(|ms| ms > 0), "{task} {inner}");
    }
    assert_eq!(said, 7_000, "the plan's own word counts");
    let seen = stage.json(&["plan", "show", "plan.toml"]);
    assert_eq!(seen["estimated_from_runs"], json!(["s"]));
}

/// Features E9, P5, E15: what is cleaned up still tells how long a plan takes.
#[test]
fn history_survives_cleanup() {
    let stage = Stage::new();
    stage.configure(AGENTS);
    stage.file("plan.toml", PLAN);
    for _ in 0..2 {
        stage.json(&["run", "plan.toml"]);
    }
    let before = stage.json(&["plan", "show", "plan.toml"]);
    stage.json(&["cleanup", "--days", "0"]);
    assert_eq!(stage.json(&["runs"])["runs"], json!([]));
    let after = stage.json(&["plan", "show", "plan.toml"]);
    for key in ["runs", "completion_rate", "avg_session_minutes", "estimated_from_runs"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    stage.json(&["run", "plan.toml"]);
    assert_eq!(stage.json(&["plan", "show", "plan.toml"])["runs"], 3);
}

/// Features E15, P8: the completion rate is the share of runs that completed, and how long a plan
/// takes is told by those alone; a run that was cancelled tells neither.
#[test]
fn a_run_that_fails_lowers_the_completion_rate() {
    let stage = Stage::new();
    let plan = |script: &str| {
        let head =
            "plan = 'often'\ngoal = 'g'\napproval = 'none'\n[[task]]\nid = 'a'\nretries = 0\n";
        stage.file(
            "plan.toml",
            &format!("{head}kind = 'command'\nrun = ['sh', '-c', '{script}']\n"),
        );
    };
    let history = || {
        let seen = stage.json(&["plan", "show", "plan.toml"]);
        json!([seen["runs"], seen["completion_rate"], seen["avg_session_minutes"]])
    };
    for _ in 0..3 {
        plan("true");
        stage.json(&["run", "plan.toml"]);
    }
    let three = history();
    assert_eq!((&three[0], &three[1]), (&json!(3), &json!(1.0)));
    plan("exit 1");
    assert_eq!(stage.ask(&["run", "plan.toml"]).code, 1);
    assert_eq!(history(), json!([4, 0.75, three[2]]), "who failed tells no time");
    plan("sleep 60");
    let run = stage.json(&["run", "plan.toml", "--detach"])["run"].take();
    assert_eq!(stage.ask(&["cancel", run.as_str().unwrap()]).code, 0);
    stage.ask(&["wait", run.as_str().unwrap()]);
    assert_eq!(history(), json!([4, 0.75, three[2]]), "who was cancelled tells nothing");
}
