//! What a program reports of itself: OSC 7501, "program status" (draft 0.4). Reads the body of a
//! report and keeps the records that the reports make; where they stand in the output is found by
//! `sequences`.
//!
//! ```text
//! ESC ] 7501 ; state=blocked:kind=permission:app=codex:msg=<base64> ST      a report
//! ESC ] 7501 ; ? ST                                                          a question
//! ```
//! The question is answered with the same bytes. Nothing of a report is ever sent back.

use std::collections::{BTreeMap, VecDeque};

use data_encoding::BASE64_NOPAD;

use super::plain::plain;
use crate::model::{Activity, ActivitySource, BlockKind, Doing};

/// The answer to the question whether reports are understood.
pub(super) const ANSWER: &[u8] = b"\x1b]7501;?\x1b\\";

/// Records that are kept; the one that was silent longest makes room for a new one.
const RECORDS_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 16;
const ID_BYTES_MAX: usize = 128;
const ID_DEPTH_MAX: usize = 8;
const SEGMENT_BYTES_MAX: usize = 32;
const APP_BYTES_MAX: usize = 32;
const MESSAGE_BYTES_MAX: (usize, usize) = (2732, 2048);
const TITLE_BYTES_MAX: (usize, usize) = (256, 192);

/// A sequence, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Whether reports are understood.
    Query,
    /// A record is set, and replaces what it was.
    Set {
        /// Which; empty for the program itself.
        id: String,
        /// To what.
        record: Record,
    },
    /// A record goes, and everything below it.
    Cleared {
        /// Which; empty for all of them.
        id: String,
    },
}

/// What is on record of a program or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    state: State,
    kind: Option<BlockKind>,
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Working,
    Done,
    Blocked,
    Error,
}

impl State {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "idle" => Some(State::Idle),
            "working" => Some(State::Working),
            "done" => Some(State::Done),
            "blocked" => Some(State::Blocked),
            "error" => Some(State::Error),
            _ => None,
        }
    }

    /// Which of several records speaks for the whole: who waits for a person, then who works.
    fn weight(self) -> u8 {
        match self {
            State::Blocked => 2,
            State::Working => 1,
            State::Idle | State::Done | State::Error => 0,
        }
    }
}

/// Understands what stands behind `7501;`; `None` for what the draft says to ignore: a report
/// without a known state, with a text that is none, or beyond a limit.
pub(super) fn parse(body: &[u8]) -> Option<Said> {
    let body = std::str::from_utf8(body).ok()?;
    if body.trim() == "?" {
        return Some(Said::Query);
    }
    let pairs = pairs(body)?;
    let title = text(pairs.get("title"), TITLE_BYTES_MAX)?;
    let message = text(pairs.get("msg"), MESSAGE_BYTES_MAX)?;
    if pairs.get("app").is_some_and(|app| app.len() > APP_BYTES_MAX) {
        return None;
    }
    let id = pairs.get("id").map_or(Some(""), |id| is_id(id).then_some(*id))?.to_owned();
    let word = *pairs.get("state")?;
    if word == "clear" {
        return Some(Said::Cleared { id });
    }
    let state = State::of_word(word)?;
    let kind = pairs.get("kind").and_then(|kind| BlockKind::of_word(kind));
    let kind = kind.filter(|_| state == State::Blocked);
    Some(Said::Set { id, record: Record { state, kind, message: message.or(title) } })
}

/// The pairs of a report, the last of each key; what is not one is skipped.
fn pairs(body: &str) -> Option<BTreeMap<&str, &str>> {
    let is_value =
        |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.,+/=-".contains(&b));
    let mut pairs = BTreeMap::new();
    for (key, value) in body.split(':').filter_map(|pair| pair.split_once('=')) {
        if key.len() > KEY_BYTES_MAX {
            return None;
        }
        if !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase()) && is_value(value) {
            pairs.insert(key, value);
        }
    }
    Some(pairs)
}

fn is_id(id: &str) -> bool {
    let is_segment = |segment: &str| {
        (1..=SEGMENT_BYTES_MAX).contains(&segment.len())
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b))
    };
    id.len() <= ID_BYTES_MAX
        && id.split('/').count() <= ID_DEPTH_MAX
        && id.split('/').all(is_segment)
}

/// The text of a value, if there is one: at most so many bytes before and after it is decoded.
/// Control characters spoil it.
fn text(
    value: Option<&&str>,
    (encoded_max, decoded_max): (usize, usize),
) -> Option<Option<String>> {
    let Some(value) = value else { return Some(None) };
    let bare = value.trim_end_matches('=');
    if value.len() > encoded_max || value.len() - bare.len() > 2 {
        return None;
    }
    let bytes = BASE64_NOPAD.decode(bare.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= decoded_max)?;
    (!text.chars().any(char::is_control)).then_some(Some(text))
}

/// All records of one terminal.
#[derive(Default)]
pub(super) struct Records {
    /// The one that was set last stands last.
    all: VecDeque<(String, Record, i64)>,
}

impl Records {
    /// Takes what was said at this wall time. A record that is set to what it was keeps its time.
    pub(super) fn take(&mut self, said: Said, at_ms: i64) {
        match said {
            Said::Query => {}
            Said::Cleared { id } => {
                let below = format!("{id}/");
                self.all
                    .retain(|(of, _, _)| !id.is_empty() && *of != id && !of.starts_with(&below));
            }
            Said::Set { id, record } => {
                let at = self.all.iter().position(|(of, _, _)| *of == id);
                let before = at.and_then(|at| self.all.remove(at));
                let since =
                    before.filter(|(_, was, _)| *was == record).map_or(at_ms, |(_, _, at)| at);
                if self.all.len() >= RECORDS_MAX {
                    self.all.pop_front();
                }
                self.all.push_back((id, record, since));
            }
        }
    }

    /// The terminal was reset.
    pub(super) fn forget(&mut self) {
        self.all.clear();
    }

    /// A shell shows its prompt: whoever worked or waited in front of it is gone.
    pub(super) fn forget_active(&mut self) {
        self.all.retain(|(_, record, _)| record.state.weight() == 0);
    }

    /// What the whole program is doing.
    pub(super) fn doing(&self) -> Option<Doing> {
        // Of equals the last one: `max_by_key` keeps it.
        let (_, record, at_ms) =
            self.all.iter().max_by_key(|(_, record, _)| record.state.weight())?;
        let message = record.message.as_deref().and_then(plain);
        let (activity, message) = match record.state {
            State::Working => (Activity::Working, message),
            State::Blocked => (Activity::Blocked, message),
            State::Idle | State::Done => (Activity::Idle, message),
            // Its turn is over, and a person is to see why.
            State::Error => {
                let why = message.map_or_else(|| "error".to_owned(), |why| format!("error: {why}"));
                (Activity::Idle, plain(&why))
            }
        };
        let source = ActivitySource::Osc7501;
        Some(Doing { activity, kind: record.kind, message, source, at_ms: *at_ms })
    }
}

#[cfg(test)]
mod tests;
