//! Starts that go wrong: two at once, leftovers of the dead, a ledger that cannot be read.

use std::fs;
use std::os::unix::net::UnixListener;

use nix::sys::signal::Signal;

use crate::stage::{Stage, end};
use crate::wait::wait_for;

/// Pairs of daemons, in two homes at once.
const PAIRS: usize = 100;

/// One pair: exactly one serves, the other says so and ends.
fn duel(stage: &Stage) {
    let mut rivals = [stage.start(&["daemon"]), stage.start(&["daemon"])];
    let mut over = [false; 2];
    wait_for("a loser", || {
        over = [rivals[0].is_over(), rivals[1].is_over()];
        over.contains(&true)
    });
    assert_ne!(over, [true; 2], "{}", stage.log());
    if over[0] {
        rivals.swap(0, 1);
    }
    let [winner, loser] = rivals;
    let said = loser.end();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("another daemon"), "{said:?}");
    assert_eq!(stage.daemon_that_answers(), winner.pid());
    end(winner.pid(), Signal::SIGQUIT);
}

/// Fault 10: two daemons at once, a hundred times.
#[test]
fn of_two_daemons_one_wins() {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let stage = Stage::new();
                for _ in 0..PAIRS / 2 {
                    duel(&stage);
                }
                let started = stage.log().lines().filter(|line| line.contains("starting")).count();
                assert_eq!(started, PAIRS / 2, "a loser touched the log");
            });
        }
    });
}

/// Fault 10: two clients that need a daemon get the same one.
#[test]
fn two_clients_at_once_start_one_daemon() {
    let stage = Stage::new();
    let text = "plan = \"tiny\"\napproval = \"none\"\n[[phase]]\nid = \"p\"\n[[phase.task]]\n\
                id = \"t\"\nkind = \"command\"\nrun = [\"true\"]\n";
    stage.file("tiny.toml", text);
    let clients = [0; 4].map(|_| stage.start(&["run", "tiny.toml", "--json"]));
    for client in clients {
        let said = client.end();
        assert_eq!(said.code, 0, "{said:?}");
    }
    let log = stage.log();
    assert_eq!(log.lines().filter(|line| line.contains("starting")).count(), 1, "{log}");
    let runs: i64 = stage.ledger().query_row("SELECT count(*) FROM run", [], |r| r.get(0)).unwrap();
    assert_eq!(runs, 4);
}

/// Fault 11: a dead socket, and a lock file with the pid of a stranger, are in nobody's way.
#[test]
fn leftovers_are_in_nobodys_way() {
    let stage = Stage::new();
    fs::create_dir(stage.at("run")).unwrap();
    let mut private = fs::metadata(stage.home()).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut private, 0o700);
    fs::set_permissions(stage.at("run"), private).unwrap();
    drop(UnixListener::bind(stage.at("run/daemon.sock")).unwrap());
    drop(UnixListener::bind(stage.at("run/tmux.sock")).unwrap());
    fs::write(stage.at("run/daemon.lock"), format!("{}\n", std::process::id())).unwrap();
    fs::write(stage.at("run/start.lock"), "").unwrap();
    let daemon = stage.start_daemon();
    assert_ne!(daemon, i32::try_from(std::process::id()).unwrap());
}

/// Fault 8: what cannot be read is refused and kept, and whoever needs it hears why.
#[test]
fn a_ledger_that_cannot_be_read_is_left_alone() {
    let newer = {
        let stage = Stage::new();
        let daemon = stage.start_daemon();
        end(daemon, Signal::SIGTERM);
        let ledger = rusqlite::Connection::open(stage.at("ledger.db")).unwrap();
        ledger.pragma_update(None, "user_version", 99).unwrap();
        drop(ledger);
        fs::read(stage.at("ledger.db")).unwrap()
    };
    let garbage = b"not a database, but somebody's only copy".to_vec();
    for (content, reason) in [(newer, "99"), (garbage, "header")] {
        let stage = Stage::new();
        fs::write(stage.at("ledger.db"), &content).unwrap();
        let said = stage.ask(&["daemon"]);
        assert!(said.code != 0 && said.err.contains(reason), "{said:?}");
        let said = stage.ask(&["run", super::QUICKSTART, "--json"]);
        assert!(said.code != 0 && said.out.contains(reason), "{said:?}");
        assert!(fs::read(stage.at("ledger.db")).unwrap() == content, "it was changed");
        assert_eq!(stage.processes(), Vec::<i32>::new());
    }
}
