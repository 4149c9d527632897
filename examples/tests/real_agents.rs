//! The real `codex` and `claude` through `issue-pipeline`, against a scripted model on loopback.
//!
//! They are there only where `AGENT_TOOLS` names a folder into which `.ci/agents` was installed (`.ci/run` does both);
//! elsewhere every test says past the harness that it was skipped, and why.

#[path = "suite/world.rs"]
#[expect(
    dead_code,
    reason = "the machine of the other suite; not all of it is needed here"
)]
mod world;

#[path = "real_agents/hostile.rs"]
mod hostile;
#[path = "real_agents/limits.rs"]
mod limits;
#[path = "real_agents/machine.rs"]
mod machine;
#[path = "real_agents/plan.rs"]
mod plan;
#[path = "real_agents/processes.rs"]
mod processes;
#[path = "real_agents/story.rs"]
mod story;
#[path = "real_agents/trouble.rs"]
mod trouble;
