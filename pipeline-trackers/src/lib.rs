//! Tracker adapters of the issue pipeline.
//!
//! [`local`] keeps the issues in a folder: the embedded default, which needs no server. [`backlog`] works on a project of
//! Backlog.
//! With the feature `broker`, `broker` lets an agent make API calls without the token.
//! With the feature `fakes`, `fake` has a server for the tests of adapters and of whoever uses them.

pub mod backlog;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "fakes")]
pub mod fake;
#[allow(
    dead_code,
    unused_imports,
    reason = "its users are the adapters, which come next"
)]
mod http;
pub mod local;

pub use self::http::ConnectionOptions;

/// The page about writing a tracker, compiled and run with this crate's tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-a-tracker.md")]
struct WritingATracker;
