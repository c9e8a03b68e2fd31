//! The binary. A shim and its viewer are recognised before anything else exists: one forks, and
//! both must stay small.
#![expect(clippy::disallowed_methods, reason = "only `main` ends the process")]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    muxvisor::failpoint::arm();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).take(6).collect();
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words[..] {
        ["shim", _, ref rest @ ..] => {
            muxvisor::failpoint::arm_with(rest.iter().map(|word| (*word).to_owned()));
            std::process::exit(muxvisor::shim::run(Path::new(&arguments[1])));
        }
        // A view in a window of ours; what people type goes the common way.
        ["view", "--server", server, _, ref rest @ ..] => {
            muxvisor::failpoint::arm_with(rest.iter().map(|word| (*word).to_owned()));
            std::process::exit(muxvisor::shim::view(Path::new(&arguments[3]), Some(server)));
        }
        _ => {}
    }
    muxvisor::cli::main(std::env::args_os())
}
