//! Conditions as they are read, and what they come to.

use serde_json::json;

use super::*;

/// The condition in a form that is easy to compare.
fn shown(expression: &Expression) -> String {
    let list = |parts: &[Expression]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
    match expression {
        Expression::Any(parts) => format!("(any {})", list(parts)),
        Expression::All(parts) => format!("(all {})", list(parts)),
        Expression::Not(inner) => format!("(not {})", shown(inner)),
        Expression::Compare { left, by, right } => {
            format!("({by:?} {} {})", operand(left), operand(right))
        }
        Expression::Truthy(value) => operand(value),
    }
}

fn operand(value: &Operand) -> String {
    match &value.value {
        OperandValue::Literal(json) => json.to_string(),
        OperandValue::List(items) => {
            format!("[{}]", items.iter().map(operand).collect::<Vec<_>>().join(","))
        }
        OperandValue::Text(pieces) => {
            let text = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Reference(written) => written.text.clone(),
            };
            pieces.iter().map(text).collect()
        }
    }
}

/// Rules of research 5.3 and feature C18: what decides whether a branch is taken.
#[test]
fn conditions_are_read_by_the_usual_precedence() {
    for (text, expected) in [
        ("${a.output}", "${a.output}"),
        ("!${a.output}", "(not ${a.output})"),
        ("${a.output.v} == 'x'", "(Equal ${a.output.v} \"x\")"),
        ("${a.output} != \"y z\"", "(Unequal ${a.output} \"y z\")"),
        ("${a.output}>=-1.5", "(AtLeast ${a.output} -1.5)"),
        ("1 < 2 && 2 <= 3 || !true", "(any (all (Less 1 2) (AtMost 2 3)) (not true))"),
        ("1 > 2 && (true || null)", "(all (Greater 1 2) (any true null))"),
        ("${a.status} in ['x', 2]", "(In ${a.status} [\"x\",2])"),
        ("'in' in []", "(In \"in\" [])"),
        ("'${a.output}!' == ''", "(Equal ${a.output}! \"\")"),
        ("${a.output ?? 'b'} == 'c'", "(Equal ${a.output ?? 'b'} \"c\")"),
    ] {
        assert_eq!(parse(text).map(|it| shown(&it)), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_condition_is_told_with_its_place() {
    for (text, why, range) in [
        ("", "the condition ends where a value should be", 0..0),
        ("${a.output} = 'x'", "`=` compares nothing", 12..13),
        ("${a.output} == x", "`x` is no value", 15..16),
        ("${a.output} and true", "`and` is not expected here", 12..15),
        ("true & true", "`&` is not expected here", 5..6),
        ("(true", "expected `)` here", 5..5),
        ("true)", "`)` is not expected here", 4..5),
        ("1 == 'x", "the quote is not closed", 5..6),
        ("1 == 1 == 1", "`=` is not expected here", 7..8),
        ("1..2 == 1", "`1..2` is no number", 0..4),
        ("[1 2]", "expected `,` or `]` here", 3..4),
        ("$a", "a reference is written `${…}`", 0..1),
        ("&&", "`&` is not expected here", 0..1),
    ] {
        let problem = parse(text).unwrap_err();
        assert_eq!((problem.why.as_str(), problem.range), (why, range), "{text}");
    }
    let deep = "(".repeat(100_000);
    assert_eq!(parse(&deep).unwrap_err().why, "the condition is nested too deeply");
    assert!(parse(&"[".repeat(100_000)).is_err() && parse(&"!".repeat(100_000)).is_err());
}

#[test]
fn a_literal_keeps_its_type() {
    let Ok(Expression::Truthy(value)) = parse("12") else { panic!("it is one value") };
    assert_eq!(value.value, OperandValue::Literal(json!(12)));
}
