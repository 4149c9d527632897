//! A patch goes back: a rework memo with what failed, then the refusal that frees its claim.

use crate::event::Stage;
use crate::failure::LogAnalysisResult;
use crate::integrate::ClaimRef;
use crate::lock::EndKind;
use crate::lock::FREE_REASONS;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::quote;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::chain;

/// Most lines of a log that stand in a memo.
const LOG_LINES: usize = 40;
/// Longest line of a log in a memo, in characters.
const LOG_WIDTH: usize = 300;

/// Why a patch goes back.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::stages) struct GoesBack {
    reason: String,
    detail: String,
    analysis: Option<LogAnalysisResult>,
    /// The tree it makes, where another patch can be compared with it.
    left: Option<String>,
}

impl GoesBack {
    pub(in crate::stages) fn new(reason: &str, detail: String) -> Self {
        Self {
            reason: reason.to_owned(),
            detail,
            analysis: None,
            left: None,
        }
    }

    /// Says which tree failed.
    pub(super) fn leaving(mut self, left: String) -> Self {
        self.left = Some(left);
        self
    }

    fn signature(&self) -> Option<&str> {
        self.analysis.as_ref()?.signature.as_deref()
    }

    /// Returns whether a rework memo tells of the same tree and the same failure.
    fn repeats(&self, memo: &Memo) -> bool {
        let said = |key| memo.fields.one(key);
        self.left.is_some()
            && said("left") == self.left.as_deref()
            && said("reason") == Some(&self.reason)
            && said("signature") == self.signature()
            // A failure that is nobody's fault is no lack of progress.
            && !FREE_REASONS.contains(&self.reason.as_str())
    }

    pub(super) fn of_failure(
        command: &str,
        exit_code: Option<i32>,
        log: &str,
        analysis: Option<LogAnalysisResult>,
    ) -> Self {
        let ended = match exit_code {
            Some(code) => format!("`{command}` ended with exit code {code}"),
            None => format!("`{command}` was ended by a signal or its deadline"),
        };
        Self {
            reason: "verify".into(),
            detail: format!("{ended}\n{}", tail(log)),
            analysis,
            left: None,
        }
    }

    /// Returns one sentence for reports.
    pub(in crate::stages) fn summary(&self) -> String {
        match &self.analysis {
            Some(a) if a.is_explained() => format!("{} ({})", a.summary, a.category.as_str()),
            _ => self.detail.lines().next().unwrap_or_default().to_owned(),
        }
    }

    fn memo(&self, claim: &ClaimRef, attempt: u32) -> Memo {
        let mut f = Fields::new()
            .with("kind", "rework")
            .with("issue", claim.issue.as_str())
            .with("ref", claim.comment.to_string())
            .with("round", claim.round.to_string())
            .with("attempt", attempt.to_string())
            .with("reason", &self.reason);
        if let Some(left) = &self.left {
            f.push("left", left);
        }
        let mut text = format!("The patch of attempt {attempt} goes back.\n\n");
        if let Some(a) = &self.analysis {
            f.push("category", a.category.as_str());
            f.push("blame", a.blame.as_str());
            if let Some(signature) = &a.signature {
                f.push("signature", signature);
            }
            text.push_str(&format!("What failed:\n\n{}\n\n", quote(&a.summary)));
            if !a.suggested_fix.is_empty() {
                text.push_str(&format!(
                    "What may help:\n\n{}\n\n",
                    quote(&a.suggested_fix)
                ));
            }
            for e in &a.evidence {
                let lines = format!(
                    "lines {} to {}:\n{}",
                    e.first_line,
                    e.last_line,
                    e.text.join("\n")
                );
                text.push_str(&format!("{}\n\n", quote(&lines)));
            }
        }
        text.push_str(&quote(&self.detail));
        Memo::new(MemoKind::WorkStatus, f, text)
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    let shown = lines
        .iter()
        .skip(from)
        .map(|l| l.chars().take(LOG_WIDTH).collect::<String>());
    shown.collect::<Vec<_>>().join("\n")
}

impl Pipeline {
    /// Sends a patch back. The rework memo comes first: a claim that is free again has its reason in the thread.
    pub(in crate::stages) async fn send_back(
        &self,
        claim: &ClaimRef,
        attempt: u32,
        why: &GoesBack,
    ) -> Result<(), PipelineError> {
        let stage = Stage::Integrate;
        let issue = &claim.issue;
        let settled = self.poster.settled(issue).await;
        settled.map_err(|e| PipelineError::Refused(chain(&e)))?;
        let reply = self
            .tracker
            .comments(issue)
            .await
            .map_err(|source| PipelineError::Tracker { stage, source })?;
        let thread = crate::thread::Thread::derive(issue, &reply.value, &self.protocol);
        let named = claim.comment.to_string();
        let round = claim.round.to_string();
        let before = thread
            .status_memos("rework")
            .filter(|(_, m)| m.fields.one("round") == Some(&round))
            .rfind(|(_, m)| m.fields.one("ref") != Some(&named));
        let mut why = self.without_secrets(why);
        if before.is_some_and(|(_, memo)| why.repeats(memo)) {
            why.detail = format!(
                "The attempt before made the same tree, and it failed the same way ({}): there is no progress.\n{}",
                why.reason, why.detail
            );
            why.reason = "no-progress".to_owned();
        }
        let said = thread
            .status_memos("rework")
            .any(|(_, m)| m.fields.one("ref") == Some(&named));
        if !said {
            self.poster
                .post(issue, why.memo(claim, attempt))
                .await
                .map_err(|e| PipelineError::Refused(chain(&e)))?;
        }
        let text = format!("Patch returned:{}", quote_line(&why.summary()));
        self.locks
            .end(
                claim,
                &EndKind::Refused {
                    reason: why.reason.clone(),
                },
                text,
            )
            .await
            .map_err(|source| PipelineError::Locks { stage, source })
    }
}

impl Pipeline {
    /// Leaves out what a log says if it holds a secret of ours: the refusal must reach the thread in any case.
    fn without_secrets(&self, why: &GoesBack) -> GoesBack {
        let said = format!("{}\n{}\n{:?}", why.summary(), why.detail, why.analysis);
        if self.poster.redactor.finds(&said) {
            let detail = "[left out: its output holds a secret of this pipeline]".to_owned();
            return GoesBack {
                reason: why.reason.clone(),
                detail,
                analysis: None,
                left: why.left.clone(),
            };
        }
        why.clone()
    }
}

fn quote_line(text: &str) -> String {
    format!("\n\n{}", quote(text))
}
