//! Verifying the candidate: whose fault a failure is.

use std::sync::Arc;

use super::integrate_error;
use crate::failure::LogAnalysisRequest;
use crate::failure::LogAnalysisResult;
use crate::integrate::Checkout;
use crate::integrate::Integration;
use crate::integrate::VerificationRecord;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;
use crate::stages::integrate::GoesBack;
use crate::verify::Verification;
use crate::verify::Verifier;
use crate::verify::VerifyRequest;
use crate::workspace::Target;

/// What verifying the candidate's last tree came to.
pub(super) enum Verified {
    /// It passed, or there is nothing to run.
    Passed,
    /// The patch is at fault.
    Failed(Box<GoesBack>),
    /// The base itself fails, or the checks could not be run on it either: nobody is blamed, everything waits.
    Blocked(String),
    /// It looks like a reason outside the patch, by the word of a log that the patch itself may have written.
    Infra(String),
}

impl Pipeline {
    /// Returns whether anything can be found wrong with a tree of a target.
    pub(super) fn has_checks(&self, target: &Target) -> bool {
        let verifier = self.verifier.as_ref();
        verifier.is_some_and(|verifier| verifier.has_checks(target))
    }

    /// Verifies the candidate's last tree; a failure that retrying may cure is retried once.
    ///
    /// `base_passes` remembers between calls that the base was verified and showed no failure.
    pub(super) async fn verify_candidate(
        &self,
        session: &mut dyn Integration,
        base_passes: &mut bool,
    ) -> Result<Verified, PipelineError> {
        let Some((tree, base)) = session
            .candidate()
            .and_then(|c| Some((c.tip()?.tree.clone(), c.base.commit.clone())))
        else {
            return Ok(Verified::Passed);
        };
        let digest = |v: &Arc<dyn Verifier>| v.commands_digest(session.target());
        let commands = self.verifier.as_ref().map_or("none".to_owned(), digest);
        let record = |commands, verified, at| VerificationRecord {
            tree,
            commands,
            verified,
            at,
        };
        if !self.has_checks(session.target()) {
            let r = record(commands, false, self.now());
            session.set_verified(r).await.map_err(integrate_error)?;
            return Ok(Verified::Passed);
        }
        if let Some(why) = self.failing_bases.why(&base, &commands) {
            return Ok(Verified::Blocked(why));
        }
        let (mut retried, mut base_was_asked) = (false, false);
        loop {
            let (command, exit_code, log) = match self.verify_in(session, Checkout::Candidate).await
            {
                Ok(passed @ (Verification::Passed | Verification::NothingToRun)) => {
                    let r = record(commands, passed == Verification::Passed, self.now());
                    session.set_verified(r).await.map_err(integrate_error)?;
                    return Ok(Verified::Passed);
                }
                Ok(Verification::Failed {
                    command,
                    exit_code,
                    log,
                }) => (command, exit_code, log),
                Err(why) => {
                    // The patch may be what breaks the hooks or the checks: the base tells.
                    if base_was_asked {
                        return Ok(Verified::Failed(Box::new(GoesBack::new("verify", why))));
                    }
                    base_was_asked = true;
                    match self.verify_in(session, Checkout::Base).await {
                        // What passed by, a disk that was full, is nobody's fault: it comes again or it does not.
                        Ok(Verification::Passed | Verification::NothingToRun) => continue,
                        Ok(Verification::Failed { .. }) | Err(_) => {
                            return Ok(Verified::Blocked(why));
                        }
                    }
                }
            };
            let analysis = self.analyse(&command, exit_code, &log).await;
            if !retried && analysis.as_ref().is_some_and(|a| a.retryable) {
                retried = true;
                continue;
            }
            let base_fails = if *base_passes {
                None
            } else {
                match self.verify_in(session, Checkout::Base).await {
                    Ok(Verification::Failed { command, .. }) => Some(command),
                    Ok(Verification::Passed | Verification::NothingToRun) => {
                        *base_passes = true;
                        None
                    }
                    Err(_) => None,
                }
            };
            if let Some(command) = base_fails {
                let why = format!(
                    "`{command}` fails on the base {} itself, without any patch: nothing goes back, mend the base \
                     first; it is verified again when the base moves",
                    base.short()
                );
                self.failing_bases.remember(&base, &commands, &why);
                return Ok(Verified::Blocked(why));
            }
            if let Some(a) = analysis.as_ref().filter(|a| a.spares_the_change()) {
                return Ok(Verified::Infra(format!(
                    "`{command}` failed for a reason outside the patch ({}): {}",
                    a.category.as_str(),
                    a.summary
                )));
            }
            let goes_back = GoesBack::of_failure(&command, exit_code, &log, analysis);
            return Ok(Verified::Failed(Box::new(goes_back)));
        }
    }

    async fn verify_in(
        &self,
        session: &mut dyn Integration,
        which: Checkout,
    ) -> Result<Verification, String> {
        let Some(verifier) = &self.verifier else {
            return Ok(Verification::NothingToRun);
        };
        let root = session.checkout(which).await.map_err(|e| chain(&e))?;
        let request = VerifyRequest {
            root,
            target: session.target().clone(),
        };
        verifier.verify(&request).await.map_err(|e| chain(&e))
    }

    async fn analyse(
        &self,
        command: &str,
        exit_code: Option<i32>,
        log: &str,
    ) -> Option<LogAnalysisResult> {
        let analyzer = self.analyzer.as_ref()?;
        let mut request = LogAnalysisRequest::from_text(log.to_owned()).with_job(command);
        if let Some(code) = exit_code {
            request = request.with_exit_code(code);
        }
        match analyzer.analyze(&request).await {
            Ok(result) => Some(result),
            Err(error) => {
                tracing::warn!(
                    command,
                    error = chain(&error),
                    "the failure could not be analysed"
                );
                None
            }
        }
    }
}
