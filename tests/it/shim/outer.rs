//! A terminal that the test owns, as tmux would own it.
#![expect(clippy::disallowed_methods, reason = "these tests start viewers")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use muxvisor::model::ProcessMark;
use nix::pty::{Winsize, openpty};

use super::bench::Bench;
use crate::wait::wait_for;

/// The outer terminal.
pub(super) struct Outer {
    master: File,
    slave: Option<OwnedFd>,
    shown: Arc<Mutex<String>>,
}

impl Outer {
    pub(super) fn open() -> Self {
        let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        for fd in [&pair.master, &pair.slave] {
            use nix::fcntl::{FcntlArg, FdFlag, fcntl};
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        Self { master: pair.master.into(), slave: Some(pair.slave), shown: Arc::default() }
    }

    /// Starts the shim on it; from then on only the shim holds the other side.
    pub(super) fn start(&mut self, bench: &mut Bench) {
        bench.start_on(&self.slave.take().unwrap());
    }

    /// Reads what is shown, as tmux does.
    pub(super) fn read_along(&self) {
        let (mut master, shown) = (self.master.try_clone().unwrap(), Arc::clone(&self.shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = master.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
    }

    pub(super) fn wait_for(&self, text: &str) {
        wait_for(&format!("`{text}` in the window"), || self.shown.lock().unwrap().contains(text));
    }

    /// The terminal itself, whose modes both sides share.
    pub(super) fn tty(&self) -> &File {
        &self.master
    }

    /// All that was shown so far.
    pub(super) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Starts a viewer on it, as a window of the server that is told, or as a person does.
    pub(super) fn view(&mut self, bench: &Bench, server: Option<&ProcessMark>) -> Child {
        let tty = self.slave.take().unwrap();
        let end = || Stdio::from(tty.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_muxvisor")).arg("view");
        if let Some(server) = server {
            command.arg("--server").arg(format!("{}:{}", server.pid, server.start_ticks));
        }
        command.arg(bench.dir()).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    pub(super) fn press(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).unwrap();
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let size = rustix_size(columns, rows);
        rustix::termios::tcsetwinsize(&self.master, size).unwrap();
    }
}

fn rustix_size(columns: u16, rows: u16) -> rustix::termios::Winsize {
    rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
