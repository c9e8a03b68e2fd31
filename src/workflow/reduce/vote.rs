//! `vote`: what several agents say becomes a decision (features C10, C11).
//!
//! Nothing depends on the order in which they answered: voters are counted by name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::entries::{Entry, field};
use crate::plan::{Vote, VoteRule, as_text};

/// What one voter said.
#[derive(Clone, Debug, PartialEq)]
struct Ballot {
    /// The voter.
    voter: String,
    /// The vote; none for a voter whose answer has no such field, or who gave no answer.
    vote: Option<Value>,
    weight: f64,
    vetoes: bool,
}

/// The votes, counted.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::workflow) struct Count {
    ballots: Vec<Ballot>,
    /// Each choice by its text, with the votes for it.
    choices: BTreeMap<String, (Value, f64)>,
    /// What stands, if a decision does.
    decision: Option<String>,
    weighted: bool,
}

/// Counts the votes. Who was asked and gave nothing, `silent`, has abstained, and a quorum counts
/// it too.
pub(super) fn count(vote: &Vote, entries: Vec<Entry>, silent: Vec<String>) -> Count {
    let weighted = vote.rule == VoteRule::Weighted;
    let mut ballots: Vec<Ballot> =
        entries.into_iter().map(|entry| ballot(vote, entry, weighted)).collect();
    let none = |voter| Ballot { voter, vote: None, weight: 1.0, vetoes: false };
    ballots.extend(silent.into_iter().map(none));
    // Sums of weights depend on their order.
    ballots.sort_by(|a, b| a.voter.cmp(&b.voter));
    let mut choices: BTreeMap<String, (Value, f64)> = BTreeMap::new();
    for ballot in &ballots {
        if let Some(value) = &ballot.vote {
            let choice = choices.entry(as_text(value)).or_insert_with(|| (value.clone(), 0.0));
            choice.1 += ballot.weight;
        }
    }
    let mut count = Count { ballots, choices, decision: None, weighted };
    count.decision = count.leader().filter(|leader| count.stands(vote.rule, leader));
    count
}

fn ballot(vote: &Vote, entry: Entry, weighted: bool) -> Ballot {
    let said = |path: &str| field(&entry.value, path).filter(|value| !value.is_null());
    let vetoes = vote.veto.as_ref().is_some_and(|(path, value)| said(path) == Some(value));
    let weight = vote.weights.get(&entry.name).copied().filter(|_| weighted).unwrap_or(1.0);
    // An answer that is no table is the vote itself.
    let bare = Some(&entry.value).filter(|value| !value.is_object() && !value.is_null());
    let vote = said(&vote.field).or(bare).cloned();
    Ballot { voter: entry.name, vote, weight, vetoes }
}

impl Count {
    /// The choice with more votes than any other.
    fn leader(&self) -> Option<String> {
        let most = self.choices.values().map(|(_, votes)| *votes).fold(0.0, f64::max);
        let mut first = self.choices.iter().filter(|(_, (_, votes))| is_same(*votes, most));
        let leader = first.next()?.0.clone();
        first.next().is_none().then_some(leader)
    }

    fn cast(&self) -> f64 {
        self.choices.values().map(|(_, votes)| votes).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of voters")]
    fn stands(&self, rule: VoteRule, leader: &str) -> bool {
        let votes = self.choices.get(leader).map_or(0.0, |(_, votes)| *votes);
        let cast = self.cast();
        match rule {
            VoteRule::Majority | VoteRule::Weighted => {
                votes * 2.0 > cast && !is_same(votes * 2.0, cast)
            }
            VoteRule::Unanimous => is_same(votes, cast),
            VoteRule::Quorum(share) => {
                let needed = share * self.ballots.len() as f64;
                votes > needed || is_same(votes, needed)
            }
        }
    }

    /// The voters that stop the decision.
    pub(in crate::workflow) fn vetoed_by(&self) -> Vec<&str> {
        self.ballots.iter().filter(|b| b.vetoes).map(|b| b.voter.as_str()).collect()
    }

    /// Whether somebody has to break a tie: there is no decision, and nobody stopped it.
    pub(in crate::workflow) fn is_tied(&self) -> bool {
        self.decision.is_none() && self.vetoed_by().is_empty()
    }

    /// The texts of all choices, the most wanted first.
    pub(in crate::workflow) fn choices(&self) -> Vec<String> {
        let mut choices: Vec<(&String, f64)> =
            self.choices.iter().map(|(text, (_, votes))| (text, *votes)).collect();
        choices.sort_by(|a, b| b.1.total_cmp(&a.1));
        choices.into_iter().map(|(text, _)| text.clone()).collect()
    }

    /// How the votes stand, for people: `ready 2, not-ready 2`.
    pub(in crate::workflow) fn told(&self) -> String {
        if self.choices.is_empty() {
            return "nobody voted".to_owned();
        }
        let votes = |text: &String| self.choices.get(text).map_or(0.0, |(_, votes)| *votes);
        let each = self.choices().into_iter().map(|text| format!("{text} {}", votes(&text)));
        each.collect::<Vec<_>>().join(", ")
    }

    /// The result: the decision that stands, or what somebody else decided, and how it came to it.
    pub(in crate::workflow) fn output(&self, decided: Option<(&Value, &str)>) -> Value {
        let vetoed_by = self.vetoed_by();
        let own = self.decision.as_ref().and_then(|text| self.choices.get(text));
        let stands = own.map(|(value, _)| value).or(decided.map(|(value, _)| value));
        let chosen = stands.map(as_text);
        let for_it = chosen.as_ref().and_then(|text| self.choices.get(text)).map_or(0.0, |it| it.1);
        let agreement = if self.cast() > 0.0 { for_it / self.cast() } else { 0.0 };
        let against = |ballot: &&Ballot| {
            chosen.is_some()
                && ballot.vote.as_ref().is_some_and(|vote| Some(as_text(vote)) != chosen)
        };
        let dissent: Vec<Value> = (self.ballots.iter().filter(against))
            .map(|ballot| json!({ "voter": ballot.voter, "vote": ballot.vote }))
            .collect();
        let votes: BTreeMap<&String, Value> =
            self.choices.iter().map(|(text, (_, votes))| (text, self.number(*votes))).collect();
        let silent: Vec<&str> =
            self.ballots.iter().filter(|b| b.vote.is_none()).map(|b| b.voter.as_str()).collect();
        let mut output = json!({
            "decision": stands.filter(|_| vetoed_by.is_empty()),
            "agreement": agreement,
            "votes": votes,
            "dissent": dissent,
            "vetoed_by": vetoed_by,
            "abstained": silent,
        });
        if let Some((_, by)) = decided.filter(|_| own.is_none()) {
            output["decided_by"] = json!(by);
        }
        output
    }

    /// What a choice was in the votes; the text itself when nobody voted for it.
    pub(in crate::workflow) fn choice(&self, text: &str) -> Value {
        self.choices.get(text).map_or_else(|| json!(text), |(value, _)| value.clone())
    }

    /// Votes are counted in whole numbers unless they have weights.
    #[expect(clippy::cast_possible_truncation, reason = "a count of voters")]
    fn number(&self, votes: f64) -> Value {
        if self.weighted { json!(votes) } else { json!(votes.round() as i64) }
    }
}

/// Sums of the same weights in another grouping may differ in their last digit.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}
