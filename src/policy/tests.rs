//! Wrong files with their exact findings, and right ones with what is made of them.

use std::path::Path;

use super::*;
use crate::document::{Source, render};
use crate::model::{
    ExitMatch, Finding, KillMode, Outcome, Probe, ProbeKind, PromptBy, ReadySign, Remedy,
    Resources, ResultRule, Rule, Startup, Then,
};

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

fn accepted(text: &str) -> Config {
    let (config, findings) = read(text);
    let shown: Vec<_> = findings.iter().map(render).collect();
    config.unwrap_or_else(|| panic!("{}", shown.join("\n")))
}

fn agent(text: &str) -> Agent {
    accepted(text).agents["a"].clone()
}

#[test]
fn every_problem_is_told_at_its_place() {
    let cases: Vec<_> = include_str!("findings.txt").split("====\n").skip(1).collect();
    assert!(cases.len() > 110);
    for case in cases {
        let (text, expected) = case.split_once("---\n").expect("a file and what is told");
        assert_eq!(told(text), expected.trim_end(), "for:\n{text}");
        assert_eq!(read(text).0.is_some(), expected.is_empty(), "for:\n{text}");
    }
}

/// Jitter is added to delays, so that those which just fit in the window may not fit with it.
#[test]
fn a_limit_that_is_reached_by_luck_is_told() {
    let text = "[agent.a]\ncommand = ['x']\ntype = 'service'\nrestart_delay = '100s'\n\
                restart_max_delay = '2m'\ndelay_function = 'constant'\n";
    let said = told(text);
    assert!(said.contains("by luck only") && said.contains("up to 10m25s"), "{said}");
    assert!(read(text).0.is_some(), "it is a warning");
    assert_eq!(told(&format!("{text}restart_jitter = 0\n")), "");
}

/// What ends at once and is held back by nothing is started as often as the machine can.
#[test]
fn restarts_that_nothing_slows_down_are_told() {
    let text = "[agent.a]\ncommand = ['x']\nstart_limit_burst = 0\n";
    assert_eq!(told(text), "");
    let hurried = format!("{text}restart_delay = '0s'\n");
    assert!(told(&hurried).starts_with("C07 3:21 nothing slows its restarts down"));
    assert!(read(&hurried).0.is_some(), "it is a warning");
    assert_eq!(told(&format!("{hurried}restart = 'no'\n")), "");
}

/// A startup probe without a time of its own takes that of whoever inherits it.
#[test]
fn startup_has_its_own_time_or_that_of_the_start() {
    let text = "[defaults]\nstartup = { notify = true }\n\
                [agent.a]\ncommand = ['x']\ntype = 'service'\nstart_timeout = '5m'\n";
    let policy = agent(text).policy;
    let own = policy.care.startup.map(|startup| startup.timeout_ms);
    assert_eq!((own, policy.start_timeout_ms), (Some(None), Some(300_000)));
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
fn keys_of_limits_and_ends_arrive() {
    let policy = agent(
        "[agent.a]\ncommand = ['x']\nrestart_force_exit_status = [4, 'SIGUSR1']\n\
         kill_mode = 'mixed'\nmemory_max = '2GiB'\ntasks_max = 64\ncpu_quota = '150%'\n\
         limits = 'best-effort'\nwatchdog = '2m'\nenv_allow = ['A_*']\nenv_deny = ['A_B']\n",
    );
    let Policy { restart_force_codes, restart_force_signals, stop, resources, care, .. } =
        policy.policy;
    assert_eq!((restart_force_codes, restart_force_signals), (vec![4], vec![10]));
    assert_eq!(stop.mode, KillMode::Mixed);
    let expected = Resources {
        memory_max: Some(2 << 30),
        tasks_max: Some(64),
        cpu_quota: Some(150.0),
        best_effort: true,
    };
    assert_eq!(resources, expected);
    assert_eq!(care.watchdog_ms, Some(120_000));
    assert!(policy.env_filter.keeps("A_X") && !policy.env_filter.keeps("A_B"));
}

#[test]
fn startup_probes_and_rules_arrive_with_their_defaults() {
    let text = "[agent.a]\ncommand = ['x']\ntype = 'service'\nstart_timeout = '20s'\n\
        startup = { screen = '> $' }\n\
        [[agent.a.probe]]\nkind = 'stall'\nbusy = 'esc to interrupt'\n\
        on_failure = ['keys:Escape, C-c', 'restart', 'failover', 'alarm']\n\
        [[agent.a.probe]]\nkind = 'exec'\ncommand = ['./ok', '-q']\nperiod = '2s'\n\
        [[agent.a.probe]]\nkind = 'exec'\ncommand = ['true']\nremedy_gap = '1s'\n\
        [[agent.a.probe]]\nkind = 'heartbeat'\nevery = '1m'\n\
        [[agent.a.on]]\nwhen = { screen = 'limit', idle = '30s' }\noutcome = 'rate-limited'\n\
        reset = 'resets at (\\S+)'\nthen = 'delay:90s'\n\
        [[agent.a.on]]\nname = 'gone'\nwhen = { exit = [3, 'SIGTERM'] }\nthen = 'failover'\n\
        [agent.a.failover]\ntargets = ['demo']\nfailback = 'after:10m'\n";
    let policy = agent(text).policy;
    let sign = ReadySign::Screen { pattern: "> $".into(), rows: 8 };
    let startup = Startup { sign, period_ms: 1_000, timeout_ms: None };
    let care = policy.care;
    assert_eq!((care.startup, care.watchdog_ms), (Some(startup), Some(60_000)));
    let keys = vec!["Escape".to_owned(), "C-c".to_owned()];
    let stall = Probe {
        name: "stall".into(),
        kind: ProbeKind::Stall {
            unchanged_ms: 300_000,
            busy: Some("esc to interrupt".into()),
            ignore: None,
            cpu_below: 1.0,
        },
        period_ms: 10_000,
        timeout_ms: 5_000,
        initial_delay_ms: 0,
        failure_threshold: 3,
        success_threshold: 1,
        on_failure: vec![Remedy::Keys(keys), Remedy::Restart, Remedy::Failover, Remedy::Alarm],
        remedy_gap_ms: 30_000,
    };
    assert_eq!(care.probes[0], stall);
    let others: Vec<_> = care.probes[1..]
        .iter()
        .map(|p| (p.name.as_str(), p.period_ms, p.timeout_ms, p.remedy_gap_ms, &p.on_failure[..]))
        .collect();
    let restart = &[Remedy::Restart][..];
    assert_eq!(
        others,
        [("exec", 2_000, 2_000, 30_000, restart), ("exec-2", 10_000, 5_000, 1_000, restart)]
    );
    let command = vec!["/etc/mux/ok".to_owned(), "-q".to_owned()];
    assert_eq!(care.probes[1].kind, ProbeKind::Exec { command });
    let rule = |name: &str, screen: Option<&str>, exit, then| Rule {
        name: name.into(),
        screen: screen.map(str::to_owned),
        idle_ms: screen.map(|_| 30_000),
        exit,
        outcome: screen.map(|_| Outcome::RateLimited),
        reset: screen.map(|_| r"resets at (\S+)".to_owned()),
        then: Some(then),
    };
    let these = ExitMatch::These { codes: vec![3], signals: vec![15] };
    let limit = rule("rule 1", Some("limit"), ExitMatch::Any, Then::Delay(90_000));
    assert_eq!(care.rules, [limit, rule("gone", None, these, Then::Failover)]);
    let failover = Failover {
        targets: vec!["demo".into()],
        max_switches: 3,
        interval_ms: 3_600_000,
        failback: Failback::After(600_000),
    };
    assert_eq!(policy.failover, Some(failover));
}

/// An answer inside of JSON is found where the format is named, and only there.
#[test]
fn machine_output_wants_its_format_named() {
    let table = [
        ("'codex', 'exec', '--json', '-'", "", Some("add `usage = \"codex\"`")),
        ("'/opt/claude', '-p', '--output-format', 'json'", "", Some("add `usage = \"claude\"`")),
        ("'codex', 'exec', '--json', '-'", "usage = 'codex'\n", None),
        ("'codex', 'exec', '--json', '-'", "usage = 'none'\n", None),
        ("'codex', 'exec', '-'", "", None),
        ("'other', '--json'", "", None),
    ];
    for (command, usage, help) in table {
        let text = format!("[agent.a]\n{usage}command = [{command}]\n");
        assert!(read(&text).0.is_some(), "it is no error: {text}");
        let said = told(&text);
        assert_eq!(!said.is_empty(), help.is_some(), "{text}{said}");
        assert!(said.contains(help.unwrap_or_default()), "{said}");
    }
}

#[test]
fn lists_replace_lists_and_who_takes_over_is_not_inherited() {
    let text = "[[defaults.on]]\nwhen = { screen = 'limit' }\noutcome = 'rate-limited'\n\
        [agent.a]\ncommand = ['x']\n[[agent.a.probe]]\nkind = 'process'\n\
        [agent.a.failover]\ntargets = ['b']\n\
        [agent.b]\nextends = 'a'\n\
        [agent.c]\nextends = 'a'\non = []\n[[agent.c.probe]]\nkind = 'exec'\ncommand = ['y']\n";
    let agents = read(text).0.expect("it is right").agents;
    let names = |agent: &str| {
        let care = &agents[agent].policy.care;
        (care.probes.iter().map(|probe| probe.name.as_str()).collect::<Vec<_>>(), care.rules.len())
    };
    assert_eq!([names("a"), names("b")], [(vec!["process"], 1), (vec!["process"], 1)]);
    assert_eq!(names("c"), (vec!["exec"], 0));
    // Three of its own follow those of `[defaults]`.
    assert_eq!(names("claude"), (vec![], 4));
    assert!(agents["a"].policy.failover.is_some() && agents["b"].policy.failover.is_none());
}

#[test]
fn groups_arrive() {
    let text = "[agent.a]\ncommand = ['x']\ntype = 'service'\n[agent.b]\nextends = 'a'\n\
        [group.crew]\nmembers = ['b', 'a']\nstrategy = 'rest_for_one'\nstart_limit_burst = 7\n";
    let groups = read(text).0.expect("it is right").groups;
    let crew = Group {
        name: "crew".into(),
        strategy: Strategy::RestForOne,
        members: vec!["b".into(), "a".into()],
        start_limit_burst: 7,
        start_limit_interval_ms: 600_000,
    };
    assert_eq!(groups.into_values().collect::<Vec<_>>(), [crew]);
}

#[test]
fn the_built_in_configuration_is_right_and_changes_no_default() {
    let source = Source::new("default.toml", include_str!("../../config/default.toml"));
    let nothing = Config { agents: Default::default(), ..Config::built_in() };
    let (config, findings) = Config::read(&source, Path::new("/"), &nothing);
    assert_eq!(findings, []);
    let config = config.expect("no finding");
    assert_eq!(config.daemon, DaemonSettings::default());
    let own = config.agents.iter().filter(|(_, agent)| !agent.traits.profile);
    let names: Vec<_> = own.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["aider", "claude", "codex", "demo", "gemini", "llm", "opencode", "qwen"]);
    for agent in config.agents.values() {
        let mut policy = agent.policy.clone();
        policy.care.rules.clear();
        assert_eq!(policy, Policy::default(), "`[defaults]` counts on it");
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

/// Features I3 to I10: the routing table as it is shipped, each agent being there; it runs on the
/// user's default agent.
#[test]
fn the_routing_table_is_shipped() {
    let config = Config::built_in();
    let table = [
        ("code generation", vec!["api-designer", "frontend-architect"]),
        ("code review", vec!["code-reviewer", "security-reviewer", "quality-analyzer"]),
        ("infrastructure", vec!["orchestrator", "validator", "infra-planner"]),
        ("documentation", vec!["documentation-generator", "api-docs-writer"]),
        ("testing", vec!["test-strategist", "test-writer"]),
        ("deployment", vec!["orchestrator", "rollback", "validator"]),
        ("design", vec!["theme-builder", "component-library-builder", "a11y-specialist"]),
        ("data", vec!["data-agent", "ingest-agent", "db-modeler"]),
    ];
    for (capability, names) in table {
        assert_eq!(able(&config.agents, capability), names, "{capability}");
        for name in names {
            assert!(config.agents[name].can(capability), "the contract of {name}");
            assert_eq!(config.agents[name].command, config.agents["claude"].command, "{name}");
        }
    }
    // Feature I16: what is not in the table is found by its contract.
    assert_eq!(able(&config.agents, "deploy"), ["devops"]);
    assert_eq!(able(&config.agents, "verification"), ["sanity-check"]);
}

/// Features I2, A5: a line of one's own replaces the shipped one, the default agent may be another,
/// and what is changed about it holds for all that run on it.
#[test]
fn the_routing_table_can_be_changed() {
    let text = "[routing]\ntesting = ['mine', 'test-writer']\n[defaults]\nagent = 'codex'\n\
        [agent.codex]\nenv = { A = 'b' }\n[agent.mine]\ncommand = ['x']\n\
        [agent.test-writer]\nmodel = 'm'\n";
    let config = accepted(text);
    assert_eq!(able(&config.agents, "testing"), ["mine", "test-writer"]);
    assert_eq!(able(&config.agents, "data").len(), 3);
    let writer = &config.agents["test-writer"];
    assert_eq!(writer.command, config.agents["codex"].command);
    assert_eq!(writer.env.get("A").map(String::as_str), Some("b"));
    assert_eq!(writer.model.as_deref(), Some("m"));
}

/// Feature I15: contracts beside the configuration make agents, and describe those that are there.
#[test]
fn contracts_beside_the_configuration_count() {
    let contract = |name: &str, text: &str| {
        (name.to_owned(), Source::new(format!("skill_contracts/{name}.json"), text))
    };
    let beside = Beside {
        contracts: vec![
            contract("fixer", r#"{ "capabilities": ["fix"], "extends": "mine", "cost": "low" }"#),
            contract("mine", r#"{ "outputs": ["patch"], "risk": "high" }"#),
        ],
        prices: Some(Source::new("prices.toml", "[prices]\n'm*' = { input = 1, output = 2.5 }\n")),
    };
    let source = Source::new("m.toml", "[agent.mine]\ncommand = ['x']\nrisk = 'low'\n");
    let built_in = Config::built_in();
    let (config, findings) = Config::read_all(&source, &beside, Path::new("/"), &built_in);
    let config = config.unwrap_or_else(|| panic!("{findings:?}"));
    assert_eq!(able(&config.agents, "fix"), ["fixer"]);
    assert_eq!(config.agents["fixer"].command, ["x"]);
    assert_eq!(config.agents["mine"].outputs, ["patch"]);
    assert_eq!(config.agents["mine"].traits.risk, Level::Low, "the table is nearer");
    assert_eq!(config.prices.len(), 1);
}

/// Features I15, P2: all problems of all files are told together, each with its file.
#[test]
fn problems_beside_the_configuration_are_told_with_its_own() {
    let beside = Beside {
        contracts: vec![
            ("a".to_owned(), Source::new("a.json", r#"{ "extends": "nobody" }"#)),
            ("b".to_owned(), Source::new("b.json", r#"{ "rsik": "low" }"#)),
        ],
        prices: Some(Source::new("prices.toml", "[prices]\nm = { input = -1 }\n")),
    };
    let source = Source::new("m.toml", "[routing]\ntesting = ['test-wirter']\n");
    let (config, findings) =
        Config::read_all(&source, &beside, Path::new("/"), &Config::built_in());
    assert!(config.is_none());
    let told: Vec<String> =
        findings.iter().map(|it| format!("{}: {}: {}", it.file, it.code, it.message)).collect();
    assert_eq!(
        told,
        [
            "m.toml: C15: the contract of `a` extends `nobody`, which does not exist",
            "m.toml: C15: `testing`: there is no agent `test-wirter`",
            "b.json: C15: unknown key `rsik`",
            "prices.toml: C16: the price of `m` has no `output`",
            "prices.toml: C16: `input` is a number of dollars per million tokens",
        ]
    );
}

fn argv_of(text: &str, name: &str) -> Vec<String> {
    accepted(text).agents[name].argv()
}

/// Features Q3, Q4, P6: a model and a list of tools reach the program in its own words, and add
/// nothing where there are none.
#[test]
fn a_model_and_tools_are_added_to_the_command() {
    let text = "[agent.a]\nextends = 'claude'\nmodel = 'opus'\ntools = ['Read', 'Grep']\n\
                [agent.b]\nextends = 'claude'\n[agent.c]\nextends = 'codex'\nmodel = 'o'";
    assert_eq!(
        argv_of(text, "a"),
        ["claude", "-p", "--model", "opus", "--tools", "Read,Grep"],
        "claude"
    );
    assert_eq!(argv_of(text, "b"), ["claude", "-p"]);
    let codex = ["codex", "exec", "--skip-git-repo-check", "-", "--model", "o"];
    assert_eq!(argv_of(text, "c"), codex);
    for name in ["opencode", "qwen", "aider", "llm"] {
        let text = format!("[agent.{name}]\nmodel = 'm-1'");
        let argv = argv_of(&text, name);
        assert_eq!(argv[argv.len() - 2..], ["--model", "m-1"], "{name}");
        assert_eq!(told(&text), "", "{name}");
    }
    assert_eq!(argv_of("[agent.gemini]\nmodel = 'm-1'", "gemini"), ["gemini", "-m", "m-1"]);
}

/// Feature Q3: the shipped agents that look and do not touch are held to it by the program.
#[test]
fn shipped_contracts_limit_the_tools_of_their_program() {
    let reviewer = &Config::built_in().agents["code-reviewer"];
    assert_eq!(reviewer.argv(), ["claude", "-p", "--tools", "Read,Glob,Grep,LS"]);
}

/// The options of one program are not those of another.
#[test]
fn another_program_has_options_of_its_own() {
    let options = |keys: &str| argv_of(&format!("[agent.claude]\nmodel = 'm'\n{keys}"), "claude");
    let adjusted = "[agent.claude]\nmodel = 'm'\nheadless.command = ['claude', '-p', '-v']";
    assert_eq!(argv_of(adjusted, "claude"), ["claude", "-p", "-v", "--model", "m"]);
    assert_eq!(options("headless.command = ['mine']"), ["mine"]);
    let own = "headless.command = ['mine']\nmodel_args = ['-m{model}']";
    assert_eq!(options(own), ["mine", "-mm"]);
    let ended =
        options("headless = { command = ['claude', '-x', '--', '{prompt}'], prompt = 'argv' }");
    assert_eq!(ended, ["claude", "-x", "--model", "m", "--", "{prompt}"]);
    assert_eq!(options("model_args = []"), ["claude", "-p"], "switched off");
}

/// Feature Q4: what does not reach the program is told, and is no error.
#[test]
fn what_is_not_passed_on_is_told() {
    let warned = |text: &str| {
        assert!(read(text).0.is_some(), "{text}");
        read(text).1.iter().map(|f| format!("{} {}", f.code, f.line)).collect::<Vec<_>>()
    };
    assert_eq!(
        warned("[agent.a]\ncommand = ['x']\nmodel = 'm'\ntools = ['t']"),
        ["C17 3", "C17 4"]
    );
    assert_eq!(warned("[agent.a]\ncommand = ['x', '{model}']\nmodel = 'm'"), [""; 0]);
    assert_eq!(
        warned("[agent.a]\ncommand = ['x']\nmodel = 'm'\nmodel_args = ['{model}']"),
        [""; 0]
    );
    assert_eq!(warned("[agent.codex]\ntools = ['t']"), ["C17 2"]);
}

/// Features P1, P2: a model that the program never heard of is none that it used.
#[test]
fn only_a_model_that_is_passed_on_has_a_price() {
    let order = |text: &str| {
        let config = accepted(text);
        let mut mint = crate::model::Mint::new([7; 32]);
        let owner = crate::model::Owner::Instance { name: "a".to_owned() };
        let reason = crate::model::StartReason::First;
        let identity = Identity::mint(&mut mint, owner, 1, reason);
        config.agents["a"].order(identity, "/".into()).model
    };
    assert_eq!(order("[agent.a]\ncommand = ['x']\nmodel = 'm'"), None);
    assert_eq!(order("[agent.a]\nextends = 'claude'\nmodel = 'm'").as_deref(), Some("m"));
}

/// Feature P1: what is known of one command's output is not known of another one's.
#[test]
fn another_command_may_tell_what_it_uses() {
    use crate::model::UsageFormat;
    let usage = |text: &str| agent(text).usage;
    assert_eq!(usage("[agent.a]\nextends = 'claude'"), UsageFormat::None);
    let own = "[agent.a]\nextends = 'claude'\nheadless.command = ['claude', '-p', '--json']";
    assert_eq!(usage(own), UsageFormat::Auto);
    assert_eq!(
        usage(&own.replace("\nheadless", "\nusage = 'claude'\nheadless")),
        UsageFormat::Claude
    );
}
