//! Agent adapters of the issue pipeline.
