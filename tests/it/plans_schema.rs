//! `plan schema`: editors accept what the checker accepts, and point at unknown keys and wrong
//! types while a person types.

use std::fs;
use std::path::{Path, PathBuf};

use muxvisor::plan::editor_schema;
use serde_json::Value;

use crate::plans::plans_in;

fn in_json(text: &str) -> Value {
    let read: toml::Table = text.parse().expect("the plan is TOML");
    serde_json::to_value(read).expect("TOML is JSON")
}

fn problems(text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&editor_schema()).expect("it is a JSON Schema");
    validator.iter_errors(&in_json(text)).map(|error| error.to_string()).collect()
}

fn shipped() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/plans");
    let entries = fs::read_dir(dir).expect("the folder is part of the repository");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect()
}

/// Design §11: every plan that is shipped, and every sample, is accepted.
#[test]
fn right_plans_fit_the_schema() {
    let all = [shipped(), plans_in("good"), plans_in("sample")].concat();
    assert!(all.len() >= 8);
    for path in all {
        let text = fs::read_to_string(&path).expect("a plan can be read");
        assert_eq!(problems(&text), Vec::<String>::new(), "{}", path.display());
    }
}

/// An unknown key, a wrong type and a wrong word are refused at every level.
#[test]
fn unknown_keys_and_wrong_types_do_not_fit_the_schema() {
    let right = "plan = 'x'\n[[task]]\nid = 'a'\nagent = 'x'\ndescription = 'y'\n";
    assert_eq!(problems(right), Vec::<String>::new());
    for (text, what) in [
        ("plan = 'x'\ngaol = 'y'\n", "an unknown key"),
        ("goal = 'y'\n", "no name"),
        ("plan = 3\n", "a number for a name"),
        ("plan = 'x'\napproval = 'maybe'\n", "an unknown word"),
        ("plan = 'x'\nmax_parallel = '3'\n", "a text for a number"),
        ("plan = 'x'\nbudget = {}\n", "an empty budget"),
        ("plan = 'x'\n[limits]\ncrm = { slot = 1 }\n", "an unknown key of a pool"),
        ("plan = 'x'\n[defaults]\nretires = 2\n", "an unknown default"),
        ("plan = 'x'\n[defaults]\nretry_wait = { frist = '2s' }\n", "an unknown key of a wait"),
        ("plan = 'x'\n[[phase]]\nid = 'p'\nmode = 'parallel'\n", "an unknown key of a phase"),
        ("plan = 'x'\n[[task]]\nid = 'a'\ndescripton = 'y'\n", "an unknown key of a task"),
        ("plan = 'x'\n[[task]]\nid = 'a b'\n", "no id"),
        ("plan = 'x'\n[[task]]\nid = 'a'\nkind = 'comand'\n", "an unknown kind"),
        ("plan = 'x'\n[[task]]\nid = 'a'\nlead = { workers = 3 }\n", "an unknown key of a lead"),
        ("plan = 'x'\n[[task]]\nid = 'a'\nhook = [{ blocks = true }]\n", "a hook of nothing"),
        ("plan = 'x'\nstages = [{ capability = 'x' }]\n", "a stage without goal"),
        ("plan = 'x'\n[[on]]\nevent = 'x'\n", "an event that starts nothing"),
        ("plan = 'x'\n[on_finish]\nrun = 'x'\n", "a command that is a text"),
    ] {
        assert!(!problems(text).is_empty(), "{what} fits the schema: {text}");
    }
}
