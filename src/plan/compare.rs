//! Whether what is compared can ever be equal (E08), and whether votes are about fields that the
//! voters have (E03).

use serde_json::Value as Json;

use super::Comparison;
use super::condition::{Operand, OperandValue, When};
use super::draft::{Doing, Draft, DraftReducer, DraftVote};
use super::reference::Piece;
use super::text::{InputText, Text};
use super::{schema, shapes_of};
use crate::document::{Findings, Spanned, did_you_mean};

/// Checks every condition and every vote.
pub(crate) fn check(draft: &Draft, findings: &Findings<'_>) {
    let of_tasks = draft.tasks.iter().filter_map(|task| task.when.as_ref());
    let of_phases = draft.phases.iter().filter_map(|phase| phase.when.as_ref());
    for when in of_tasks.chain(of_phases) {
        condition(draft, when, findings);
    }
    for task in &draft.tasks {
        if let Doing::Reduce(reduce) = &task.doing
            && let DraftReducer::Vote(it) = &reduce.by
        {
            vote(draft, &reduce.from, it, findings);
        }
    }
}

fn condition(draft: &Draft, when: &When, findings: &Findings<'_>) {
    let Some(expression) = &when.expression else { return };
    expression.for_each_comparison(&mut |left, by, right| {
        for (one, other) in [(left, right), (right, left)] {
            let Some(known) = schema_of(draft, one) else { continue };
            match (&other.value, by) {
                (OperandValue::Literal(value), by) if by != Comparison::In => {
                    literal(&known, value, by, &when.text, other, findings);
                }
                (OperandValue::List(items), Comparison::In) => {
                    for item in items {
                        if let OperandValue::Literal(value) = &item.value {
                            literal(&known, value, Comparison::Equal, &when.text, item, findings);
                        }
                    }
                }
                (OperandValue::Literal(_) | OperandValue::List(_) | OperandValue::Text(_), _) => {}
            }
        }
    });
}

/// The schema of an operand that is one reference.
fn schema_of(draft: &Draft, operand: &Operand) -> Option<Json> {
    match &operand.value {
        OperandValue::Text(pieces) => match pieces.as_slice() {
            [Piece::Reference(written)] if written.default.is_none() => {
                shapes_of::of_reference(draft, written)
            }
            _ => None,
        },
        OperandValue::Literal(_) | OperandValue::List(_) => None,
    }
}

fn literal(
    known: &Json,
    value: &Json,
    by: Comparison,
    text: &Text,
    operand: &Operand,
    findings: &Findings<'_>,
) {
    let Some((message, help)) = never(known, value, by) else { return };
    let place = text.place(findings.source(), &operand.range);
    findings.error("E08", place, message).maybe_help(help);
}

/// Why a value of that schema is never equal to that one, or cannot be compared with it.
fn never(known: &Json, value: &Json, by: Comparison) -> Option<(String, Option<String>)> {
    let choices: Option<Vec<&str>> =
        known["enum"].as_array().map(|words| words.iter().filter_map(Json::as_str).collect());
    if let (Some(choices), Some(word)) = (&choices, value.as_str()) {
        if choices.contains(&word) {
            return None;
        }
        let near = did_you_mean(word, choices.iter().copied());
        let help = near.or_else(|| Some(format!("it is one of: {}", choices.join(", "))));
        return Some((format!("this is never `{word}`"), help));
    }
    let found = match value {
        Json::String(_) => "string",
        Json::Number(_) => "number",
        Json::Bool(_) => "boolean",
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    };
    let kind = match schema::kind(known)? {
        "integer" => "number",
        kind => kind,
    };
    let article = |word: &str| match word {
        "array" => "a list".to_owned(),
        "object" => "a table".to_owned(),
        "string" => "a text".to_owned(),
        word => format!("a {word}"),
    };
    let ordered = !matches!(by, Comparison::Equal | Comparison::Unequal | Comparison::In);
    if kind != found {
        let message = format!("{} is compared with {}", article(kind), article(found));
        let help = (found == "string" && value.as_str().is_some_and(is_bare_word))
            .then(|| "write it without quotes".to_owned());
        return Some((message, help));
    }
    (ordered && kind == "boolean")
        .then(|| ("true and false have no order".to_owned(), Some("write `==`".to_owned())))
}

/// Whether a text in quotes reads like a number or a truth value.
fn is_bare_word(word: &str) -> bool {
    matches!(word, "true" | "false") || word.parse::<f64>().is_ok()
}

fn vote(draft: &Draft, from: &InputText, vote: &DraftVote, findings: &Findings<'_>) {
    let Some(voters) = shapes_of::entries(draft, from) else { return };
    for voter in &voters {
        let choice = field(voter, &vote.field, findings);
        if let (Some(choice), Some(tie)) = (&choice, &vote.on_tie)
            && !matches!(tie.value.as_str(), Some("ask" | "fail"))
        {
            value(choice, tie, findings);
        }
        if let Some((name, with)) = &vote.veto
            && let Some(choice) = field(voter, name, findings)
        {
            value(&choice, with, findings);
        }
    }
}

/// The schema of a field that a voter should have.
fn field(voter: &Json, name: &Spanned<String>, findings: &Findings<'_>) -> Option<Json> {
    let known = schema::kind(voter)?;
    let place = name.span.narrowed(findings.source(), &name.value);
    let Some(fields) = voter["properties"].as_object() else {
        if known != "object" {
            let message = format!("the voters give no fields, so there is no `{}`", name.value);
            findings.error("E03", place, message).help("declare an `output` for them");
        }
        return None;
    };
    let found = fields.get(&name.value).cloned();
    if found.is_none() {
        let known: Vec<&str> = fields.keys().map(String::as_str).collect();
        let near = did_you_mean(&name.value, known.iter().copied());
        findings
            .error("E03", place, format!("the voters have no output field `{}`", name.value))
            .maybe_help(near.or_else(|| Some(format!("they have: {}", known.join(", ")))));
    }
    found
}

fn value(choice: &Json, given: &Spanned<Json>, findings: &Findings<'_>) {
    if let Some((message, help)) = never(choice, &given.value, Comparison::Equal) {
        findings.error("E08", given.span, message.replace("this is", "a vote is")).maybe_help(help);
    }
}
