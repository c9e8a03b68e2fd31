//! Results that are taken instead of doing the same work again, with real processes and a real
//! ledger: from run to run, over the death of a daemon and after a cleanup.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::scene::{Scene, task};
use crate::stage::end;

/// An agent that numbers its answers, so that nobody takes one for another.
const AGENT: &str = r#"
[agent.counter]
prompt = "stdin"
command = ["sh", "-c", "cat > /dev/null; echo x >> done; echo \"<result>$(wc -l < done)</result>\""]
"#;

const HEAD: &str = "plan = \"kept\"\ngoal = \"See what is done twice\"\napproval = \"none\"\n";

/// A task of that agent, and one that reads it and is always done.
fn plan(words: &str) -> String {
    format!(
        "{HEAD}{AGENT}\n[[task]]\nid = \"count\"\nagent = \"counter\"\ndescription = \"{words}\"\n\
         cache = \"7d\"\n\n[[task]]\nid = \"read\"\nkind = \"command\"\noutput = \"markdown\"\n\
         run = [\"echo\", \"${{count.output}}\"]\n"
    )
}

/// How often the agent ran.
fn times(scene: &Scene) -> usize {
    fs::read_to_string(scene.desk().join("done")).unwrap_or_default().lines().count()
}

#[track_caller]
fn done(scene: &Scene, plan: &str) -> (String, Value) {
    let (code, results) = scene.run(plan, &[]);
    assert_eq!(code, 0, "{results}");
    (results["plan_id"].as_str().unwrap().to_owned(), results)
}

/// What `why` says of a task: the sentence, and the decisions.
fn why(scene: &Scene, run: &str, task: &str) -> (String, String) {
    let said = scene.json(&["why", &format!("{run}/{task}")]);
    let texts = said["decisions"].as_array().unwrap().iter();
    let texts: Vec<&str> = texts.map(|one| one["text"].as_str().unwrap()).collect();
    (said["why"].as_str().unwrap().to_owned(), texts.join("\n"))
}

/// A second run of the same plan makes no attempt and has the same result, also by another daemon;
/// every way to look at it says whose it is. Another prompt is other work.
#[test]
fn a_second_run_takes_the_result_of_the_first() {
    let scene = Scene::new();
    let (first, results) = done(&scene, &plan("Count."));
    assert_eq!(task(&results, "count")["output"], json!("1"));
    assert!(task(&results, "count").get("cached").is_none());
    assert!(why(&scene, &first, "count").1.contains("count: cache: no entry"));
    // Whoever was killed has lost nothing.
    end(scene.daemon().unwrap(), Signal::SIGKILL);
    let (second, results) = done(&scene, &plan("Count."));
    assert_eq!(times(&scene), 1);
    let count = task(&results, "count");
    assert_eq!((&count["status"], &count["output"]), (&json!("success"), &json!("1")));
    assert_eq!((&count["plugin_used"], &count["attempt_number"]), (&json!("counter"), &json!(0)));
    assert_eq!(count["cached"]["run"], json!(first));
    assert_eq!(task(&results, "read")["output"], json!("1"));
    let said = why(&scene, &second, "count");
    let expected = format!("from the cache: the result of counter in {first}, ");
    assert!(said.0.starts_with(&expected) && said.1.contains(&expected), "{said:?}");
    let shown = scene.json(&["show", &second]);
    assert_eq!(shown["tasks"][0]["cached"]["run"], json!(first));
    assert_eq!(shown["tasks"][0]["attempts"], json!(0));
    let shown = scene.ask(&["show", &second]);
    let text = format!("{}{}", shown.out, shown.err);
    assert!(text.contains(&format!("success (from {first})")), "{text}");
    let watched = scene.ask(&["run", "plan.toml"]);
    assert!(watched.out.contains(&format!("count (from the cache: {first}, ")), "{watched:?}");
    let logs = scene.ask(&["logs", &format!("{second}/count")]);
    assert_eq!(logs.code, 2, "{logs:?}");

    let (third, results) = done(&scene, &plan("Count again."));
    assert_eq!((times(&scene), &task(&results, "count")["output"]), (2, &json!("2")));
    let said = why(&scene, &third, "count").1;
    assert!(said.contains("no entry; the prompt changed since PLAN-"), "{said}");
}

/// What a person wants done again is done, and what it gives is what later runs take.
#[test]
fn a_retry_is_done_and_takes_the_place() {
    let scene = Scene::new();
    let (first, _) = done(&scene, &plan("Count."));
    let said = scene.ask(&["retry", &first, "--task", "count", "--with-downstream"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(scene.ask(&["wait", &first]).code, 0);
    assert_eq!(times(&scene), 2);
    assert!(why(&scene, &first, "count").1.contains("a person wants it done again"));
    let (_, results) = done(&scene, &plan("Count."));
    assert_eq!((times(&scene), &task(&results, "count")["output"]), (2, &json!("2")));
    // A run that took it can be made to do it.
    let (last, _) = done(&scene, &plan("Count."));
    assert_eq!(scene.ask(&["retry", &last, "--task", "count"]).code, 0);
    assert_eq!(scene.ask(&["wait", &last]).code, 0);
    assert_eq!(times(&scene), 3);
}

/// Failures and results that a blocking hook turned down are kept by nobody.
#[test]
fn what_is_wrong_is_not_kept() {
    let scene = Scene::new();
    let hooked = format!(
        "{}\n[[task.hook]]\nrun = [\"sh\", \"-c\", \"test -e fine\"]\nblocks = true\n",
        plan("Count.").split("\n[[task]]\nid = \"read\"").next().unwrap()
    );
    let (code, results) = scene.run(&hooked, &[]);
    assert_eq!((code, times(&scene)), (1, 1), "{results}");
    scene.file("fine", "");
    let (_, results) = done(&scene, &hooked);
    assert_eq!((times(&scene), &task(&results, "count")["output"]), (2, &json!("2")));
    done(&scene, &hooked);
    assert_eq!(times(&scene), 2);
    // The hook looks at what is taken, too; then it is taken no more.
    fs::remove_file(scene.desk().join("fine")).unwrap();
    assert_eq!(scene.run(&hooked, &[]).0, 1);
    scene.file("fine", "");
    done(&scene, &hooked);
    assert_eq!(times(&scene), 3);
}

/// Every item has its own entry: one more in the list reruns nothing else.
#[test]
fn one_more_item_is_one_more_attempt() {
    let scene = Scene::new();
    let items = |list: &str| {
        format!(
            "{HEAD}{AGENT}\n[[task]]\nid = \"count\"\nagent = \"counter\"\n\
             description = \"Count ${{item}}.\"\nfor_each = {list}\nkey = \"${{item}}\"\n\
             cache = \"7d\"\n"
        )
    };
    done(&scene, &items("[\"a\", \"b\"]"));
    assert_eq!(times(&scene), 2);
    let (run, results) = done(&scene, &items("[\"b\", \"c\", \"a\"]"));
    assert_eq!(times(&scene), 3);
    let tasks = results["phases"][0]["tasks"].as_array().unwrap();
    let cached = |key: &str| {
        let item = tasks.iter().find(|task| task["item_key"] == key).unwrap();
        item.get("cached").is_some()
    };
    assert_eq!([cached("a"), cached("b"), cached("c")], [true, true, false]);
    assert!(why(&scene, &run, "count[c]").1.contains("cache: no entry"));
}

/// An entry owns its result: it outlives the run. A report of a command, which names the log of its
/// attempt, goes with it.
#[test]
fn a_cleanup_leaves_nothing_dangling() {
    let scene = Scene::new();
    let both = format!(
        "{}\n[[task]]\nid = \"report\"\nkind = \"command\"\ncache = \"1h\"\n\
         run = [\"sh\", \"-c\", \"echo x >> reported\"]\n",
        plan("Count.")
    );
    let reported = || fs::read_to_string(scene.desk().join("reported")).unwrap().lines().count();
    done(&scene, &both);
    done(&scene, &both);
    assert_eq!((times(&scene), reported()), (1, 1));
    let cleaned = scene.json(&["cleanup", "--days", "0"]);
    assert_eq!((cleaned["runs"].as_array().unwrap().len(), &cleaned["cached"]), (2, &json!(0)));
    let (_, results) = done(&scene, &both);
    assert_eq!((times(&scene), reported()), (1, 2));
    assert_eq!(task(&results, "count")["output"], json!("1"));
}
