//! Starts `tmux` programs: the first client (whose child becomes the server), the control client
//! and the forked calls. All of them get a blank environment, `/` as working directory, a session
//! of their own (so that no signal meant for the daemon's terminal reaches them), as many file
//! descriptors as allowed, and none of the daemon's.
#![expect(unsafe_code, reason = "what happens between fork and exec is unsafe by nature")]
#![expect(clippy::disallowed_methods, reason = "this room starts tmux")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{AccessFlags, access, setsid};

/// Finds a program in a `PATH`; relative entries are skipped, they depend on where one stands.
pub(super) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    let runs = |file: &PathBuf| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(runs)
}

/// Starts a program as described above.
pub(super) fn start<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    environment: &[(String, String)],
    [stdin, stdout, stderr]: [Stdio; 3],
) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
    command.current_dir("/").stdin(stdin).stdout(stdout).stderr(stderr);
    // SAFETY: `stand_apart` only makes system calls, which is what a child may do after `fork` in
    // a program with threads: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(stand_apart) };
    command.spawn()
}

fn stand_apart() -> io::Result<()> {
    setsid()?;
    // tmux never raises its limit itself, and at the limit a client makes the server spin. The
    // soft limit may be refused (macOS caps it); then the old one has to do.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    close_at_exec()
}

/// Marks everything but the standard streams close-on-exec: a descriptor that the daemon itself
/// inherited, or a lock, must not live on in the tmux server.
#[cfg(target_os = "linux")]
fn close_at_exec() -> io::Result<()> {
    let (first, last) = (3u32, u32::MAX);
    // SAFETY: the call changes descriptor flags only and takes no pointers.
    let done = unsafe {
        nix::libc::syscall(nix::libc::SYS_close_range, first, last, nix::libc::CLOSE_RANGE_CLOEXEC)
    };
    // Kernels before 5.11 do not know it; our own descriptors are close-on-exec anyway.
    let _ = done;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn close_at_exec() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_absolute_directories_only() {
        assert_eq!(find("sh", OsStr::new("bin:.:/bin")), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find("sh", OsStr::new("")), None);
        assert_eq!(find("passwd", OsStr::new("/etc")), None);
    }
}
