//! A shim is killed: nobody of its agent is left before the work is done again, whatever they did
//! to hide (fault 38).

use std::fs;

use nix::sys::signal::Signal;

use super::group;
use crate::scene::Scene;
use crate::stage::{end, lives};
use crate::wait::wait_for;

/// The first attempt leaves a child that hides as `how` says; the second looks whether it is gone.
fn script(how: &str) -> String {
    format!(
        r#"
cat > /dev/null
if [ "$MUXVISOR_ATTEMPT" = 1 ]; then
    {how} sh -c 'echo $$ > hidden.new; mv hidden.new hidden; exec sleep 1000' &
    sleep 1000
fi
# A zombie is gone; it only waits for somebody to ask how.
if grep -qs '^State:.*[RSDT] ' "/proc/$(cat hidden)/status"; then exit 8; fi
echo "<result>alone</result>"
"#
    )
}

const PLAN: &str = r#"
plan = "hidden"
approval = "none"
[agent.parent]
command = ["sh", "./agent.sh"]
prompt = "stdin"
[[task]]
id = "work"
agent = "parent"
description = "work"
retry_wait = { first = "50ms" }
"#;

/// The child that hides so is gone before the second attempt starts, for a daemon with this
/// `MUXVISOR_CGROUP`; returns where it was.
#[track_caller]
fn assert_fenced(how: &str, wish: Option<&str>) -> String {
    let scene = Scene::new();
    scene.file("agent.sh", &script(how));
    scene.file("plan.toml", PLAN);
    let mut command = scene.command(&["run", "plan.toml", "--json"]);
    command.envs(wish.map(|wish| ("MUXVISOR_CGROUP", wish)));
    let going = scene.begin_command(command);
    wait_for("the child that hides", || scene.desk().join("hidden").exists());
    let hidden = fs::read_to_string(scene.desk().join("hidden")).unwrap();
    let hidden: i32 = hidden.trim().parse().unwrap();
    let place = group::of(hidden);
    end(scene.panes()[0].pid, Signal::SIGKILL);
    let answer = going.end();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(!lives(hidden));
    place
}

/// Design §3: whoever dropped the token is still known by the session that the agent began.
#[test]
fn a_child_without_the_token_is_known_by_its_session() {
    assert_fenced("env -i", Some("none"));
}

/// Whoever dropped the token and began a session of its own is still in the control group; the
/// group is gone with the last of them.
#[test]
fn a_child_without_token_and_session_is_known_by_its_group() {
    let test = "a_child_without_token_and_session_is_known_by_its_group";
    let Some((base, _)) = group::ground(test) else { return };
    let place = assert_fenced("env -i setsid", None);
    let leaf = base.join(place.rsplit('/').next().unwrap());
    assert!(place.contains("/muxvisor-"), "{place}");
    wait_for("the group to be removed", || !leaf.exists());
}
