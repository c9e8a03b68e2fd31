//! How the private server comes to be, and what stops it from coming to be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use muxvisor::tmux::{Error, Tmux};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Home, ask, control_client, pane, until, window};

#[tokio::test]
async fn the_server_starts_with_the_options_that_keep_agents_alive() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    for (scope, option, value) in [
        ("-sv", "exit-empty", "off"),
        ("-sv", "focus-events", "off"),
        ("-gv", "remain-on-exit", "on"),
        ("-gv", "destroy-unattached", "off"),
        ("-gv", "renumber-windows", "off"),
        ("-gv", "automatic-rename", "off"),
        ("-gv", "allow-rename", "off"),
        ("-gv", "set-titles", "off"),
        ("-gv", "default-size", "200x50"),
        ("-gv", "window-size", "latest"),
        ("-gv", "update-environment", ""),
    ] {
        assert_eq!(ask(&tmux, &["show-options", scope, option]).await, value, "{option}");
    }
    let status = ask(&tmux, &["show-options", "-gv", "status-format[0]"]).await;
    assert!(status.contains("#{session_name}") && !status.contains("#{W:"), "{status}");
    let mode = fs::metadata(home.path().join("tmux.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(tmux.server(), &home.server().unwrap());
    // Its own session and no environment but the harmless part.
    let stat = fs::read_to_string(format!("/proc/{}/stat", tmux.server().pid)).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, tmux.server().pid.to_string());
    let environment = ask(&tmux, &["show-environment", "-g"]).await;
    assert!(!environment.contains("CARGO"), "{environment}");
    assert_eq!(fs::read_link(format!("/proc/{}/cwd", tmux.server().pid)).unwrap(), Path::new("/"));
}

/// Faults 12 and 17: neither a lock nor a socket of the daemon lives on in the server.
#[tokio::test]
async fn the_server_gets_no_descriptor_of_ours_and_may_open_many() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(512), hard).unwrap();
    let home = Home::new();
    let ours = fs::File::create(home.path().join("daemon.lock")).unwrap();
    // A descriptor that the daemon's own parent forgot to close.
    let careless = nix::unistd::dup(&ours).unwrap();
    nix::fcntl::fcntl(&careless, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
        .unwrap();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    let open: Vec<_> = fs::read_dir(format!("/proc/{}/fd", tmux.server().pid))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .collect();
    assert!(!open.is_empty());
    assert!(open.iter().all(|path| !path.ends_with("daemon.lock")), "{open:?}");
    let files: Vec<_> = open.iter().filter(|path| path.starts_with(home.path())).collect();
    assert!(files.is_empty(), "{files:?}");
    let limits = fs::read_to_string(format!("/proc/{}/limits", tmux.server().pid)).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "soft and hard limit: {line}");
}

/// Fault 23.
#[tokio::test]
async fn a_missing_tmux_says_what_to_install() {
    let home = Home::new();
    let error = Tmux::connect(home.config_with_path("")).await.err().unwrap();
    assert!(matches!(error, Error::Missing { .. }));
    assert!(error.to_string().contains("apt-get install tmux"), "{error}");
}

/// Fault 23.
#[tokio::test]
async fn an_old_tmux_is_refused_by_name() {
    let home = Home::new();
    let config = home.fake_tmux("echo tmux 2.9");
    let error = Tmux::connect(config).await.err().unwrap();
    assert!(matches!(&error, Error::TooOld { found, .. } if found == "2.9"), "{error}");
    assert!(error.to_string().contains("3.2a"), "{error}");
}

/// Fault 23: tmux was upgraded under a living server.
#[tokio::test]
async fn a_server_of_another_protocol_is_left_alone() {
    for words in
        ["protocol version mismatch (client 9, server 8)", "server version is too old for client"]
    {
        let home = Home::new();
        let config = home.fake_tmux(&format!(
            "[ \"$1\" = -V ] && exec echo tmux 3.6\necho '{words}' >&2; exit 1"
        ));
        let error = Tmux::connect(config).await.err().unwrap();
        assert!(matches!(&error, Error::OtherProtocol { said, .. } if said == words), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_is_reported_in_its_own_words() {
    let home = Home::new();
    let mut config = home.config();
    config.socket = home.path().join("nowhere/tmux.sock");
    let error = Tmux::connect(config).await.err().unwrap();
    assert!(matches!(&error, Error::NotStarted { said, .. } if !said.is_empty()), "{error}");
    let mut config = home.config();
    config.socket = home.path().join("x".repeat(100));
    let error = Tmux::connect(config).await.err().unwrap();
    assert!(matches!(error, Error::SocketTooLong { .. }));
}

/// Two daemons in a row: the same server and its windows, its options as they must be.
#[tokio::test]
async fn a_second_connection_takes_over_from_the_first() {
    let home = Home::new();
    let (first, _notices) = Tmux::connect(home.config()).await.unwrap();
    let opened = first.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    ask(&first, &["set-option", "-g", "history-limit", "7"]).await;
    let server = first.server().clone();
    drop(first);
    let (second, _notices) = Tmux::connect(home.config()).await.unwrap();
    assert_eq!(second.server(), &server);
    assert_eq!(pane(&second, &opened.pane).await.pid, opened.pid);
    assert_eq!(ask(&second, &["show-options", "-gv", "history-limit"]).await, "5000");
}

/// The control client of a dead daemon is sent away first, even one that does not react.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the dead daemon started a program")]
async fn a_left_over_control_client_is_sent_away() {
    for stopped in [false, true] {
        let home = Home::new();
        let (first, _notices) = Tmux::connect(home.config()).await.unwrap();
        let mut left = Command::new("tmux")
            .arg("-CS")
            .arg(home.path().join("tmux.sock"))
            .args(["attach-session", "-t", "=muxvisor"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(left.id()).unwrap();
        until("two clients", async || control_client(&first).await.contains(&pid)).await;
        drop(first);
        if stopped {
            kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        }
        let (second, _notices) = Tmux::connect(home.config()).await.unwrap();
        let clients = control_client(&second).await;
        assert!(clients.len() == 1 && !clients.contains(&pid), "{clients:?}");
        let _ = left.kill();
        left.wait().unwrap();
    }
}

/// Fault 24: the user's own configuration is not read.
#[tokio::test]
async fn a_hostile_user_configuration_is_ignored() {
    let home = Home::new();
    let hostile = "set -g remain-on-exit off\nset -g window-size manual\nset -g base-index 7\n";
    fs::write(home.path().join(".tmux.conf"), hostile).unwrap();
    let mut config = home.config();
    config.environment.retain(|(name, _)| name != "HOME");
    config.environment.push(("HOME".to_owned(), home.path().to_str().unwrap().to_owned()));
    let (tmux, _notices) = Tmux::connect(config).await.unwrap();
    assert_eq!(ask(&tmux, &["show-options", "-gv", "remain-on-exit"]).await, "on");
    assert_eq!(ask(&tmux, &["show-options", "-gv", "base-index"]).await, "0");
    tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
}
