//! The stages over the seams in memory.

mod brakes;
mod dispatch;
mod integrate;
mod reading;
mod world;
