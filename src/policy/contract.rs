//! Contracts: what an agent can do, needs and gives, as `skill_contracts/<name>.json` (feature
//! I15). One for a name that no table has makes an agent that runs on another one's program.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::{Findings, Source, Span, did_you_mean};

use super::agent::{Agent, AgentType};
use super::checks::complaint_about_name;
use super::traits::{Level, Traits};

/// The code of what is wrong with a contract.
const CODE: &str = "C15";
/// The keys of a contract.
const KEYS: &[&str] = &[
    "name",
    "extends",
    "description",
    "capabilities",
    "inputs",
    "outputs",
    "downstream",
    "model",
    "risk",
    "cost",
    "tags",
    "color",
    "intent",
    "instructions",
    "tools",
];

/// A contract, as far as it says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contract {
    /// Whose.
    pub name: String,
    /// The agent on whose program it runs; the default one's when absent.
    pub extends: Option<String>,
    /// One sentence about it.
    pub description: Option<String>,
    /// What it can do.
    pub capabilities: Option<Vec<String>>,
    /// What it needs.
    pub inputs: Option<Vec<String>>,
    /// What it gives.
    pub outputs: Option<Vec<String>>,
    /// Where its work flows next.
    pub downstream: Option<Vec<String>>,
    /// The model's name.
    pub model: Option<String>,
    /// How much harm it can do.
    pub risk: Option<Level>,
    /// What its work costs.
    pub cost: Option<Level>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// The colour in which it is shown.
    pub color: Option<String>,
    /// Who it is, in one sentence.
    pub intent: Option<String>,
    /// What it is told with every task.
    pub instructions: Option<String>,
    /// The tools that it may use.
    pub tools: Option<Vec<String>>,
}

impl Contract {
    /// Reads a contract. `stem` is the name of its file without the ending, which it may leave
    /// unsaid; all problems are reported, and none is given when there is an error.
    pub fn read(source: &Source, stem: &str, findings: &Findings<'_>) -> Option<Self> {
        let errors = findings.len();
        let parsed = match serde_json::from_str::<Value>(source.text()) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => {
                findings.error(CODE, Span::default(), "a contract is a JSON object");
                return None;
            }
            Err(error) => {
                let message = format!("this is no JSON: {error}");
                findings.error(CODE, place(source, error.line(), error.column()), message);
                return None;
            }
        };
        let fields = Fields { source, fields: &parsed, findings };
        fields.refuse_unknown();
        let contract = fields.contract(stem);
        (findings.len() == errors || !findings.has_errors()).then_some(contract)
    }

    /// Says of an agent what the contract says.
    pub(super) fn describe(&self, agent: &mut Agent) {
        let Self { description, capabilities, inputs, outputs, downstream, model, .. } = self;
        put(&mut agent.description, description);
        put(&mut agent.capabilities, capabilities);
        put(&mut agent.inputs, inputs);
        put(&mut agent.outputs, outputs);
        put(&mut agent.downstream, downstream);
        if model.is_some() {
            agent.model.clone_from(model);
        }
        let traits = &mut agent.traits;
        put(&mut traits.risk, &self.risk);
        put(&mut traits.cost, &self.cost);
        put(&mut traits.tags, &self.tags);
        put(&mut traits.tools, &self.tools);
        for (own, said) in [
            (&mut traits.color, &self.color),
            (&mut traits.intent, &self.intent),
            (&mut traits.instructions, &self.instructions),
        ] {
            if said.is_some() {
                own.clone_from(said);
            }
        }
    }

    /// The agent that this contract makes of the program of another one.
    pub(super) fn on(&self, base: &Agent) -> Agent {
        let mut agent = base.clone();
        agent.name.clone_from(&self.name);
        agent.kind = AgentType::Oneshot;
        agent.autostart = false;
        agent.policy.failover = None;
        // What its base can do says nothing about it.
        agent.description = format!("{} on {}", self.name, base.name);
        agent.capabilities = Vec::new();
        (agent.inputs, agent.outputs, agent.downstream) = (Vec::new(), Vec::new(), Vec::new());
        agent.traits = Traits { profile: true, ..Traits::default() };
        self.describe(&mut agent);
        agent.settle();
        agent
    }
}

fn put<T: Clone>(own: &mut T, said: &Option<T>) {
    if let Some(said) = said {
        own.clone_from(said);
    }
}

/// The object of a contract, in the reading.
struct Fields<'a> {
    source: &'a Source,
    fields: &'a Map<String, Value>,
    findings: &'a Findings<'a>,
}

impl Fields<'_> {
    fn contract(&self, stem: &str) -> Contract {
        Contract {
            name: self.name(stem),
            extends: self.text("extends"),
            description: self.text("description"),
            capabilities: self.texts("capabilities"),
            inputs: self.texts("inputs"),
            outputs: self.texts("outputs"),
            downstream: self.texts("downstream"),
            model: self.text("model"),
            risk: self.level("risk"),
            cost: self.level("cost"),
            tags: self.texts("tags"),
            color: self.text("color"),
            intent: self.text("intent"),
            instructions: self.text("instructions"),
            tools: self.texts("tools"),
        }
    }

    fn refuse_unknown(&self) {
        for key in self.fields.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let problem =
                self.findings.error(CODE, self.place(key), format!("unknown key `{key}`"));
            match did_you_mean(key, KEYS.iter().copied()) {
                Some(help) => problem.help(help),
                None => problem.note(format!("known keys: {}", KEYS.join(", "))),
            };
        }
    }

    fn name(&self, stem: &str) -> String {
        let name = self.text("name").unwrap_or_else(|| stem.to_owned());
        if name != stem {
            let message = format!("the contract of `{name}` stands in `{stem}.json`");
            self.wrong("name", message, "the file is called as the agent");
        } else if let Some(complaint) = complaint_about_name(&name) {
            self.wrong("name", format!("the name of agent `{name}` {complaint}"), "name it anew");
        }
        name
    }

    fn text(&self, key: &str) -> Option<String> {
        let value = self.fields.get(key)?;
        let text = value.as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.wrong(key, format!("`{key}` is a text"), "write it between quotation marks");
        }
        text.map(str::to_owned)
    }

    /// A list of texts; an entry may also be a table with a `name`.
    fn texts(&self, key: &str) -> Option<Vec<String>> {
        let value = self.fields.get(key)?;
        let text = |entry: &Value| {
            let named = entry.get("name").unwrap_or(entry);
            named.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
        };
        let list: Option<Vec<String>> =
            value.as_array().and_then(|entries| entries.iter().map(text).collect());
        if list.is_none() {
            self.wrong(key, format!("`{key}` is a list of texts"), "write [\"one\", \"two\"]");
        }
        list
    }

    fn level(&self, key: &str) -> Option<Level> {
        let value = self.fields.get(key)?;
        let level = value.as_str().and_then(Level::of_word);
        if level.is_none() {
            self.wrong(key, format!("`{key}` is not {value}"), "it is low, medium or high");
        }
        level
    }

    fn wrong(&self, key: &str, message: String, help: &str) {
        self.findings.error(CODE, self.place(key), message).help(help);
    }

    /// Where a key is written. JSON readers tell no places, so it is looked for.
    fn place(&self, key: &str) -> Span {
        let written = format!("\"{key}\"");
        let at = self.source.text().find(&written);
        at.map_or(Span::default(), |at| Span { start: at, end: at + written.len() })
    }
}

/// A line and column, from 1, as a place in the text.
fn place(source: &Source, line: usize, column: usize) -> Span {
    let before = source.text().split_inclusive('\n').take(line.saturating_sub(1));
    let start = before.map(str::len).sum::<usize>() + column.saturating_sub(1);
    Span { start, end: start + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Contract>, Vec<String>) {
        let source = Source::new("deployer.json", text);
        let findings = Findings::new(&source);
        let contract = Contract::read(&source, "deployer", &findings);
        let told = |it: &crate::model::Finding| format!("{}:{} {}", it.line, it.column, it.message);
        (contract, findings.finish().iter().map(told).collect())
    }

    /// Feature I15: a contract has capabilities, inputs, outputs and what comes after it.
    #[test]
    fn a_contract_says_what_an_agent_needs_and_gives() {
        let text = r#"{ "capabilities": ["deploy"], "inputs": [{ "name": "artifact" }, "stage"],
            "outputs": ["url"], "downstream": ["validator"], "risk": "high", "tools": ["Bash"] }"#;
        let (contract, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        let agent = contract.unwrap().on(&Agent::new("claude"));
        assert_eq!(agent.name, "deployer");
        assert_eq!(
            (agent.inputs, agent.outputs),
            (vec!["artifact".into(), "stage".into()], vec!["url".into()])
        );
        assert_eq!((agent.downstream, agent.traits.risk), (vec!["validator".into()], Level::High));
        assert!(agent.traits.profile);
    }

    /// Feature I15: every problem of a contract is told at once, at its place.
    #[test]
    fn every_problem_of_a_contract_is_told() {
        let (contract, problems) = read(
            "{ \"name\": \"other\",\n \"risk\": \"huge\",\n \"outptus\": [],\n \"tags\": [1] }",
        );
        assert_eq!(contract, None);
        assert_eq!(
            problems,
            [
                "1:3 the contract of `other` stands in `deployer.json`",
                "2:2 `risk` is not \"huge\"",
                "3:2 unknown key `outptus`",
                "4:2 `tags` is a list of texts",
            ]
        );
        assert_eq!(read("{").1.len(), 1);
        assert_eq!(read("[]").1, ["1:1 a contract is a JSON object"]);
    }
}
