//! Decides whether a condition holds (`when` of tasks, phases and triggers).

use serde_json::Value;

use crate::plan::{self, Comparison, Condition, InputValue, Lookup, MissingField, resolve_input};

use super::Run;
use super::values::Values;

/// Whether a task is done at all: its phase's condition and its own hold.
///
/// # Errors
/// When a value that one of them needs is not there; the error names who should have given it.
pub(super) fn is_done(run: &Run, plan: &plan::Task) -> Result<bool, MissingField> {
    let values = Values::of_run(run);
    let of_phase = run.plan.phase(&plan.phase).and_then(|phase| phase.when.as_ref());
    for condition in of_phase.into_iter().chain(&plan.when) {
        if !holds(condition, &values)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a condition holds. `any` and `all` look no further than they must.
///
/// # Errors
/// As [`is_done`].
pub(super) fn holds(condition: &Condition, lookup: &dyn Lookup) -> Result<bool, MissingField> {
    match condition {
        Condition::Any(several) => {
            for one in several {
                if holds(one, lookup)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::All(several) => {
            for one in several {
                if !holds(one, lookup)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Not(inner) => holds(inner, lookup).map(|it| !it),
        Condition::Compare { left, by, right } => {
            let (left, right) = (value(left, lookup)?, value(right, lookup)?);
            Ok(compare(&left, *by, &right))
        }
        Condition::Truthy(one) => value(one, lookup).map(|value| is_truthy(&value)),
    }
}

fn value(of: &InputValue, lookup: &dyn Lookup) -> Result<Value, MissingField> {
    resolve_input(of, lookup)
}

/// Values of different types are only ever unequal.
fn compare(left: &Value, by: Comparison, right: &Value) -> bool {
    match by {
        Comparison::Equal => equal(left, right),
        Comparison::Unequal => !equal(left, right),
        Comparison::Less => ordered(left, right).is_some_and(|order| order.is_lt()),
        Comparison::AtMost => ordered(left, right).is_some_and(|order| order.is_le()),
        Comparison::Greater => ordered(left, right).is_some_and(|order| order.is_gt()),
        Comparison::AtLeast => ordered(left, right).is_some_and(|order| order.is_ge()),
        Comparison::In => match (left, right) {
            (left, Value::Array(entries)) => entries.iter().any(|entry| equal(left, entry)),
            (Value::String(part), Value::String(whole)) => whole.contains(part.as_str()),
            (_, _) => false,
        },
    }
}

/// Numbers are equal by size: `1` and `1.0` are the same.
fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right).is_eq(),
        (_, _) => left == right,
    }
}

fn ordered(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (_, _) => None,
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64().is_none_or(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The table of comparisons.
    #[test]
    fn values_compare_by_their_type() {
        use Comparison as C;
        for (left, by, right, holds) in [
            (json!("approve"), C::Equal, json!("approve"), true),
            (json!(1), C::Equal, json!(1.0), true),
            (json!(1), C::Equal, json!("1"), false),
            (json!(1), C::Unequal, json!("1"), true),
            (json!(2), C::Less, json!(10), true),
            (json!("2"), C::Less, json!("10"), false),
            (json!("2"), C::Less, json!(10), false),
            (json!(2), C::AtMost, json!(2), true),
            (json!(3), C::Greater, json!(2.5), true),
            (json!(3), C::AtLeast, json!(3), true),
            (json!(null), C::AtLeast, json!(null), false),
            (json!("b"), C::In, json!(["a", "b"]), true),
            (json!("ell"), C::In, json!("hello"), true),
            (json!("x"), C::In, json!({ "x": 1 }), false),
        ] {
            assert_eq!(compare(&left, by, &right), holds, "{left} {by:?} {right}");
        }
    }

    #[test]
    fn nothing_and_emptiness_are_false() {
        let falsy = [json!(null), json!(false), json!(0), json!(""), json!([]), json!({})];
        assert!(!falsy.iter().any(is_truthy));
        let truthy = [json!(true), json!(-1), json!("no"), json!([0]), json!({ "a": null })];
        assert!(truthy.iter().all(is_truthy));
    }
}
