//! The real daemon against bad peers and bad surroundings (faults 58, 59, 63).

#![expect(
    clippy::disallowed_methods,
    reason = "a daemon is started by a shell with few descriptors"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;

use crate::scene::Scene;
use crate::wait::wait_for;

/// Fault 59: a thousand silent, half and lying connections, and a person is still served.
#[test]
fn a_thousand_bad_connections_keep_nobody_out() {
    let scene = Scene::new();
    let daemon = scene.start_daemon();
    let sayings: [&[u8]; 5] =
        [b"", &[0, 0], &[0x40, 0, 0, 0], &[0, 0, 0, 9, b'{'], b"GET / HTTP/1.1\r\n\r\n"];
    let bad: Vec<UnixStream> = (0..1000)
        .map(|n| {
            let mut stream = UnixStream::connect(scene.at("run/daemon.sock")).unwrap();
            let _ = stream.write_all(sayings[n % sayings.len()]);
            stream
        })
        .collect();
    wait_for("an answer among bad connections", || scene.daemon() == Some(daemon));
    drop(bad);
    assert_eq!(scene.daemon(), Some(daemon));
}

/// Fault 58: no daemon is started over a directory that others can write to, or that leads away.
#[test]
fn a_home_that_is_not_private_is_refused() {
    let scene = Scene::new();
    fs::create_dir(scene.at("run")).unwrap();
    fs::set_permissions(scene.at("run"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = scene.ask(&["runs"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("chmod 700"), "{said:?}");
    let doctor = scene.ask(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("open to others"), "{doctor:?}");
    fs::remove_dir(scene.at("run")).unwrap();
    fs::create_dir(scene.desk().join("elsewhere")).unwrap();
    symlink(scene.desk().join("elsewhere"), scene.at("run")).unwrap();
    let said = scene.ask(&["runs"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("symbolic link"), "{said:?}");
    assert_eq!(fs::read_dir(scene.desk().join("elsewhere")).unwrap().count(), 0);
}

/// Fault 63: a daemon with hardly any file descriptors starts late what it cannot start now; no
/// attempt is used up by that.
#[test]
fn a_shortage_of_descriptors_is_no_failure_of_agents() {
    let scene = Scene::new();
    let mut plan = String::from("plan = \"many\"\napproval = \"none\"\nmax_parallel = 60\n");
    plan.push_str("[defaults]\nretries = 0\n");
    for n in 0..60 {
        let run = "['sh', '-c', 'while [ ! -e go ]; do sleep 0.05; done']";
        plan.push_str(&format!("[[task]]\nid = 't{n}'\nkind = 'command'\nrun = {run}\n"));
    }
    let path = scene.file("plan.toml", &plan);
    let serve = format!(
        "ulimit -n 72; exec {} daemon --home {}",
        env!("CARGO_BIN_EXE_muxvisor"),
        scene.home().display()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &serve]).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let _daemon = scene.begin_command(command);
    scene.daemon_that_answers();
    let going = scene.begin(&["run", path.to_str().unwrap(), "--json"]);
    wait_for("a shortage", || scene.log().contains("os error 24"));
    scene.file("go", "");
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    let attempts = scene.counts("SELECT outcome, count(*) FROM attempt GROUP BY 1");
    assert_eq!(attempts, [("success".to_owned(), 60)]);
}
