//! Local check and re-check: a read-only look at the repository, and a digest in the thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Tick;
use super::done;
use super::failed;
use super::judge::Judged;
use super::judge::Question;
use super::nothing;
use super::waits;
use super::wanted;
use super::would;
use crate::agent::TaskKind;
use crate::event::Stage;
use crate::footprint::Footprint;
use crate::issue::CommentId;
use crate::local_check::Answer;
use crate::local_check::CheckAnswer;
use crate::local_check::Readiness;
use crate::local_check::readiness;
use crate::lock::LockView;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::encode_value;
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
use crate::thread::TextDigest;
use crate::thread::Thread;
use crate::workspace::BaseRevision;
use crate::workspace::Target;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Most candidate files that stand in a memo's key lines.
const MOST_FILES: usize = 200;

/// Why an issue is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    First,
    PersonWrote,
    TextChanged,
    Asked,
}

impl Reason {
    const fn words(self) -> &'static str {
        match self {
            Self::First => "it has no check yet",
            Self::PersonWrote => "a person wrote after the last check",
            Self::TextChanged => "its text changed after the last check",
            Self::Asked => "it was asked for",
        }
    }
}

impl Pipeline {
    /// Makes one tick of the local check. Never moves an issue.
    ///
    /// # Errors
    /// [`PipelineError`] if tracker or locks cannot be read at all; what concerns one issue stands in the report.
    ///
    /// # Cancel safety
    /// May be dropped anywhere; the next tick goes on.
    pub async fn check(&self, options: &TickOptions) -> Result<TickReport, PipelineError> {
        let stage = Stage::Check;
        let mut tick = Tick::begin(self, stage);
        let locks = self
            .locks
            .live(&BTreeSet::new())
            .await
            .map_err(|source| PipelineError::Locks { stage, source })?;
        let mut worked = 0;
        for m in locks
            .view
            .in_status(&Status::SpecReview)
            .filter(|m| wanted(self, m, options))
        {
            if worked >= self.settings.max_issues_per_tick {
                tick.left += 1;
                continue;
            }
            let outcome = self.check_one(m, &locks, options).await;
            worked += usize::from(!matches!(outcome, Outcome::Nothing { .. }));
            tick.push(Some(&m.issue.key), outcome);
        }
        Ok(tick.end(self))
    }

    async fn check_one(
        &self,
        m: &Arc<Mirrored>,
        locks: &LockView,
        options: &TickOptions,
    ) -> Outcome {
        let key = &m.issue.key;
        let thread = m.thread(&self.protocol);
        if let Some((comment, reason)) = thread.tampered().next() {
            return self.tampered(key, comment, reason);
        }
        let Some(reason) = self.needs_check(m, &thread, options.again) else {
            return nothing("its latest check is up to date");
        };
        if options.dry_run {
            return would(format!("check it, because {}", reason.words()));
        }
        self.check_now(m, locks, reason, None).await
    }

    pub(super) fn needs_check(&self, m: &Mirrored, thread: &Thread, again: bool) -> Option<Reason> {
        if again {
            return Some(Reason::Asked);
        }
        let Some(latest) = thread.checks().next_back() else {
            return Some(Reason::First);
        };
        if thread
            .people()
            .next_back()
            .is_some_and(|c| latest.read_to.is_none_or(|to| c.id > to))
        {
            return Some(Reason::PersonWrote);
        }
        let now = TextDigest::of(&m.issue, &m.comments, latest.read_to, &self.protocol);
        (now.whole() != latest.text.whole()).then_some(Reason::TextChanged)
    }

    /// Checks an issue and posts the memo. `ask` is a further sentence for people (what to do next).
    pub(super) async fn check_now(
        &self,
        m: &Arc<Mirrored>,
        locks: &LockView,
        reason: Reason,
        ask: Option<&str>,
    ) -> Outcome {
        let key = &m.issue.key;
        let thread = m.thread(&self.protocol);
        let today = thread
            .checks()
            .filter(|c| {
                c.comment.created > locks.date.minus(DAY) && c.memo.kind == MemoKind::Recheck
            })
            .count();
        if today >= self.settings.max_rechecks && reason != Reason::Asked {
            let what = format!(
                "{key} was re-checked {today} times within a day: it is looked at again tomorrow, or with \
                 `{} check {key} --again`",
                self.settings.command
            );
            self.tell_person(
                Some(key),
                format!("max-rechecks:{key}:{today}"),
                what.clone(),
            );
            return waits(what);
        }
        let target = self.settings.targets.of(&m.issue);
        let base = match self.base(target).await {
            Ok(base) => base,
            Err(outcome) => return outcome,
        };
        let kind = if reason == Reason::First {
            TaskKind::LocalCheck
        } else {
            TaskKind::Recheck
        };
        let question = Question {
            stage: Stage::Check,
            role: AgentRole::Check,
            kind,
            base: Some(base.clone()),
            again: reason == Reason::Asked,
        };
        let judged = self
            .judge(m, &question, Some(locks), CheckAnswer::read)
            .await;
        let (answer, run, unconfined, more) = match judged {
            Judged::Answer {
                answer,
                run,
                unconfined,
                more,
            } => (answer, run, unconfined, more),
            Judged::Not(outcome) => return outcome,
        };
        // The agent took its time; another tick, here or on another machine, may have been faster.
        if let Err(e) = self.poster.settled(key).await {
            return failed(chain(&e));
        }
        match self.tracker.comments(key).await {
            Ok(now) => {
                let newer = Thread::derive(key, &now.value, &self.protocol);
                let id = |t: &Thread| t.checks().next_back().map(|c| c.comment.id);
                if id(&newer) != id(&thread) {
                    return nothing("it was checked elsewhere meanwhile: nothing was posted");
                }
            }
            Err(e) => return failed(chain(&e)),
        }
        let memo_kind = match kind {
            TaskKind::LocalCheck => MemoKind::LocalCheck,
            _ => MemoKind::Recheck,
        };
        let seven = readiness(
            &answer.local_check,
            Some(&self.overlaps(m, target, &answer, locks)),
        );
        let known = self.known_files(&base).await;
        let fields = self
            .check_fields(m, &answer, &seven, &base, &known)
            .with("run", run.as_str());
        let text = check_text(&answer, &seven, &more, unconfined, ask);
        match self
            .poster
            .post(key, Memo::new(memo_kind, fields, text))
            .await
        {
            Ok(_) if kind == TaskKind::LocalCheck => done("checked; its memo is posted"),
            Ok(_) => done(format!(
                "re-checked, because {}; its memo is posted",
                reason.words()
            )),
            Err(e) => failed(chain(&e)),
        }
    }

    pub(super) async fn base(&self, target: &Target) -> Result<BaseRevision, Outcome> {
        let workspaces = self
            .workspaces
            .as_ref()
            .ok_or_else(|| failed("no repository is configured: this stage needs one"))?;
        workspaces.base(target).await.map_err(|e| failed(chain(&e)))
    }

    async fn known_files(&self, base: &BaseRevision) -> BTreeSet<String> {
        match &self.workspaces {
            Some(w) => w
                .files(base)
                .await
                .map(|f| f.into_iter().collect())
                .unwrap_or_default(),
            None => BTreeSet::new(),
        }
    }

    /// Returns the live work that an issue with these candidate files would overlap, for people.
    fn overlaps(
        &self,
        m: &Mirrored,
        target: &Target,
        answer: &CheckAnswer,
        locks: &LockView,
    ) -> Vec<String> {
        let footprint = Footprint::from_candidates(&answer.local_check.candidate_files);
        let resources = self.resources(&m.issue.key, target, &footprint);
        locks
            .state
            .blocking(locks.date)
            .filter(|h| h.issue != m.issue.key)
            .filter_map(|h| {
                let (key, _) = resources.first_meeting(&h.claim.resources)?;
                Some(format!("{} holds {key}", h.issue))
            })
            .collect()
    }

    fn check_fields(
        &self,
        m: &Mirrored,
        answer: &CheckAnswer,
        seven: &[Readiness],
        base: &BaseRevision,
        known: &BTreeSet<String>,
    ) -> Fields {
        let check = &answer.local_check;
        let read_to: Option<CommentId> = m.comments.iter().map(|c| c.id).max();
        let text = TextDigest::of(&m.issue, &m.comments, read_to, &self.protocol);
        let mut f = Fields::new()
            .with("issue", m.issue.key.as_str())
            .with("confidence", format!("{:.2}", answer.confidence))
            .with("estimate", check.estimate.word())
            .with("can-start", check.can_start_from_local.word())
            .with("blockers", check.blockers.len().to_string())
            .with("db-change", check.db_change.word())
            .with("production-data", check.production_data.word())
            .with("pending", check.pending_decisions.len().to_string())
            .with("target", encode_value(base.target.as_str()))
            .with("base-commit", base.commit.as_str());
        for file in check.candidate_files.iter().take(MOST_FILES) {
            let key = if known.contains(file) {
                "file"
            } else {
                "file-unknown"
            };
            f.push(key, encode_value(file));
        }
        for r in seven {
            f.push("answer", format!("{} {}", r.name, r.answer));
        }
        f.push("text", text.render());
        f.push("read-to", read_to.map_or(0, |c| c.0).to_string());
        f
    }
}

fn check_text(
    answer: &CheckAnswer,
    seven: &[Readiness],
    more: &str,
    unconfined: bool,
    ask: Option<&str>,
) -> String {
    let check = &answer.local_check;
    let mut out = String::new();
    if let Some(ask) = ask {
        out.push_str(ask);
        out.push_str("\n\n");
    }
    out.push_str(&quote(&answer.comment));
    out.push_str("\n\nScope:\n\n");
    out.push_str(&quote(&check.implementation_scope));
    for (title, list) in [
        ("Blockers", &check.blockers),
        ("Pending decisions", &check.pending_decisions),
    ] {
        if !list.is_empty() {
            out.push_str(&format!("\n\n{title}:\n\n"));
            out.push_str(&quote(
                &list
                    .iter()
                    .map(|l| format!("- {l}"))
                    .collect::<Vec<_>>()
                    .join("\n"),
            ));
        }
    }
    out.push_str(more);
    out.push_str("\n\nReady to start?\n\n");
    let lines = seven.iter().map(|r| {
        let sign = match r.answer {
            Answer::Yes => "yes",
            Answer::No => "NO",
            Answer::Unknown => "unknown",
        };
        format!("- {}: {sign} ({})", r.name, r.why)
    });
    out.push_str(&quote(&lines.collect::<Vec<_>>().join("\n")));
    if unconfined {
        out.push_str("\n\nThe agent ran unconfined: nothing but its own word kept it from writing or reaching out.");
    }
    out
}
