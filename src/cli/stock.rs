//! The plans that are there by name: those that are compiled in, and those of a person, in the
//! folder `plans` beside the configuration file (features A25, E13).

use std::path::{Path, PathBuf};

use super::configuration::read_text;
use super::failure::{unreadable, usage};
use crate::control::Failure;
use crate::daemon::shelf;
use crate::document::nearest;

/// The shipped plans: patterns first, then compositions, then larger examples.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("fan-out", include_str!("../../config/plans/fan-out.toml")),
    ("pipeline", include_str!("../../config/plans/pipeline.toml")),
    ("supervisor", include_str!("../../config/plans/supervisor.toml")),
    ("expert-panel", include_str!("../../config/plans/expert-panel.toml")),
    ("map-reduce", include_str!("../../config/plans/map-reduce.toml")),
    ("scatter-gather", include_str!("../../config/plans/scatter-gather.toml")),
    ("fork-join", include_str!("../../config/plans/fork-join.toml")),
    ("event-driven", include_str!("../../config/plans/event-driven.toml")),
    ("cascade", include_str!("../../config/plans/cascade.toml")),
    ("deal-review", include_str!("../../config/plans/deal-review.toml")),
    ("product-launch", include_str!("../../config/plans/product-launch.toml")),
    ("incident-response", include_str!("../../config/plans/incident-response.toml")),
    ("qbr-preparation", include_str!("../../config/plans/qbr-preparation.toml")),
    ("customer-research", include_str!("../../config/plans/customer-research.toml")),
    ("skill-factory", include_str!("../../config/plans/skill-factory.toml")),
    ("refresh-token", include_str!("../../config/plans/refresh-token.toml")),
    ("comment-quality", include_str!("../../config/plans/comment-quality.toml")),
    ("design-review", include_str!("../../config/plans/design-review.toml")),
    ("acquisition-review", include_str!("../../config/plans/acquisition-review.toml")),
];

/// A plan that is there by name.
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
    /// Its file; none for a shipped one.
    pub(crate) path: Option<PathBuf>,
}

/// All of them; a person's own lies over a shipped one of its name.
pub(crate) fn all(config: &Path) -> Result<Vec<Known>, Failure> {
    let shipped = |(name, text): &(&str, &str)| Known {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
        path: None,
    };
    let mut known: Vec<Known> = SHIPPED.iter().map(shipped).collect();
    for (name, path) in shelf(config, "plans", &["toml"])? {
        let text = read_text(&path).map_err(|error| unreadable(&path, &error))?;
        known.retain(|other| other.name != name);
        known.push(Known { name, text, path: Some(path) });
    }
    Ok(known)
}

/// Path and text of the plan of that name; a shipped one as if it lay among a person's own. None
/// when there is none.
pub(crate) fn by_name(config: &Path, name: &str) -> Result<Option<(PathBuf, String)>, Failure> {
    let found = all(config)?.into_iter().find(|known| known.name == name);
    let here = || config.parent().unwrap_or(Path::new("/")).join(format!("plans/{name}.toml"));
    Ok(found.map(|known| (known.path.unwrap_or_else(here), known.text)))
}

/// There is no plan of that name.
pub(crate) fn unknown(config: &Path, name: &str) -> Result<Failure, Failure> {
    let known = all(config)?;
    let names = known.iter().map(|known| known.name.as_str()).collect();
    Ok(unknown_among("plan", name, names)
        .hint("a plan is a TOML file, or one of `muxvisor plan list`"))
}

/// There is no such thing of that name.
pub(crate) fn unknown_among(what: &str, name: &str, known: Vec<&str>) -> Failure {
    let near = nearest(name, known.iter().copied());
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    usage(format!("there is no {what} called `{name}`{near}"))
        .hint(format!("there are: {}", known.join(", ")))
}
