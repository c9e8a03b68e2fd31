//! Holds result documents against their schema.

use serde_json::{Value, json};

/// The document without its envelope against the published schema, and its sums against each other
/// (features O1-O4, rulings Z17, Z19).
#[track_caller]
pub(crate) fn check(results: &Value) {
    let schema = include_str!("../../docs/execution-results.schema.json");
    let schema = serde_json::from_str(schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let document = json!({ "execution_results": results });
    let misses: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert!(misses.is_empty(), "{misses:?}: {document:#}");
    let sum = |name: &str| results["summary"][name].as_u64().expect("a number");
    assert_eq!(sum("total_tasks"), sum("successful") + sum("failed") + sum("skipped"));
    let tasks =
        results["phases"].as_array().expect("a list").iter().flat_map(|p| p["tasks"].as_array());
    assert_eq!(sum("total_tasks"), tasks.map(|tasks| tasks.len() as u64).sum::<u64>());
}
