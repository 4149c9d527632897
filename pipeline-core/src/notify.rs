//! Tells a command of the team that a person is needed, once per cause.
//!
//! A [`Notifier`] listens to the stages and writes each new cause to a list on disk; [`Notifier::deliver`] hands the
//! waiting ones to the command, one JSON line each. The list survives the process: what could not be told is told
//! next time, what was told is not told again, whichever process heard it. Nothing here ever fails a tick.

mod list;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use self::list::List;
pub use self::list::NotifyError;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::event::Observer;
use crate::issue::IssueKey;
use crate::patch::Escaped;
use crate::process::Capture;
use crate::process::ProcessSpec;
use crate::report::chain;
use crate::secret::Redactor;

/// Longest sentence that is told, in characters.
const LONGEST: usize = 2_000;
/// Most causes that are told in one delivery; the rest waits for the next.
const MOST_AT_ONCE: usize = 20;

/// Why a person is needed: what the command reads as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A stable name: the same cause has the same name.
    pub cause: String,
    /// The issue, if it is about one.
    pub issue: Option<IssueKey>,
    /// What to do, with the command to type.
    pub what: String,
    /// Which pipeline it is about.
    pub pipeline: String,
    /// When it was first heard of.
    pub at: Timestamp,
}

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// How many causes were told.
    pub told: usize,
    /// How many still wait.
    pub waiting: usize,
    /// What went wrong, for the log: a sentence each.
    pub problems: Vec<String>,
}

/// Listens to the stages and tells a command of the team whenever a person is needed.
///
/// # Guarantees
/// - Each cause is told once, over all processes on the same list, for as long as it is among the newest 10,000.
/// - A cause counts as told when the command has ended with code 0; until then each delivery tries again.
/// - A process that ends in between loses nothing that it had heard.
/// - Secrets are replaced and hidden characters shown before anything is written or told.
#[derive(Debug)]
pub struct Notifier {
    list: List,
    command: ProcessSpec,
    pipeline: String,
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
}

impl Notifier {
    /// Opens the list in a folder of the state directory.
    ///
    /// `command` is run once per cause with the line on its standard input; its directory, variables, deadline and
    /// wrapper are the caller's. `pipeline` tells several pipelines of one team apart.
    ///
    /// # Errors
    /// [`NotifyError`] if the folder cannot be used.
    pub fn open(
        folder: &Path,
        pipeline: impl Into<String>,
        command: ProcessSpec,
        redactor: Arc<Redactor>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NotifyError> {
        Ok(Self {
            list: List::open(folder)?,
            command: command
                .stdout(Capture::tail(4 << 10, 1 << 20))
                .stderr(Capture::tail(4 << 10, 1 << 20)),
            pipeline: pipeline.into(),
            redactor,
            clock,
        })
    }

    /// Hands every waiting cause to the command, oldest first, until one cannot be told.
    ///
    /// If another process is delivering, nothing is done: it tells what this one has heard.
    ///
    /// # Cancel safety
    /// Dropping the future ends the command; its cause waits for the next delivery.
    pub async fn deliver(&self) -> Delivered {
        let mut delivered = Delivered::default();
        let problem = self.deliver_into(&mut delivered).await.err();
        delivered
            .problems
            .extend(problem.map(|e| format!("a notification waits: {}", chain(&e))));
        for problem in &delivered.problems {
            tracing::warn!(problem, "nobody was told that a person is needed");
        }
        delivered
    }

    async fn deliver_into(&self, delivered: &mut Delivered) -> Result<(), NotifyError> {
        let Some(_turn) = self.list.take_turn()? else {
            return Ok(());
        };
        let waiting = self.list.waiting()?;
        delivered.waiting = waiting.len();
        for cause in waiting.iter().take(MOST_AT_ONCE) {
            if let Err(problem) = self.tell(cause).await {
                // Whatever broke it breaks the others too, and each try may take the whole deadline.
                delivered.problems.push(problem);
                return Ok(());
            }
            self.list.told(&cause.cause)?;
            delivered.told += 1;
            delivered.waiting -= 1;
        }
        Ok(())
    }

    async fn tell(&self, cause: &Cause) -> Result<(), String> {
        let mut line = serde_json::to_string(cause).expect("a cause is plain data");
        line.push('\n');
        let name = &cause.cause;
        match self.command.clone().stdin(line).run().await {
            Ok(report) if report.succeeded() => Ok(()),
            Ok(report) => {
                let how = report.code().map_or_else(
                    || "was ended".to_owned(),
                    |code| format!("ended with exit code {code}"),
                );
                Err(format!(
                    "the notify command {how} when it was told of `{name}`; it is told again next time"
                ))
            }
            Err(e) => Err(format!(
                "the notify command cannot be run, so nobody was told of `{name}`: {}",
                chain(&e)
            )),
        }
    }

    fn clean(&self, text: &str) -> String {
        let shown = self.redactor.redact(text);
        Escaped::new(shown.as_bytes()).at_most(LONGEST).to_string()
    }
}

impl Observer for Notifier {
    fn observe(&self, event: &Event) {
        let Event::PersonNeeded { issue, cause, what } = event else {
            return;
        };
        let heard = Cause {
            cause: self.clean(cause),
            issue: issue.clone(),
            what: self.clean(what),
            pipeline: self.pipeline.clone(),
            at: self.clock.now(),
        };
        if let Err(e) = self.list.heard(&heard) {
            tracing::warn!(
                error = chain(&e),
                what = heard.what,
                "a person is needed, and that could not be written down"
            );
        }
    }
}

#[cfg(test)]
mod tests;
