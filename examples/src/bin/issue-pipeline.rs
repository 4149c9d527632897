//! The reference binary of the issue pipeline.
fn main() {}
