//! Knows the prompt's own opening tags again when a program prints its prompt.
//!
//! A tag belongs to an echo when what stands before it *and* what stands behind it is what stands
//! there in the prompt, white space aside, since echoes are wrapped. Equal content alone is not
//! enough: a prompt may say "end with <result>yes</result> or <result>no</result>", and then an
//! agent that answers <result>yes</result> has answered.
//!
//! A prompt that carries an id was typed into a full-screen program, which draws it again at any
//! time, wrapped and inside a frame. There the surroundings are lost, and a result that says
//! nothing but what the prompt's own tags with that id say is an echo too.

use super::json_text::JsonText;
use super::tag::{Piece, Tags};

/// How many characters on either side are compared; white space does not count.
const COMPARED: usize = 24;

/// How many bytes before a tag are kept to find those characters in.
const WINDOW: usize = 256;

/// The surroundings of an opening tag of the prompt.
#[derive(Clone, Debug)]
struct Surroundings {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// The opening tags of the prompt.
#[derive(Clone, Debug)]
pub(super) struct Echo {
    tags: Vec<Surroundings>,
    /// What stands between the tags that carry the id.
    templates: Vec<String>,
    /// The last bytes of the stream.
    recent: Vec<u8>,
}

impl Echo {
    /// The tags of `prompt`, and what stands between those with that id.
    pub(super) fn new(prompt: &str, tag_id: Option<&str>) -> Self {
        let bytes = prompt.as_bytes();
        let tags = opening_tags(prompt);
        let templates = (tags.iter().filter(|tag| tag_id.is_some() && tag.id.as_deref() == tag_id))
            .flat_map(|tag| templates(&prompt[tag.end..]));
        let surroundings = tags.iter().map(|tag| Surroundings {
            before: last(&bytes[tag.start.saturating_sub(WINDOW)..tag.start]),
            after: first(&bytes[tag.end..]),
        });
        // A prompt that is nothing but the tag tells nothing about it.
        let tells = |tag: &Surroundings| !tag.before.is_empty() || !tag.after.is_empty();
        Self {
            tags: surroundings.filter(tells).collect(),
            templates: templates.collect(),
            recent: Vec::new(),
        }
    }

    /// Takes note of what the program wrote, tags included.
    pub(super) fn passed(&mut self, text: &[u8]) {
        if self.tags.is_empty() {
            return;
        }
        let kept = &text[text.len().saturating_sub(WINDOW)..];
        let surplus = (self.recent.len() + kept.len()).saturating_sub(WINDOW);
        self.recent.drain(..surplus.min(self.recent.len()));
        self.recent.extend_from_slice(kept);
    }

    /// What it knows of the stream.
    pub(super) fn recent(&self) -> &[u8] {
        &self.recent
    }

    /// Knows only that of the stream: what came later passes again.
    pub(super) fn go_back_to(&mut self, recent: Vec<u8>) {
        self.recent = recent;
    }

    /// Which of the prompt's tags a tag could be that stands here.
    pub(super) fn candidates(&self) -> Vec<usize> {
        let before = last(&self.recent);
        let fits = |tag: &Surroundings| before.ends_with(&tag.before);
        (0..self.tags.len()).filter(|index| fits(&self.tags[*index])).collect()
    }

    /// Whether one of them is followed by that content in the prompt.
    pub(super) fn is_echo(&self, candidates: &[usize], content: &[u8]) -> bool {
        if candidates.is_empty() {
            return false;
        }
        let written = first(content);
        candidates.iter().any(|index| {
            let after = &self.tags[*index].after;
            let length = after.len().min(written.len());
            after[..length] == written[..length]
        })
    }

    /// Whether a result says nothing but what the prompt offers as its form.
    pub(super) fn repeats(&self, content: &[u8]) -> bool {
        self.templates.iter().any(|template| {
            // A frame and padding make it longer, but not without end.
            if content.len() > 8 * template.len() + 1024 {
                return false;
            }
            let written = String::from_utf8_lossy(content);
            let (said, offered) = (letters(&written), letters(template));
            written.trim() == template.trim() || (!said.is_empty() && said == offered)
        })
    }
}

/// An opening tag of the prompt, by the bytes that it takes up.
struct PromptTag {
    start: usize,
    end: usize,
    id: Option<String>,
}

fn opening_tags(prompt: &str) -> Vec<PromptTag> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut note = |piece: Piece<'_>| match piece {
        Piece::Text(text) => at += text.len(),
        Piece::Close { written } => at += written.len(),
        Piece::Open { written, id } => {
            let end = at + written.len();
            found.push(PromptTag { start: at, end, id: id.map(str::to_owned) });
            at = end;
        }
    };
    let mut tags = Tags::default();
    tags.feed(prompt.as_bytes(), &mut note);
    tags.finish(&mut note);
    found
}

/// What a tag of the prompt holds: all up to the next closing tag, and when that stands inside a
/// JSON string, the whole value as well.
fn templates(behind: &str) -> Vec<String> {
    let mut json = JsonText::START;
    let mut from = 0;
    let mut found = Vec::new();
    for (at, _) in behind.match_indices("</result") {
        json.read(&behind.as_bytes()[from..at]);
        from = at;
        if found.is_empty() || json.is_whole() {
            found.push(behind[..at].to_owned());
        }
        if !json.is_in_string() {
            break;
        }
    }
    found
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

fn first(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(COMPARED).collect()
}

fn last(text: &[u8]) -> Vec<u8> {
    let solid = text.iter().rev().copied().filter(|byte| !byte.is_ascii_whitespace());
    let mut found: Vec<u8> = solid.take(COMPARED).collect();
    found.reverse();
    found
}
