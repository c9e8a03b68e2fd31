//! Templates of task prompts (features M1–M3): reads template files, and makes the parts of a
//! task's prompt of one and a few values. What they read is given to them; they touch nothing.
//!
//! ```text
//! Source --read--> Template --render(values)--> Parts --prompt(files)--> text
//!                     |
//!                  Library: those that are compiled in, and over them those of a person
//! ```
//!
//! | code | says |
//! | --- | --- |
//! | T01 | the head of the file: syntax, unknown key, wrong type |
//! | T02 | sections: one that is missing, unknown, or there twice |
//! | T03 | a text that cannot be filled in, or asks for an unknown variable |

mod engine;
mod library;
mod prompt;
mod read;
mod shape;
#[cfg(test)]
mod tests;

pub use engine::{BYTES_MAX, FillError, fill};
pub use library::{Library, Listed, UnknownTemplate};
pub use prompt::prompt;
pub use read::read;
pub use shape::{Parts, Problem, Template, Variable};
