//! What programs write about the tokens and money that they used, and the answer in their machine
//! output (features P1, P2). Kinds of tokens are told apart so that none counts twice: some
//! programs count what a cache gave as input, some do not.

use serde_json::Value;

use crate::model::{Spent, UsageFormat, microusd};

/// So many lines that look like JSON and are not closed end the search for more.
const UNCLOSED_MAX: usize = 16;

/// What was found in the output of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metered {
    /// What it used, one entry for each model. With a session the counters are those of the whole
    /// session, else of this output.
    pub spent: Vec<Spent>,
    /// What it said at last, if its output is for machines.
    pub answer: Option<String>,
}

/// Reads the standard output of a program, plain text, or the end of it.
pub fn meter(format: UsageFormat, text: &str) -> Metered {
    if format == UsageFormat::None {
        return Metered::default();
    }
    let mut meter = Meter { format, ..Meter::default() };
    let (mut at, mut unclosed) = (0, 0);
    while at < text.len() && unclosed < UNCLOSED_MAX {
        let rest = &text[at..];
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        let begin = line.len() - line.trim_start().len();
        if !line[begin..].starts_with(['{', '[']) {
            meter.line(line.trim());
            at += line.len();
            continue;
        }
        let mut values = serde_json::Deserializer::from_str(&rest[begin..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                meter.value(&value);
                at += begin + values.byte_offset();
            }
            Some(Err(error)) => {
                unclosed += usize::from(error.is_eof());
                at += line.len();
            }
            None => break,
        }
    }
    meter.finish()
}

/// What was found so far.
#[derive(Default)]
struct Meter {
    format: UsageFormat,
    session: String,
    model: String,
    /// Counters of a session: the last ones count.
    totals: Vec<Spent>,
    /// Counters of steps: all count.
    steps: Spent,
    /// Pieces of the answer that follow each other.
    pieces: Vec<String>,
    /// A whole answer.
    answer: Option<String>,
}

impl Meter {
    fn reads(&self, format: UsageFormat) -> bool {
        self.format == UsageFormat::Auto || self.format == format
    }

    fn value(&mut self, value: &Value) {
        if let Some(values) = value.as_array() {
            return values.iter().for_each(|value| self.value(value));
        }
        if let Some(session) = text(value, "session_id").or_else(|| text(value, "thread_id")) {
            self.session = session;
        }
        match value["type"].as_str() {
            Some("result") if value["stats"].is_object() => self.gemini(value),
            Some("result") => self.claude(value),
            Some("system") => self.model = text(value, "model").unwrap_or_default(),
            Some("init") => self.model = text(value, "model").unwrap_or_default(),
            Some("message") if value["role"] == "assistant" => self.piece(value, "content"),
            Some("turn.completed") if self.reads(UsageFormat::Codex) => self.codex(&value["usage"]),
            Some("item.completed") if value["item"]["type"] == "agent_message" => {
                if self.reads(UsageFormat::Codex) {
                    self.answer = text(&value["item"], "text");
                }
            }
            Some("step_finish") if self.reads(UsageFormat::OpenCode) => {
                self.opencode(&value["part"]);
            }
            Some("text") if self.reads(UsageFormat::OpenCode) => self.piece(&value["part"], "text"),
            None if value["stats"].is_object() => self.gemini(value),
            Some(_) | None => {}
        }
    }

    fn piece(&mut self, value: &Value, key: &str) {
        self.pieces.extend(text(value, key));
    }

    /// `modelUsage` and the cost go on over a session that is taken up again.
    fn claude(&mut self, value: &Value) {
        if !self.reads(UsageFormat::Claude) {
            return;
        }
        if let Some(answer) = text(value, "result") {
            self.answer = Some(answer);
        }
        let by_model = value["modelUsage"].as_object().filter(|models| !models.is_empty());
        if let Some(models) = by_model {
            self.totals = models
                .iter()
                .map(|(model, used)| {
                    let cost = used["costUSD"].as_f64().and_then(microusd);
                    Spent {
                        model: model.clone(),
                        input: number(used, "inputTokens"),
                        cache_read: number(used, "cacheReadInputTokens"),
                        cache_write: number(used, "cacheCreationInputTokens"),
                        output: number(used, "outputTokens"),
                        cost_microusd: cost,
                        cost_reported: cost.is_some(),
                        ..Spent::default()
                    }
                })
                .collect();
            return;
        }
        let used = &value["usage"];
        let cost = value["total_cost_usd"].as_f64().and_then(microusd);
        if used.is_object() || cost.is_some() {
            self.totals = vec![Spent {
                model: self.model.clone(),
                input: number(used, "input_tokens"),
                cache_read: number(used, "cache_read_input_tokens"),
                cache_write: number(used, "cache_creation_input_tokens"),
                output: number(used, "output_tokens"),
                cost_microusd: cost,
                cost_reported: cost.is_some(),
                ..Spent::default()
            }];
        }
    }

    /// The numbers are those of the whole thread; input holds what the cache gave.
    fn codex(&mut self, used: &Value) {
        let cached = number(used, "cached_input_tokens");
        self.totals = vec![Spent {
            model: self.model.clone(),
            input: number(used, "input_tokens").saturating_sub(cached),
            cache_read: cached,
            output: number(used, "output_tokens"),
            ..Spent::default()
        }];
    }

    /// One step at a time; input leaves out what the cache gave, output leaves out reasoning.
    fn opencode(&mut self, part: &Value) {
        let tokens = &part["tokens"];
        let cost = part["cost"].as_f64().filter(|cost| *cost > 0.0).and_then(microusd);
        self.steps.add(&Spent {
            model: text(part, "modelID").unwrap_or_default(),
            input: number(tokens, "input"),
            cache_read: number(&tokens["cache"], "read"),
            cache_write: number(&tokens["cache"], "write"),
            output: number(tokens, "output").saturating_add(number(tokens, "reasoning")),
            cost_microusd: cost,
            ..Spent::default()
        });
        self.steps.cost_reported = self.steps.cost_microusd.is_some();
    }

    /// The numbers are those of this process, so they belong to no session.
    fn gemini(&mut self, value: &Value) {
        if !self.reads(UsageFormat::Gemini) {
            return;
        }
        if let Some(answer) = text(value, "response") {
            self.answer = Some(answer);
        }
        self.session.clear();
        let stats = &value["stats"];
        let of = |model: &str, used: &Value, input: &str, output: &str| {
            let cached = number(used, "cached");
            Spent {
                model: model.to_owned(),
                input: number(used, input).saturating_sub(cached),
                cache_read: cached,
                output: number(used, output).saturating_add(number(used, "thoughts")),
                ..Spent::default()
            }
        };
        let models = stats["models"].as_object().filter(|models| !models.is_empty());
        self.totals = match models {
            Some(models) => models
                .iter()
                .map(|(model, used)| match used["tokens"].is_object() {
                    true => of(model, &used["tokens"], "prompt", "candidates"),
                    false => of(model, used, "input_tokens", "output_tokens"),
                })
                .collect(),
            None => vec![of(&self.model, stats, "input_tokens", "output_tokens")],
        };
    }

    /// `Tokens: 2.3k sent, 13 received. Cost: $0.0020 message, $0.0020 session.`, as Aider says
    /// after each message.
    fn line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("Tokens: ").filter(|_| self.format == UsageFormat::Auto)
        else {
            return;
        };
        let before = |word: &str| {
            let (count, _) = rest.split_once(word)?;
            amount(count.rsplit(' ').next()?)
        };
        let (Some(sent), Some(received)) = (before(" sent"), before(" received")) else { return };
        let cost = rest.split_once("Cost: $").and_then(|(_, cost)| cost.split(' ').next());
        let cost = cost.and_then(|cost| cost.parse().ok()).and_then(microusd);
        self.steps.add(&Spent {
            input: sent,
            output: received,
            cost_microusd: cost,
            ..Spent::default()
        });
        self.steps.cost_reported = self.steps.cost_microusd.is_some();
    }

    fn finish(self) -> Metered {
        let Self { session, totals, steps, pieces, answer, .. } = self;
        let totals = totals.into_iter().map(|spent| Spent { session: session.clone(), ..spent });
        let spent = totals.chain([steps]).filter(|spent| !spent.is_nothing()).collect();
        let said = (!pieces.is_empty()).then(|| pieces.concat());
        Metered { spent, answer: answer.or(said) }
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

/// `593`, `1,234` or `2.3k`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of tokens")]
fn amount(text: &str) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |digits| (digits, 1e6)),
    };
    let count: f64 = digits.replace(',', "").parse().ok()?;
    (count.is_finite() && count >= 0.0).then(|| (count * factor).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(model: &str, counts: [u64; 4], cost: Option<u64>) -> Spent {
        let [input, cache_read, cache_write, output] = counts;
        Spent {
            model: model.to_owned(),
            session: String::new(),
            input,
            cache_read,
            cache_write,
            output,
            cost_microusd: cost,
            cost_reported: cost.is_some(),
        }
    }

    fn in_session(session: &str, spent: Spent) -> Spent {
        Spent { session: session.to_owned(), ..spent }
    }

    /// Feature P1: each program in its own words, the same reply of 1,234 input tokens, 56 output
    /// tokens, 1,000 read from a cache and 200 written to it.
    #[test]
    fn every_format_is_read() {
        let claude = in_session("s1", spent("opus", [1_234, 1_000, 200, 56], Some(7_256)));
        let codex = in_session("t1", spent("", [234, 1_000, 0, 56], None));
        let gemini = spent("g-pro", [234, 1_000, 0, 60], None);
        let opencode = spent("", [468, 2_000, 200, 120], Some(3_684));
        let table = [
            (UsageFormat::Claude, include_str!("usage/claude.json"), &claude, "Done."),
            (UsageFormat::Claude, include_str!("usage/claude.jsonl"), &claude, "Done."),
            (UsageFormat::Codex, include_str!("usage/codex.jsonl"), &codex, "Done."),
            (UsageFormat::Gemini, include_str!("usage/gemini.json"), &gemini, "Done."),
            (UsageFormat::Gemini, include_str!("usage/gemini.jsonl"), &gemini, "Done."),
            (UsageFormat::OpenCode, include_str!("usage/opencode.jsonl"), &opencode, "Done."),
        ];
        for (format, text, expected, answer) in table {
            for format in [format, UsageFormat::Auto] {
                let found = meter(format, text);
                assert_eq!(found.spent, std::slice::from_ref(expected), "{format}: {text}");
                assert_eq!(found.answer.as_deref(), Some(answer), "{format}: {text}");
            }
            assert_eq!(meter(UsageFormat::None, text), Metered::default());
        }
        assert!(meter(UsageFormat::Codex, table[0].1).spent.is_empty(), "another format");
    }

    #[test]
    fn what_aider_says_is_added_up() {
        let text = "Tokens: 593 sent, 13 received. Cost: $0.0020 message, $0.0020 session.\n\
            > edit\nTokens: 2.3k sent, 1,013 received. Cost: $0.01 message, $0.012 session.\n";
        let found = meter(UsageFormat::Auto, text);
        assert_eq!(found.spent, [spent("", [2_893, 0, 0, 1_026], Some(12_000))]);
        assert_eq!(found.answer, None);
    }

    /// Output that is no report, torn, or meant to be expensive to read, is nothing.
    #[test]
    fn what_is_no_report_is_nothing() {
        for text in [
            "",
            "hello\n{not json}\n[1, 2]\n\"x\"\n",
            "{\"type\":\"result\",\"usage\":{\"input_tokens\":\"many\"}}",
            "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":12",
            "Tokens: sent, received.",
        ] {
            assert!(meter(UsageFormat::Auto, text).spent.is_empty(), "{text}");
        }
        let deep = "{\"a\":\n".repeat(20_000);
        assert!(meter(UsageFormat::Auto, &deep).spent.is_empty());
    }
}
