//! The stages over the seams in memory.

mod dispatch;
mod integrate;
mod reading;
mod world;
