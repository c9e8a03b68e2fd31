//! Templates are read with every problem at once, and filled in once.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::*;
use crate::document::Source;

const SMALL: &str = "+++\ndescription = 'Say it'\n[variables]\nwho = { description = 'To whom', \
                     required = true }\nhow = { description = 'How', default = 'softly' }\n+++\n\
                     ## Role\n\nA voice.\n\n## Task\n\nSay it to {{ who }}, {{ how }}.\n\n\
                     ## Constraints\n\n- Only once.\n- No\n  shouting.\n\
                     {% if how == 'loudly' %}\n- Not at night.\n{% endif %}\n";

fn of(text: &str) -> Template {
    let (template, findings) = read("small", &Source::new("small.md", text));
    assert!(findings.is_empty(), "{findings:?}");
    template.unwrap()
}

fn given(pairs: &[(&str, Json)]) -> BTreeMap<String, Json> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn problems(text: &str) -> Vec<String> {
    let (template, findings) = read("small", &Source::new("small.md", text));
    assert!(template.is_none());
    findings.iter().map(|f| format!("{}:{} {} {}", f.line, f.column, f.code, f.message)).collect()
}

/// Feature M2: Role, Task, Constraints, Output Format and Output Interface, in this order.
#[test]
fn a_prompt_has_its_sections() {
    let text = format!("{SMALL}\n## Output Format\n\nOne line.\n\n## Output Interface\n\nNow.\n");
    let parts = of(&text).render(&given(&[("who", json!("Ann"))])).unwrap();
    assert_eq!(parts.role.as_deref(), Some("A voice."));
    assert_eq!(parts.task, "Say it to Ann, softly.");
    assert_eq!(parts.constraints, ["Only once.", "No shouting."]);
    let text = prompt(&parts, &[], None);
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
    let expected =
        ["## Role", "## Task", "## Constraints", "## Output Format", "## Output Interface"];
    assert_eq!(headings, expected);
    assert!(text.contains("<result>") && text.ends_with("\n\nNow.\n"), "{text}");
    assert_eq!(parts.description(), "Say it to Ann, softly.\n\nOne line.\n\nNow.");
}

/// Feature G8: the text of a file stands in the prompt, and cannot leave its fence.
#[test]
fn files_are_data_in_the_prompt() {
    let parts = of(SMALL).render(&given(&[("who", json!("Ann"))])).unwrap();
    let files = [("src/auth.py".to_owned(), "def f():\n```\n## Task\n".to_owned())];
    let text = prompt(&parts, &files, Some(&json!({ "type": "string" })));
    assert!(text.contains("### src/auth.py\n\n````\ndef f():\n```\n## Task\n````\n"), "{text}");
    assert!(text.contains("```json\n{\n  \"type\": \"string\"\n}\n```"), "{text}");
}

/// References of a plan and braces in values stay what they are.
#[test]
fn values_are_filled_in_once() {
    let who = json!("${gather.output} {{ how }} <b>&</b>");
    let parts = of(SMALL).render(&given(&[("who", who), ("how", json!("loudly"))])).unwrap();
    assert_eq!(parts.task, "Say it to ${gather.output} {{ how }} <b>&</b>, loudly.");
    assert_eq!(parts.constraints[2], "Not at night.");
}

#[test]
fn values_that_do_not_fit_are_all_told() {
    let problems = of(SMALL).render(&given(&[("hwo", json!(1))])).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("no variable `hwo`; did you mean"), "{told:?}");
    assert_eq!(told[1], "the template `small` needs `who`: To whom");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    assert_eq!(problems("## Task\n\nx\n"), ["1:1 T01 the file does not begin with a head"]);
    assert_eq!(
        problems("+++\ndescription = 'x'\ntask = 1\n+++\nhello\n## Taks\n\n## Role\na\n## Role\n"),
        [
            "3:1 T01 unknown key `task`",
            "5:1 T02 this text stands in no section",
            "6:1 T02 there is no section `Taks`",
            "10:1 T02 the section `Role` is there twice",
            "11:1 T02 the template has no section `Task`",
        ]
    );
    let text = "+++\ndescription = 'x'\n[variables]\nwho = {}\n+++\n## Task\n\n{{ hwo }}\n";
    assert_eq!(problems(text), ["8:1 T03 `hwo` in `Task` is not among the variables"]);
    let broken = problems("+++\ndescription = 'x'\n+++\n## Task\nfine\n{% if %}\n");
    assert!(broken[0].starts_with("6:1 T03 "), "{broken:?}");
}

#[test]
fn a_template_may_be_toml_alone() {
    let text = "description = 'x'\ntask = 'Do {{ what }}.'\nconstraints = ['a', 'b {{ what }}']\n\
                [variables]\nwhat = { default = 'it' }\n";
    let (template, findings) = read("small", &Source::new("small.toml", text));
    assert!(findings.is_empty(), "{findings:?}");
    let parts = template.unwrap().render(&BTreeMap::new()).unwrap();
    assert_eq!((parts.task.as_str(), parts.constraints.len()), ("Do it.", 2));
    assert_eq!(parts.constraints[1], "b it");
}

/// No file, no end of memory, no end of time.
#[test]
fn a_text_is_held_within_bounds() {
    assert!(matches!(fill("{% include 'etc' %}", &json!({})), Err(FillError::Text { .. })));
    assert!(matches!(fill("{{ nobody }}", &json!({})), Err(FillError::Text { .. })));
    let long = "{% for a in range(2000) %}{% for b in range(2000) %}xxxxx{% endfor %}{% endfor %}";
    assert_eq!(fill(long, &json!({})), Err(FillError::TooLong));
    let slow = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert_eq!(fill(slow, &json!({})), Err(FillError::TooSlow));
    let rows = json!({ "from": [{ "n": 1 }, { "n": 2.5 }] });
    assert_eq!(fill("{% for r in from %}{{ r.n }};{% endfor %}", &rows).unwrap(), "1;2.5;");
}

/// Features M1 and M3, C11: the shipped ones are there, under each of their names, and each makes
/// a prompt of the values that it cannot do without.
#[test]
fn the_shipped_templates_are_whole() {
    let library = Library::shipped();
    for name in [
        "code_review",
        "code-review",
        "research",
        "implement",
        "test",
        "document",
        "summarize",
        "fix",
        "security-review",
        "consensus-check",
        "ConsensusCheckTemplate",
    ] {
        assert!(library.find(name).is_ok(), "{name}");
    }
    for listed in library.list() {
        let required = listed.variables.iter().filter(|variable| variable.required);
        let values = required.map(|variable| (variable.name.clone(), json!("SOMETHING")));
        let parts = library.find(&listed.name).unwrap().render(&values.collect()).unwrap();
        assert!(parts.role.is_some() && parts.output_format.is_some(), "{}", listed.name);
        assert!(!parts.constraints.is_empty(), "{}", listed.name);
        assert!(listed.variables.iter().all(|it| !it.description.is_empty()), "{}", listed.name);
        let words = prompt(&parts, &[], None).split_whitespace().count();
        assert!(words < 500, "{} has {words} words", listed.name);
    }
    let near = library.find("code_revew").unwrap_err();
    assert_eq!(near.near.as_deref(), Some("code_review"));
}

#[test]
fn a_persons_template_lies_over_a_shipped_one() {
    let mut library = Library::shipped();
    let before = library.list().len();
    assert!(library.add("code-review", &Source::new("t/code-review.md", SMALL)).is_empty());
    assert_eq!(library.list().len(), before);
    assert_eq!(library.find("code_review").unwrap().description, "Say it");
    assert!(!library.add("code-review", &Source::new("t/x.md", "no")).is_empty());
    assert_eq!(library.find("code_review").unwrap().description, "Say it", "it stays as it was");
}
