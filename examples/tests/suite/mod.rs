//! The tests, by what they show.

mod agents;
mod approve;
mod brakes;
mod by_hand;
mod conflicts;
mod demo;
mod disk;
mod documents;
mod guarantees;
mod holds;
mod imports;
mod kill_loop;
mod landing;
mod locks;
mod outside;
mod plan;
mod plan_broker;
mod refusals;
mod servers;
mod ship;
mod triage_alone;
mod trouble;
mod watch;
mod world;
