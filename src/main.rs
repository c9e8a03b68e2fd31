//! The binary. A shim is recognised before anything else exists: it forks, and must stay small.
#![expect(clippy::disallowed_methods, reason = "only `main` ends the process")]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    muxvisor::failpoint::arm();
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == "shim") {
        let dir = args.next().unwrap_or_default();
        muxvisor::failpoint::arm_with(args.filter_map(|word| word.into_string().ok()));
        std::process::exit(muxvisor::shim::run(Path::new(&dir)));
    }
    muxvisor::cli::main(std::env::args_os())
}
