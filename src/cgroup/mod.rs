//! Control groups (cgroup v2): where those of the agents are made, what can be limited there, and
//! how everybody in one is found and ended. The only room that knows the kernel's rules for them;
//! the shim merely makes the one directory that its spec names.
//!
//! ```text
//! place    which group this process is in          ground  where leaves may be made, and what holds there
//! confine  a leaf and its settings for an attempt  leaf    who is in one, the end of all of them
//! ```

mod confine;
mod ground;
mod leaf;
mod place;

pub use confine::{confine, waived};
pub use ground::{Can, Ground, SUBGROUP, Way, find, settle};
pub use leaf::{Leaf, PREFIX, of_process};
pub use place::{Place, Wish};
