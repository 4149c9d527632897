//! Implementations that live in memory: for tests, for examples, and as the smallest thing that keeps each contract.

mod agent;
mod clock;
mod gate;
mod repository;
mod tracker;

pub use self::agent::ScriptedAgent;
pub use self::agent::ScriptedTurn;
pub use self::clock::ScriptedClock;
pub use self::gate::MemoryGate;
pub use self::repository::MemoryCommit;
pub use self::repository::MemoryIntegrator;
pub use self::repository::MemoryRepository;
pub use self::repository::MemoryWorkspaces;
pub use self::repository::Tree;
pub use self::tracker::MemoryPerson;
pub use self::tracker::MemoryTracker;
pub use self::tracker::Write;
pub use self::tracker::WriteEffect;
pub use self::tracker::WriteFault;
