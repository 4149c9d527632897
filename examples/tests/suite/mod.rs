//! The tests, by what they show.

mod by_hand;
mod demo;
mod imports;
mod triage_alone;
mod world;
