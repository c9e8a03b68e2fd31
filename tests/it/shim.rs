//! The real shim, as a process: what it records, whom it stops, and what it survives.

mod bench;
mod ends;
mod groups;
mod outer;
mod output;
mod says;
mod stops;
mod views;
mod windows;
