//! Children: the only place in the project that starts another program.
//!
//! A child gets its own process group, a cleared environment plus the variables that were named, its
//! prompt by standard input and never by its arguments, a deadline, a stall time and a cap on what it may
//! say. However its run ends (it exits, overstays, floods, is cancelled, or its future is dropped), its whole
//! process tree ends with it:
//!
//! - the **group** is signalled while its leader is still unreaped, so the number cannot have become somebody
//!   else's;
//! - processes that **left the group** are found by the run id that was planted in their environment
//!   ([`RUN_VARIABLE`]), and by descent where the leader still lives, and are ended until none is left;
//! - after a crash of the pipeline itself, [`ProcessIdentity::end`] and [`sweep()`] do the same from the journal.
//!
//! One gap is left without a [`Wrapper`]: a process that leaves its group, clears its environment and outlives
//! its parents cannot be told from anybody else's. Under bubblewrap it cannot exist, since the whole process
//! namespace ends with the child.
//!
//! # Examples
//!
//! ```
//! use pipeline_core::process::{Ending, ProcessSpec};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let report = ProcessSpec::new("cat", "/").stdin("a prompt").run().await?;
//! assert_eq!(report.ending(), Ending::Exited);
//! assert_eq!(report.stdout().bytes(), b"a prompt");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capture;
mod conversation;
mod error;
mod identity;
mod io;
mod leader;
mod own_folder;
mod report;
mod run;
mod spawn;
mod spec;
mod sweep;
mod table;
mod wrapper;

#[cfg(test)]
mod tests;

pub use self::capture::Capture;
pub use self::capture::Captured;
pub use self::capture::Flow;
pub use self::capture::StdoutLine;
pub use self::conversation::Conversation;
pub use self::error::ProcessError;
pub use self::error::WrapperError;
pub use self::identity::EndOutcome;
pub use self::identity::ProcessIdentity;
pub use self::own_folder::OwnFolder;
pub use self::report::Ending;
pub use self::report::Exit;
pub use self::report::ProcessReport;
pub use self::report::Stream;
pub use self::run::RunningProcess;
pub use self::spec::ProcessSpec;
pub use self::spec::RUN_VARIABLE;
pub use self::sweep::Sweep;
pub use self::sweep::sweep;
pub use self::wrapper::Access;
pub use self::wrapper::Network;
pub use self::wrapper::Reach;
pub use self::wrapper::Wrapper;
