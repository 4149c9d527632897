//! The start move made without a person, where that is configured.

use crate::footprint::Footprint;
use crate::gate::StartPermit;
use crate::local_check::Answer;
use crate::local_check::Estimate;
use crate::lock::LockView;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::report::TickOptions;
use crate::report::chain;
use crate::stages::Tick;
use crate::stages::done;
use crate::stages::failed;
use crate::stages::wanted;
use crate::status::Status;
use crate::status::Transition;
use crate::thread::CheckMemo;

impl Pipeline {
    /// Makes the automatic start move where it is configured and all seven answers are yes.
    pub(super) async fn start_automatically(
        &self,
        locks: &LockView,
        options: &TickOptions,
        tick: &mut Tick,
    ) {
        if !self.settings.start.automatic {
            return;
        }
        for m in locks
            .view
            .in_status(&Status::SpecReview)
            .filter(|m| wanted(self, m, options))
        {
            let key = &m.issue.key;
            let thread = m.thread(&self.protocol);
            if locks.distrust(key).is_some() || self.needs_check(m, &thread, false).is_some() {
                continue;
            }
            let Some(check) = thread.checks().next_back() else {
                continue;
            };
            // A person who moved it back after this check has the last word.
            let moved_since = m.history.iter().any(|e| {
                e.to == Status::InProgress && e.after_comment.is_some_and(|c| c >= check.comment.id)
            });
            if moved_since {
                continue;
            }
            let answers = self.seven(&check, m, locks);
            if answers.iter().any(|(_, a)| *a != Answer::Yes) {
                continue;
            }
            let permit = StartPermit::mint(key.clone(), check.text.whole().to_owned());
            let mut fields = Fields::new()
                .with("kind", "permit")
                .with("issue", key.as_str());
            for (name, answer) in &answers {
                fields.push("answer", format!("{name} {answer}"));
            }
            fields.push("text", permit.text_digest());
            let memo = Memo::new(
                MemoKind::WorkStatus,
                fields,
                "All seven answers are yes and the automatic start is configured.".into(),
            );
            // The thread was read before what a dead process posted could be seen.
            if let Err(e) = self.poster.settled(key).await {
                tick.push(Some(key), failed(chain(&e)));
                continue;
            }
            let thread = match self.tracker.comments(key).await {
                Ok(now) => crate::thread::Thread::derive(key, &now.value, &self.protocol),
                Err(e) => {
                    tick.push(Some(key), failed(chain(&e)));
                    continue;
                }
            };
            let standing =
                thread
                    .status_memos("permit")
                    .next_back()
                    .is_some_and(|(c, permitted)| {
                        permitted.fields.one("text") == Some(permit.text_digest())
                            && thread
                                .entries()
                                .last()
                                .is_some_and(|e| e.comment.id == c.id)
                    });
            let step = Transition::start(&permit);
            let moved = if standing {
                self.poster.move_only(key, &step).await
            } else {
                self.poster.post_and_move(key, memo, &step).await
            };
            match moved {
                Ok(()) => tick.push(
                    Some(key),
                    done("started automatically; it is dispatched by the next tick"),
                ),
                Err(e) => tick.push(Some(key), failed(chain(&e))),
            }
        }
    }

    pub(super) fn seven(
        &self,
        check: &CheckMemo<'_>,
        m: &Mirrored,
        locks: &LockView,
    ) -> [(&'static str, Answer); 7] {
        let not = |a: Answer| match a {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
            Answer::Unknown => Answer::Unknown,
        };
        let footprint = Footprint::from_candidates(check.candidate_files());
        let target = self.settings.targets.of(&m.issue);
        let resources = self.resources(&m.issue.key, target, &footprint);
        let overlap = locks.state.blocker(&resources, locks.date).is_some();
        [
            ("can-start", check.can_start),
            ("blockers", Answer::of(check.blockers == 0)),
            (
                "estimate",
                check
                    .estimate
                    .map_or(Answer::Unknown, |e| Answer::of(e <= Estimate::Medium)),
            ),
            ("db-change", not(check.db_change)),
            ("production-data", not(check.production_data)),
            ("overlap", Answer::of(!overlap)),
            ("decisions", Answer::of(check.pending == 0)),
        ]
    }
}
