//! The stages over the seams in memory.

mod brakes;
mod dispatch;
mod integrate;
mod machine;
mod mortal;
mod posts;
mod reading;
mod schedules;
mod trouble;
mod world;
