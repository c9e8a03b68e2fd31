//! What the daemon asks of tmux: windows opened, marked, listed, watched, closed.

use std::fs;

use muxvisor::model::Token;
use muxvisor::tmux::{Death, Error, Looker, Notice, Tmux, attach_argv};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proptest::strategy::{Strategy, ValueTree};
use tmux_interface::SetOption;

use super::{Home, ask, heard, pane, until, window};

/// Text that some reader on the way might take for its own.
const HOSTILE: [&str; 14] = [
    "it's \"1\" $HOME ~ #{pane_id} ; \\ \n x",
    "~",
    ";",
    "a;",
    "a\\;",
    "\\",
    "\\;",
    "%end 1 2 1",
    "{ a } # b %if x",
    "#(date) #[fg=red] %H:%M ##",
    "\u{1}\u{1e}\u{1f}\u{1b}[0m\t\r\u{7f}",
    "ünïcödé 🦀",
    "-t",
    "",
];

/// Feature H1: windows for long work are made, marked, known and closed.
#[tokio::test]
async fn a_window_is_opened_and_marked_in_one_step() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    let seen = pane(&tmux, &opened.pane).await;
    assert_eq!((&seen.session[..], &seen.name[..]), ("agents", "one"));
    assert_eq!((&seen.window, seen.pid, seen.dead), (&opened.window, opened.pid, false));
    assert_eq!(seen.token, Some(Token::new("token-of-one")));
    assert!(seen.start_command.contains("sleep"), "{}", seen.start_command);
    let format = "#{window_width}x#{window_height}";
    let size = ask(&tmux, &["display-message", "-p", "-t", &opened.pane, format]).await;
    assert_eq!(size, "200x50");
    // The second one goes into the session that is there.
    let other = tmux.open_window(&window("agents", "two", &["sleep", "1000"])).await.unwrap();
    assert_eq!(pane(&tmux, &other.pane).await.token, Some(Token::new("token-of-two")));
    assert_eq!(pane(&tmux, &opened.pane).await.token, Some(Token::new("token-of-one")));
    tmux.close_window(&opened.window).await.unwrap();
    tmux.close_window(&opened.window).await.unwrap();
    assert!(tmux.list().await.unwrap().iter().all(|pane| pane.window != opened.window));
}

/// Both channels must read back what was meant, whatever it is.
#[tokio::test]
async fn words_arrive_exact_over_the_connection_and_forked() {
    let home = Home::new();
    let connected = Tmux::connect(home.config()).await.unwrap().0;
    let forking = Home::new();
    let forked = Tmux::connect(forking.without_control()).await.unwrap().0;
    let mut texts: Vec<String> = HOSTILE.iter().map(|text| (*text).to_owned()).collect();
    texts.push(HOSTILE.concat());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let text = proptest::prelude::any::<String>().new_tree(&mut runner).unwrap().current();
        texts.push(text.replace('\0', ""));
    }
    for tmux in [connected, forked] {
        for text in &texts {
            let set = SetOption::new().global().option("@text").value(text).build();
            let mut show = tmux_interface::TmuxCommand::with_name("display-message");
            show.push_param("-p").push_param("<#{@text}>");
            let outputs = tmux.run(&[set, show]).await.unwrap();
            assert_eq!(outputs.len(), 2);
            let shown = String::from_utf8_lossy(&outputs[1]).into_owned();
            assert_eq!(shown, format!("<{text}>\n"), "{text:?}");
        }
    }
}

#[tokio::test]
async fn arguments_and_directory_arrive_exact() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    let script = home.path().join("script");
    let strange = home.path().join("a #{pane_id} %H;'\"$x ~");
    fs::create_dir(&strange).unwrap();
    fs::write(&script, "printf '%s\\0' \"$PWD\" \"$@\" > \"$0.new\"; mv \"$0.new\" \"$0.out\"")
        .unwrap();
    let mut argv = vec!["/bin/sh", script.to_str().unwrap()];
    argv.extend(HOSTILE);
    let order =
        muxvisor::tmux::OpenWindow { cwd: strange.clone(), ..window("agents", "one", &argv) };
    for name in ["first", "second"] {
        let order = muxvisor::tmux::OpenWindow { name: name.to_owned(), ..order.clone() };
        tmux.open_window(&order).await.unwrap();
        let out = home.path().join("script.out");
        until("the arguments", async || out.exists()).await;
        let bytes = fs::read(&out).unwrap();
        fs::remove_file(&out).unwrap();
        let words: Vec<&str> = std::str::from_utf8(&bytes).unwrap().split('\0').collect();
        assert_eq!(words[0], strange.to_str().unwrap());
        assert_eq!(words[1..words.len() - 1], HOSTILE);
    }
    let seen = tmux.list().await.unwrap();
    assert_eq!(seen.iter().filter(|pane| pane.start_command.contains("script")).count(), 2);
}

#[tokio::test]
async fn what_tmux_cannot_take_is_refused_before_it_is_sent() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    for order in [
        window("agents", "one", &["sleep"]),
        window("agents", "a b", &["sleep", "1"]),
        window("a:b", "one", &["sleep", "1"]),
        window("agents", "", &["sleep", "1"]),
        window("agents", "one", &["sleep", "a\0b"]),
    ] {
        let error = tmux.open_window(&order).await.unwrap_err();
        assert!(matches!(error, Error::Text { .. }), "{error}");
    }
    assert_eq!(tmux.list().await.unwrap().len(), 1, "only the keeper");
}

/// Features H2, J6: a hundred windows are made at once, and none waits for another.
#[tokio::test]
async fn a_hundred_windows_opened_at_once_are_all_marked() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    let opening: Vec<_> = (0..100)
        .map(|n| {
            let tmux = tmux.clone();
            // Ten sessions, none of which is there yet: creations race for them.
            let order = window(&format!("s{}", n % 10), &format!("w{n}"), &["sleep", "1000"]);
            tokio::spawn(async move { tmux.open_window(&order).await })
        })
        .collect();
    let mut opened = Vec::new();
    for task in opening {
        opened.push(task.await.unwrap().unwrap());
    }
    let seen = tmux.list().await.unwrap();
    assert_eq!(seen.len(), 101);
    for (n, opened) in opened.iter().enumerate() {
        let pane = seen.iter().find(|pane| pane.pane == opened.pane).unwrap();
        assert_eq!(pane.name, format!("w{n}"));
        assert_eq!(pane.token, Some(Token::new(format!("token-of-w{n}"))));
        assert_eq!(pane.pid, opened.pid);
    }
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_cost_the_mark() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    let first = tmux.open_window(&window("agents", "same", &["sleep", "1000"])).await.unwrap();
    let mut again = window("agents", "same", &["sleep", "1000"]);
    again.token = Token::new("another");
    let second = tmux.open_window(&again).await.unwrap();
    assert_eq!(pane(&tmux, &first.pane).await.token, Some(Token::new("token-of-same")));
    assert_eq!(pane(&tmux, &second.pane).await.token, Some(Token::new("another")));
}

/// Fault 20: windows are known by id, and one that goes is announced.
#[tokio::test]
async fn windows_are_known_by_id_whatever_people_do() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    ask(&tmux, &["rename-window", "-t", &opened.window, "two"]).await;
    ask(&tmux, &["move-window", "-s", &opened.window, "-t", "agents:77"]).await;
    ask(&tmux, &["split-window", "-t", &opened.pane, "sleep 999"]).await;
    let seen = pane(&tmux, &opened.pane).await;
    assert_eq!((&seen.name[..], seen.token), ("two", Some(Token::new("token-of-one"))));
    let strangers: Vec<_> = tmux.list().await.unwrap();
    assert_eq!(strangers.iter().filter(|pane| pane.token.is_none()).count(), 2);
    // What a person opened beside it is not ours to close.
    tmux.close_window(&opened.window).await.unwrap();
    let left = tmux.list().await.unwrap();
    assert!(left.iter().any(|pane| pane.window == opened.window && pane.token.is_none()));
    assert!(left.iter().all(|pane| pane.pane != opened.pane));
    let opened = tmux.open_window(&window("agents", "three", &["sleep", "1000"])).await.unwrap();
    tmux.close_window(&opened.window).await.unwrap();
    tmux.close_window(&opened.window).await.unwrap();
    heard(&mut notices, &Notice::WindowClosed { window: opened.window }).await;
}

/// How a dead pane ended, as soon as tmux can be brought to know it.
async fn death(tmux: &Tmux, id: &str) -> Death {
    until("the server to know", async || {
        tmux.nudge();
        pane(tmux, id).await.death.is_some()
    })
    .await;
    pane(tmux, id).await.death.unwrap()
}

/// Faults 18 and 19: with a library that loses SIGCHLD (tmux before 3.6), no end stays unknown.
#[tokio::test]
async fn the_end_of_thirty_killed_panes_is_known() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    let mut opened = Vec::new();
    for n in 0..30 {
        let order = window("agents", &format!("w{n}"), &["sleep", "1000"]);
        opened.push(tmux.open_window(&order).await.unwrap());
    }
    // One after the other: the death of the next one would make tmux notice this one.
    for one in &opened {
        kill(Pid::from_raw(one.pid), Signal::SIGKILL).unwrap();
        until("the pane to be dead", async || pane(&tmux, &one.pane).await.dead).await;
        assert_eq!(death(&tmux, &one.pane).await, Death::Signal(9), "{one:?}");
    }
    let failing = window("agents", "seven", &["sh", "-c", "exit 7"]);
    let seven = tmux.open_window(&failing).await.unwrap();
    until("the pane to be dead", async || pane(&tmux, &seven.pane).await.dead).await;
    assert_eq!(death(&tmux, &seven.pane).await, Death::Code(7));
}

/// A person attaches with the command that is printed for them, and is seen to look.
#[tokio::test]
async fn a_person_who_attaches_is_seen_and_sizes_the_window() {
    let home = Home::new();
    let config = home.config();
    let (tmux, mut notices) = Tmux::connect(config.clone()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    let other = tmux.open_window(&window("agents", "two", &["sleep", "1000"])).await.unwrap();
    assert_eq!(tmux.windows_being_watched().await.unwrap(), Vec::<String>::new());
    let argv = attach_argv(&config, "agents", Some(&other.window), Looker::Terminal);
    let person = super::Terminal::open(&argv);
    heard(&mut notices, &Notice::WatchersChanged).await;
    let watched = async || tmux.windows_being_watched().await.unwrap() == [other.window.as_str()];
    until("the second window to be watched", watched).await;
    let format = "#{window_width}";
    let width = async || ask(&tmux, &["display-message", "-p", "-t", &other.pane, format]).await;
    until("the window to take the terminal's size", async || width().await == "91").await;
    ask(&tmux, &["select-window", "-t", &opened.window]).await;
    let watched = async || tmux.windows_being_watched().await.unwrap() == [opened.window.as_str()];
    until("the first window to be watched", watched).await;
    drop(person);
    let nobody = async || tmux.windows_being_watched().await.unwrap().is_empty();
    until("nobody to watch", nobody).await;
}
