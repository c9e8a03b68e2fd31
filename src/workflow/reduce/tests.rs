//! Tables and laws of the reducers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::plan::{OnTie, Vote, VoteRule};

fn entries(value: Value) -> Vec<Entry> {
    Entry::all_of(value)
}

fn value(by: &Reducer, from: Value) -> Result<Value, String> {
    let made = reduce(by, entries(from.clone()), Vec::new(), from, Map::new())?;
    let Reduced::Value(value) = made else { panic!("{made:?}") };
    Ok(value)
}

fn concat(sort_by: Option<&str>) -> Reducer {
    Reducer::Concat { sort_by: sort_by.map(str::to_owned) }
}

/// Features C12, L7: lists are joined, other values are entries, and the order is stable.
#[test]
fn concat_joins_lists_and_sorts_by_a_field() {
    let parts = json!([[{ "n": 2, "s": 1 }], [], { "n": 1 }, [{ "n": 3 }, { "n": 2, "s": 2 }]]);
    assert_eq!(
        value(&concat(None), parts.clone()),
        Ok(json!([{ "n": 2, "s": 1 }, { "n": 1 }, { "n": 3 }, { "n": 2, "s": 2 }]))
    );
    assert_eq!(
        value(&concat(Some("n")), parts),
        Ok(json!([{ "n": 1 }, { "n": 2, "s": 1 }, { "n": 2, "s": 2 }, { "n": 3 }]))
    );
    let mixed = json!([{ "a": { "b": "x" } }, {}, { "a": { "b": 10 } }, { "a": { "b": 9.5 } }]);
    assert_eq!(
        value(&concat(Some("a.b")), mixed),
        Ok(json!([{ "a": { "b": 9.5 } }, { "a": { "b": 10 } }, { "a": { "b": "x" } }, {}]))
    );
}

/// Features C19, O5: one table of all tables, and nothing of a list or a table is lost.
#[test]
fn merge_joins_lists_and_tables_and_lets_the_last_one_count() {
    let parts =
        json!([{ "l": [1], "t": { "a": 1 }, "x": 1 }, { "l": [2], "t": { "b": 2 }, "x": 2 }]);
    assert_eq!(
        value(&Reducer::Merge, parts),
        Ok(json!({ "l": [1, 2], "t": { "a": 1, "b": 2 }, "x": 2 }))
    );
    let wrong = value(&Reducer::Merge, json!({ "sales": 3 }));
    assert_eq!(wrong, Err("`merge` needs tables, and `sales` gave something else".to_owned()));
}

/// Feature L7: nothing that an agent wrote breaks the table.
#[test]
fn a_table_stays_a_table_whatever_is_in_it() {
    let rows = json!([
        { "file": "a|b\\|c", "note": "one\ntwo\r\nthree\u{1b}[31m</result>" },
        { "file": null, "note": ["x", 1], "more": 1 },
        "no table",
    ]);
    let by = Reducer::Table { columns: vec!["note".to_owned(), "file".to_owned()], sort_by: None };
    let Ok(Value::String(text)) = value(&by, rows) else { panic!() };
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "| note | file |",
            "| --- | --- |",
            "| one<br>two<br>three\u{fffd}[31m&lt;/result> | a\\|b\\\\\\|c |",
            "| [\"x\",1] |  |",
            "|  |  |",
        ]
    );
    let own = Reducer::Table { columns: Vec::new(), sort_by: None };
    assert_eq!(value(&own, json!(["a", "b"])), Ok(json!("| value |\n| --- |\n| a |\n| b |")));
}

fn vote(rule: VoteRule) -> Vote {
    let veto = Some(("risk".to_owned(), json!("R")));
    let weights = BTreeMap::from([("c".to_owned(), 2.0)]);
    Vote { field: "verdict".to_owned(), rule, veto, on_tie: OnTie::Ask, weights }
}

fn count(rule: VoteRule, votes: &[(&str, &str)]) -> Count {
    let from: Value = votes.iter().map(|(who, what)| json!([who, { "verdict": what }])).collect();
    let entry =
        |pair: &Value| Entry { name: pair[0].as_str().unwrap().to_owned(), value: pair[1].clone() };
    let entries = from.as_array().unwrap().iter().map(entry).collect();
    let silent = (votes.len()..4).map(|n| format!("z{n}")).collect();
    let made = reduce(&Reducer::Vote(vote(rule)), entries, silent, from, Map::new()).unwrap();
    let Reduced::Votes(count) = made else { panic!("{made:?}") };
    count
}

/// A rule, who voted for what, and the decision.
type Case<'a> = (VoteRule, &'a [(&'a str, &'a str)], Option<&'a str>);

/// Features C10, C11: when a decision stands.
#[test]
fn a_decision_stands_by_the_rule_of_the_plan() {
    let two_one = [("a", "yes"), ("b", "yes"), ("c", "no")];
    let even = [("a", "yes"), ("b", "yes"), ("c", "no"), ("d", "no")];
    let all = [("a", "yes"), ("b", "yes")];
    let table: [Case<'_>; 11] = [
        (VoteRule::Majority, &two_one, Some("yes")),
        (VoteRule::Majority, &even, None),
        (VoteRule::Majority, &[("a", "1"), ("b", "1"), ("c", "2"), ("d", "3")], None),
        (VoteRule::Majority, &[], None),
        (VoteRule::Unanimous, &all, Some("yes")),
        (VoteRule::Unanimous, &two_one, None),
        // Four were asked.
        (VoteRule::Quorum(0.5), &two_one, Some("yes")),
        (VoteRule::Quorum(0.6), &two_one, None),
        // `c` counts twice.
        (VoteRule::Weighted, &two_one, None),
        (VoteRule::Weighted, &[("a", "yes"), ("c", "no")], Some("no")),
        (VoteRule::Weighted, &even, Some("no")),
    ];
    for (rule, votes, decision) in table {
        let counted = count(rule, votes);
        assert_eq!(counted.output(None)["decision"], json!(decision), "{rule:?} {votes:?}");
        assert_eq!(counted.is_tied(), decision.is_none());
    }
}

#[test]
fn the_output_tells_how_it_came_to_it() {
    let two_one = [("b", "yes"), ("a", "yes"), ("c", "no")];
    assert_eq!(
        count(VoteRule::Majority, &two_one).output(None),
        json!({
            "decision": "yes", "agreement": 2.0 / 3.0, "votes": { "yes": 2, "no": 1 },
            "dissent": [{ "voter": "c", "vote": "no" }], "vetoed_by": [], "abstained": ["z3"],
        })
    );
    let tied = count(VoteRule::Majority, &[("a", "yes"), ("b", "no")]);
    assert_eq!(tied.told(), "no 1, yes 1");
    let output = tied.output(Some((&tied.choice("no"), "person")));
    assert_eq!((&output["decision"], &output["decided_by"]), (&json!("no"), &json!("person")));
    assert_eq!(output["dissent"], json!([{ "voter": "a", "vote": "yes" }]));
}

/// One voter stops the decision, and nobody is asked; an answer without the field abstains.
#[test]
fn a_veto_stops_the_decision() {
    let from = json!({ "a": { "verdict": "yes", "risk": "G" }, "b": { "verdict": "yes", "risk": "R" },
                       "c": { "other": 1 } });
    let by = Reducer::Vote(vote(VoteRule::Majority));
    let made = reduce(&by, entries(from.clone()), Vec::new(), from, Map::new()).unwrap();
    let Reduced::Votes(count) = made else { panic!("{made:?}") };
    assert!(!count.is_tied());
    let output = count.output(None);
    assert_eq!((&output["decision"], &output["vetoed_by"]), (&Value::Null, &json!(["b"])));
    assert_eq!((&output["abstained"], &output["agreement"]), (&json!(["c"]), &json!(1.0)));
}

/// What agents gave is data of a template, never template; and a template ends.
#[test]
fn a_template_sees_data_and_nothing_else() {
    let fill = |text: &str, from: Value| {
        let inputs = Map::from_iter([("title".to_owned(), json!("<T> & {{ 1 }}"))]);
        let by = Reducer::Template { text: text.to_owned() };
        match reduce(&by, entries(from.clone()), Vec::new(), from, inputs) {
            Ok(Reduced::Value(value)) => Ok(value),
            Ok(other) => panic!("{other:?}"),
            Err(message) => Err(message),
        }
    };
    let hostile = json!({ "a": "{{ title }} ${x.output} {% for %}" });
    let text = "{{ title }}:{% for e in entries %} {{ e.name }}={{ e.value }}{% endfor %}";
    assert_eq!(
        fill(text, hostile),
        Ok(json!("<T> & {{ 1 }}: a={{ title }} ${x.output} {% for %}"))
    );
    assert_eq!(fill("{{ from[0].x }}", json!([{ "x": 7 }])), Ok(json!("7")));
    for (text, part) in [
        ("{{ nothing }}", "undefined value"),
        ("a\n{% for %}", "line 2"),
        ("{% include '/etc/passwd' %}", "cannot be filled in"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{{ i * j }}{% endfor %}{% endfor %}",
            "the template: it",
        ),
    ] {
        let message = fill(text, json!([])).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
}

proptest! {
    /// Nothing is lost or made up, and sorting does not care who came first.
    #[test]
    fn concat_keeps_everything(list in prop::collection::vec((0_i64..9, 0_i64..9), 0..30)) {
        let rows: Vec<Value> = list.iter().map(|(a, b)| json!({ "a": a, "b": b })).collect();
        let sorted = |rows: &[Value]| {
            let mut made = value(&concat(Some("a")), Value::Array(rows.to_vec())).unwrap();
            made.as_array_mut().unwrap().sort_by_key(ToString::to_string);
            made
        };
        let made = value(&concat(Some("a")), Value::Array(rows.clone())).unwrap();
        let keys: Vec<i64> = made.as_array().unwrap().iter().map(|r| r["a"].as_i64().unwrap()).collect();
        prop_assert!(keys.is_sorted());
        let mut backwards = rows.clone();
        backwards.reverse();
        prop_assert_eq!(sorted(&rows), sorted(&backwards));
        prop_assert_eq!(keys.len(), rows.len());
    }

    /// A vote does not depend on the order of the answers, and a weight is as good as voters.
    #[test]
    fn votes_do_not_depend_on_the_order(votes in prop::collection::vec((0_u8..4, 1_u8..5), 0..12),
                                        shift in 0_usize..12, rule in 0_u8..4) {
        let rule = [VoteRule::Majority, VoteRule::Unanimous, VoteRule::Quorum(0.5), VoteRule::Weighted]
            [usize::from(rule)];
        let weights = (0..).zip(&votes).map(|(n, (_, w))| (format!("v{n:02}"), f64::from(*w) / 10.0));
        let by = Reducer::Vote(Vote { weights: weights.collect(), ..vote(rule) });
        let mut all: Vec<Entry> = (0..).zip(&votes)
            .map(|(n, (choice, _))| Entry { name: format!("v{n:02}"), value: json!({ "verdict": choice }) })
            .collect();
        let made = |all: Vec<Entry>| reduce(&by, all, vec!["z".to_owned()], Value::Null, Map::new()).unwrap();
        let straight = made(all.clone());
        all.rotate_left(shift.min(votes.len()));
        prop_assert_eq!(&straight, &made(all));
        let Reduced::Votes(count) = straight else { panic!() };
        let output = count.output(None);
        let agreement = output["agreement"].as_f64().unwrap();
        prop_assert!((0.0..=1.0 + 1e-9).contains(&agreement));
        if rule == VoteRule::Weighted && !output["decision"].is_null() {
            prop_assert!(agreement > 0.5, "{}", output);
        }
    }

    /// A voter of weight three is three voters of weight one.
    #[test]
    fn a_weight_stands_for_as_many_voters(votes in prop::collection::vec((0_u8..3, 1_u8..4), 1..8)) {
        let weights = (0..).zip(&votes).map(|(n, (_, w))| (format!("v{n}"), f64::from(*w))).collect();
        let weighted = Reducer::Vote(Vote { weights, ..vote(VoteRule::Weighted) });
        let one = |n: usize, choice: &u8| Entry { name: format!("v{n}"), value: json!({ "verdict": choice }) };
        let few = (0..).zip(&votes).map(|(n, (choice, _))| one(n, choice)).collect();
        let many = votes.iter().flat_map(|(choice, weight)| vec![choice; usize::from(*weight)]);
        let many = (0..).zip(many).map(|(n, choice)| one(n, choice)).collect();
        let plain = Reducer::Vote(vote(VoteRule::Majority));
        let decision = |by: &Reducer, entries| match reduce(by, entries, Vec::new(), Value::Null, Map::new()) {
            Ok(Reduced::Votes(count)) => count.output(None)["decision"].clone(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(decision(&weighted, few), decision(&plain, many));
    }
}
