//! Reads what does a task: the keys of each kind.

use super::draft::{Doing, DraftReduce, DraftReducer, DraftSubPlan, DraftVote};
use super::kind::Kind;
use super::reader::{missing, plain_text, required_text};
use super::settings::{input_text, named_values, positive};
use super::text::{InputText, Text};
use super::{Expiry, VoteRule};
use crate::document::{Kind as ValueKind, Spanned, Table, Value};

/// The built-in reducers, as they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Concat,
    Merge,
    Table,
    Vote,
    Template,
}

/// The rules of a vote, as they are written.
#[derive(Clone, Copy)]
enum Rule {
    Majority,
    Unanimous,
    Quorum,
    Weighted,
}

/// Reads the keys of a kind. Those of other kinds are read too, so that they count as known.
pub(crate) fn read(table: &mut Table<'_>, kind: Kind) -> Doing {
    match kind {
        Kind::Agent => Doing::Agent,
        Kind::Command => Doing::Command(run(table)),
        Kind::Reduce => reduce(table),
        Kind::Approve => {
            let expiry = expiry(table, &["reject", "approve"]);
            required(table, "ask").map_or(Doing::Unknown, |ask| Doing::Approve { ask, expiry })
        }
        Kind::Wait => {
            let expiry = expiry(table, &["fail", "skip"]);
            required(table, "event").map_or(Doing::Unknown, |event| Doing::Wait { event, expiry })
        }
        Kind::Emit => {
            let findings = table.findings();
            let data = table.value("data").map(|value| input_text(&value, findings));
            let data = data.unwrap_or(InputText::Plain(serde_json::Value::Null));
            required(table, "event").map_or(Doing::Unknown, |event| Doing::Emit { event, data })
        }
        Kind::Plan => {
            let inputs = named_values(table, "inputs").unwrap_or_default();
            required_text(table, "file")
                .map_or(Doing::Unknown, |file| Doing::Plan(DraftSubPlan { file, inputs }))
        }
        Kind::Unknown => Doing::Unknown,
    }
}

fn required(table: &mut Table<'_>, key: &str) -> Option<Text> {
    required_text(table, key).map(|text| Text::read(text, table.findings()))
}

fn run(table: &mut Table<'_>) -> Vec<Text> {
    let findings = table.findings();
    let Some(words) = table.texts("run") else {
        if !table.has("run") {
            missing(table, "run");
        }
        return Vec::new();
    };
    if words.is_empty() {
        findings.error("E01", table.key_span("run"), "`run` names no program");
    }
    words.into_iter().map(|word| Text::read(word, findings)).collect()
}

/// `expires` with `on_expire`, whose first word is what happens without it.
fn expiry(table: &mut Table<'_>, words: &'static [&'static str]) -> Option<Expiry> {
    let then = table.word("on_expire", words, |word| word);
    let after = positive(table, "expires");
    if table.has("on_expire") && !table.has("expires") {
        table
            .findings()
            .error(
                "E01",
                table.key_span("on_expire"),
                "`on_expire` without `expires` never happens",
            )
            .help("add `expires = \"24h\"`");
    }
    let then = then.map_or(words[0], |word| word.value);
    Some(Expiry { after_ms: after?.value?, then: then.to_owned() })
}

fn reduce(table: &mut Table<'_>) -> Doing {
    let findings = table.findings();
    let words = [Word::Concat, Word::Merge, Word::Table, Word::Vote, Word::Template];
    if !table.has("reducer") {
        missing(table, "reducer");
    }
    if !table.has("from") {
        missing(table, "from");
    }
    let word = table.word("reducer", &words, word).map(|word| word.value);
    let from = table.value("from").map(|value| input_text(&value, findings));
    if let Some(word) = word {
        foreign_keys(table, word);
    }
    let by = match word {
        Some(Word::Concat) => DraftReducer::Concat { sort_by: plain_text(table, "sort_by") },
        Some(Word::Merge) => DraftReducer::Merge,
        Some(Word::Table) => {
            DraftReducer::Table { columns: columns(table), sort_by: plain_text(table, "sort_by") }
        }
        Some(Word::Vote) => vote(table).map_or(DraftReducer::Unknown, DraftReducer::Vote),
        Some(Word::Template) => required_text(table, "text")
            .map_or(DraftReducer::Unknown, |text| DraftReducer::Template(text.value)),
        None => DraftReducer::Unknown,
    };
    let Some(from) = from else { return Doing::Unknown };
    if matches!(from, InputText::Plain(serde_json::Value::Bool(_) | serde_json::Value::Number(_))) {
        findings
            .error("E01", table.value_span("from"), "`from` is a list, or a table of named values")
            .help("such as \"${phase.*.output}\"");
    }
    Doing::Reduce(Box::new(DraftReduce { from, by }))
}

const fn word(word: Word) -> &'static str {
    match word {
        Word::Concat => "concat",
        Word::Merge => "merge",
        Word::Table => "table",
        Word::Vote => "vote",
        Word::Template => "template",
    }
}

/// The keys of reducers, and whose they are.
fn foreign_keys(table: &Table<'_>, own: Word) {
    let keys: [(&str, &[Word]); 8] = [
        ("sort_by", &[Word::Concat, Word::Table]),
        ("columns", &[Word::Table]),
        ("field", &[Word::Vote]),
        ("rule", &[Word::Vote]),
        ("quorum", &[Word::Vote]),
        ("veto", &[Word::Vote]),
        ("on_tie", &[Word::Vote]),
        ("text", &[Word::Template]),
    ];
    for (key, of) in keys.iter().filter(|(key, of)| table.has(key) && !of.contains(&own)) {
        let of: Vec<_> = of.iter().map(|other| format!("`{}`", word(*other))).collect();
        let message = format!("`{key}` means nothing to the reducer `{}`", word(own));
        table
            .findings()
            .error("E01", table.key_span(key), message)
            .help(format!("it is a key of {}", of.join(" and ")));
    }
}

fn columns(table: &mut Table<'_>) -> Vec<String> {
    table.texts("columns").into_iter().flatten().map(|column| column.value).collect()
}

fn vote(table: &mut Table<'_>) -> Option<DraftVote> {
    let rules = [Rule::Majority, Rule::Unanimous, Rule::Quorum, Rule::Weighted];
    let field = required_text(table, "field");
    let rule = table.word("rule", &rules, rule_word).map(|rule| rule.value);
    let rule = rule_with_quorum(table, rule.unwrap_or(Rule::Majority));
    let veto = table.table("veto").and_then(veto);
    let on_tie = table.value("on_tie").map(|value| Spanned::new(value.json(), value.span()));
    Some(DraftVote { field: field?, rule, veto, on_tie })
}

const fn rule_word(rule: Rule) -> &'static str {
    match rule {
        Rule::Majority => "majority",
        Rule::Unanimous => "unanimous",
        Rule::Quorum => "quorum",
        Rule::Weighted => "weighted",
    }
}

fn rule_with_quorum(table: &mut Table<'_>, rule: Rule) -> VoteRule {
    let findings = table.findings();
    let quorum = table.number("quorum");
    let fits = |share: &Spanned<f64>| share.value > 0.0 && share.value <= 1.0;
    if let Some(share) = quorum.as_ref().filter(|share| !fits(share)) {
        let message = format!("`quorum` is a share between 0 and 1, not {}", share.value);
        findings.error("E01", share.span, message);
    }
    match rule {
        Rule::Quorum => {
            if !table.has("quorum") {
                findings
                    .error("E01", table.key_span("rule"), "the rule `quorum` needs a share")
                    .help("add `quorum = 0.66`");
            }
            VoteRule::Quorum(quorum.map_or(1.0, |share| share.value))
        }
        Rule::Majority | Rule::Unanimous | Rule::Weighted if table.has("quorum") => {
            findings
                .error("E01", table.key_span("quorum"), "`quorum` belongs to the rule `quorum`")
                .help("add `rule = \"quorum\"`");
            VoteRule::Majority
        }
        Rule::Majority => VoteRule::Majority,
        Rule::Unanimous => VoteRule::Unanimous,
        Rule::Weighted => VoteRule::Weighted,
    }
}

/// `{ field = "risk", value = "R" }`.
fn veto(mut table: Table<'_>) -> Option<(Spanned<String>, Spanned<serde_json::Value>)> {
    let field = required_text(&mut table, "field");
    if !table.has("value") {
        missing(&table, "value");
    }
    let value = table.value("value").filter(is_plain);
    table.finish();
    let value = value?;
    Some((field?, Spanned::new(value.json(), value.span())))
}

/// Whether it is one value, not several; reported if not.
fn is_plain(value: &Value<'_>) -> bool {
    let several = matches!(value.kind(), ValueKind::Array | ValueKind::Table);
    if several {
        value.wrong_kind("a text, a number, true or false");
    }
    !several
}
