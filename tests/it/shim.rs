//! The real shim, as a process: what it records, whom it stops, and what it survives.

mod bench;
mod ends;
mod outer;
mod output;
mod stops;
mod views;
mod windows;
