//! Texts, values and conditions of a draft in the form in which a run keeps them: names are ids.

use serde_json::Value as Json;

use super::condition::{Expression, Operand, OperandValue, When};
use super::draft::Draft;
use super::names;
use super::reference::Piece;
use super::text::{InputText, Text};
use super::{Condition, InputUse, InputValue, Template, TemplatePart};
use crate::document::Spanned;

/// A text. Every reference in it was found when dependencies were collected, without which nothing
/// is put together.
pub(crate) fn template(draft: &Draft, text: &Text) -> Template {
    of_pieces(draft, &text.pieces)
}

fn of_pieces(draft: &Draft, pieces: &[Piece]) -> Template {
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => Some(TemplatePart::Text(text.clone())),
        Piece::Reference(written) => {
            let to = names::target(draft, written).ok()?.edge(draft);
            let (default, written) = (written.default.clone(), written.text.clone());
            Some(TemplatePart::Reference { written, to, default })
        }
    };
    Template { parts: pieces.iter().filter_map(part).collect() }
}

/// Texts.
pub(crate) fn templates(draft: &Draft, texts: &[Text]) -> Vec<Template> {
    texts.iter().map(|text| template(draft, text)).collect()
}

/// A value; without references it is kept as it is.
pub(crate) fn value(draft: &Draft, written: &InputText) -> InputValue {
    let plain = |text: &Text| text.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)));
    match written {
        InputText::Plain(value) => InputValue::Plain(value.clone()),
        InputText::Text(text) if plain(text) => {
            InputValue::Plain(Json::String(template(draft, text).written()))
        }
        InputText::Text(text) => InputValue::Text(template(draft, text)),
        InputText::List(items) => {
            InputValue::List(items.iter().map(|item| value(draft, item)).collect())
        }
        InputText::Table(entries) => {
            let read = entries.iter().map(|(name, it)| (name.clone(), value(draft, it)));
            InputValue::Table(read.collect())
        }
    }
}

/// Named values.
pub(crate) fn uses<'i>(
    draft: &Draft,
    named: impl IntoIterator<Item = &'i (Spanned<String>, InputText)>,
) -> Vec<InputUse> {
    let one = |(name, it): &(Spanned<String>, InputText)| InputUse {
        name: name.value.clone(),
        value: value(draft, it),
    };
    named.into_iter().map(one).collect()
}

/// A condition.
pub(crate) fn condition(draft: &Draft, when: &When) -> Option<Condition> {
    when.expression.as_ref().map(|expression| of_expression(draft, expression))
}

fn of_expression(draft: &Draft, expression: &Expression) -> Condition {
    let all = |parts: &[Expression]| parts.iter().map(|it| of_expression(draft, it)).collect();
    match expression {
        Expression::Any(parts) => Condition::Any(all(parts)),
        Expression::All(parts) => Condition::All(all(parts)),
        Expression::Not(inner) => Condition::Not(Box::new(of_expression(draft, inner))),
        Expression::Compare { left, by, right } => {
            Condition::Compare { left: operand(draft, left), by: *by, right: operand(draft, right) }
        }
        Expression::Truthy(value) => Condition::Truthy(operand(draft, value)),
    }
}

fn operand(draft: &Draft, written: &Operand) -> InputValue {
    match &written.value {
        OperandValue::Literal(value) => InputValue::Plain(value.clone()),
        OperandValue::Text(pieces) => InputValue::Text(of_pieces(draft, pieces)),
        OperandValue::List(items) => {
            let plain = items.iter().map(|item| match &item.value {
                OperandValue::Literal(value) => Some(value.clone()),
                OperandValue::Text(_) | OperandValue::List(_) => None,
            });
            match plain.collect::<Option<Vec<Json>>>() {
                Some(values) => InputValue::Plain(Json::Array(values)),
                None => InputValue::List(items.iter().map(|it| operand(draft, it)).collect()),
            }
        }
    }
}
