//! Who waits for whom: one dependency per pair, an order, and the circles that make an order
//! impossible. Knows tasks and phases only by their position.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::DependsCause;
use crate::document::Span;

/// That one node waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Who waits.
    pub(crate) node: usize,
    /// For whom.
    pub(crate) on: usize,
    /// Why.
    pub(crate) cause: DependsCause,
    /// Whether the other must have succeeded.
    pub(crate) hard: bool,
    /// Where it is written.
    pub(crate) place: Span,
}

/// More circles than a person reads at once are not looked for.
const CIRCLES_MAX: usize = 20;

/// One wait per pair, in the order of nodes: a hard one wins, then the cause that says most.
pub(crate) fn one_per_pair(waits: &[Wait]) -> Vec<Wait> {
    let mut best: BTreeMap<(usize, usize), Wait> = BTreeMap::new();
    for wait in waits {
        let rank = |w: &Wait| (!w.hard, cause_rank(w.cause));
        best.entry((wait.node, wait.on))
            .and_modify(|known| {
                if rank(wait) < rank(known) {
                    *known = *wait;
                }
            })
            .or_insert(*wait);
    }
    best.into_values().collect()
}

const fn cause_rank(cause: DependsCause) -> u8 {
    match cause {
        DependsCause::Reference => 0,
        DependsCause::Explicit => 1,
        DependsCause::Sequential => 2,
        DependsCause::Phase => 3,
    }
}

/// Whether the author wrote the dependency itself, not only an order from which it follows.
pub(crate) const fn is_written(cause: DependsCause) -> bool {
    match cause {
        DependsCause::Reference | DependsCause::Explicit => true,
        DependsCause::Phase | DependsCause::Sequential => false,
    }
}

/// How deep each node lies: 0 waits for nobody, n waits for one of depth n - 1. Nodes that are
/// part of a circle, or wait for one, have none.
pub(crate) fn depths(count: usize, waits: &[Wait]) -> Vec<Option<usize>> {
    let mut open = vec![0usize; count];
    let mut readers = vec![Vec::new(); count];
    for wait in waits {
        open[wait.node] += 1;
        readers[wait.on].push(wait.node);
    }
    let mut depths = vec![None; count];
    let mut ready: VecDeque<usize> = (0..count).filter(|node| open[*node] == 0).collect();
    let mut reached = vec![0usize; count];
    while let Some(node) = ready.pop_front() {
        depths[node] = Some(reached[node]);
        for reader in &readers[node] {
            reached[*reader] = reached[*reader].max(reached[node] + 1);
            open[*reader] -= 1;
            if open[*reader] == 0 {
                ready.push_back(*reader);
            }
        }
    }
    depths
}

/// Circles, each as short as it can be through its first node, and each with a wait of its own
/// that the author can take out. A circle reads in the order of work: every wait is the next
/// node waiting for the one before.
pub(crate) fn circles(count: usize, waits: &[Wait]) -> Vec<Vec<Wait>> {
    let mut waits = one_per_pair(waits);
    let mut found = Vec::new();
    while found.len() < CIRCLES_MAX {
        let depths = depths(count, &waits);
        waits.retain(|wait| depths[wait.node].is_none() && depths[wait.on].is_none());
        let nodes: BTreeSet<usize> = waits.iter().map(|wait| wait.node).collect();
        let Some(circle) = nodes.iter().find_map(|node| circle_through(*node, count, &waits))
        else {
            break;
        };
        let written: Vec<Wait> =
            circle.iter().copied().filter(|wait| is_written(wait.cause)).collect();
        let cut = if written.is_empty() { &circle } else { &written };
        waits.retain(|wait| !cut.contains(wait));
        found.push(circle);
    }
    found
}

/// Breadth first along what `start` waits for, until that is `start` itself.
fn circle_through(start: usize, count: usize, waits: &[Wait]) -> Option<Vec<Wait>> {
    let mut needs: Vec<Vec<Wait>> = vec![Vec::new(); count];
    for wait in waits {
        needs[wait.node].push(*wait);
    }
    let mut came_by: Vec<Option<Wait>> = vec![None; count];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for wait in &needs[node] {
            if wait.on == start {
                return Some(trace(start, *wait, &came_by));
            }
            if came_by[wait.on].is_none() {
                came_by[wait.on] = Some(*wait);
                queue.push_back(wait.on);
            }
        }
    }
    None
}

/// From the wait that closes the circle back to the start; the start's own wait comes first.
fn trace(start: usize, closing: Wait, came_by: &[Option<Wait>]) -> Vec<Wait> {
    let mut circle = vec![closing];
    let mut node = closing.node;
    while node != start {
        let Some(wait) = came_by[node] else { break };
        circle.push(wait);
        node = wait.node;
    }
    circle.rotate_right(1);
    circle
}

/// Everything that the given nodes wait for, directly or not; they themselves only if they wait
/// for each other.
pub(crate) fn below(needs: &[Vec<usize>], nodes: &[usize]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = nodes.iter().flat_map(|node| &needs[*node]).copied().collect();
    while let Some(here) = open.pop() {
        if seen.insert(here) {
            open.extend(&needs[here]);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(node: usize, on: usize) -> Wait {
        Wait { node, on, cause: DependsCause::Reference, hard: true, place: Span::default() }
    }

    #[test]
    fn a_hard_wait_wins_over_a_soft_one() {
        let soft = Wait { hard: false, ..wait(1, 0) };
        let explicit = Wait { cause: DependsCause::Explicit, ..wait(1, 0) };
        assert_eq!(one_per_pair(&[soft, explicit]), [explicit]);
        assert_eq!(one_per_pair(&[explicit, wait(1, 0), soft]), [wait(1, 0)]);
    }

    #[test]
    fn depth_is_the_longest_way_from_the_start() {
        let waits = [wait(1, 0), wait(2, 1), wait(2, 0), wait(4, 5), wait(5, 4)];
        assert_eq!(depths(6, &waits), [Some(0), Some(1), Some(2), Some(0), None, None]);
    }

    /// The circle of the research page: spec 0, build 1, review 2.
    #[test]
    fn a_circle_reads_in_the_order_of_work() {
        let circles = circles(3, &[wait(0, 2), wait(1, 0), wait(2, 1)]);
        let pairs: Vec<Vec<(usize, usize)>> =
            circles.iter().map(|c| c.iter().map(|w| (w.node, w.on)).collect()).collect();
        assert_eq!(pairs, [[(0, 2), (1, 0), (2, 1)]]);
    }

    #[test]
    fn circles_are_short_and_separate_and_those_behind_are_left_out() {
        let found = circles(
            7,
            &[
                wait(0, 1),
                wait(1, 2),
                wait(2, 1),
                wait(3, 4),
                wait(4, 5),
                wait(5, 3),
                wait(4, 3),
                wait(6, 6),
            ],
        );
        let starts: Vec<(usize, usize)> = found.iter().map(|c| (c[0].node, c.len())).collect();
        assert_eq!(starts, [(1, 2), (3, 2), (6, 1)]);
    }

    #[test]
    fn what_lies_below_is_all_that_was_waited_for() {
        let needs = vec![vec![], vec![0], vec![0, 1], vec![2]];
        assert_eq!(below(&needs, &[0, 1]), [0].into());
        assert_eq!(below(&needs, &[3]), [0, 1, 2].into());
        assert_eq!(below(&needs, &[]), [].into());
    }
}
