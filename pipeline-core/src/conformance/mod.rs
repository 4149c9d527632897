//! What every implementation of a seam must do, as tests that an outside crate runs on its own.
//!
//! Each suite has a harness trait, one public function per behaviour, and a macro that expands to one `#[test]`
//! per behaviour, so that none can be left out and each shows by its name. The macros bring their own runtime.
//!
//! This module is for tests: cases may be added in any release, since a new case finds a fault that was there
//! before.

pub mod agent;
mod case;
pub mod clock;
pub mod conflict;
pub mod failure;
pub mod faults;
mod files;
pub mod gate;
pub mod integrate;
pub mod lock;
pub mod runner;
pub mod tracker;
pub mod verify;
pub mod workspace;

pub use self::case::Violation;
#[doc(hidden)]
pub use self::case::run;
