//! What breaks between us and tmux, and what must not be lost by it (fault matrix B).

use std::fs;
use std::time::Duration;

use muxvisor::tmux::{Error, Notice, Tmux};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Home, ask, control_client, heard, pane, start_ticks, until, window};

/// Fault 22.
#[tokio::test]
async fn a_killed_control_client_is_replaced() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    for _ in 0..3 {
        let client = control_client(&tmux).await;
        assert_eq!(client.len(), 1);
        kill(Pid::from_raw(client[0]), Signal::SIGKILL).unwrap();
        heard(&mut notices, &Notice::Reconnected).await;
        assert_ne!(control_client(&tmux).await, client);
        assert_eq!(pane(&tmux, &opened.pane).await.pid, opened.pid);
    }
}

/// Fault 22: what is asked while the connection breaks is answered, or known to be unknown.
#[tokio::test]
async fn no_question_is_lost_or_sent_twice_while_the_connection_breaks() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    tmux.open_window(&window("agents", "first", &["sleep", "1000"])).await.unwrap();
    let client = control_client(&tmux).await;
    let opening: Vec<_> = (0..20)
        .map(|n| {
            let tmux = tmux.clone();
            let order = window("agents", &format!("w{n}"), &["sleep", "1000"]);
            tokio::spawn(async move {
                let answer = tmux.open_window(&order).await;
                let listed = tmux.list().await;
                let is_it =
                    |pane: &muxvisor::tmux::PaneSeen| pane.token == Some(order.token.clone());
                (answer, listed.ok().map(|panes| panes.iter().any(is_it)))
            })
        })
        .collect();
    tokio::task::yield_now().await;
    kill(Pid::from_raw(client[0]), Signal::SIGKILL).unwrap();
    let mut answers = Vec::new();
    for task in opening {
        answers.push(task.await.unwrap());
    }
    heard(&mut notices, &Notice::Reconnected).await;
    let panes = tmux.list().await.unwrap();
    for (n, (answer, listed)) in answers.iter().enumerate() {
        let there = panes.iter().filter(|pane| pane.name == format!("w{n}")).count();
        match answer {
            Ok(_) => assert_eq!(there, 1, "window {n}"),
            Err(Error::Unknown { .. }) => assert!(there <= 1, "window {n}"),
            Err(other) => panic!("window {n}: {other}"),
        }
        // Whoever looked after the answer saw what there was to see, once and for all.
        assert!(listed.is_none_or(|seen| seen == (there == 1)), "window {n}: {listed:?}, {there}");
    }
    assert!(panes.iter().all(|pane| pane.name == "keeper" || pane.token.is_some()));
}

/// Fault 15.
#[tokio::test]
async fn a_killed_server_is_gone_and_a_new_one_can_be_had() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    let old = tmux.server().clone();
    kill(Pid::from_raw(old.pid), Signal::SIGKILL).unwrap();
    heard(&mut notices, &Notice::ServerGone).await;
    let error = tmux.list().await.unwrap_err();
    assert!(matches!(error, Error::ServerGone { pid } if pid == old.pid), "{error}");
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    assert_ne!(tmux.server(), &old);
    tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
}

#[tokio::test]
async fn a_server_is_ended_on_demand() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    tmux.kill_server().await.unwrap();
    assert_eq!(start_ticks(tmux.server().pid), None);
    heard(&mut notices, &Notice::ServerGone).await;
}

/// Fault 16: the file is made again by the same server, for a living daemon and for the next.
#[tokio::test]
async fn a_deleted_socket_is_restored_without_losing_a_pane() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    let socket = home.path().join("tmux.sock");
    fs::remove_file(&socket).unwrap();
    tmux.restore_socket().await.unwrap();
    assert!(socket.exists());
    fs::remove_file(&socket).unwrap();
    let server = tmux.server().clone();
    drop(tmux);
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    assert_eq!(tmux.server(), &server);
    assert_eq!(pane(&tmux, &opened.pane).await.pid, opened.pid);
}

/// Faults 16 and 22 at once: the client dies while the socket is gone.
#[tokio::test]
async fn a_lost_connection_comes_back_through_a_deleted_socket() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    let client = control_client(&tmux).await;
    fs::remove_file(home.path().join("tmux.sock")).unwrap();
    kill(Pid::from_raw(client[0]), Signal::SIGKILL).unwrap();
    heard(&mut notices, &Notice::Reconnected).await;
    assert_eq!(control_client(&tmux).await.len(), 1);
}

/// Fault 20: not even the keeper is sacred to people.
#[tokio::test]
async fn a_closed_keeper_session_is_made_again() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    let _ = tmux.run(&[super::command(&["kill-session", "-t", "=muxvisor"])]).await;
    heard(&mut notices, &Notice::Reconnected).await;
    ask(&tmux, &["has-session", "-t", "=muxvisor"]).await;
    assert_eq!(pane(&tmux, &opened.pane).await.pid, opened.pid);
}

/// A server that does not answer is not dead: the question is unknown, and the answer to it, when
/// it comes late, is not taken for that of the next one.
#[tokio::test]
async fn a_stopped_server_is_unknown_and_not_gone() {
    let home = Home::new();
    let mut config = home.config();
    config.patience = Duration::from_millis(300);
    let (tmux, mut notices) = Tmux::connect(config).await.unwrap();
    let server = Pid::from_raw(tmux.server().pid);
    kill(server, Signal::SIGSTOP).unwrap();
    let error = tmux.list().await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    // Without a connection this one goes through a forked call, which hangs as well.
    let error = tmux.list().await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    kill(server, Signal::SIGCONT).unwrap();
    heard(&mut notices, &Notice::Reconnected).await;
    assert_eq!(ask(&tmux, &["display-message", "-p", "hello"]).await, "hello");
    while let Ok(notice) = notices.try_recv() {
        assert_ne!(notice, Notice::ServerGone);
    }
}

/// The fallback: the same answers through forked calls, when no control client can be had.
#[tokio::test]
async fn forked_calls_do_the_same() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.without_control()).await.unwrap();
    let opened = tmux.open_window(&window("agents", "one", &["sleep", "1000"])).await.unwrap();
    let second = tmux.open_window(&window("agents", "two", &["sleep", "1000"])).await.unwrap();
    let seen = pane(&tmux, &opened.pane).await;
    assert_eq!((seen.pid, seen.token.unwrap().as_str()), (opened.pid, "token-of-one"));
    let sequence = [
        super::command(&["display-message", "-p", "said"]),
        super::command(&["rename-window", "-t", "@999", "x"]),
        super::command(&["kill-window", "-t", &second.window]),
    ];
    let error = tmux.run(&sequence).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { said, .. } if said.contains("@999")), "{error}");
    assert_eq!(pane(&tmux, &second.pane).await.pid, second.pid, "the rest was dropped");
    assert!(control_client(&tmux).await.is_empty());
    // As soon as a control client can be had, it is had.
    fs::remove_file(home.path().join("bin/tmux")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/tmux", home.path().join("bin/tmux")).unwrap();
    heard(&mut notices, &Notice::Reconnected).await;
    until("one control client", async || control_client(&tmux).await.len() == 1).await;
}

/// A person's hooks give replies of their own.
#[tokio::test]
async fn hooks_do_not_get_between_question_and_answer() {
    let home = Home::new();
    let (tmux, _notices) = Tmux::connect(home.config()).await.unwrap();
    ask(&tmux, &["set-hook", "-g", "after-new-window", "display-message -p out-of-step"]).await;
    ask(&tmux, &["set-hook", "-g", "after-list-panes", "display-message -p out-of-step"]).await;
    for n in 0..5 {
        let order = window("agents", &format!("w{n}"), &["sleep", "1000"]);
        let opened = tmux.open_window(&order).await.unwrap();
        assert_eq!(pane(&tmux, &opened.pane).await.pid, opened.pid);
    }
}

/// Commands that run others give replies to nobody's question. No answer may be taken for
/// another's: above all, no list may come out empty.
#[tokio::test]
async fn replies_out_of_step_are_not_believed() {
    let home = Home::new();
    let (tmux, mut notices) = Tmux::connect(home.config()).await.unwrap();
    let file = home.path().join("more.conf");
    fs::write(&file, "set -g @a 1\nset -g @b 2\nset -g @c 3\n").unwrap();
    ask(&tmux, &["source-file", file.to_str().unwrap()]).await;
    for _ in 0..4 {
        match tmux.list().await {
            Ok(panes) => assert_eq!(panes.len(), 1, "{panes:?}"),
            Err(error) => assert!(matches!(error, Error::Unknown { .. }), "{error}"),
        }
    }
    heard(&mut notices, &Notice::Reconnected).await;
    assert_eq!(tmux.list().await.unwrap().len(), 1);
}
