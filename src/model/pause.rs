//! Why a run is paused, in one word.

/// A person wanted it.
pub const USER: &str = "user";
/// A person wanted it, and its agents stopped.
pub const USER_STOP: &str = "user-stop";
/// The run that it is a part of is paused.
pub const PARENT: &str = "parent";
/// The same, and its agents are stopped.
pub const PARENT_STOP: &str = "parent-stop";
/// Everything waits for a usage limit to pass.
pub const LIMIT: &str = "limit";
/// Too much failed, and a person is to decide.
pub const FAILURES: &str = "failures";
/// The budget is used up, and a person is to decide.
pub const BUDGET: &str = "budget";

/// Whether a pause for this reason stops what runs.
pub fn stops(why: Option<&str>) -> bool {
    matches!(why, Some(USER_STOP | PARENT_STOP))
}
