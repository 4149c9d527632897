//! Objects of the repository: read through one long-lived git, written in this process.

mod commit;
mod loose;
mod tree;
