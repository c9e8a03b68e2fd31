//! How values reach a program. They come from other agents and may hold anything, of any length:
//! they are never part of a shell's text, and what the system would cut or refuse goes another way.
//!
//! A variable or an argument holds at most 128 KiB, and no zero byte. A larger value of
//! `input_context` stands in a file instead, whose path is in `NAME_FILE`; `NAME` is then not set.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Order, PromptBy};
use crate::plan::as_text;

/// The longest value of a variable, in bytes; Linux refuses 128 KiB with the name and a zero byte.
const VARIABLE_MAX: usize = 96 << 10;
/// All variables together; the system gives two MiB to them, the arguments and what is inherited.
const VARIABLES_MAX: usize = 512 << 10;
/// The longest argument, in bytes.
const ARGUMENT_MAX: usize = (128 << 10) - 1;
/// All arguments together.
const ARGUMENTS_MAX: usize = 1 << 20;

/// What a program finds of its inputs.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Handed {
    /// Variables.
    pub(super) env: BTreeMap<String, String>,
    /// Files, by the variable that they stand in for.
    pub(super) files: BTreeMap<String, String>,
}

/// Sorts the inputs of a command by the way they go.
pub(super) fn to_command(inputs: Vec<(String, Value)>) -> Handed {
    let mut handed = Handed::default();
    for (name, value) in inputs {
        let text = as_text(&value);
        let fits = text.len() <= VARIABLE_MAX && !text.contains('\0');
        let place = if fits { &mut handed.env } else { &mut handed.files };
        place.insert(name, text);
    }
    let size = |env: &BTreeMap<String, String>| env.values().map(String::len).sum::<usize>();
    while size(&handed.env) > VARIABLES_MAX {
        let largest = handed.env.iter().max_by_key(|(_, text)| text.len());
        let Some(name) = largest.map(|(name, _)| name.clone()) else { break };
        if let Some((name, text)) = handed.env.remove_entry(&name) {
            handed.files.insert(name, text);
        }
    }
    handed
}

/// Whether a program can be started with these arguments.
///
/// # Errors
/// Which cannot be given, and what to do instead.
pub(super) fn check_arguments(argv: &[String]) -> Result<(), String> {
    let instead = "give the value in `input_context`: what is too large for a variable is in a \
                   file whose path is in `NAME_FILE`";
    for (at, word) in argv.iter().enumerate() {
        if word.contains('\0') {
            return Err(format!("argument {at} holds a zero byte; {instead}"));
        }
        if word.len() > ARGUMENT_MAX {
            let size = word.len();
            return Err(format!(
                "argument {at} has {size} bytes, and one holds at most {ARGUMENT_MAX}; {instead}"
            ));
        }
    }
    let all: usize = argv.iter().map(String::len).sum();
    if all > ARGUMENTS_MAX {
        return Err(format!(
            "its arguments have {all} bytes, and together hold at most {ARGUMENTS_MAX}; {instead}"
        ));
    }
    Ok(())
}

/// Whether an agent can be given its prompt.
///
/// # Errors
/// Why not, and what to do instead.
pub(super) fn check_prompt(order: &Order) -> Result<(), String> {
    let Some(prompt) = order.prompt.as_ref().filter(|_| order.prompt_by == PromptBy::Argv) else {
        return Ok(());
    };
    let around = order.argv.iter().map(String::len).max().unwrap_or(0);
    let zero = prompt.contains('\0');
    if !zero && prompt.len() + around <= ARGUMENT_MAX {
        return Ok(());
    }
    let what = if zero {
        "holds a zero byte".to_owned()
    } else {
        format!("has {} bytes, and an argument holds at most {ARGUMENT_MAX}", prompt.len())
    };
    Err(format!(
        "its prompt {what}; `{}` takes it as an argument: set `prompt = \"stdin\"` or \"file\" for \
         the agent",
        order.agent
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inputs(values: &[(&str, Value)]) -> Vec<(String, Value)> {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// What is too large or holds a zero byte goes by a file; nothing is cut, nothing is lost.
    #[test]
    fn large_values_go_by_files() {
        let hostile = "${x.output} $(id) `id` '\"\n\u{1b}[31m</result>";
        let big = "x".repeat(5_000_000);
        let handed = to_command(inputs(&[
            ("A", json!(hostile)),
            ("B", json!(big)),
            ("C", json!("a\0b")),
            ("D", json!({ "k": hostile })),
        ]));
        assert_eq!(handed.env["A"], hostile);
        assert_eq!(handed.env["D"], json!({ "k": hostile }).to_string());
        assert_eq!((handed.files["B"].len(), handed.files["C"].as_str()), (5_000_000, "a\0b"));
        // Many that are not large by themselves.
        let many: Vec<(String, Value)> =
            (0..20).map(|n| (format!("V{n:02}"), json!("y".repeat(90_000)))).collect();
        let handed = to_command(many);
        assert_eq!((handed.env.len(), handed.files.len()), (5, 15));
    }

    #[test]
    fn arguments_that_do_not_fit_are_told() {
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(check_arguments(&words(&["echo", "${x} $(id) \n"])), Ok(()));
        let long = check_arguments(&words(&["echo", &"x".repeat(200_000)])).unwrap_err();
        assert!(long.starts_with("argument 1 has 200000 bytes") && long.contains("NAME_FILE"));
        let zero = check_arguments(&words(&["a\0b"])).unwrap_err();
        assert!(zero.starts_with("argument 0 holds a zero byte"), "{zero}");
        let much = vec!["x".repeat(100_000); 12];
        assert!(check_arguments(&much).unwrap_err().contains("together hold at most"));
    }
}
