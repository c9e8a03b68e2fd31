//! Agents as others write them down, taken over: Markdown with front matter
//! (`.claude/agents/*.md`), turned into a contract, and contracts turned into tables of a
//! configuration.

use std::collections::BTreeMap;

use crate::document::{Findings, Source, Span};

use super::checks::complaint_about_name;
use super::contract::Contract;
use super::traits::Level;

/// The code of what is wrong with such a file.
const CODE: &str = "C15";
/// What stands for the model of whoever asks.
const INHERIT: &str = "inherit";

impl Contract {
    /// Reads Markdown with front matter: `name`, `description`, `tools`, `model` and the keys of a
    /// contract; the text below is what the agent is told. Keys that mean nothing here are told as
    /// a warning. `stem` names an agent that does not name itself.
    pub fn from_markdown(source: &Source, stem: &str, findings: &Findings<'_>) -> Option<Self> {
        let Some((front, body)) = split(source.text()) else {
            let message = "there is no front matter: the file does not begin with `---`";
            findings.error(CODE, Span::default(), message);
            return None;
        };
        let mut fields = fields(front);
        let mut text = |key: &str| {
            fields.remove(key).map(|it| it.join(" ")).filter(|text| !text.trim().is_empty())
        };
        let name = text("name").unwrap_or_else(|| stem.to_owned());
        if let Some(complaint) = complaint_about_name(&name) {
            let message = format!("the name of agent `{name}` {complaint}");
            findings.error(CODE, Span::default(), message);
            return None;
        }
        let level = |word: Option<String>| word.and_then(|word| Level::of_word(&word));
        let contract = Self {
            name,
            extends: text("extends"),
            description: text("description"),
            model: text("model").filter(|model| model != INHERIT),
            risk: level(text("risk")),
            cost: level(text("cost")),
            color: text("color"),
            intent: text("intent"),
            instructions: Some(body.trim().to_owned()).filter(|body| !body.is_empty()),
            capabilities: list(fields.remove("capabilities")),
            inputs: list(fields.remove("inputs")),
            outputs: list(fields.remove("outputs")),
            downstream: list(fields.remove("downstream")),
            tags: list(fields.remove("tags")),
            tools: list(fields.remove("tools")),
        };
        if !fields.is_empty() {
            let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
            let message = format!("left out, because it means nothing here: {}", keys.join(", "));
            findings.warning(CODE, Span::default(), message);
        }
        Some(contract)
    }

    /// The table of a configuration that says the same; `default` is the agent on whose program it
    /// runs when it does not say.
    pub fn to_toml(&self, default: &str) -> String {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: Option<toml::Value>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(toml::Value::String);
        let texts = |texts: &Option<Vec<String>>| texts.clone().map(toml::Value::from);
        let level = |level: Option<Level>| level.map(|level| toml::Value::from(level.word()));
        put("extends", Some(self.extends.as_deref().unwrap_or(default).into()));
        put("description", text(&self.description));
        put("model", text(&self.model));
        put("capabilities", texts(&self.capabilities));
        put("inputs", texts(&self.inputs));
        put("outputs", texts(&self.outputs));
        put("downstream", texts(&self.downstream));
        put("risk", level(self.risk));
        put("cost", level(self.cost));
        put("tags", texts(&self.tags));
        put("color", text(&self.color));
        put("intent", text(&self.intent));
        put("tools", texts(&self.tools));
        put("instructions", text(&self.instructions));
        let agents = toml::Table::from_iter([(self.name.clone(), toml::Value::Table(table))]);
        let root = toml::Table::from_iter([("agent".to_owned(), toml::Value::Table(agents))]);
        toml::to_string(&root).expect("texts and lists of texts are TOML")
    }
}

/// The front matter and what is below it.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// The keys of a front matter, each with its lines: of YAML only what such files hold, which is
/// texts, folded texts and lists.
fn fields(front: &str) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut key = String::new();
    for line in front.lines().filter(|line| !line.trim().is_empty()) {
        let inside = line.starts_with([' ', '\t', '-']);
        match line.split_once(':').filter(|_| !inside && !line.starts_with('#')) {
            Some((name, value)) => {
                name.trim().clone_into(&mut key);
                let value = value.trim();
                let folds = matches!(value, "" | "|" | ">" | "|-" | ">-");
                let lines = if folds { Vec::new() } else { vec![bare(value).to_owned()] };
                fields.insert(key.clone(), lines);
            }
            None => {
                let value = line.trim();
                let value = value.strip_prefix("- ").unwrap_or(value);
                fields.entry(key.clone()).or_default().push(bare(value).to_owned());
            }
        }
    }
    fields.remove("");
    fields
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    let quoted = |mark| text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text)
}

/// A list: several lines, `[a, b]` or `a, b`.
fn list(lines: Option<Vec<String>>) -> Option<Vec<String>> {
    let lines = lines?;
    let entries = match lines.as_slice() {
        [one] => one.trim_start_matches('[').trim_end_matches(']').split(',').collect(),
        more => more.iter().map(String::as_str).collect::<Vec<_>>(),
    };
    let entries = entries.into_iter().map(|entry| bare(entry).to_owned());
    Some(entries.filter(|entry| !entry.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::{Config, Level};

    const SEED: &str = "---\nname: session-orchestrator\ndescription: >\n  Breaks work into parts\n  \
        and hands them out.\ntools: Read, Write, Task\nmodel: opus\nrisk: medium\ncolor: \"blue\"\n\
        tags:\n  - cowork\n  - sessions\nversion: 2\n---\n\nYou are an orchestrator.\n";

    /// Features Q3, Q4: an agent that others wrote down is taken over, tools and model included.
    #[test]
    fn front_matter_becomes_a_table_of_the_configuration() {
        let source = Source::new("session.md", SEED);
        let findings = Findings::new(&source);
        let contract = Contract::from_markdown(&source, "session", &findings).unwrap();
        let told = findings.finish();
        assert_eq!(told.len(), 1);
        assert!(told[0].message.ends_with(": version"), "{told:?}");
        let source = Source::new("m.toml", contract.to_toml("claude"));
        let (config, findings) = Config::read(&source, Path::new("/"), &Config::built_in());
        let config = config.unwrap_or_else(|| panic!("{findings:?}"));
        let agent = &config.agents["session-orchestrator"];
        assert_eq!(agent.description, "Breaks work into parts and hands them out.");
        assert_eq!(agent.traits.tools, ["Read", "Write", "Task"]);
        assert_eq!(agent.traits.tags, ["cowork", "sessions"]);
        assert_eq!((agent.model.as_deref(), agent.traits.risk), (Some("opus"), Level::Medium));
        assert_eq!(agent.traits.color.as_deref(), Some("blue"));
        assert_eq!(agent.traits.instructions.as_deref(), Some("You are an orchestrator."));
        assert_eq!(agent.command, config.agents["claude"].command);
    }

    #[test]
    fn what_is_no_agent_is_told() {
        for (text, said) in [("# Hello", "no front matter"), ("---\nname: a b\n---\n", "the name")]
        {
            let source = Source::new("x.md", text);
            let findings = Findings::new(&source);
            assert_eq!(Contract::from_markdown(&source, "x", &findings), None);
            assert!(findings.finish()[0].message.contains(said), "{text}");
        }
    }
}
