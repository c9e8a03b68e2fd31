//! The transcript: what an agent wrote, and the result in it (design §5, fixed rules). Pure.
//!
//! ```text
//! bytes --escapes--> text --tags--> opening and closing tags --scan--> the last complete pair
//! ```
//!
//! It works on the raw log, where a line is as long as the agent made it, and in bounded memory,
//! whatever an agent writes.

mod echo;
mod escapes;
mod handover;
mod json_text;
mod last_words;
mod plain;
mod scan;
mod tag;
#[cfg(test)]
mod tests;
mod usage;
mod value;

pub use handover::{Handover, fence_for, handover, last_lines};
pub use last_words::{is_drawn, rows, shows, since_moved, without_echo};
pub use plain::{last_lines as end_lines, plain, tail};
pub use scan::{Scanner, Settings};
pub use usage::{Metered, meter};
pub use value::{value_of, whole_value_of};
