//! Tracker adapters of the issue pipeline.
