//! Finds the tags in a text that comes in pieces: `<result>`, `<result id="k7f3">`, `</result>`.
//!
//! Names are lower case; white space is allowed where XML allows it. Anything else between angle
//! brackets is text: `<result/>`, `<results>`, `<result of the test>`.

/// A tag longer than this is text.
const TAG_MAX: usize = 64;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a [u8]),
    /// With the tag's own bytes, which are content when it stands inside a result.
    Open {
        written: &'a [u8],
        id: Option<&'a str>,
    },
    Close {
        written: &'a [u8],
    },
}

/// What a text that begins with `<` is.
#[derive(Debug, PartialEq, Eq)]
enum Kind<'a> {
    Open(Option<&'a str>),
    Close,
    /// It could become a tag.
    Partial,
    Text,
}

/// The state between two pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    /// `<` and what came after it, while that could be a tag.
    pending: Vec<u8>,
}

impl Tags {
    /// Hands what is found to `emit`, in order and without loss.
    pub(super) fn feed(&mut self, mut text: &[u8], emit: &mut impl FnMut(Piece<'_>)) {
        while let Some(&first) = text.first() {
            if self.pending.is_empty() && first != b'<' {
                let length = memchr::memchr(b'<', text).unwrap_or(text.len());
                emit(Piece::Text(&text[..length]));
                text = &text[length..];
            } else {
                self.step(first, emit);
                text = &text[1..];
            }
        }
    }

    /// What could have become a tag is text.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if !self.pending.is_empty() {
            emit(Piece::Text(&self.pending));
            self.pending.clear();
        }
    }

    fn step(&mut self, byte: u8, emit: &mut impl FnMut(Piece<'_>)) {
        // A tag holds only one `<`, so another begins anew.
        if byte == b'<' {
            self.finish(emit);
        }
        self.pending.push(byte);
        match kind(&self.pending) {
            Kind::Partial => return,
            Kind::Open(id) => emit(Piece::Open { written: &self.pending, id }),
            Kind::Close => emit(Piece::Close { written: &self.pending }),
            Kind::Text => emit(Piece::Text(&self.pending)),
        }
        self.pending.clear();
    }
}

fn kind(written: &[u8]) -> Kind<'_> {
    const OPEN: &[u8] = b"<result";
    const CLOSE: &[u8] = b"</result";
    if OPEN.starts_with(written) || CLOSE.starts_with(written) {
        return Kind::Partial;
    }
    if written.len() > TAG_MAX {
        return Kind::Text;
    }
    let (rest, closing) = match (written.strip_prefix(OPEN), written.strip_prefix(CLOSE)) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Kind::Text,
    };
    let Some(inside) = rest.strip_suffix(b">") else {
        let spaced = rest.first().is_some_and(u8::is_ascii_whitespace);
        let may_go_on = if closing { rest.trim_ascii().is_empty() } else { spaced };
        return if may_go_on { Kind::Partial } else { Kind::Text };
    };
    match (inside.trim_ascii(), closing) {
        ([], true) => Kind::Close,
        ([], false) => Kind::Open(None),
        (_, true) => Kind::Text,
        (attribute, false) => id(inside, attribute).map_or(Kind::Text, |id| Kind::Open(Some(id))),
    }
}

/// The value of `id="…"`, when that is all there is.
fn id<'a>(inside: &[u8], attribute: &'a [u8]) -> Option<&'a str> {
    if !inside.first()?.is_ascii_whitespace() {
        return None;
    }
    let value = attribute.strip_prefix(b"id")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let bare = match value {
        [b'"', bare @ .., b'"'] | [b'\'', bare @ .., b'\''] => bare,
        bare => bare,
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let text = std::str::from_utf8(bare).ok()?;
    (!bare.is_empty() && bare.iter().all(plain)).then_some(text)
}
