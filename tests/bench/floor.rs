//! What the machine and tmux cost without any supervisor.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::rooms::private;
use crate::stamp::{self, gaps, ms, now, wait};
use crate::table::{Figure, Table};

pub(crate) const SPAWN: &str = "spawn and wait for /bin/true";
pub(crate) const CREATE: &str = "create an empty file";
pub(crate) const SYNC: &str = "write and sync 200 bytes";
pub(crate) const TMUX_STEP: &str = "tmux: window step gap";
pub(crate) const TMUX_START: &str = "tmux: asked → running";
pub(crate) const TMUX_MANY: &str = "tmux: no-op windows, each";

const fn floor(name: &'static str) -> Figure {
    Figure { name, unit: "ms", bar: "floor", floor: None }
}

/// What starting any process costs.
pub(crate) fn spawn(table: &mut Table) {
    let began = now();
    for _ in 0..200 {
        Command::new("/bin/true").status().unwrap();
    }
    table.note(floor(SPAWN), [ms(now() - began) / 200.0]);
}

/// What a new file costs. An attempt has nine of them, and on some file systems each costs twenty
/// times as much for minutes after many others were deleted.
pub(crate) fn create(table: &mut Table) {
    let dir = private();
    let each = (0..200).map(|n| {
        let began = now();
        std::fs::File::create(dir.join(n.to_string())).unwrap();
        ms(now() - began)
    });
    table.note(floor(CREATE), each.collect::<Vec<_>>());
}

/// What making anything durable costs.
pub(crate) fn sync(table: &mut Table) {
    let dir = private();
    let mut file = std::fs::File::create(dir.join("f")).unwrap();
    let each = (0..200).map(|_| {
        let began = now();
        file.write_all(&[b'x'; 200]).unwrap();
        file.sync_data().unwrap();
        ms(now() - began)
    });
    table.note(floor(SYNC), each.collect::<Vec<_>>());
}

/// How long tmux may say nothing before it is told to look for children that ended.
const SILENCE: Duration = Duration::from_millis(20);

/// A minute of silence.
const NUDGES_MAX: u32 = 3000;

/// A tmux server and one control client of it, as fast as tmux can be used.
struct Bare {
    dir: PathBuf,
    server: Pid,
    client: Child,
    said: Receiver<String>,
}

impl Bare {
    fn start() -> Self {
        let dir = private();
        let tmux = |arguments: &[&str]| {
            let mut command = Command::new("tmux");
            command.arg("-S").arg(dir.join("s")).args(["-f", "/dev/null"]).args(arguments);
            command.env_remove("TMUX");
            command
        };
        assert!(tmux(&["new-session", "-d", "-s", "s", "sleep 9000"]).status().unwrap().success());
        let told = tmux(&["display-message", "-p", "#{pid}"]).output().unwrap().stdout;
        let pid = String::from_utf8(told).unwrap().trim().parse().unwrap();
        let mut client = tmux(&["-C", "attach", "-t", "s"]);
        let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(client.stdout.take().unwrap()).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).all(|line| sender.send(line).is_ok());
        });
        Self { dir, server: Pid::from_raw(pid).unwrap(), client, said }
    }

    fn open(&mut self, command: &str) {
        let line = format!("new-window -d -t s: {command}\n");
        self.client.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Waits for the news of that many closed windows. Many a tmux misses the end of a child now and
    /// then, until the next one ends; what has been silent for long is told to look.
    fn until_closed(&mut self, count: usize) {
        let mut left = count;
        let mut nudges = 0;
        while left > 0 {
            match self.said.recv_timeout(SILENCE) {
                Ok(line) => left -= usize::from(line.contains("window-close")),
                Err(RecvTimeoutError::Timeout) if nudges < NUDGES_MAX => {
                    nudges += 1;
                    kill_process(self.server, Signal::CHILD).unwrap();
                }
                Err(error) => panic!("tmux did not close {left} of {count} windows: {error}"),
            }
        }
    }

    fn stamps(&self) -> PathBuf {
        self.dir.join("stamps")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let socket = self.dir.join("s");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").status();
        let _ = self.client.wait();
    }
}

/// What a window costs that nobody supervises.
pub(crate) fn tmux(table: &mut Table) {
    let mut bare = Bare::start();
    let file = bare.stamps();
    let step = format!("{} stamp {}", own().display(), file.display());
    let mut starts = Vec::new();
    for n in 1..=30 {
        let asked = now();
        bare.open(&step);
        wait(&file, n);
        starts.push(ms(stamp::read(&file)[n - 1].began - asked));
    }
    bare.until_closed(30);
    table.note(floor(TMUX_START), starts);
    std::fs::remove_file(&file).unwrap();
    for _ in 0..60 {
        bare.open(&step);
        bare.until_closed(1);
    }
    table.note(floor(TMUX_STEP), gaps(&file));
    let began = now();
    for _ in 0..300 {
        bare.open("/bin/true");
    }
    bare.until_closed(300);
    table.note(floor(TMUX_MANY), [ms(now() - began) / 300.0]);
}

/// This program, which is also the step.
pub(crate) fn own() -> PathBuf {
    std::env::current_exe().unwrap()
}
