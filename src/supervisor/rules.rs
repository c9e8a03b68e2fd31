//! Judges an end by the rules of its agent (`[[agent.X.on]]`): the first that matches says what
//! the end means, and perhaps what follows.
//!
//! Only what could be seen at the end counts, never what was printed long before. Regular
//! expressions were checked when they were read; each is compiled once, here, and kept until the
//! configuration changes.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::model::{Ending, ExitMatch, Outcome, Rule, Then, WallTime};

use super::reset_time::reset_time;

/// How much of what matched is told, in characters.
const TEXT_MAX: usize = 200;

/// What a rule says about an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The rule's name.
    pub name: String,
    /// What matched: the lines of it, or the exit when the rule looks at no screen. Cut short,
    /// without control characters.
    pub text: String,
    /// The outcome it gives.
    pub outcome: Option<Outcome>,
    /// What it asks for.
    pub then: Option<Then>,
    /// When the usage limit is over, in milliseconds since 1970, as far as the screen says it;
    /// whether that is to be believed is another question.
    pub reset_ms: Option<i64>,
}

/// The compiled rules of all agents.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    compiled: BTreeMap<String, Option<Regex>>,
}

impl Rules {
    /// What the first rule that matches says about an end that was judged to be `outcome`. What
    /// was stopped on purpose is no business of rules.
    pub(super) fn judge(
        &mut self,
        rules: &[Rule],
        outcome: Outcome,
        ending: &Ending,
    ) -> Option<Ruling> {
        if outcome == Outcome::Cancelled {
            return None;
        }
        rules.iter().find_map(|rule| {
            let text = self.matches(rule, outcome, ending)?;
            let reset = rule.reset.as_deref().and_then(|reset| self.reset(reset, ending));
            let (name, text) = (rule.name.clone(), clean(&text));
            let Rule { outcome, then, .. } = rule;
            Some(Ruling { name, text, outcome: *outcome, then: *then, reset_ms: reset })
        })
    }

    /// Forgets what may no longer be asked for.
    pub(super) fn forget(&mut self) {
        self.compiled.clear();
    }

    fn matches(&mut self, rule: &Rule, outcome: Outcome, ending: &Ending) -> Option<String> {
        if !exit_matches(&rule.exit, outcome, ending) {
            return None;
        }
        match &rule.screen {
            Some(pattern) => {
                let found = self.regex(pattern)?.find_iter(&ending.screen).last()?;
                Some(whole_lines(&ending.screen, found.start(), found.end()).to_owned())
            }
            None => Some(told_exit(ending)),
        }
    }

    /// The last thing on the screen that says when the limit is over.
    fn reset(&mut self, pattern: &str, ending: &Ending) -> Option<i64> {
        let found = self.regex(pattern)?.captures_iter(&ending.screen).last()?;
        let text = found.get(1).or_else(|| found.get(0))?.as_str();
        reset_time(text, said_at(ending))
    }

    fn regex(&mut self, pattern: &str) -> Option<&Regex> {
        let compiled = self.compiled.entry(pattern.to_owned()).or_insert_with(|| {
            // `^` and `$` mean a row of the screen.
            RegexBuilder::new(pattern).multi_line(true).build().ok()
        });
        compiled.as_ref()
    }
}

/// What it said was said when it ended, which may be long before anybody read it.
fn said_at(ending: &Ending) -> WallTime {
    let ended_ms = ending.exit.as_ref().map(|exit| exit.ended_ms).filter(|ms| *ms > 0);
    WallTime { ms: ended_ms.unwrap_or(ending.read_at.ms), ..ending.read_at }
}

fn exit_matches(wanted: &ExitMatch, outcome: Outcome, ending: &Ending) -> bool {
    let clean = matches!(outcome, Outcome::Success | Outcome::NoResult | Outcome::Malformed);
    match wanted {
        ExitMatch::Any => true,
        ExitMatch::Success => clean,
        ExitMatch::Failure => !clean,
        ExitMatch::These { codes, signals } => ending.exit.as_ref().is_some_and(|exit| {
            exit.code.is_some_and(|code| codes.contains(&code))
                || exit.signal.is_some_and(|signal| signals.contains(&signal))
        }),
    }
}

fn told_exit(ending: &Ending) -> String {
    let exit = ending.exit.as_ref();
    match exit.map(|exit| (exit.code, exit.signal)) {
        Some((Some(code), _)) => format!("exit code {code}"),
        Some((None, Some(signal))) => crate::model::signal_name(signal),
        Some((None, None)) | None => "the end".to_owned(),
    }
}

/// The text from the beginning of the first line that matched to the end of the last.
fn whole_lines(text: &str, from: usize, to: usize) -> &str {
    let from = text[..from].rfind('\n').map_or(0, |at| at + 1);
    let to = text[to..].find('\n').map_or(text.len(), |at| to + at);
    &text[from..to]
}

fn clean(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::{Exit, Extract, Usage};

    fn rule(name: &str, screen: Option<&str>, exit: ExitMatch) -> Rule {
        let (name, screen) = (name.to_owned(), screen.map(str::to_owned));
        Rule {
            name,
            screen,
            idle_ms: None,
            exit,
            outcome: None,
            reset: None,
            then: Some(Then::Fail),
        }
    }

    fn ending(screen: &str, code: Option<i32>, signal: Option<i32>) -> Ending {
        let exit = Exit {
            attempt: String::new(),
            token: String::new(),
            code,
            signal,
            core: false,
            oom: false,
            left: Vec::new(),
            exec_failure: None,
            stop: Vec::new(),
            unkillable: Vec::new(),
            window_closed: false,
            usage: Usage::default(),
            started_ms: 0,
            ended_ms: 0,
            ran_ms: 0,
            log_bytes: 0,
            log_gap: false,
        };
        Ending {
            exit: Some(exit),
            extract: Extract::Missing,
            tail: "an older line: quota".to_owned(),
            log: PathBuf::new(),
            screen: screen.to_owned(),
            read_at: WallTime { ms: 1_795_246_200_000, offset_s: 0 },
        }
    }

    fn first(rules: &[Rule], outcome: Outcome, ending: &Ending) -> Option<String> {
        Rules::default().judge(rules, outcome, ending).map(|ruling| ruling.name)
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = [
            rule("quota", Some("quota|usage limit"), ExitMatch::Any),
            rule("last row", Some("^> $"), ExitMatch::Any),
            rule("clean", None, ExitMatch::Success),
            rule("codes", None, ExitMatch::These { codes: vec![3], signals: vec![9] }),
            rule("rest", None, ExitMatch::Failure),
        ];
        let table = [
            ("a usage limit", Some(1), None, Outcome::ExitCode, Some("quota")),
            ("a usage limit", Some(0), None, Outcome::Success, Some("quota")),
            ("one\n> ", Some(1), None, Outcome::ExitCode, Some("last row")),
            ("> x", Some(0), None, Outcome::NoResult, Some("clean")),
            ("", Some(3), None, Outcome::ExitCode, Some("codes")),
            ("", None, Some(9), Outcome::Signal, Some("codes")),
            ("", Some(4), None, Outcome::ExitCode, Some("rest")),
            ("", None, Some(15), Outcome::IdleTimeout, Some("rest")),
            ("quota", None, Some(15), Outcome::Cancelled, None),
        ];
        for (screen, code, signal, outcome, expected) in table {
            let found = first(&rules, outcome, &ending(screen, code, signal));
            assert_eq!(found.as_deref(), expected, "{screen:?} {outcome}");
        }
    }

    /// Fault 52: what scrolled away is not looked at, whatever the tail of the log holds.
    #[test]
    fn only_the_screen_counts() {
        let rules = [rule("quota", Some("quota"), ExitMatch::Any)];
        assert_eq!(first(&rules, Outcome::ExitCode, &ending("all is well", Some(1), None)), None);
    }

    #[test]
    fn what_matched_is_told_in_one_short_line() {
        let rules = [rule("quota", Some("usage\\s+limit"), ExitMatch::Any)];
        let screen =
            format!("before\n■ You hit your\u{1b} usage\n limit. {}\nafter", "x".repeat(500));
        let ruling =
            Rules::default().judge(&rules, Outcome::ExitCode, &ending(&screen, Some(1), None));
        let text = ruling.unwrap().text;
        assert!(text.starts_with("■ You hit your usage limit. xxx"), "{text}");
        assert_eq!(text.chars().count(), TEXT_MAX);
    }

    /// The last time that the screen says is the one that holds.
    #[test]
    fn the_reset_time_is_read_from_the_group() {
        let mut limit = rule("limit", Some("usage limit"), ExitMatch::Any);
        limit.reset = Some("(?:resets|try again at) (.+)".to_owned());
        let screen = "usage limit, resets 9:00am (UTC)\nusage limit, resets 9:44am (UTC)";
        let ruling =
            Rules::default().judge(&[limit], Outcome::ExitCode, &ending(screen, Some(1), None));
        // It was 07:30 in UTC then, 134 minutes before.
        assert_eq!(ruling.unwrap().reset_ms, Some(1_795_246_200_000 + 134 * 60_000));
    }
}
