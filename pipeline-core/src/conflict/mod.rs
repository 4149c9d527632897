//! Decides whether two pieces of work may run side by side.
