//! Tracker adapters of the issue pipeline.
//!
//! [`local`] keeps the issues in a folder: the embedded default, which needs no server.

pub mod local;
