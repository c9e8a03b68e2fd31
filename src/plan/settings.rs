//! The keys that a task may have and `[defaults]` may have for all tasks.

use super::amounts::{self, Uses};
use super::hook::{self, DraftHook};
use super::kind::Kind as TaskKind;
use super::reader::{Reader, plain_text};
use super::text::{InputText, Shape, Text};
use super::{Budget, RetryWait};
use crate::document::{Findings, Kind, Spanned, Table, Value, did_you_mean};
use crate::model::{ErrorKind, Outcome};

/// Extra attempts beyond this are a mistake, not a policy.
const RETRIES_MAX: u32 = 100;

/// The highest tier of action there is (feature H14).
const TIER_MAX: u32 = 4;

/// The wait between attempts, unless the plan says otherwise.
const RETRY_WAIT: RetryWait =
    RetryWait { first_ms: 2_000, factor: 2.0, max_ms: 60_000, jitter: true };

/// What was said; `None` is not said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) agent: Option<Spanned<String>>,
    pub(crate) fallback: Option<Vec<Spanned<String>>>,
    pub(crate) role: Option<String>,
    pub(crate) constraints: Option<Vec<Text>>,
    pub(crate) input_context: Option<Vec<(Spanned<String>, InputText)>>,
    pub(crate) output: Option<Shape>,
    pub(crate) retries: Option<u32>,
    pub(crate) retries_on_timeout: Option<u32>,
    pub(crate) retry_on: Option<Vec<Outcome>>,
    pub(crate) no_retry_exit: Option<Vec<i32>>,
    pub(crate) retry_wait: Option<RetryWait>,
    pub(crate) timeout: Option<Spanned<Option<u64>>>,
    pub(crate) idle_timeout: Option<Option<u64>>,
    pub(crate) expected: Option<Spanned<Option<u64>>>,
    pub(crate) priority: Option<i64>,
    pub(crate) optional: Option<bool>,
    pub(crate) cwd: Option<String>,
    pub(crate) capability: Option<Spanned<String>>,
    pub(crate) model: Option<Spanned<String>>,
    pub(crate) tier: Option<u8>,
    pub(crate) uses: Option<Uses>,
    pub(crate) queue_timeout: Option<Option<u64>>,
    pub(crate) total_timeout: Option<Option<u64>>,
    pub(crate) cache: Option<Option<u64>>,
    pub(crate) effects: Option<Spanned<bool>>,
    pub(crate) idempotency: Option<String>,
    pub(crate) budget: Option<Spanned<Budget>>,
    /// What follows it; those of its phase and of the defaults are added to its own.
    pub(crate) hooks: Vec<DraftHook>,
}

impl Settings {
    /// Reads them from a task or from `[defaults]`.
    pub(crate) fn read(table: &mut Table<'_>, reader: &Reader<'_>) -> Self {
        let capability = table.text("capability");
        if capability.is_some() && (table.has("agent") || table.has("assigned_plugin")) {
            table
                .findings()
                .error("E01", table.key_span("capability"), "`capability` stands beside `agent`")
                .help("name the agent, or what it must be able to do");
        }
        Self {
            agent: one_of_two(table, "agent", "assigned_plugin"),
            fallback: fallback(table),
            role: plain_text(table, "role"),
            constraints: table.texts("constraints").map(|texts| {
                texts.into_iter().map(|text| Text::read(text, table.findings())).collect()
            }),
            input_context: input_context(table),
            output: table.value("output").map(|value| super::output::read(&value, reader)),
            retries: retries(table),
            retries_on_timeout: within(table, "retries_on_timeout", RETRIES_MAX),
            retry_on: retry_on(table),
            no_retry_exit: exit_codes(table),
            retry_wait: table.value("retry_wait").and_then(|value| retry_wait(&value)),
            timeout: positive(table, "timeout"),
            idle_timeout: positive(table, "idle_timeout").map(|span| span.value),
            expected: positive(table, "expected"),
            priority: table.integer("priority").map(|priority| priority.value),
            optional: table.flag("optional").map(|flag| flag.value),
            cwd: plain_text(table, "cwd"),
            capability,
            model: model(table),
            tier: tier(table),
            uses: amounts::uses(table),
            queue_timeout: positive(table, "queue_timeout").map(|span| span.value),
            total_timeout: positive(table, "total_timeout").map(|span| span.value),
            cache: amounts::cache(table),
            effects: table.flag("effects"),
            idempotency: plain_text(table, "idempotency"),
            budget: amounts::budget(table),
            hooks: hook::read(table),
        }
    }

    /// Fills in what is not said. Keys about attempts reach tasks that make some, keys about
    /// prompts and output those of agents; the entries of `input_context` are joined.
    pub(crate) fn fill(&mut self, defaults: &Settings, kind: TaskKind) {
        fn or<T: Clone>(own: &mut Option<T>, default: &Option<T>) {
            if own.is_none() {
                own.clone_from(default);
            }
        }
        or(&mut self.priority, &defaults.priority);
        or(&mut self.optional, &defaults.optional);
        if !kind.makes_attempts() {
            return;
        }
        or(&mut self.expected, &defaults.expected);
        or(&mut self.uses, &defaults.uses);
        or(&mut self.queue_timeout, &defaults.queue_timeout);
        or(&mut self.total_timeout, &defaults.total_timeout);
        or(&mut self.cache, &defaults.cache);
        or(&mut self.effects, &defaults.effects);
        or(&mut self.idempotency, &defaults.idempotency);
        self.hooks.extend(defaults.hooks.iter().cloned());
        or(&mut self.retries, &defaults.retries);
        or(&mut self.retries_on_timeout, &defaults.retries_on_timeout);
        or(&mut self.retry_on, &defaults.retry_on);
        or(&mut self.no_retry_exit, &defaults.no_retry_exit);
        or(&mut self.retry_wait, &defaults.retry_wait);
        or(&mut self.timeout, &defaults.timeout);
        or(&mut self.idle_timeout, &defaults.idle_timeout);
        or(&mut self.cwd, &defaults.cwd);
        if kind != TaskKind::Agent {
            return;
        }
        or(&mut self.model, &defaults.model);
        or(&mut self.tier, &defaults.tier);
        or(&mut self.budget, &defaults.budget);
        // Who does it is said in one of two ways, so one of them replaces the other.
        if self.agent.is_none() && self.capability.is_none() {
            self.agent.clone_from(&defaults.agent);
            self.capability.clone_from(&defaults.capability);
        }
        if self.fallback.is_none() {
            // A default fallback that is the task's own agent is no mistake of the task.
            let primary = self.agent.as_ref().map(|agent| agent.value.clone());
            let others = defaults.fallback.iter().flatten();
            let others = others.filter(|name| Some(&name.value) != primary.as_ref());
            self.fallback = defaults.fallback.is_some().then(|| others.cloned().collect());
        }
        or(&mut self.role, &defaults.role);
        or(&mut self.constraints, &defaults.constraints);
        or(&mut self.output, &defaults.output);
        let own = self.input_context.take().unwrap_or_default();
        let inherited = defaults.input_context.iter().flatten();
        let inherited =
            inherited.filter(|(name, _)| own.iter().all(|(o, _)| o.value != name.value));
        let joined: Vec<_> = inherited.cloned().chain(own.iter().cloned()).collect();
        self.input_context = Some(joined);
    }

    /// What the task is given, by name.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &(Spanned<String>, InputText)> {
        self.input_context.iter().flatten()
    }

    /// The wait between attempts.
    pub(crate) fn retry_wait(&self) -> RetryWait {
        self.retry_wait.clone().unwrap_or(RETRY_WAIT)
    }

    /// The outcomes after which there is another attempt. Without a word from the plan these are
    /// all failures that another attempt may change: not a missing program or login, not a
    /// refusal, not a hook.
    pub(crate) fn retry_on(&self) -> Vec<Outcome> {
        self.retry_on.clone().unwrap_or_else(|| {
            let kinds = [
                ErrorKind::Exit,
                ErrorKind::Timeout,
                ErrorKind::Idle,
                ErrorKind::Malformed,
                ErrorKind::Lost,
            ];
            kinds.into_iter().flat_map(outcomes_of).collect()
        })
    }
}

/// A key that the source documents call by another name.
fn one_of_two(table: &mut Table<'_>, name: &str, other: &str) -> Option<Spanned<String>> {
    let (first, second) = (table.text(name), table.text(other));
    if first.is_some() && second.is_some() {
        let message = format!("`{other}` is another name of `{name}`; give one of them");
        table.findings().error("E01", table.key_span(other), message);
    }
    first.or(second)
}

fn fallback(table: &mut Table<'_>) -> Option<Vec<Spanned<String>>> {
    let list = table.texts("fallback");
    let single = table.text("fallback_plugin").map(|name| vec![name]);
    if list.is_some() && single.is_some() {
        let message = "`fallback_plugin` is another name of `fallback`; give one of them";
        table.findings().error("E01", table.key_span("fallback_plugin"), message);
    }
    list.or(single)
}

fn input_context(table: &mut Table<'_>) -> Option<Vec<(Spanned<String>, InputText)>> {
    named_values(table, "input_context")
}

/// A table of named values with templates in them.
pub(crate) fn named_values(
    table: &mut Table<'_>,
    key: &str,
) -> Option<Vec<(Spanned<String>, InputText)>> {
    let findings = table.findings();
    let entries = table.table(key)?.entries();
    Some(entries.into_iter().map(|(name, value)| (name, input_text(&value, findings))).collect())
}

/// Any value, with the templates in it.
pub(crate) fn input_text(value: &Value<'_>, findings: &Findings<'_>) -> InputText {
    let inner = |value: &Value<'_>| input_text(value, findings);
    match value.kind() {
        Kind::String => match value.text() {
            Some(text) => InputText::Text(Text::read(text, findings)),
            None => InputText::Plain(value.json()),
        },
        Kind::Array => {
            InputText::List(value.items().unwrap_or_default().iter().map(inner).collect())
        }
        Kind::Table => {
            let entries = value.table().map(|mut table| table.entries()).unwrap_or_default();
            let read = entries.into_iter().map(|(name, value)| (name.value, inner(&value)));
            InputText::Table(read.collect())
        }
        Kind::Integer | Kind::Float | Kind::Boolean | Kind::Date => InputText::Plain(value.json()),
    }
}

fn model(table: &mut Table<'_>) -> Option<Spanned<String>> {
    let place = table.value_span("model");
    plain_text(table, "model").map(|name| Spanned::new(name, place))
}

/// The tiers of actions are 0 (look) to 4 (what cannot be undone).
fn tier(table: &mut Table<'_>) -> Option<u8> {
    let count = within(table, "tier", TIER_MAX)?;
    u8::try_from(count).ok()
}

/// A budget of retries has two names.
fn retries(table: &mut Table<'_>) -> Option<u32> {
    let (own, other) = ("retries", "retries_remaining");
    let first = within(table, own, RETRIES_MAX);
    let second = within(table, other, RETRIES_MAX);
    if first.is_some() && second.is_some() {
        let message = format!("`{other}` is another name of `{own}`; give one of them");
        table.findings().error("E01", table.key_span(other), message);
    }
    first.or(second)
}

fn within(table: &mut Table<'_>, key: &str, max: u32) -> Option<u32> {
    let count = table.count(key)?;
    if count.value > max {
        let message = format!("`{key}` must be between 0 and {max}, not {}", count.value);
        table.findings().error("E01", count.span, message);
        return None;
    }
    Some(count.value)
}

/// A span of time that is not zero.
pub(crate) fn positive(table: &mut Table<'_>, key: &str) -> Option<Spanned<Option<u64>>> {
    let span = table.duration(key)?;
    if span.value == Some(0) {
        table
            .findings()
            .error("E01", span.span, format!("`{key}` must be longer than nothing"))
            .help("write \"infinity\" for no limit");
        return None;
    }
    Some(span)
}

fn exit_codes(table: &mut Table<'_>) -> Option<Vec<i32>> {
    let items = table.value("no_retry_exit")?.items()?;
    let code = |item: &Value<'_>| {
        let code = item.integer()?;
        let fits = i32::try_from(code.value).ok().filter(|code| (0..=255).contains(code));
        if fits.is_none() {
            item.error(format!("an exit code is between 0 and 255, not {}", code.value));
        }
        fits
    };
    Some(items.iter().filter_map(code).collect())
}

/// Words of outcomes, or of their classes.
fn retry_on(table: &mut Table<'_>) -> Option<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for word in table.texts("retry_on")? {
        let known = match (ErrorKind::of_word(&word.value), Outcome::of_word(&word.value)) {
            (_, Some(Outcome::Success | Outcome::Cancelled)) | (Some(ErrorKind::Cancelled), _) => {
                let message = format!("`retry_on`: there is no retry after `{}`", word.value);
                table.findings().error("E01", word.span, message);
                continue;
            }
            (Some(kind), _) => outcomes_of(kind),
            (None, Some(outcome)) => vec![outcome],
            (None, None) => {
                let words = || {
                    let kinds = ErrorKind::ALL.iter().map(|kind| kind.word());
                    kinds.chain(Outcome::ALL.iter().map(|outcome| outcome.word()))
                };
                table
                    .findings()
                    .error("E01", word.span, format!("`retry_on`: unknown word `{}`", word.value))
                    .maybe_help(did_you_mean(&word.value, words()));
                continue;
            }
        };
        outcomes.extend(known);
    }
    outcomes.sort_unstable();
    outcomes.dedup();
    Some(outcomes)
}

/// What a class stands for. `exit` does not stand for a missing login and a refusal, which only
/// a person can change: whoever wants a retry after them names them.
fn outcomes_of(kind: ErrorKind) -> Vec<Outcome> {
    let of_kind = Outcome::ALL.iter().copied().filter(|outcome| outcome.kind() == Some(kind));
    of_kind.filter(|outcome| !matches!(outcome, Outcome::Auth | Outcome::Refused)).collect()
}

/// `"5s"`, or `{ first = "2s", factor = 2.0, max = "1m", jitter = true }`.
fn retry_wait(value: &Value<'_>) -> Option<RetryWait> {
    if value.kind() == Kind::String {
        let ms = finite(value, value.duration()?)?;
        return Some(RetryWait { first_ms: ms, factor: 1.0, max_ms: ms, jitter: false });
    }
    let mut table = value.table()?;
    let factor = table.number("factor").filter(|factor| {
        let fits = (1.0..=100.0).contains(&factor.value);
        if !fits {
            let message = format!("`factor` must be between 1 and 100, not {}", factor.value);
            table.findings().error("E01", factor.span, message);
        }
        fits
    });
    let first = table.value("first").and_then(|value| finite(&value, value.duration()?));
    let max = table.value("max").and_then(|value| finite(&value, value.duration()?));
    let jitter = table.flag("jitter").map(|flag| flag.value);
    let first_ms = first.unwrap_or(RETRY_WAIT.first_ms);
    if max.is_some_and(|max| max < first_ms) {
        let place = table.key_span("max");
        table.findings().error("E01", place, "`max` is shorter than the first wait");
    }
    let max_ms = max.unwrap_or(RETRY_WAIT.max_ms.max(first_ms));
    table.finish();
    let factor = factor.map_or(RETRY_WAIT.factor, |factor| factor.value);
    Some(RetryWait { first_ms, factor, max_ms, jitter: jitter.unwrap_or(RETRY_WAIT.jitter) })
}

fn finite(value: &Value<'_>, span: Spanned<Option<u64>>) -> Option<u64> {
    if span.value.is_none() {
        value.error(format!("`{}`: a wait between attempts has an end", value.label()));
    }
    span.value
}
