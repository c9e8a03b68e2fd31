//! What is compiled in beside `config/default.toml`: contracts and prices.

/// A contract's name and text.
type Text = (&'static str, &'static str);

macro_rules! contracts {
    ($($name:literal,)+) => {
        &[$(($name, include_str!(concat!("../../config/skill_contracts/", $name, ".json"))),)+]
    };
}

/// The contracts of the agents of the routing table (features I3 to I10, I15, I16).
pub(super) const CONTRACTS: &[Text] = contracts![
    "a11y-specialist",
    "api-designer",
    "api-docs-writer",
    "code-reviewer",
    "component-library-builder",
    "data-agent",
    "db-modeler",
    "devops",
    "documentation-generator",
    "frontend-architect",
    "infra-planner",
    "ingest-agent",
    "orchestrator",
    "quality-analyzer",
    "rollback",
    "sanity-check",
    "security-reviewer",
    "test-strategist",
    "test-writer",
    "theme-builder",
    "validator",
];

/// The prices.
pub(super) const PRICES: &str = include_str!("../../config/prices.toml");
