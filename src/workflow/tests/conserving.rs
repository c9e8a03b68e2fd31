//! Feature J2: one shared queue wastes no slot. Over random plans, after every event, no task that
//! could start waits while there is room for it.

use proptest::prelude::*;

use super::*;
use crate::plan::Pool;

/// A task: agent, priority, what it takes of the pool, and whom it waits for.
type Shape = (u8, i64, u32, Option<u8>);

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let one = (0u8..3, -2i64..3, 0u32..3, proptest::option::of(0u8..12));
    proptest::collection::vec(one, 1..12)
}

fn made(shapes: &[Shape], parallel: u32, agent_max: u32, pool: u32) -> Plan {
    let agents = ["claude", "codex", "gemini"];
    let mut text = format!(
        "plan = \"p\"\ngoal = \"g\"\nmax_parallel = {parallel}\n\
         stop_after_failures = 0\n"
    );
    for (n, (agent, priority, _, after)) in shapes.iter().enumerate() {
        let agent = agents[usize::from(*agent)];
        text.push_str(&format!(
            "[[task]]\nid = \"t{n}\"\nagent = \"{agent}\"\ndescription = \"Do it.\"\n\
             priority = {priority}\nretries = 0\n"
        ));
        if let Some(after) = after.filter(|after| usize::from(*after) < n) {
            text.push_str(&format!("depends_on = [\"t{after}\"]\n"));
        }
    }
    let mut plan = plan(&text);
    for (task, (_, _, takes, _)) in plan.tasks.iter_mut().zip(shapes) {
        if *takes > 0 {
            task.uses = [("db".to_owned(), (*takes).min(pool))].into();
        }
    }
    plan.limits = [("db".to_owned(), Pool { slots: Some(pool), rate: None })].into();
    if let Some(claude) = plan.agents.get_mut("claude") {
        claude.max_parallel = Some(agent_max);
    }
    plan
}

/// The tasks that could start now, worked out without the queue's own code.
fn startable(bench: &Bench, agent_max: u32, pool: u32, daemon: usize) -> Vec<String> {
    let runs: Vec<&Run> = bench.workflow.runs().collect();
    let live: Vec<(&Run, &crate::plan::Task, &Task)> = runs
        .iter()
        .flat_map(|run| run.tasks().map(move |(plan, task)| (*run, plan, task)))
        .filter(|(_, _, task)| task.is_live())
        .collect();
    let taken: u32 = live.iter().filter_map(|(_, plan, _)| plan.uses.get("db")).sum();
    let claudes =
        live.iter().filter(|(_, _, task)| task.agent.as_deref() == Some("claude")).count();
    let mut found = Vec::new();
    for run in &runs {
        let own = live.iter().filter(|(of, _, _)| of.id == run.id).count();
        for (plan, _) in run.tasks().filter(|(_, task)| task.state == TaskState::Queued) {
            let claude = plan.work.agents()[0].name == "claude";
            let fits = live.len() < daemon
                && own < run.plan.max_parallel as usize
                && taken + plan.uses.get("db").copied().unwrap_or(0) <= pool
                && !(claude && claudes >= agent_max as usize);
            if fits {
                found.push(format!("{}/{}", run.id, plan.id));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Feature J2.
    #[test]
    fn no_slot_is_idle_while_a_task_could_have_it(
        first in shapes(), second in shapes(), parallel in 1u32..5, agent_max in 1u32..4,
        pool in 1u32..4, daemon in 1usize..7, ends in proptest::collection::vec((0usize..9, any::<bool>()), 0..40),
    ) {
        let mut bench = Bench::new(daemon);
        bench.keyed_by_run = true;
        for (n, shapes) in [(1, &first), (2, &second)] {
            let plan = made(shapes, parallel, agent_max, pool);
            bench.hear(Event::Submitted(Box::new(submission(n, &plan))));
            prop_assert_eq!(startable(&bench, agent_max, pool, daemon), Vec::<String>::new());
        }
        for (which, succeeds) in ends {
            let Some(task) = bench.orders.keys().nth(which % bench.orders.len().max(1)).cloned() else {
                break;
            };
            if succeeds { bench.succeed(&task, json!("x")) } else { bench.fail(&task, Outcome::ExitCode) }
            prop_assert_eq!(startable(&bench, agent_max, pool, daemon), Vec::<String>::new());
        }
    }
}
