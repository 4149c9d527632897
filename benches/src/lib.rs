//! Benches of the issue pipeline.
