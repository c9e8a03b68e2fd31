//! The checker answers whatever it is given: any text, any change of a plan, very large plans.

use std::fs;

use muxvisor::document::render;
use muxvisor::model::Severity;
use muxvisor::plan;
use proptest::prelude::*;

use crate::plans::{check, plans_in, task};

/// Hundreds of tasks in two phases are no burden.
#[test]
fn a_large_plan_is_checked() {
    let mut text = "plan = \"big\"\n[defaults]\nagent = \"claude\"\n".to_owned();
    for phase in 0..2 {
        let after = if phase == 0 { "" } else { "depends_on_phases = [\"p0\"]\n" };
        text.push_str(&format!("[[phase]]\nid = \"p{phase}\"\n{after}"));
        for n in 0..300 {
            text.push_str(&format!("[[phase.task]]\nid = \"t{phase}x{n}\"\ndescription = \"x\"\n"));
        }
    }
    let plan = check(&text).plan.expect("it is a right plan");
    assert_eq!(task(&plan, "t1x7").needs.len(), 300);
    assert!(plan::show(&plan).contains("Phase 2 (parallel, after #1"));
}

fn all_texts() -> Vec<String> {
    let folders = ["good", "wrong", "sample"];
    let paths = folders.iter().flat_map(|folder| plans_in(folder));
    paths.map(|path| fs::read_to_string(path).expect("a plan can be read")).collect()
}

proptest! {
    /// The checker answers whatever it is given; a plan that it lets pass can be shown.
    #[test]
    fn any_text_is_answered(text in ".{0,400}") {
        let _ = check(&text);
    }

    #[test]
    fn any_reference_is_answered(inner in "[a-z0-9$.{}*?' \\[\\]-]{0,40}") {
        let text = format!(
            "plan = \"x\"\n[[task]]\nid = \"a\"\nagent = \"claude\"\ndescription = \"\"\"${{{inner}\"\"\"\n"
        );
        let _ = check(&text);
    }

    /// Feature C18: no condition, however odd, is more than a finding.
    #[test]
    fn any_condition_is_answered(
        parts in prop::collection::vec(prop::sample::select(vec![
            "${a.output}", "${a.status}", "${", "}", "'x'", "\"", "'", "==", "!=", "<", "<=", "in",
            "&&", "||", "!", "(", ")", "[", "]", ",", "3", "-", "1.5e9", "true", "and", " ", "ä",
        ]), 0..12),
    ) {
        let when = parts.concat().replace('"', "\\\"");
        let text = format!(
            "plan = \"x\"\n[defaults]\nagent = \"claude\"\n[[task]]\nid = \"a\"\ndescription = \"A\"\n\
             output = \"x|y\"\n[[task]]\nid = \"b\"\ndescription = \"B\"\nwhen = \"{when}\"\n"
        );
        let checked = check(&text);
        let stopped = checked.findings.iter().any(|f| f.severity == Severity::Error);
        prop_assert_eq!(stopped, checked.plan.is_none());
    }

    #[test]
    fn any_change_of_a_plan_is_answered(
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        length in 0usize..30,
        put in prop::sample::select(vec![
            "", "\"", "[", "]", "{", "}", "=", "\n", "\n\n", "${", "${a.output}", "true", "7", "ä",
            "[[task]]", "[[phase]]", "id = \"a\"\n", "\u{0}", "[[on]]", "[on_finish]", "[limits]",
            "kind = \"reduce\"\n", "kind = \"plan\"\n", "when = \"${a.output} == 'x'\"\n", "${item}",
            "for_each = \"${a.output}\"\n", "stages = [{}]\n", "hook = { run = \"reflect\" }\n",
            "lead = true\n", "capability = \"review\"\n", "0.5", "==", "&&",
        ]),
    ) {
        let texts = all_texts();
        let mut text: Vec<char> = which.get(&texts).chars().collect();
        let from = if text.is_empty() { 0 } else { cut.index(text.len()) };
        let to = (from + length).min(text.len());
        text.splice(from..to, put.chars());
        let text: String = text.into_iter().collect();
        let checked = check(&text);
        let stopped = checked.findings.iter().any(|f| f.severity == Severity::Error);
        prop_assert_eq!(stopped, checked.plan.is_none());
        for finding in &checked.findings {
            let _ = render(finding);
        }
        if let Some(plan) = &checked.plan {
            let _ = plan::show(plan);
        }
    }
}
