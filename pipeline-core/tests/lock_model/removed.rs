//! Each part of the protocol is needed: without it the checker finds a schedule that breaks an invariant.
//!
//! One thread and a stop at the first discovery, so that the schedule found is a shortest one.

use stateright::Checker as _;
use stateright::HasDiscoveries;
use stateright::Model as _;

use crate::model::Part;
use crate::model::Size;
use crate::model::World;

const SMALL: Size = Size {
    agents: 2,
    issues: 1,
    integrators: 0,
    ticks: 6,
    starts: 2,
    beats: 0,
    lost: 0,
    crashes: 0,
    moves: 0,
    releases: 0,
    refusals: 0,
};

const INTEGRATING: Size = Size {
    agents: 1,
    integrators: 1,
    starts: 1,
    ..SMALL
};

/// Asserts that without `part` the named invariant is the first to fall, and prints the shortest schedule.
fn breaks(part: Part, invariant: &'static str, size: Size) {
    let found = World::without(size, part)
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let Some(path) = found.discovery(invariant) else {
        panic!(
            "without {part:?} nothing broke {invariant} in {} states; found: {:?}",
            found.unique_state_count(),
            found.discoveries().into_keys().collect::<Vec<_>>()
        );
    };
    let steps = path.into_actions();
    println!(
        "without {part:?}: {invariant} falls after {} steps ({} states): {steps:?}",
        steps.len(),
        found.unique_state_count()
    );
    // The same world keeps the invariant with the part in it.
    let whole = World::whole(size)
        .checker()
        .threads(1)
        .target_max_depth(steps.len() + 1)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    assert!(
        whole.discovery(invariant).is_none(),
        "{invariant} falls with {part:?} too"
    );
}

#[test]
fn without_the_settle_two_win() {
    breaks(Part::Settle, "I3 no two work on one thing", SMALL);
}

#[test]
fn without_the_local_deadline_a_dead_holder_works_on() {
    breaks(Part::LocalDeadline, "I3 no two work on one thing", SMALL);
}

#[test]
fn without_re_reading_beats_a_beat_that_never_landed_counts() {
    let size = Size {
        beats: 1,
        lost: 1,
        ..SMALL
    };
    breaks(Part::BeatReread, "I3 no two work on one thing", size);
}

#[test]
fn without_the_fence_a_round_lands_twice() {
    let size = Size {
        integrators: 2,
        ..INTEGRATING
    };
    breaks(Part::Fence, "I1 a round is integrated once", size);
}

#[test]
fn without_the_range_of_the_trailers_a_round_lands_twice() {
    let size = Size {
        crashes: 1,
        ..INTEGRATING
    };
    breaks(Part::TrailerRange, "I1 a round is integrated once", size);
}

#[test]
fn without_the_round_check_what_nobody_started_lands() {
    let size = Size {
        moves: 1,
        ..INTEGRATING
    };
    breaks(
        Part::RoundCheck,
        "I6 nothing lands that is not started",
        size,
    );
}

#[test]
fn if_landed_counts_only_for_a_live_claim_a_closed_round_opens_again() {
    let size = Size {
        ticks: 8,
        ..INTEGRATING
    };
    breaks(
        Part::LandedForAnyClaim,
        "I7 what is said to have landed is closed",
        size,
    );
}

#[test]
fn if_anybodys_release_frees_at_once_two_work_side_by_side() {
    let size = Size {
        releases: 1,
        ..SMALL
    };
    breaks(
        Part::ForeignReleaseRevokes,
        "I3 no two work on one thing",
        size,
    );
}
