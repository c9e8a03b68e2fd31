//! Reads `${…}` in a text. Knows how a reference is written, not what it means.
//!
//! ```text
//! reference = "${" name { "." ( name | "*" ) | "[" digits "]" } [ "??" quoted ] "}"
//! literal   = "$${"           which stands for `${`
//! ```

use std::ops::Range;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it stands.
    Text(String),
    /// `${…}`.
    Reference(Written),
}

/// A reference as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The whole of it, `${` and `}` included.
    pub(crate) text: String,
    /// Its steps, each with its place in the text (bytes).
    pub(crate) steps: Vec<(Step, Range<usize>)>,
    /// What stands behind `??`.
    pub(crate) default: Option<String>,
    /// Its place in the text (bytes).
    pub(crate) range: Range<usize>,
}

/// One step of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `.name`.
    Name(String),
    /// `[0]`.
    Index(u64),
    /// `.*`.
    Star,
}

/// A place in a text that is no reference and cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Why, as the end of a sentence.
    pub(crate) why: &'static str,
    /// Its place in the text (bytes).
    pub(crate) range: Range<usize>,
}

/// The pieces of a text, and everything in it that cannot be read.
pub(crate) fn pieces(text: &str) -> (Vec<Piece>, Vec<Unreadable>) {
    let (mut pieces, mut unreadable) = (Vec::new(), Vec::new());
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('$').map(|i| at + i) {
        plain.push_str(&text[at..found]);
        if text[found..].starts_with("$${") {
            plain.push_str("${");
            at = found + 3;
        } else if text[found..].starts_with("${") {
            at = match read(text, found) {
                Ok(written) => {
                    let end = written.range.end;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Reference(written));
                    end
                }
                Err(problem) => {
                    let end = problem.range.end;
                    unreadable.push(problem);
                    end
                }
            };
        } else {
            plain.push('$');
            at = found + 1;
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    (pieces, unreadable)
}

/// Reads the reference that starts with the `${` at `start`.
pub(crate) fn read(text: &str, start: usize) -> Result<Written, Unreadable> {
    let mut reader = Reader { text, at: start + 2 };
    let steps = reader.steps(start)?;
    reader.blanks();
    let default = if reader.eat("??") { Some(reader.quoted(start)?) } else { None };
    reader.blanks();
    if !reader.eat("}") {
        return Err(reader.problem(start, "expected `}` here"));
    }
    let range = start..reader.at;
    Ok(Written { text: text[range.clone()].to_owned(), steps, default, range })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn steps(&mut self, start: usize) -> Result<Vec<(Step, Range<usize>)>, Unreadable> {
        self.blanks();
        let mut steps = vec![self.name(start)?];
        loop {
            let from = self.at;
            if self.eat(".*") {
                steps.push((Step::Star, from + 1..self.at));
            } else if self.eat(".") {
                steps.push(self.name(start)?);
            } else if self.eat("[") {
                steps.push(self.index(start)?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn name(&mut self, start: usize) -> Result<(Step, Range<usize>), Unreadable> {
        let from = self.at;
        self.take_while(|c| c.is_alphanumeric() || c == '-' || c == '_' || c == '@');
        if from == self.at {
            return Err(self.problem(start, "expected a name here"));
        }
        Ok((Step::Name(self.text[from..self.at].to_owned()), from..self.at))
    }

    fn index(&mut self, start: usize) -> Result<(Step, Range<usize>), Unreadable> {
        let from = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let digits = &self.text[from..self.at];
        let Ok(index) = digits.parse() else {
            return Err(self.problem(start, "expected a position such as `[0]` here"));
        };
        if !self.eat("]") {
            return Err(self.problem(start, "expected `]` here"));
        }
        Ok((Step::Index(index), from..self.at - 1))
    }

    fn quoted(&mut self, start: usize) -> Result<String, Unreadable> {
        self.blanks();
        let quote = match self.text[self.at..].chars().next() {
            Some(quote @ ('\'' | '"')) => quote,
            Some(_) | None => return Err(self.problem(start, "a default stands in quotes")),
        };
        let from = self.at + 1;
        let Some(length) = self.text[from..].find(quote) else {
            return Err(self.problem(start, "the quote of the default is not closed"));
        };
        self.at = from + length + 1;
        Ok(self.text[from..from + length].to_owned())
    }

    fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    fn eat(&mut self, token: &str) -> bool {
        let there = self.text[self.at..].starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    /// The problem covers what was read of the reference, up to its brace or the place it broke.
    fn problem(&self, start: usize, why: &'static str) -> Unreadable {
        let line = self.text[self.at..].find('\n').map_or(self.text.len(), |i| self.at + i);
        let end = self.text[self.at..line].find('}').map_or(self.at, |i| self.at + i + 1);
        Unreadable { why, range: start..end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Written {
        let (mut found, problems) = pieces(text);
        assert_eq!(problems, [], "{text}");
        assert_eq!(found.len(), 1, "{text}");
        match found.remove(0) {
            Piece::Reference(written) => written,
            Piece::Text(other) => panic!("{other} is text"),
        }
    }

    fn name(text: &str) -> Step {
        Step::Name(text.into())
    }

    /// Feature G1: the forms of a reference.
    #[test]
    fn every_form_of_a_reference_is_read() {
        let steps = |text: &str| -> Vec<Step> {
            only(text).steps.into_iter().map(|(step, _)| step).collect()
        };
        assert_eq!(steps("${a.output}"), [name("a"), name("output")]);
        assert_eq!(
            steps("${phase-1.task-1a.output.rows[0].x}"),
            [
                name("phase-1"),
                name("task-1a"),
                name("output"),
                name("rows"),
                Step::Index(0),
                name("x")
            ]
        );
        assert_eq!(steps("${p.*.output}"), [name("p"), Step::Star, name("output")]);
        assert_eq!(steps("${ item }"), [name("item")]);
        assert_eq!(only("${a.output ?? 'not there'}").default.as_deref(), Some("not there"));
        assert_eq!(only("${a.output??\"it's }\"}").default.as_deref(), Some("it's }"));
    }

    #[test]
    fn steps_know_their_place() {
        let written = only("${a.output[12]}");
        let places: Vec<_> = written.steps.iter().map(|(_, range)| range.clone()).collect();
        assert_eq!(places, [2..3, 4..10, 11..13]);
        assert_eq!(written.range, 0..15);
    }

    #[test]
    fn text_around_references_is_kept_and_dollars_are_harmless() {
        let (found, problems) = pieces("5 $ for ${a.output}, $${HOME} and $x ä$");
        assert_eq!(problems, []);
        assert_eq!(found[0], Piece::Text("5 $ for ".into()));
        assert_eq!(found[2], Piece::Text(", ${HOME} and $x ä$".into()));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_read() {
        for (text, why) in [
            ("${}", "expected a name here"),
            ("${a.}", "expected a name here"),
            ("${a", "expected `}` here"),
            ("${a b}", "expected `}` here"),
            ("${a[x]}", "expected a position such as `[0]` here"),
            ("${a[99999999999999999999]}", "expected a position such as `[0]` here"),
            ("${a[0}", "expected `]` here"),
            ("${a ?? none}", "a default stands in quotes"),
            ("${a ?? 'none}", "the quote of the default is not closed"),
        ] {
            let (_, problems) = pieces(text);
            assert_eq!(problems.len(), 1, "{text}");
            assert_eq!(problems[0].why, why, "{text}");
        }
        let (found, problems) = pieces("${} then ${b.output}");
        assert_eq!((found.len(), problems.len()), (2, 1));
    }
}
