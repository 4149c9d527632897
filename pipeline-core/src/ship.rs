//! The third gate: the team's own command ships one landed commit, once, and only under a person's permission.
//!
//! Core deploys nothing. [`Shipping::run`] guards a command of the team: a commit that has landed, the deploy rules a
//! person has read (by their digest), a pre-check that changes nothing and passed, an [`Approval<Ship>`] that names
//! commit and rules, and the integrator's lock. What began and did not end is never begun again by itself.

mod command;
mod error;
mod rules;

use std::sync::Arc;
use std::time::Duration;

pub use self::command::COMMIT_PLACEHOLDER;
pub use self::command::COMMIT_VARIABLE;
pub use self::command::ShipCommand;
pub use self::command::TARGET_VARIABLE;
pub use self::error::ShipError;
pub use self::rules::DeployRules;
use crate::agent::RunId;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::gate::Approval;
use crate::gate::Asked;
use crate::gate::Gate;
use crate::gate::Ship;
use crate::gate::ask_ship;
use crate::integrate::Integration;
use crate::integrate::TrailerSearch;
use crate::issue::IssueKey;
use crate::journal::Journal;
use crate::journal::Record;
use crate::patch::Escaped;
use crate::process::Captured;
use crate::process::Ending;
use crate::process::ProcessReport;
use crate::workspace::CommitId;

/// What of the output stands in an error, in characters.
const SHOWN: usize = 2_000;

/// What is to be shipped, how, and under which rules.
#[derive(Debug, Clone)]
pub struct ShipPlan {
    /// The landed commit.
    pub commit: CommitId,
    /// The team's deploy rules.
    pub rules: DeployRules,
    /// A check that changes nothing and must pass first.
    pub pre_check: ShipCommand,
    /// The team's own command.
    pub command: ShipCommand,
}

/// How shipping was called.
#[derive(Debug, Clone, Default)]
pub struct ShipCall {
    /// The commit whose earlier shipping a person has looked at (`--again COMMIT`).
    pub again: Option<CommitId>,
    /// The run inside which the call was made, if any: shipping is refused there.
    pub inside: Option<RunId>,
}

/// What the team's command came to.
#[derive(Debug, Clone)]
pub struct Shipped {
    /// The commit.
    pub commit: CommitId,
    /// Its exit code; `None` if it was ended or ended by a signal.
    pub exit_code: Option<i32>,
    /// How it ended, for people.
    pub how: String,
    /// The last of what it said on both outputs, untrusted.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

impl Shipped {
    /// Returns whether the command ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// The third gate: everything that shipping needs, held together.
///
/// The session proves that the integrator's lock is held: nothing lands while a commit ships, and no two ship at once.
#[derive(Debug)]
pub struct Shipping<'a> {
    /// The open session of the target.
    pub session: &'a dyn Integration,
    /// Where the permission may have been given.
    pub gates: &'a [Arc<dyn Gate>],
    /// What began and what ended.
    pub journal: &'a dyn Journal,
    /// The time.
    pub clock: &'a dyn Clock,
}

impl Shipping<'_> {
    /// Returns the issues of a landed commit, in whose threads a permission may stand.
    ///
    /// # Errors
    /// [`ShipError::NotLanded`] if the target's history does not hold the commit with our trailers.
    ///
    /// # Cancel safety
    /// Reads only; can be repeated.
    pub async fn issues(&self, commit: &CommitId) -> Result<Vec<IssueKey>, ShipError> {
        let unread = |source| ShipError::Integrate { source };
        let tip = self.session.tip().await.map_err(unread)?;
        let search = TrailerSearch {
            tip,
            oldest: Vec::new(),
        };
        let hits = self.session.trailers(&search).await.map_err(unread)?;
        let mut issues: Vec<IssueKey> = hits
            .into_iter()
            .filter(|hit| hit.commit == *commit)
            .flat_map(|hit| hit.claims)
            .map(|(issue, ..)| issue)
            .collect();
        issues.sort();
        issues.dedup();
        if issues.is_empty() {
            return Err(ShipError::NotLanded {
                commit: commit.clone(),
                target: self.session.target().clone(),
            });
        }
        Ok(issues)
    }

    /// Asks the gates for the permission to ship the plan's commit under its rules.
    ///
    /// # Errors
    /// [`ShipError::NotPermitted`] with everything that was found; [`ShipError::NotLanded`].
    ///
    /// # Cancel safety
    /// Reads only; can be repeated.
    pub async fn permission(&self, plan: &ShipPlan) -> Result<Approval<Ship>, ShipError> {
        let issues = self.issues(&plan.commit).await?;
        let digest = plan.rules.digest();
        let asked = ask_ship(self.gates, &plan.commit, digest, issues)
            .await
            .map_err(|source| ShipError::Gate { source })?;
        let (reasons, how, ignored) = match asked {
            Asked::Approved(approval) => return Ok(approval),
            Asked::Pending { how, ignored } => (Vec::new(), how, ignored),
            Asked::Refused {
                reasons,
                how,
                ignored,
            } => (reasons, how, ignored),
        };
        let found = reasons
            .iter()
            .map(ToString::to_string)
            .chain(ignored)
            .collect();
        Err(ShipError::NotPermitted {
            commit: plan.commit.clone(),
            found,
            how,
        })
    }

    /// Returns everything that stands against shipping now, without running anything: for a dry run.
    ///
    /// # Cancel safety
    /// Reads only; can be repeated.
    pub async fn missing(&self, plan: &ShipPlan, call: &ShipCall) -> Vec<ShipError> {
        let mut missing = Vec::new();
        missing.extend(self.stands_against(plan, call).err());
        missing.extend(plan.rules.unchanged().err());
        match self.permission(plan).await {
            Ok(approval) => missing.extend(fits(plan, &approval).err()),
            Err(e) => missing.push(e),
        }
        missing
    }

    /// Runs the pre-check and, if it passes, the team's command, once.
    ///
    /// The intent is synced to the journal before the command starts, and its end after it. A command that ends badly
    /// is a result; what it did is for people to see.
    ///
    /// # Errors
    /// [`ShipError`], a sentence each; the command was not started then, but for [`ShipError::Unwritten`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the command's whole process tree and leaves the intent open: the next call refuses
    /// until a person has looked.
    pub async fn run(
        &self,
        plan: &ShipPlan,
        approval: &Approval<Ship>,
        call: &ShipCall,
    ) -> Result<Shipped, ShipError> {
        self.stands_against(plan, call)?;
        fits(plan, approval)?;
        plan.rules.unchanged()?;
        self.issues(&plan.commit).await?;
        let target = self.session.target().as_str();
        let pre_check = plan
            .pre_check
            .spec(&plan.commit, target)
            .ok_or(ShipError::NoPreCheck)?;
        let command = plan
            .command
            .spec(&plan.commit, target)
            .ok_or(ShipError::NoCommand)?;

        let what = "pre-check";
        let checked = pre_check
            .run()
            .await
            .map_err(|source| ShipError::Process { what, source })?;
        if !checked.succeeded() {
            return Err(ShipError::PreCheckFailed {
                how: ended(&checked),
                output: output(&checked),
            });
        }
        // A pre-check may take long enough for somebody to change the rules beside it.
        plan.rules.unchanged()?;

        self.close_looked_at(plan, call)?;
        self.write(&Record::ShipIntent {
            commit: plan.commit.as_str().to_owned(),
            rules: plan.rules.digest().to_owned(),
            by: approval.evidence().by.to_string(),
        })
        .map_err(|source| ShipError::Journal { source })?;
        tracing::info!(commit = plan.commit.short(), by = %approval.evidence().by, "shipping");
        let ran = command.run().await;
        let exit_code = ran.as_ref().ok().and_then(ProcessReport::code);
        let done = self.write(&Record::ShipDone {
            commit: plan.commit.as_str().to_owned(),
            exit_code,
        });
        let report = ran.map_err(|source| ShipError::Process {
            what: "ship command",
            source,
        })?;
        done.map_err(|source| ShipError::Unwritten {
            how: ended(&report),
            source,
        })?;
        Ok(Shipped {
            commit: plan.commit.clone(),
            exit_code,
            how: ended(&report),
            output: output(&report),
            took: report.duration(),
        })
    }

    /// Refuses what needs no reading of the tracker: where it was called from, the commands, what began before.
    fn stands_against(&self, plan: &ShipPlan, call: &ShipCall) -> Result<(), ShipError> {
        if let Some(run) = &call.inside {
            return Err(ShipError::FromWorker { run: run.clone() });
        }
        if plan.pre_check.argv.is_empty() {
            return Err(ShipError::NoPreCheck);
        }
        if plan.command.argv.is_empty() {
            return Err(ShipError::NoCommand);
        }
        let earlier = self.earlier()?;
        let looked_at = |commit: &str| call.again.as_ref().is_some_and(|a| a.as_str() == commit);
        for (commit, last) in earlier {
            match last {
                _ if looked_at(&commit) => {}
                Last::Began(at) => return Err(ShipError::Interrupted { commit, at }),
                Last::Ended(at, Some(0)) if commit == plan.commit.as_str() => {
                    return Err(ShipError::AlreadyShipped { commit, at });
                }
                Last::Ended(at, exit_code) if commit == plan.commit.as_str() => {
                    return Err(ShipError::FailedBefore {
                        commit,
                        at,
                        exit_code,
                    });
                }
                Last::Ended(..) => {}
            }
        }
        Ok(())
    }

    /// Returns how the last shipping of each commit went.
    fn earlier(&self) -> Result<Vec<(String, Last)>, ShipError> {
        let mut earlier: Vec<(String, Last)> = Vec::new();
        let entries = self
            .journal
            .entries()
            .map_err(|source| ShipError::Journal { source })?;
        for entry in entries {
            let (commit, last) = match entry.record {
                Record::ShipIntent { commit, .. } => (commit, Last::Began(entry.at)),
                Record::ShipDone { commit, exit_code } => {
                    (commit, Last::Ended(entry.at, exit_code))
                }
                _ => continue,
            };
            earlier.retain(|(c, _)| *c != commit);
            earlier.push((commit, last));
        }
        Ok(earlier)
    }

    /// Notes that a person has looked at an earlier shipping of another commit, so that it stands in nobody's way.
    fn close_looked_at(&self, plan: &ShipPlan, call: &ShipCall) -> Result<(), ShipError> {
        let Some(again) = call.again.as_ref().filter(|a| **a != plan.commit) else {
            return Ok(());
        };
        let is_open = |(commit, last): &(String, Last)| {
            commit == again.as_str() && matches!(last, Last::Began(_))
        };
        if self.earlier()?.iter().any(is_open) {
            self.write(&Record::ShipDone {
                commit: again.as_str().to_owned(),
                exit_code: None,
            })
            .map_err(|source| ShipError::Journal { source })?;
        }
        Ok(())
    }

    fn write(&self, record: &Record) -> Result<(), crate::journal::JournalError> {
        self.journal.append(self.clock.now(), record).map(|_| ())
    }
}

/// How the last shipping of a commit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Began(Timestamp),
    Ended(Timestamp, Option<i32>),
}

/// Checks that a permission is for this commit under these rules.
fn fits(plan: &ShipPlan, approval: &Approval<Ship>) -> Result<(), ShipError> {
    if approval.subject() != plan.commit.as_str() {
        return Err(ShipError::OtherCommit {
            permitted: approval.subject().chars().take(12).collect(),
            commit: plan.commit.clone(),
        });
    }
    if approval.evidence().rules.as_deref() != Some(plan.rules.digest()) {
        return Err(ShipError::RulesChanged {
            name: plan.rules.name().to_owned(),
        });
    }
    Ok(())
}

fn ended(report: &ProcessReport) -> String {
    match (report.ending(), report.code()) {
        (_, Some(code)) => format!("ended with exit code {code}"),
        (Ending::Exited, None) => "was ended by a signal".to_owned(),
        (Ending::Deadline, None) => "took longer than it may and was ended".to_owned(),
        (Ending::Flooded(_), None) => "said more than it may and was ended".to_owned(),
        _ => "was ended".to_owned(),
    }
}

/// Returns the last words of both outputs, safe to show.
fn output(report: &ProcessReport) -> String {
    let last = |captured: &Captured| {
        let text = captured.text();
        let lines: Vec<String> = text
            .lines()
            .map(|l| Escaped::new(l.as_bytes()).at_most(500).to_string())
            .filter(|l| !l.trim().is_empty())
            .collect();
        let mut out = lines.join("\n");
        let length = out.chars().count();
        if length > SHOWN {
            out = out.chars().skip(length - SHOWN).collect();
        }
        out
    };
    [last(report.stdout()), last(report.stderr())]
        .into_iter()
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
