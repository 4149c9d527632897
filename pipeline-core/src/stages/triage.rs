//! Triage: an Open issue is read, understood in the thread, and moved to Spec/log review.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Tick;
use super::done;
use super::failed;
use super::judge::Judged;
use super::judge::Question;
use super::nothing;
use super::wanted;
use super::would;
use crate::agent::TaskKind;
use crate::event::Stage;
use crate::local_check::TriageAnswer;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::quote;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::report::Outcome;
use crate::report::TickOptions;
use crate::report::TickReport;
use crate::report::chain;
use crate::settings::AgentRole;
use crate::status::Status;
use crate::status::Transition;
use crate::thread::Thread;

impl Pipeline {
    /// Makes one tick of triage. Needs no git and no other stage.
    ///
    /// # Errors
    /// [`PipelineError`] if the tracker cannot be read at all; what concerns one issue stands in the report.
    ///
    /// # Cancel safety
    /// May be dropped anywhere; the next tick goes on.
    pub async fn triage(&self, options: &TickOptions) -> Result<TickReport, PipelineError> {
        let mut tick = Tick::begin(self, Stage::Triage);
        let view = self.read(Stage::Triage, &BTreeSet::new()).await?;
        let mut worked = 0;
        for m in view
            .in_status(&Status::Open)
            .filter(|m| wanted(self, m, options))
        {
            if worked >= self.settings.max_issues_per_tick {
                tick.left += 1;
                continue;
            }
            let outcome = self.triage_one(m, options).await;
            worked += usize::from(!matches!(outcome, Outcome::Nothing { .. }));
            tick.push(Some(&m.issue.key), outcome);
        }
        Ok(tick.end(self))
    }

    async fn triage_one(&self, m: &Arc<Mirrored>, options: &TickOptions) -> Outcome {
        let key = &m.issue.key;
        let thread = m.thread(&self.protocol);
        if let Some((comment, reason)) = thread.tampered().next() {
            return self.tampered(key, comment, reason);
        }
        if let Some((memo, _)) = thread.triage().filter(|_| !options.again) {
            let moved_since = m.history.iter().any(|e| {
                e.to == Status::SpecReview
                    && (e.after_comment.is_some_and(|c| c >= memo.id) || e.at >= memo.created)
            });
            if moved_since {
                return nothing(
                    "a person moved it back to Open after its triage: it is left alone",
                );
            }
            if options.dry_run {
                return would("only make the move that is missing after its triage memo");
            }
            return match self.poster.move_only(key, &Transition::triaged()).await {
                Ok(()) => done("moved to Spec/log review, which was missing after its triage memo"),
                Err(e) => failed(chain(&e)),
            };
        }
        if options.dry_run {
            return would(
                "give it to an agent, post how it is understood, move it to Spec/log review",
            );
        }
        let question = Question {
            stage: Stage::Triage,
            role: AgentRole::Triage,
            kind: TaskKind::Triage,
            base: None,
            again: options.again,
        };
        let judged = self.judge(m, &question, None, TriageAnswer::read).await;
        let (answer, run, more) = match judged {
            Judged::Answer {
                answer, run, more, ..
            } => (answer, run, more),
            Judged::Not(outcome) => return outcome,
        };
        if let Err(e) = self.poster.settled(key).await {
            return failed(chain(&e));
        }
        // The agent took its time; what was decided meanwhile by a person comes first.
        match self.tracker.issue(key).await {
            Ok(now) if now.value.status == Status::Open => {}
            Ok(now) => {
                return nothing(format!(
                    "it was moved to `{}` while the agent read it: nothing was posted",
                    now.value.status
                ));
            }
            Err(e) => return failed(chain(&e)),
        }
        match self.tracker.comments(key).await {
            Ok(now) => {
                let newer = Thread::derive(key, &now.value, &self.protocol);
                let id = |t: &Thread| t.triage().map(|(memo, _)| memo.id);
                if id(&newer) != id(&thread) {
                    return nothing("it was triaged elsewhere meanwhile: nothing was posted");
                }
            }
            Err(e) => return failed(chain(&e)),
        }
        let fields = Fields::new()
            .with("confidence", format!("{:.2}", answer.confidence))
            .with("run", run.as_str());
        let text = format!("{}{more}", quote(&answer.comment));
        let memo = Memo::new(MemoKind::Triage, fields, text);
        match self
            .poster
            .post_and_move(key, memo, &Transition::triaged())
            .await
        {
            Ok(()) => done("triaged and moved to Spec/log review"),
            Err(e) => failed(chain(&e)),
        }
    }

    pub(super) fn tampered(
        &self,
        key: &crate::issue::IssueKey,
        comment: crate::issue::CommentId,
        reason: &str,
    ) -> Outcome {
        let what = format!(
            "comment {comment} of {key} has our marker but is not as we wrote it ({reason}): \
             look who edited it, then delete the comment"
        );
        self.tell_person(Some(key), format!("tampered:{key}:{comment}"), what.clone());
        super::waits(what)
    }
}
