//! Reference binaries of the issue pipeline, as a library: `compose` apart from `main`.

pub mod failure_analysis;
