//! Tracker adapters of the issue pipeline.
//!
//! [`local`] keeps the issues in a folder: the embedded default, which needs no server.

pub mod local;

/// The page about writing a tracker, compiled and run with this crate's tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-a-tracker.md")]
struct WritingATracker;
