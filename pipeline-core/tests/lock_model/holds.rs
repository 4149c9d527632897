//! The whole protocol keeps every invariant, in every schedule of these worlds.

use stateright::Checker as _;
use stateright::Model as _;

use crate::model::Size;
use crate::model::World;

const SMALL: Size = Size {
    agents: 2,
    issues: 1,
    integrators: 1,
    ticks: 3,
    starts: 2,
    beats: 0,
    lost: 0,
    crashes: 0,
    moves: 0,
    releases: 0,
    refusals: 0,
};

/// At how many states, repeats counted, a world is left: in every test run, and before a merge.
const SOME: usize = 150_000;
const MANY: usize = 8_000_000;

/// Explores a world, breadth first, and says how large it was and whether its end was reached.
fn explore(name: &str, size: Size, enough: usize) {
    let checker = World::whole(size)
        .checker()
        .threads(2)
        .target_state_count(enough)
        .spawn_bfs()
        .join();
    let end = if checker.state_count() < enough {
        "to its end"
    } else {
        "as far as that"
    };
    println!(
        "{name}: {} distinct states, {} with repeats, depth {}, explored {end}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn two_agents_with_late_and_lost_posts() {
    let size = Size { lost: 1, ..SMALL };
    explore("two agents, a lost answer", size, SOME);
}

#[test]
fn two_agents_with_beats_and_expiry() {
    let size = Size {
        beats: 1,
        integrators: 0,
        ticks: 5,
        ..SMALL
    };
    // Without an integrator nothing can land; that it can is shown by the other worlds.
    let checker = World::whole(size).checker().threads(2).spawn_bfs().join();
    println!(
        "two agents, a beat: {} distinct states",
        checker.unique_state_count()
    );
    assert_eq!(
        checker.discoveries().into_keys().collect::<Vec<_>>(),
        Vec::<&str>::new(),
        "no invariant is broken, and nothing lands"
    );
}

#[test]
fn two_agents_and_an_issue_that_leaves_and_comes_back() {
    let size = Size { moves: 1, ..SMALL };
    explore("two agents, a move", size, SOME);
}

#[test]
fn two_integrators_and_a_crash() {
    let size = Size {
        agents: 1,
        integrators: 2,
        crashes: 1,
        ..SMALL
    };
    explore("two integrators, a crash", size, SOME);
}

#[test]
#[ignore = "large: .ci/run explores it, optimised"]
fn large_two_agents_rounds_release_and_refusal() {
    let size = Size {
        moves: 2,
        releases: 1,
        refusals: 1,
        ticks: 4,
        ..SMALL
    };
    explore("two agents, moves, a release, a refusal", size, MANY);
}

#[test]
#[ignore = "large: .ci/run explores it, optimised"]
fn large_two_agents_claim_anew_after_crashes() {
    let size = Size {
        crashes: 1,
        lost: 1,
        integrators: 2,
        ticks: 8,
        ..SMALL
    };
    explore(
        "two agents, two integrators, crashes, a lost answer",
        size,
        MANY,
    );
}

#[test]
#[ignore = "large: .ci/run explores it, optimised"]
fn large_three_agents_with_beats() {
    let size = Size {
        agents: 3,
        starts: 3,
        beats: 1,
        lost: 1,
        ticks: 5,
        ..SMALL
    };
    explore("three agents, a beat, a lost answer", size, MANY);
}

#[test]
#[ignore = "large: .ci/run explores it, optimised"]
fn large_three_agents_two_issues_and_a_move() {
    let size = Size {
        agents: 3,
        issues: 2,
        starts: 3,
        moves: 1,
        ticks: 5,
        ..SMALL
    };
    explore("three agents, two issues, a move", size, MANY);
}
