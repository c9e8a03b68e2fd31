//! Fault 68: the wall clock is set a day forwards, a day and an hour back, while the monotonic one
//! goes on. Restarts come when they are due, and what is recorded stays in order.

use std::fs;

use nix::sys::signal::Signal;

use crate::stage::{Stage, end};
use crate::wait::wait_for;

const DELAY_MS: i64 = 600;

/// Every life writes down when it began, by a clock that nobody moves, and ends.
const CONFIG: &str = r#"
[agent.crasher]
type = "service"
autostart = true
prompt = "none"
result = "none"
command = ["sh", "-c", "cut -d ' ' -f 1 /proc/uptime >> DESK/lives; exit 1"]
restart = "always"
restart_delay = "600ms"
restart_max_delay = "600ms"
restart_jitter = 0.0
start_limit_burst = 0
"#;

/// When each life began, in milliseconds since boot.
fn lives(stage: &Stage) -> Vec<i64> {
    let text = fs::read_to_string(stage.desk().join("lives")).unwrap_or_default();
    let ms = |line: &str| Some(line.replace('.', "").parse::<i64>().ok()? * 10);
    text.lines().filter_map(ms).collect()
}

fn jump(by: &str) {
    let stage = Stage::new();
    stage.configure(&CONFIG.replace("DESK", &stage.desk().display().to_string()));
    let mark = stage.desk().join("mark");
    let start = |stage: &Stage| {
        let mut command = stage.command(&["runs"]);
        command.env("MUXVISOR_FAILPOINT", format!("clock.wall={by}"));
        command.env("MUXVISOR_FAILPOINT_MARK", &mark);
        assert!(command.status().unwrap().success());
    };
    start(&stage);
    wait_for("two lives", || lives(&stage).len() == 2);
    // In the midst of a delay.
    fs::write(&mark, "").unwrap();
    wait_for("four lives", || lives(&stage).len() == 4);
    // A daemon that starts after the jump takes up what one from before it wrote.
    end(stage.daemon().unwrap(), Signal::SIGKILL);
    start(&stage);
    wait_for("six lives", || lives(&stage).len() == 6);
    fs::remove_file(&mark).unwrap();
    wait_for("seven lives", || lives(&stage).len() == 7);
    for pair in lives(&stage).windows(2) {
        let waited = pair[1] - pair[0];
        // Two hundredths of a second are lost in rounding; late is a matter of the machine.
        assert!((DELAY_MS - 20..DELAY_MS + 8000).contains(&waited), "{by}: waited {waited} ms");
    }
    let times = stage.counts("SELECT attempt_id, launched_at FROM attempt ORDER BY id");
    assert!(times.is_sorted_by_key(|(_, at)| *at), "{by}: {times:?}");
}

#[test]
fn the_wall_clock_decides_nothing() {
    std::thread::scope(|scope| {
        for by in ["+86400000", "-86400000", "-3600000"] {
            scope.spawn(move || jump(by));
        }
    });
}
