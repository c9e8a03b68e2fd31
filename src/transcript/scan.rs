//! Finds the result: the last complete outermost pair of tags (design §5, fixed).
//!
//! A closing tag belongs to the nearest opening tag that has none yet, as brackets do. Of the
//! pairs the one that was closed last wins; pairs inside it are its content. Hence:
//!
//! * an opening tag that prose only mentions is never closed, and the pair behind it counts;
//! * a pair that is followed by another one was a draft;
//! * an opening tag that nothing closes makes the output malformed only when there is no pair.
//!
//! A tag inside a JSON string is text. That needs proof: what stands between an opening tag and a
//! closing one outside of strings is one whole JSON value, bare or in a fence. Until then the tags
//! in its strings are put off; when it turns out to be no JSON (a quote too many, a line that
//! breaks inside a string, the end), it is read again from the first of them, and they count. So
//! a mistake in something that looks like JSON loses no pair that is there without this rule.
//!
//! Reading again takes linear time: of two readings, one begun inside a string of the other, every
//! tag stands outside of the strings of one and ends it.

use std::collections::VecDeque;
use std::ops::Range;

use super::echo::Echo;
use super::escapes::Stripper;
use super::json_text::JsonText;
use super::tag::{Piece, Tags};
use crate::model::{Extract, ResultSource};

/// Work is done in pieces of this size, so that a huge chunk needs no more memory than many small.
const PIECE: usize = 64 << 10;

/// Of more opening tags than this, one inside the other, the outermost is forgotten.
const DEPTH_MAX: usize = 1000;

/// What a scanner needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The largest result, in bytes.
    pub limit_bytes: usize,
    /// Whether the output went through a terminal, whose CRLF is undone.
    pub terminal: bool,
    /// Only `<result id="…">` with this id opens a result; otherwise the id does not matter.
    pub tag_id: Option<&'a str>,
    /// The prompt, whose echo holds no result.
    pub prompt: Option<&'a str>,
}

/// 8 MiB, a terminal, no id, no prompt.
impl Default for Settings<'_> {
    fn default() -> Self {
        Self { limit_bytes: 8 << 20, terminal: true, tag_id: None, prompt: None }
    }
}

/// Reads what an agent writes after its prompt was delivered.
#[derive(Clone, Debug)]
pub struct Scanner {
    stripper: Stripper,
    tags: Tags,
    pairs: Pairs,
}

impl Scanner {
    /// A scanner that has read nothing.
    pub fn new(settings: &Settings<'_>) -> Self {
        Self {
            stripper: Stripper::new(settings.terminal),
            tags: Tags::default(),
            pairs: Pairs {
                limit_bytes: settings.limit_bytes,
                tag_id: settings.tag_id.map(str::to_owned),
                echo: Echo::new(settings.prompt.unwrap_or_default(), settings.tag_id),
                open: VecDeque::new(),
                json: JsonText::BROKEN,
                quoted: None,
                too_large: 0,
                buffer: Vec::new(),
                base: 0,
                found: Found::Nothing,
            },
        }
    }

    /// Reads a chunk; its borders mean nothing.
    pub fn feed(&mut self, chunk: &[u8]) {
        let Self { stripper, tags, pairs } = self;
        for piece in chunk.chunks(PIECE) {
            stripper.feed(piece, &mut |text| tags.feed(text, &mut |piece| pairs.piece(&piece)));
        }
    }

    /// The result, once the agent has ended.
    pub fn finish(mut self) -> Extract {
        let Self { stripper, tags, pairs } = &mut self;
        stripper.finish(&mut |text| tags.feed(text, &mut |piece| pairs.piece(&piece)));
        tags.finish(&mut |piece| pairs.piece(&piece));
        self.pairs.verdict()
    }

    /// How many bytes it keeps: at most four times the limit, and some.
    pub fn buffered(&self) -> usize {
        let found = match &self.pairs.found {
            Found::Kept(content) => content.capacity(),
            Found::Nothing | Found::Buffered(_) | Found::TooLarge => 0,
        };
        self.pairs.buffer.capacity() + found
    }
}

/// The last pair so far.
#[derive(Clone, Debug)]
enum Found {
    Nothing,
    /// Its content lies there in the stream, and still in the buffer.
    Buffered(Range<usize>),
    Kept(Vec<u8>),
    TooLarge,
}

/// An opening tag that has no closing tag yet.
#[derive(Clone, Debug)]
struct Open {
    /// Where its content begins in the stream.
    at: usize,
    /// Whether it has the right id.
    counts: bool,
    /// Which tags of the prompt it could be.
    echoes: Vec<usize>,
}

/// The first tag that was taken for a part of a JSON string.
#[derive(Clone, Debug)]
struct Quoted {
    at: usize,
    /// What the echo knew there.
    recent: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Pairs {
    limit_bytes: usize,
    tag_id: Option<String>,
    echo: Echo,
    /// The outermost first.
    open: VecDeque<Open>,
    /// What the innermost holds so far. No other can be JSON: it holds a tag.
    json: JsonText,
    quoted: Option<Quoted>,
    /// How many opening tags, outside of those, have more than the limit behind them.
    too_large: usize,
    /// The stream from the outermost opening tag on; positions in the stream start at `base`.
    buffer: Vec<u8>,
    base: usize,
    found: Found,
}

impl Pairs {
    fn piece(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Text(text) => {
                self.json.read(text);
                self.keep(text);
                if self.json.is_broken() {
                    self.read_again();
                }
            }
            Piece::Open { written, .. } | Piece::Close { written } if self.is_quoted(written) => {
                self.put_off(written);
            }
            Piece::Close { written } if self.json.is_whole() => self.closed(written),
            Piece::Open { .. } | Piece::Close { .. } if self.quoted.is_some() => {
                self.read_again();
                self.piece(piece);
            }
            Piece::Open { written, id } => self.opened(written, *id),
            Piece::Close { written } => self.closed(written),
        }
    }

    /// Whether a tag begins and ends inside the same JSON string.
    fn is_quoted(&self, written: &[u8]) -> bool {
        let mut behind = self.json;
        behind.read(written);
        self.json.is_in_string() && behind.is_in_string()
    }

    fn put_off(&mut self, written: &[u8]) {
        let at = self.end();
        self.quoted.get_or_insert_with(|| Quoted { at, recent: self.echo.recent().to_vec() });
        self.keep(written);
    }

    /// The innermost holds no JSON, so the tags that were put off count after all.
    fn read_again(&mut self) {
        self.json = JsonText::BROKEN;
        let Some(quoted) = self.quoted.take() else { return };
        let text = self.buffer.split_off(quoted.at - self.base);
        self.echo.go_back_to(quoted.recent);
        let mut tags = Tags::default();
        tags.feed(&text, &mut |piece| self.piece(&piece));
        tags.finish(&mut |piece| self.piece(&piece));
    }

    /// Where the stream has got to.
    fn end(&self) -> usize {
        self.base + self.buffer.len()
    }

    /// Text matters only behind an opening tag.
    fn keep(&mut self, text: &[u8]) {
        self.echo.passed(text);
        if !self.open.is_empty() {
            self.buffer.extend_from_slice(text);
            self.enforce_limits();
        }
    }

    /// A tag with another id is content inside a result, and nothing elsewhere.
    fn opened(&mut self, written: &[u8], id: Option<&str>) {
        let counts = self.tag_id.is_none() || self.tag_id.as_deref() == id;
        let echoes = self.echo.candidates();
        self.keep(written);
        if counts || !self.open.is_empty() {
            self.open.push_back(Open { at: self.end(), counts, echoes });
            self.json = JsonText::START;
            self.enforce_limits();
        }
    }

    fn closed(&mut self, written: &[u8]) {
        self.json = JsonText::BROKEN;
        self.quoted = None;
        if let Some(open) = self.open.pop_back() {
            let content = &self.buffer[open.at - self.base..];
            if self.is_real(&open) && !self.echo.repeats(content) {
                self.found = Found::Buffered(open.at..self.end());
            }
        } else if self.too_large > 0 {
            self.too_large -= 1;
            self.found = Found::TooLarge;
        }
        self.keep(written);
        if self.open.is_empty() {
            self.forget_before(self.end());
        }
    }

    fn is_real(&self, open: &Open) -> bool {
        let content = &self.buffer[open.at - self.base..];
        open.counts && !self.echo.is_echo(&open.echoes, content)
    }

    /// While tags are put off the outer ones may be too large: those tags could close them.
    fn enforce_limits(&mut self) {
        if self.quoted.is_some() {
            let innermost = self.open.back().map_or(self.base, |open| open.at);
            if self.end() - innermost > self.limit_bytes {
                self.read_again();
            }
            return;
        }
        while let Some(outermost) = self.open.front() {
            let fits = self.end() - outermost.at <= self.limit_bytes;
            if fits && self.open.len() <= DEPTH_MAX {
                break;
            }
            self.too_large += usize::from(self.is_real(outermost));
            self.open.pop_front();
            let start = self.open.front().map_or(self.end(), |open| open.at);
            self.forget_before(start);
        }
    }

    /// Gives up the buffer up to there. Moving the rest costs time, so it waits until it is worth
    /// it; a pair that lies there is taken out first.
    fn forget_before(&mut self, start: usize) {
        let dead = start - self.base;
        if let Found::Buffered(range) = &self.found
            && range.start <= start
        {
            let content = self.buffer[range.start - self.base..range.end - self.base].to_vec();
            self.found = Found::Kept(content);
        }
        if dead == self.buffer.len() || dead > self.limit_bytes {
            self.buffer.drain(..dead);
            self.base = start;
        }
        if self.buffer.is_empty() {
            self.buffer.shrink_to(PIECE);
        }
    }

    fn verdict(mut self) -> Extract {
        while self.quoted.is_some() {
            self.read_again();
        }
        let unclosed = self.too_large > 0 || self.open.iter().any(|open| self.is_real(open));
        if let Found::Buffered(_) = self.found {
            self.forget_before(self.end());
        }
        let limit = self.limit_bytes;
        match self.found {
            Found::Kept(content) => Extract::Complete {
                source: ResultSource::Tagged,
                text: String::from_utf8_lossy(&content).into_owned(),
            },
            Found::TooLarge => {
                Extract::Malformed { reason: format!("the result is larger than {limit} bytes") }
            }
            Found::Nothing | Found::Buffered(_) if unclosed => Extract::Malformed {
                reason: "<result> was opened and never closed with </result>".to_owned(),
            },
            Found::Nothing | Found::Buffered(_) => Extract::Missing,
        }
    }
}
