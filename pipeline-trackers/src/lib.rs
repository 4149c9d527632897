//! Tracker adapters of the issue pipeline.
//!
//! [`local`] keeps the issues in a folder: the embedded default, which needs no server. [`backlog`] works on a project of
//! Backlog, [`gitlab`] on one of a GitLab instance.
//! With the feature `broker`, `broker` lets an agent make API calls without the token.
//! With the feature `fakes`, `fake` has a server for the tests of adapters and of whoever uses them.

pub mod backlog;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "fakes")]
pub mod fake;
pub mod finding;
pub mod gitlab;
pub mod hint;
#[allow(
    dead_code,
    unused_imports,
    reason = "one service proves itself in another way than the next, and sends other bodies"
)]
mod http;
mod lenient;
pub mod local;

pub use self::http::ConnectionOptions;

/// The page about writing a tracker, compiled and run with this crate's tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-a-tracker.md")]
struct WritingATracker;
