//! muxvisor as a unit of systemd: the shipped file, readiness, and what a restart does (fault 13).

#![expect(clippy::disallowed_methods, reason = "systemd's own checker is asked")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::group::skipped;
use crate::scene::Scene;
use crate::stage::{end, pid_of};
use crate::wait::wait_for;

const UNIT: &str = include_str!("../../../config/systemd/muxvisor.service");

/// The unit says what keeps agents alive, and nothing that would bind them.
#[test]
fn the_unit_keeps_agents_alive() {
    let lines: Vec<&str> = UNIT.lines().filter(|line| !line.starts_with('#')).collect();
    for wanted in [
        "Type=notify",
        "KillMode=process",
        "Restart=on-failure",
        "Delegate=yes",
        "DelegateSubgroup=daemon",
        "OOMPolicy=continue",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ] {
        assert!(lines.contains(&wanted), "{wanted} is missing");
    }
    assert!(UNIT.contains(&format!("DelegateSubgroup={}", muxvisor::cgroup::SUBGROUP)));
    for binding in ["NoNewPrivileges=", "ProtectHome=", "PrivateTmp=", "SystemCallFilter="] {
        assert!(!lines.iter().any(|line| line.starts_with(binding)), "{binding}");
    }
}

/// systemd itself finds nothing wrong with it.
#[test]
fn systemd_accepts_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("muxvisor.service");
    let program = format!("ExecStart={} daemon", env!("CARGO_BIN_EXE_muxvisor"));
    fs::write(&file, UNIT.replace("ExecStart=%h/.cargo/bin/muxvisor daemon", &program)).unwrap();
    let checked = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output();
    let Ok(checked) = checked else {
        return skipped("systemd_accepts_the_unit", "there is no systemd-analyze");
    };
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    // Versions before 254 say that they do not know one line.
    let about_us = |line: &&str| line.contains("muxvisor") && !line.contains("DelegateSubgroup");
    assert!(checked.status.success(), "{said}");
    assert_eq!(said.lines().find(about_us), None, "{said}");
}

/// Fault 13: what `systemctl restart` does with `KillMode=process`: SIGTERM to the main process and
/// nobody else. The next daemon says when it is ready, and adopts; its agents do not speak to
/// systemd in its name.
#[test]
fn a_restart_of_the_unit_ends_nobody_but_the_daemon() {
    let scene = Scene::new();
    scene.configure(
        "[agent.idle]\ntype = \"service\"\nautostart = true\nprompt = \"none\"\n\
         result = \"none\"\ncommand = [\"sleep\", \"1000\"]\n",
    );
    let manager = UnixDatagram::bind(scene.desk().join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let serve = || {
        let mut command = scene.command(&["daemon"]);
        command.env("NOTIFY_SOCKET", scene.desk().join("notify"));
        let daemon = scene.begin_command(command);
        assert_eq!(heard(&manager), "READY=1");
        daemon
    };
    let before = {
        let first = serve();
        let pid = scene.daemon().unwrap();
        wait_for("the agent", || pid_of(&scene.ps()["instances"][0]["pid"]).is_some());
        let before = (scene.ps()["instances"][0]["pid"].clone(), scene.tmux_server());
        end(pid, Signal::SIGTERM);
        assert_eq!(first.end().code, 0);
        assert_eq!(heard(&manager), "STOPPING=1");
        before
    };
    let _second = serve();
    let instance = scene.ps()["instances"][0].clone();
    assert_eq!((instance["pid"].clone(), scene.tmux_server()), before);
    assert_eq!(instance["restarts"], 0);
    let agent = pid_of(&instance["pid"]).unwrap();
    let environ = fs::read(format!("/proc/{agent}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environ).contains(&*scene.desk().to_string_lossy()));
    end(scene.daemon().unwrap(), Signal::SIGTERM);
}

fn heard(manager: &UnixDatagram) -> String {
    let mut said = [0; 100];
    let length = manager.recv(&mut said).unwrap();
    String::from_utf8_lossy(&said[..length]).into_owned()
}
