//! Results through real panes: found wherever they stand, never where they only seem to stand, and
//! handed on byte for byte (design §5).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::scene::{Scene, task};
use crate::wait::wait_for;

const BINARY: &str = env!("CARGO_BIN_EXE_muxvisor");

const HEAD: &str = r#"
plan = "results"
goal = "See which results are found"
approval = "none"
stop_after_failures = 0
max_parallel = 24
[defaults]
retries = 0
"#;

/// An agent that is a script, and a task for it of the same name.
fn scripted(name: &str, keys: &str, script: &str, task: &str) -> String {
    format!(
        "[agent.{name}]\ncommand = ['sh', '-c', '''\n{script}\n''']\n{keys}\n\
         [[task]]\nid = '{name}'\nagent = '{name}'\ndescription = 'Do {name}.'\n{task}\n"
    )
}

/// `status` and `output`, or `outcome` when there is none.
fn got(results: &Value, id: &str) -> Value {
    let task = task(results, id);
    match task["error"]["outcome"].as_str() {
        Some(outcome) => json!([task["status"], outcome]),
        None => json!([task["status"], task["output"]]),
    }
}

fn record(dir: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(dir.join("result.json")).expect("a record"))
        .expect("JSON")
}

/// What scripts print, and what is found of it, on pipes as well as on a terminal.
#[test]
fn results_are_found_where_they_stand_and_nowhere_else() {
    let cases: &[(&str, &str, Value)] = &[
        ("plain", "echo work; echo '<result>done</result>'; echo bye", json!("done")),
        (
            "lines",
            r"printf '<result>\none\n  two\n\nthree\n</result>\n'",
            json!("one\n  two\n\nthree"),
        ),
        (
            "colours",
            r"printf '\033[1;32m<res\033[0mult>\033[31mred\033[0m <b>bold</b></result>\033[0m\n'",
            json!("red <b>bold</b>"),
        ),
        ("windows", r"printf '<result>\r\na\r\nb\r\n</result>\r\n'", json!("a\r\nb")),
        ("twice", "echo '<result>draft</result>'; echo '<result>final</result>'", json!("final")),
        ("prose", r"printf 'I shall write <result> now.\n<result>said</result>\n'", json!("said")),
        (
            "nested",
            "echo '<result>a <result>b</result> c</result>'",
            json!("a <result>b</result> c"),
        ),
        (
            "quoted",
            "echo '<result>{\"note\": \"write </result> at the end\"}</result>'",
            json!("{\"note\": \"write </result> at the end\"}"),
        ),
        (
            "quoted-badly",
            "echo '<result>{\"a\": \"open </result> as \"said\": <result>{\"b\": 1}</result>'",
            json!("{\"b\": 1}"),
        ),
        ("bytes", r"printf '<result>a\377b\303\251</result>'", json!("a\u{fffd}bé")),
        ("error-stream", "echo '<result>aside</result>' >&2", json!("aside")),
        ("unclosed", "echo '<result>I was cut'", json!("malformed")),
        ("nothing", "echo 'I say nothing of use'", json!("no-result")),
        ("echo", "cat", json!("no-result")),
        ("echo-cut", "head -c 60", json!("no-result")),
        ("echo-then-answer", "cat; echo '<result>own</result>'", json!("own")),
        ("failing", "echo '<result>done</result>'; exit 3", json!("exit-code")),
    ];
    let mut plan = HEAD.to_owned();
    for (name, script, _) in cases {
        let keys = "require_result = true";
        plan += &scripted(name, keys, script, "");
        plan += &scripted(&format!("tty-{name}"), &format!("{keys}\nterminal = true"), script, "");
    }
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 3, "{results}");
    for (name, _, expected) in cases {
        for way in ["", "tty-"] {
            let ended = ["malformed", "no-result", "exit-code"];
            let status = match expected.as_str() {
                Some(word) if ended.contains(&word) => "failed",
                _ => "success",
            };
            let id = format!("{way}{name}");
            assert_eq!(got(&results, &id), json!([status, expected]), "{id}");
        }
    }
    let log = fs::read(scene.attempts_of("bytes")[0].join("output.log")).unwrap();
    assert_eq!(log, b"<result>a\xffb\xc3\xa9</result>", "the log keeps every byte");
}

/// Feature H4: a large result arrives whole, through pipes and through a terminal.
#[test]
fn a_megabyte_arrives_whole() {
    let script = "printf '<result>'; head -c 1000000 /dev/zero | tr '\\0' x; printf '</result>'";
    let lines = "printf '<result>'; yes 0123456789abcdef | head -n 50000; printf '</result>'";
    let mut plan = HEAD.to_owned();
    plan += &scripted("one", "", script, "");
    plan += &scripted("tty-one", "terminal = true", script, "");
    plan += &scripted("tty-lines", "terminal = true", lines, "");
    let (code, results) = Scene::new().run(&plan, &[]);
    assert_eq!(code, 0);
    for id in ["one", "tty-one"] {
        let text = task(&results, id)["output"].as_str().unwrap();
        assert!(text.len() == 1_000_000 && text.bytes().all(|byte| byte == b'x'), "{id}");
    }
    let text = task(&results, "tty-lines")["output"].as_str().unwrap();
    assert_eq!(text.lines().filter(|line| *line == "0123456789abcdef").count(), 50_000);
}

/// A window that is 80 columns wide wraps what is shown, not what is read.
#[test]
fn a_narrow_window_breaks_no_result() {
    let script = "printf '<result>'; \
         until [ \"$(stty size </dev/tty | cut -d' ' -f2)\" = 80 ]; do sleep 0.02; done; \
         head -c 500 /dev/zero | tr '\\0' y; printf '</result>\\n'";
    let scene = Scene::new();
    let path = scene
        .file("plan.toml", &(HEAD.to_owned() + &scripted("narrow", "terminal = true", script, "")));
    let going = scene.begin(&["run", path.to_str().unwrap(), "--json"]);
    let mut window = String::new();
    wait_for("the window", || {
        let attempts = Value::from(scene.live());
        window = attempts[0]["window"].as_str().unwrap_or_default().to_owned();
        attempts[0]["state"] == "running" && !window.is_empty()
    });
    scene.ask_tmux(&["resize-window", "-t", &window, "-x", "80", "-y", "24"]);
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    let results = answer.document()["execution_results"].take();
    assert_eq!(got(&results, "narrow"), json!(["success", "y".repeat(500)]));
}

/// Standard error may come in the middle of an answer, and may quote a tag.
const TORN: &str = "printf '<result>one '; sleep 0.1; echo 'NOISE <result>' >&2; sleep 0.1; \
                    printf 'two</result>\n'; sleep 0.1; echo '<result>an echo</result>' >&2";

/// The better channels: handing in, writing the file, being asked on the terminal.
#[test]
fn results_are_handed_in() {
    let submit =
        format!("echo '<result>screen</result>'; printf 'by $(id) hand\\n' | {BINARY} submit -");
    let file = format!("printf 'from a file' > mine; {BINARY} submit mine");
    let write = "printf 'written' > \"$MUXVISOR_RESULT\"";
    let empty =
        format!("{BINARY} submit /dev/null; echo \"it said $?\"; echo '<result>tag</result>'");
    let typed = r#"
while IFS= read -r line; do
    case $line in *'<result id='*) id=${line#*<result id=\"}; id=${id%%\"*}; break ;; esac
done
echo '<result>without my letters</result>'
printf '<result id="%s">typed</result>\n' "$id"
echo '<result id="zzzz">with other letters</result>'
"#;
    let mut plan = HEAD.to_owned();
    plan += &scripted("submit", "", &submit, "");
    plan += &scripted("tty-submit", "terminal = true\nresult = 'submit'", &submit, "");
    // An agent with a terminal waits for a person then; it is ended, and that is its success.
    let stays = format!("{submit}; exec sleep 600");
    plan += &scripted("stays", "terminal = true", &stays, "timeout = '90s'\nretries = 0");
    plan += &scripted("torn", "", TORN, "");
    plan += &scripted("file", "", &file, "");
    plan += &scripted("write", "result = 'submit'", write, "");
    plan += &scripted("empty", "", &empty, "");
    plan += &scripted("typed", "terminal = true\nprompt = 'type'", typed, "");
    plan +=
        &scripted("printed", "result = 'stdout'", "echo to you; echo aside >&2; echo to me", "");
    plan += &scripted("silent", "result = 'submit'\nrequire_result = true", "true", "");
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 3, "{results}");
    let done = |output: &str| json!(["success", output]);
    assert_eq!(got(&results, "submit"), done("by $(id) hand"));
    assert_eq!(got(&results, "tty-submit"), done("by $(id) hand"));
    assert_eq!(got(&results, "stays"), done("by $(id) hand"));
    assert_eq!(got(&results, "torn"), done("one two"));
    assert_eq!(got(&results, "file"), done("from a file"));
    assert_eq!(got(&results, "write"), done("written"));
    assert_eq!(got(&results, "empty"), done("tag"));
    assert_eq!(got(&results, "typed"), done("typed"));
    assert_eq!(got(&results, "printed"), done("to you\nto me"));
    assert_eq!(got(&results, "silent"), json!(["failed", "no-result"]));
    let source = |id: &str| record(&scene.attempts_of(id)[0])["source"].take();
    assert_eq!(source("submit"), "submitted");
    assert_eq!(source("empty"), "tagged");
    assert_eq!(source("printed"), "stdout");
}

/// Features H12, K15: a shape is checked; what does not fit, or is not there at all, is told to the
/// next attempt, and to people.
#[test]
fn a_result_of_the_wrong_shape_is_told_to_the_next_attempt() {
    let shape = "output = { n = 'number', words = ['string'] }";
    let again = format!("{shape}\nretries = 1\nretry_wait = '1ms'");
    let learns = r#"
if [ "$MUXVISOR_ATTEMPT" = 1 ]; then echo '<result>{"n": "many", "words": []}</result>'
else printf '<result>\n```json\n{"n": 2, "words": ["a"]}\n```\n</result>\n'; fi
"#;
    let mut plan = HEAD.to_owned();
    plan += &scripted("fits", "", r#"echo '<result>{"n": 1.5, "words": []}</result>'"#, shape);
    plan += &scripted("learns", "", learns, &again);
    plan += &scripted("prose", "", "echo '<result>about four</result>'", shape);
    plan += &scripted("misses", "", r#"echo '<result>{"n": 1}</result>'"#, shape);
    plan += &scripted("none", "", "echo I forgot", shape);
    plan += "[[task]]\nid='printed'\nkind='command'\nrun=['echo','{\"n\":7,\"words\":[]}']\n";
    plan += shape;
    plan += "\n[[task]]\nid='garbled'\nkind='command'\nrun=['echo','seven']\n";
    plan += shape;
    let scene = Scene::new();
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 3, "{results}");
    let done = |output: Value| json!(["success", output]);
    assert_eq!(got(&results, "fits"), done(json!({"n": 1.5, "words": []})));
    assert_eq!(got(&results, "learns"), done(json!({"n": 2, "words": ["a"]})));
    assert_eq!(got(&results, "printed"), done(json!({"n": 7, "words": []})));
    for id in ["prose", "misses", "garbled"] {
        assert_eq!(got(&results, id), json!(["failed", "malformed"]), "{id}");
    }
    assert_eq!(got(&results, "none"), json!(["failed", "no-result"]));
    let message = task(&results, "misses")["error"]["message"].as_str().unwrap();
    assert!(message.contains("words"), "{message}");
    let attempts = scene.attempts_of("learns");
    let first = fs::read_to_string(attempts[0].join("prompt.md")).unwrap();
    let second = fs::read_to_string(attempts[1].join("prompt.md")).unwrap();
    assert!(!first.contains("Previous attempt"), "{first}");
    for words in ["Previous attempt", "malformed", "/n", "number"] {
        assert!(second.contains(words), "{words}: {second}");
    }
}

/// What one agent says is data for the next: handed on exactly, never expanded, never run.
#[test]
fn values_are_handed_on_exactly_and_never_expanded() {
    let nasty = "he said \"it's\" $(touch pwned) `touch pwned` ${nasty.output} ${x} $${y} $HOME\n\
        ; touch pwned; \\ \\n %s {prompt} {prompt_file} {result_file}\n\
        \ttab, ```fence```, ````longer````, ## Task, é漢🎉 ' '' ''' \" \"\"\"\n  spaces at the end  ";
    let scene = Scene::new();
    scene.file("nasty", nasty);
    let mut plan = HEAD.to_owned();
    plan += &scripted("nasty", "", "printf '<result>'; cat nasty; printf '</result>'", "");
    plan += &scripted(
        "json",
        "",
        r#"printf '<result>{"a b": ["$(id)", 1, true], "n": 1.0}</result>'"#,
        "output = { schema = 'any.json' }",
    );
    scene.file("any.json", "{}");
    plan += &scripted(
        "argv",
        "prompt = 'argv'",
        "",
        "input_context = { said = '${nasty.output}' }",
    )
    .replace(
        "''']",
        "printf %s \"$1\" > argv.got; printf \"<result>$(id -u)</result>\"''', 'sh', '{prompt}']",
    );
    plan += &scripted(
        "reader",
        "",
        "cat > reader.got",
        "input_context = { said = '${nasty.output}', data = '${json.output}', part = '${json.output.n}' }",
    );
    plan += r#"
[[task]]
id = "variable"
kind = "command"
run = ["sh", "-c", "printf %s \"$SAID\" > variable.got; printf %s \"$DATA\" > data.got"]
input_context = { SAID = "${nasty.output}", DATA = "${json.output}" }
[[task]]
id = "argument"
kind = "command"
run = ["sh", "-c", "printf %s \"$1\" > argument.got; printf %s \"$2\" > part.got", "sh", "${nasty.output}", "<${nasty.output}>"]
"#;
    let (code, results) = scene.run(&plan, &[]);
    assert_eq!(code, 0, "{results}");
    let read = |name: &str| fs::read_to_string(scene.desk().join(name)).unwrap();
    assert_eq!(got(&results, "nasty"), json!(["success", nasty]));
    assert_eq!(read("variable.got"), nasty);
    assert_eq!(read("argument.got"), nasty);
    assert_eq!(read("part.got"), format!("<{nasty}>"));
    assert_eq!(
        serde_json::from_str::<Value>(&read("data.got")).unwrap(),
        json!({"a b": ["$(id)", 1, true], "n": 1.0})
    );
    for prompt in ["reader.got", "argv.got"] {
        let prompt = read(prompt);
        assert!(prompt.contains(&format!("\n`````\n{nasty}\n`````\n")), "{prompt}");
    }
    assert!(read("reader.got").contains("\"$(id)\""));
    assert!(!scene.desk().join("pwned").exists(), "a value reached a shell");
}
