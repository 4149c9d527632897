//! The real binary, ended at every outside effect in turn, and killed at random while it lands a large patch.
//!
//! Built with the feature `crash-points`; `.ci/run` runs it.

#![allow(
    clippy::print_stdout,
    clippy::panic,
    reason = "what a test explored is printed, and a test fails by panicking"
)]

#[allow(dead_code, reason = "shared with the suite, which uses the rest of it")]
#[path = "../suite/world.rs"]
mod world;

mod every_point;
mod random_kills;
mod snapshot;
