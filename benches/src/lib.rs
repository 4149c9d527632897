//! Benches of the issue pipeline.

pub mod conflict_eval;
