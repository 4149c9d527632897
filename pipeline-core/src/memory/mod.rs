//! Implementations that live in memory: for tests, for examples, and as the smallest thing that keeps each contract.

mod agent;
mod clock;
mod tracker;

pub use self::agent::ScriptedAgent;
pub use self::agent::ScriptedTurn;
pub use self::clock::ScriptedClock;
pub use self::tracker::MemoryPerson;
pub use self::tracker::MemoryTracker;
pub use self::tracker::Write;
pub use self::tracker::WriteEffect;
pub use self::tracker::WriteFault;
