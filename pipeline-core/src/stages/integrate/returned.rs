//! A patch goes back: a rework memo with what failed, then the refusal that frees its claim.

use crate::event::Stage;
use crate::failure::LogAnalysisResult;
use crate::integrate::ClaimRef;
use crate::lock::EndKind;
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
}

impl GoesBack {
    pub(in crate::stages) fn new(reason: &str, detail: String) -> Self {
        Self {
            reason: reason.to_owned(),
            detail,
            analysis: None,
        }
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
        let reply = self
            .tracker
            .comments(issue)
            .await
            .map_err(|source| PipelineError::Tracker { stage, source })?;
        let thread = crate::thread::Thread::derive(issue, &reply.value, &self.protocol);
        let named = claim.comment.to_string();
        let said = thread
            .status_memos("rework")
            .any(|(_, m)| m.fields.one("ref") == Some(&named));
        if !said {
            self.poster
                .post(issue, self.without_secrets(why).memo(claim, attempt))
                .await
                .map_err(|e| PipelineError::Refused(chain(&e)))?;
        }
        let why = self.without_secrets(why);
        let text = format!("Patch returned: {}", quote_line(&why.summary()));
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
            };
        }
        why.clone()
    }
}

fn quote_line(text: &str) -> String {
    format!("\n\n{}", quote(text))
}
