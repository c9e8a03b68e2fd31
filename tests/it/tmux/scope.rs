//! The server's own systemd scope: used where it can be had, done without where it cannot.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use muxvisor::tmux::{Config, Scope, Tmux};

use super::Home;

/// A configuration that wants a scope, with this script for `systemd-run`.
fn config(home: &Home, script: &str) -> Config {
    let bin = home.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let fake = bin.join("systemd-run");
    fs::write(&fake, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let manager = vec![("XDG_RUNTIME_DIR".to_owned(), "/run/user/1".to_owned())];
    let unit = "muxvisor-tmux-7.scope".to_owned();
    Config { scope: Some(Scope { unit, manager }), ..home.config_with_path(&path) }
}

/// Writes down what it was given, then runs what is to be run.
const SYSTEMD: &str = r#"
echo "$XDG_RUNTIME_DIR $*" >> "${0%/bin/*}/asked"
case "$*" in *OOMPolicy*) [ -e "${0%/bin/*}/old" ] && exit 1;; esac
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"#;

#[tokio::test]
async fn the_server_is_started_in_a_scope_of_its_own() {
    for old in [false, true] {
        let home = Home::new();
        let config = config(&home, SYSTEMD);
        if old {
            fs::write(home.path().join("old"), "").unwrap();
        }
        let (tmux, _notices) = Tmux::connect(config).await.unwrap();
        let asked = fs::read_to_string(home.path().join("asked")).unwrap();
        let last = asked.lines().last().unwrap();
        assert!(last.starts_with("/run/user/1 --user --scope"), "{asked}");
        assert!(last.contains("--unit=muxvisor-tmux-7.scope"), "{asked}");
        assert_eq!(last.contains("ManagedOOMPreference=avoid"), !old, "{asked}");
        let environ = fs::read(format!("/proc/{}/environ", tmux.server().pid)).unwrap();
        let environ = String::from_utf8_lossy(&environ).into_owned();
        assert!(!environ.contains("XDG_RUNTIME_DIR"), "{environ}");
    }
}

#[tokio::test]
async fn without_a_scope_the_server_is_started_all_the_same() {
    let home = Home::new();
    let config = config(&home, "echo 'Failed to connect to bus' >&2; exit 1");
    let (tmux, _notices) = Tmux::connect(config).await.unwrap();
    assert_eq!(tmux.server(), &home.server().unwrap());
}
