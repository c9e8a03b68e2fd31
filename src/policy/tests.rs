//! Wrong files with their exact findings, and right ones with what is made of them.

use std::path::Path;

use super::*;
use crate::document::{Source, render};
use crate::model::{Finding, PromptBy, ResultRule};

fn read(text: &str) -> (Option<Config>, Vec<Finding>) {
    Config::read(&Source::new("m.toml", text), Path::new("/etc/mux"), &Config::built_in())
}

/// `code line:column message (help)`, one line per finding.
fn told(text: &str) -> String {
    let line = |f: &Finding| {
        let help = f.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{} {}:{} {}{help}", f.code, f.line, f.column, f.message)
    };
    read(text).1.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn agent(text: &str) -> Agent {
    let (config, findings) = read(text);
    let shown: Vec<_> = findings.iter().map(render).collect();
    let config = config.unwrap_or_else(|| panic!("{}", shown.join("\n")));
    config.agents["a"].clone()
}

#[test]
fn every_problem_is_told_at_its_place() {
    let cases: Vec<_> = include_str!("findings.txt").split("====\n").skip(1).collect();
    assert!(cases.len() > 60);
    for case in cases {
        let (text, expected) = case.split_once("---\n").expect("a file and what is told");
        assert_eq!(told(text), expected.trim_end(), "for:\n{text}");
        assert_eq!(read(text).0.is_some(), expected.is_empty(), "for:\n{text}");
    }
}

#[test]
fn an_empty_file_is_refused_and_comments_alone_are_not() {
    assert_eq!(told(""), "C01 1:1 the file is empty");
    assert_eq!(told("\u{feff}\r\n \n"), "C01 1:1 the file is empty");
    assert_eq!(read("# nothing yet\n").0, Some(Config::built_in()));
}

#[test]
fn an_agent_that_says_nothing_reads_its_prompt_and_answers_in_tags() {
    let it = agent("[agent.a]\ncommand = ['x', '-v']");
    assert_eq!(
        it,
        Agent {
            command: vec!["x".to_owned(), "-v".to_owned()],
            modes: it.modes.clone(),
            ..Agent::new("a")
        }
    );
    assert_eq!((it.prompt, it.result, it.terminal), (PromptBy::Stdin, ResultRule::Tag, false));
}

#[test]
fn the_way_of_the_prompt_follows_from_the_command_and_the_kind() {
    let cases = [
        ("command = ['x', '{prompt}']", PromptBy::Argv, false),
        ("command = ['x', '--file={prompt_file}']", PromptBy::File, false),
        ("command = ['x']\nmode = 'tui'", PromptBy::Type, true),
        ("command = ['x', '{prompt}']\nmode = 'tui'", PromptBy::Argv, true),
        ("command = ['x']\ntype = 'service'", PromptBy::None, true),
        ("command = ['x']\ntype = 'service'\nterminal = false", PromptBy::None, false),
        ("command = ['x']\nprompt = 'none'", PromptBy::None, false),
    ];
    for (keys, prompt, terminal) in cases {
        let it = agent(&format!("[agent.a]\n{keys}"));
        assert_eq!((it.prompt, it.terminal), (prompt, terminal), "for {keys}");
    }
}

#[test]
fn a_program_with_a_slash_lies_beside_the_file_and_others_are_searched() {
    let program = |command: &str| agent(&format!("[agent.a]\ncommand = [{command}]")).command;
    assert_eq!(program("'./run.sh', './x'"), ["/etc/mux/run.sh", "./x"]);
    assert_eq!(program("'../bin/x'"), ["/etc/mux/../bin/x"]);
    assert_eq!(program("'/bin/x'"), ["/bin/x"]);
    assert_eq!(program("'x'"), ["x"]);
    let shell = agent("[agent.a]\nshell = true\ncommand = 'a | b'");
    assert_eq!(shell.command, ["sh", "-c", "a | b"]);
    let cwd = agent("[agent.a]\ncommand = ['x']\ncwd = 'work'").cwd;
    assert_eq!(cwd.as_deref(), Some(Path::new("/etc/mux/work")));
}

#[test]
fn an_agent_extends_another_whichever_comes_first() {
    let it = agent(
        "[agent.a]\nextends = 'b'\nenv = { X = '2' }\ntimeout = '5m'\n\
         [agent.b]\nextends = 'claude'\nmode = 'tui'\nautostart = true\ntype = 'service'\n\
         env = { X = '1', Y = '1' }\nidle_timeout = '1m'",
    );
    assert_eq!(it.command, ["claude", "{prompt}"], "the mode is inherited");
    assert_eq!(it.description, "Claude Code");
    let env: Vec<_> = it.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["DISABLE_AUTOUPDATER=1", "X=2", "Y=1"]);
    assert_eq!(it.policy.timeout_ms, Some(300_000));
    assert_eq!(it.policy.idle_timeout_ms, Some(60_000));
    assert!(!it.autostart, "only the agent that says so is started by the daemon");
}

#[test]
fn a_known_agent_is_adjusted_without_a_command_and_replaced_with_one() {
    let claude = |text: &str| read(text).0.expect("it is right").agents["claude"].clone();
    let adjusted = claude("[agent.claude]\nmodel = 'opus'");
    assert_eq!(adjusted.command, ["claude", "-p"]);
    assert_eq!(adjusted.model.as_deref(), Some("opus"));
    let replaced = claude("[agent.claude]\ncommand = ['mine']");
    assert_eq!(replaced.command, ["mine"]);
    assert_eq!(replaced.description, "");
    let wrapped = claude("[agent.claude]\nextends = 'claude'\ncommand = ['mine']");
    assert_eq!(wrapped.description, "Claude Code");
}

#[test]
fn the_table_of_a_mode_is_nearer_than_that_of_the_agent() {
    let text = "[agent.a]\ncommand = ['x']\nresult = 'stdout'\n\
                [agent.a.headless]\ncommand = ['y', '{prompt}']\n\
                [agent.a.tui]\nresult = 'submit'\n";
    let headless = agent(text);
    assert_eq!(
        (headless.command.join(" "), headless.prompt),
        ("y {prompt}".into(), PromptBy::Argv)
    );
    assert_eq!(headless.result, ResultRule::Stdout);
    let tui = agent(&text.replacen("[agent.a]", "[agent.a]\nmode = 'tui'", 1));
    assert_eq!((tui.command.join(" "), tui.prompt), ("x".into(), PromptBy::Type));
    assert_eq!((tui.result, tui.terminal), (ResultRule::Submit, true));
}

#[test]
fn defaults_hold_for_agents_that_say_nothing_else() {
    let text = "[defaults]\ntimeout = '5m'\nsuccess_exit_status = [3]\n\
                [agent.a]\ncommand = ['x']\n[agent.b]\ncommand = ['x']\ntimeout = 'off'";
    let agents = read(text).0.expect("it is right").agents;
    assert_eq!(agents["a"].policy.timeout_ms, Some(300_000));
    assert_eq!(agents["b"].policy.timeout_ms, None);
    assert_eq!(agents["b"].policy.success_codes, [0, 3]);
    assert_eq!(agents["claude"].policy.timeout_ms, Some(300_000));
}

#[test]
fn policy_keys_arrive() {
    let policy = agent(
        "[agent.a]\ncommand = ['x']\nrestart = 'always'\nrestart_delay = '2s'\n\
         restart_max_delay = '4s'\ndelay_function = 'fibonacci'\nrestart_jitter = 0\n\
         restart_reset_after = '10s'\nstart_limit_burst = 3\nstart_limit_interval = '1h'\n\
         on_start_limit = 'delay'\nsuccess_exit_status = [1, 'term']\n\
         restart_prevent_exit_status = [2, 'SIGKILL']\nstart_timeout = 'infinity'\n\
         timeout = '1m'\nidle_timeout = '30s'\nstop_keys = ['Escape']\nstop_signal = 'int'\n\
         stop_timeout = '1s'\nsend_sighup = false\noom_score_adjust = -5",
    )
    .policy;
    let expected = Policy {
        restart: Restart::Always,
        restart_delay_ms: 2_000,
        restart_max_delay_ms: 4_000,
        delay_function: Delay::Fibonacci,
        restart_jitter: 0.0,
        restart_reset_after: ResetAfter::Ms(10_000),
        start_limit_burst: 3,
        start_limit_interval_ms: 3_600_000,
        on_start_limit: OnStartLimit::Delay,
        success_codes: vec![0, 1],
        success_signals: vec![15],
        restart_prevent_codes: vec![2],
        restart_prevent_signals: vec![9],
        restart_force_codes: vec![],
        restart_force_signals: vec![],
        start_timeout_ms: None,
        timeout_ms: Some(60_000),
        idle_timeout_ms: Some(30_000),
        stop: crate::model::StopSpec {
            keys: vec!["Escape".to_owned()],
            signal: "SIGINT".to_owned(),
            timeout_ms: 1_000,
            send_sighup: false,
            mode: crate::model::KillMode::ControlGroup,
        },
        oom_score_adjust: -5,
        resources: Default::default(),
        care: Default::default(),
        failover: None,
    };
    assert_eq!(policy, expected);
}

#[test]
fn the_built_in_configuration_is_right_and_changes_no_default() {
    let source = Source::new("default.toml", include_str!("../../config/default.toml"));
    let nothing = Config { agents: Default::default(), ..Config::built_in() };
    let (config, findings) = Config::read(&source, Path::new("/"), &nothing);
    assert_eq!(findings, []);
    let config = config.expect("no finding");
    assert_eq!(config.daemon, DaemonSettings::default());
    let names: Vec<_> = config.agents.keys().map(String::as_str).collect();
    assert_eq!(names, ["aider", "claude", "codex", "demo", "gemini", "llm", "opencode", "qwen"]);
    for agent in config.agents.values() {
        assert_eq!(agent.policy, Policy::default(), "`[defaults]` counts on it");
        assert!(!agent.autostart && !agent.description.is_empty());
        for mode in AgentMode::ALL {
            let mut agent = Agent { mode: *mode, ..agent.clone() };
            agent.settle();
            assert!(!agent.command.is_empty(), "{} {mode}", agent.name);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(\\PC{0,3}|[\\[\\]{}\"'=#.,\n ]|\\[agent\\.[ab]\\]\n|extends = '[abc]'\n|\
                 (command|mode|env|on|restart_delay|start_limit_burst|stop_signal) = |\
                 \\['x'\\]\n|'9s'\n|99\n|\\{ a = 1 \\}\n){0,20}"
    ) {
        for finding in read(&text).1 {
            render(&finding);
        }
    }
}
