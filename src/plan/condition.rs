//! Reads the conditions of `when` (E08). Knows how they are written, not what names mean.
//!
//! ```text
//! any      = all { "||" all }
//! all      = not { "&&" not }
//! not      = "!" not | "(" any ")" | operand [ compare operand ]
//! compare  = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in"
//! operand  = "${…}" | "text" | 'text' | number | true | false | null | "[" operand { "," operand } "]"
//! ```

use std::ops::Range;

use serde_json::Value as Json;

use super::Comparison;
use super::reference::{self, Piece, pieces};
use super::text::Text;
use crate::document::{Findings, Spanned};

/// Conditions that are nested deeper are refused.
const DEPTH_MAX: usize = 32;

/// A condition with the text that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct When {
    pub(crate) text: Text,
    /// `None` when it could not be read, which is reported.
    pub(crate) expression: Option<Expression>,
}

/// A condition as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Compare { left: Operand, by: Comparison, right: Operand },
    Truthy(Operand),
}

/// A value in a condition, with its place in the text (bytes).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) value: OperandValue,
    pub(crate) range: Range<usize>,
}

/// What a value in a condition is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OperandValue {
    /// A reference, or text with references in it.
    Text(Vec<Piece>),
    Literal(Json),
    List(Vec<Operand>),
}

/// Why a condition cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    why: String,
    help: Option<String>,
    range: Range<usize>,
}

impl When {
    /// Reads a condition, and reports why it cannot be read.
    pub(crate) fn read(text: Spanned<String>, findings: &Findings<'_>) -> Self {
        let before = findings.len();
        let text = Text::read(text, findings);
        if findings.len() > before {
            return Self { text, expression: None };
        }
        match parse(&text.value) {
            Ok(expression) => Self { text, expression: Some(expression) },
            Err(problem) => {
                let place = text.place(findings.source(), &problem.range);
                findings
                    .error("E08", place, format!("`when`: {}", problem.why))
                    .maybe_help(problem.help);
                Self { text, expression: None }
            }
        }
    }
}

impl Expression {
    /// Calls `each` with every comparison.
    pub(crate) fn for_each_comparison<'e>(
        &'e self,
        each: &mut dyn FnMut(&'e Operand, Comparison, &'e Operand),
    ) {
        match self {
            Expression::Any(parts) | Expression::All(parts) => {
                parts.iter().for_each(|part| part.for_each_comparison(each));
            }
            Expression::Not(inner) => inner.for_each_comparison(each),
            Expression::Compare { left, by, right } => each(left, *by, right),
            Expression::Truthy(_) => {}
        }
    }
}

fn parse(text: &str) -> Result<Expression, Problem> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let read = parser.any()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.stray());
    }
    Ok(read)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expression, Problem> {
        let mut parts = vec![self.all()?];
        while self.eat("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression, Problem> {
        let mut parts = vec![self.not()?];
        while self.eat("&&") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn not(&mut self) -> Result<Expression, Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.problem("the condition is nested too deeply", None));
        }
        let read = self.inner();
        self.depth -= 1;
        read
    }

    fn inner(&mut self) -> Result<Expression, Problem> {
        self.blanks();
        if !self.rest().starts_with("!=") && self.eat("!") {
            return Ok(Expression::Not(Box::new(self.not()?)));
        }
        if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err(self.problem("expected `)` here", None));
            }
            return Ok(inner);
        }
        let left = self.operand()?;
        let Some(by) = self.comparison()? else { return Ok(Expression::Truthy(left)) };
        let right = self.operand()?;
        Ok(Expression::Compare { left, by, right })
    }

    fn comparison(&mut self) -> Result<Option<Comparison>, Problem> {
        // The longer ones first.
        for (sign, by) in [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ] {
            if self.eat(sign) {
                return Ok(Some(by));
            }
        }
        if self.word() == "in" {
            self.eat("in");
            return Ok(Some(Comparison::In));
        }
        if self.rest().starts_with('=') {
            return Err(self.problem("`=` compares nothing", Some("write `==`")));
        }
        Ok(None)
    }

    fn operand(&mut self) -> Result<Operand, Problem> {
        self.blanks();
        let from = self.at;
        let value = match self.rest().chars().next() {
            None => return Err(self.problem("the condition ends where a value should be", None)),
            Some('$') => self.reference()?,
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            Some('[') => self.list()?,
            Some(c) if c.is_ascii_digit() || c == '-' || c == '.' => self.number()?,
            Some(_) => self.literal()?,
        };
        Ok(Operand { value, range: from..self.at })
    }

    fn reference(&mut self) -> Result<OperandValue, Problem> {
        if !self.rest().starts_with("${") {
            return Err(self.problem("a reference is written `${…}`", None));
        }
        match reference::read(self.text, self.at) {
            Ok(written) => {
                self.at = written.range.end;
                Ok(OperandValue::Text(vec![Piece::Reference(written)]))
            }
            Err(bad) => Err(Problem { why: bad.why.to_owned(), help: None, range: bad.range }),
        }
    }

    /// Text in quotes; it may hold references, which is no more than text put together.
    fn quoted(&mut self, quote: char) -> Result<OperandValue, Problem> {
        let from = self.at + 1;
        let Some(length) = self.text[from..].find(quote) else {
            return Err(self.problem("the quote is not closed", None));
        };
        self.at = from + length + 1;
        let (pieces, _) = pieces(&self.text[from..from + length]);
        Ok(match pieces.as_slice() {
            [] => OperandValue::Literal(Json::from("")),
            [Piece::Text(text)] => OperandValue::Literal(Json::from(text.as_str())),
            _ => OperandValue::Text(pieces),
        })
    }

    fn list(&mut self) -> Result<OperandValue, Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.problem("the condition is nested too deeply", None));
        }
        self.eat("[");
        let mut items = Vec::new();
        while !self.eat("]") {
            items.push(self.operand()?);
            if !self.eat(",") && !self.peek("]") {
                return Err(self.problem("expected `,` or `]` here", None));
            }
        }
        self.depth -= 1;
        Ok(OperandValue::List(items))
    }

    fn number(&mut self) -> Result<OperandValue, Problem> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')));
        let word = &rest[..end.unwrap_or(rest.len())];
        match serde_json::from_str::<Json>(word) {
            Ok(number @ Json::Number(_)) => {
                self.at += word.len();
                Ok(OperandValue::Literal(number))
            }
            Ok(_) | Err(_) => {
                let range = self.at..self.at + word.len();
                Err(Problem { why: format!("`{word}` is no number"), help: None, range })
            }
        }
    }

    fn literal(&mut self) -> Result<OperandValue, Problem> {
        let word = self.word().to_owned();
        let value = match word.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "null" => Json::Null,
            "" => return Err(self.stray()),
            word => {
                let range = self.at..self.at + word.len();
                let help = Some(match word {
                    "and" => "write `&&`".to_owned(),
                    "or" => "write `||`".to_owned(),
                    "not" => "write `!`".to_owned(),
                    word => format!("a reference is `${{{word}.output}}`, a text is '{word}'"),
                });
                return Err(Problem { why: format!("`{word}` is no value"), help, range });
            }
        };
        self.at += word.len();
        Ok(OperandValue::Literal(value))
    }

    /// The letters that come next.
    fn word(&self) -> &str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// What stands where nothing, or a value, should.
    fn stray(&self) -> Problem {
        let help = match self.word() {
            "and" => Some("write `&&`"),
            "or" => Some("write `||`"),
            _ if self.rest().starts_with('&') => Some("write `&&`"),
            _ if self.rest().starts_with('|') => Some("write `||`"),
            _ => None,
        };
        let length = match self.word().len() {
            0 => self.rest().chars().next().map_or(0, char::len_utf8),
            length => length,
        };
        let found = &self.rest()[..length];
        let why = format!("`{found}` is not expected here");
        Problem { why, help: help.map(str::to_owned), range: self.at..self.at + length }
    }

    fn problem(&self, why: &str, help: Option<&str>) -> Problem {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        let range = self.at..self.at + next;
        Problem { why: why.to_owned(), help: help.map(str::to_owned), range }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
    }

    fn peek(&mut self, token: &str) -> bool {
        self.blanks();
        self.rest().starts_with(token)
    }

    fn eat(&mut self, token: &str) -> bool {
        let there = self.peek(token);
        if there {
            self.at += token.len();
        }
        there
    }
}

#[cfg(test)]
mod tests;
