//! What every implementation of a seam must do, as tests that an outside crate runs on its own.
//!
//! Each suite has a harness trait, one public function per behaviour, and a macro that expands to one `#[test]`
//! per behaviour, so that none can be left out and each shows by its name. The macros bring their own runtime.
//!
//! This module is for tests: cases may be added in any release, since a new case finds a fault that was there
//! before.

mod case;
pub mod tracker;

pub use self::case::Violation;
#[doc(hidden)]
pub use self::case::run;
//! Conformance suites: what every adapter of a seam must show, ours and yours alike.
//!
//! Behind the feature `conformance`, for tests. Each seam has a module of cases (one behaviour each, as an async function
//! over a harness) and a macro that turns all of them into `#[test]`s, so that none can be left out and each shows by its
//! name. Which cases there are may change with any release: an adapter that passed may be found wanting.

pub mod agent;

/// Runs one case on a runtime of its own; what the macros expand to.
///
/// # Panics
/// Panics if the case does, or if no runtime can be had.
#[doc(hidden)]
pub fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a test machine has the resources for a runtime")
        .block_on(case);
}
