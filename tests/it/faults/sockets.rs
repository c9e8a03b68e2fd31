//! Fault 11: sockets of shims that were killed when nobody was there to clear up after them.

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};

use nix::sys::signal::Signal;

use crate::stage::{Stage, end};
use crate::wait::wait_for;

/// What is over and silent is removed; what lives, listens, or is no socket stays.
#[test]
fn sockets_of_dead_shims_are_removed_at_the_start() {
    let stage = Stage::new();
    stage.configure(
        "[agent.kept]\ntype = 'service'\nautostart = true\ncommand = ['sleep', '1000']\n\
         [agent.over]\ntype = 'service'\nautostart = true\nrestart = 'no'\ncommand = ['true']\n",
    );
    let daemon = stage.start_daemon();
    let state = |at: usize| stage.ps()["instances"][at]["state"].clone();
    wait_for("one to run", || state(0) == "running");
    wait_for("the other to be over", || state(1) == "stopped");
    let attempt = |at: usize| stage.ps()["instances"][at]["attempt"].as_str().map(str::to_owned);
    let kept = attempt(0).unwrap();
    let over = stage.counts("SELECT attempt_id, 0 FROM attempt WHERE state = 'ended'");
    let over = over[0].0.clone();
    let place = |name: &str| stage.at("run/s").join(name);
    wait_for("its sockets to go", || !place(&format!("{over}.sock")).exists());
    end(daemon, Signal::SIGKILL);
    let dead = ["sock", "new"].map(|end| place(&format!("{over}.{end}")));
    for path in dead.iter().chain([&place("unheardof1.sock")]) {
        drop(UnixListener::bind(path).unwrap());
    }
    let notify = place(&format!("{over}.notify"));
    drop(UnixDatagram::bind(&notify).unwrap());
    let listens = place("unheardof2.sock");
    let _listener = UnixListener::bind(&listens).unwrap();
    let hears = place("unheardof2.notify");
    let _hearer = UnixDatagram::bind(&hears).unwrap();
    fs::write(place("unheardof3.sock"), "a file").unwrap();
    stage.start_daemon();
    for path in dead.iter().chain([&notify, &place("unheardof1.sock")]) {
        assert!(!path.exists(), "{} is left", path.display());
    }
    for path in [listens, hears, place("unheardof3.sock"), place(&format!("{kept}.sock"))] {
        assert!(path.exists(), "{} is gone", path.display());
    }
    assert_eq!(state(0), "running");
    assert_eq!(stage.ask(&["logs", "kept"]).code, 0);
}
