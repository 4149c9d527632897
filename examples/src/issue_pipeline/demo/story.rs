//! What happens in the demo, step by step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use pipeline_core::agent::TaskKind;
use pipeline_core::event::Stage;
use pipeline_core::issue::IssueKey;
use pipeline_core::report::IssueReport;
use pipeline_core::report::Outcome;
use pipeline_core::report::TickOptions;
use pipeline_core::report::TickReport;
use pipeline_core::stages::Review;
use pipeline_core::status::Status;

use super::person::Person;
use super::report::Approved;
use super::report::Commit;
use super::report::IssueEnd;
use super::report::Refusal;
use super::report::Report;
use super::setting;
use super::setting::Setting;
use super::setting::git;
use super::work;
use crate::compose;
use crate::compose::Composed;
use crate::config;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::Failure;
use crate::issue_pipeline::stages;
use crate::issue_pipeline::teller::RunTimes;
use crate::issue_pipeline::teller::Teller;
use crate::terminal::Style;
use crate::terminal::escape_line;
use crate::workplace::Workplace;

/// More rounds than the demo has issues: it ends by itself long before.
const MOST_ROUNDS: usize = 12;

/// Plays the demo to its end.
pub(super) async fn play(context: &Context, dir: PathBuf, pause: bool) -> Result<Report, Failure> {
    let began = Instant::now();
    let setting = Setting::make(context, dir).await?;
    let workplace = Workplace::of(config::load(&setting.config)?, &context.around)?;
    let teller = Arc::new(Teller::new(
        "demo".to_owned(),
        context.out.progress().clone(),
    ));
    let composed = compose::compose(&workplace, &context.around, Arc::clone(&teller) as _).await?;
    let story = Story {
        context,
        setting: &setting,
        teller: &teller,
        composed: &composed,
        mika: Person::new(context, &setting, setting::REPORTER, pause)?,
        rei: Person::new(context, &setting, setting::APPROVER, pause)?,
    };
    story.play(began).await
}

struct Story<'a> {
    context: &'a Context,
    setting: &'a Setting,
    teller: &'a Teller,
    composed: &'a Composed,
    mika: Person<'a>,
    rei: Person<'a>,
}

/// The issues of the demo by what they are about.
struct Keys(Vec<(&'static str, IssueKey)>);

impl Keys {
    fn of(&self, title: &str) -> &IssueKey {
        let found = self.0.iter().find(|(known, _)| *known == title);
        found
            .map(|(_, key)| key)
            .expect("every title of the demo is filed at its beginning")
    }

    fn all_but(&self, title: &str) -> impl Iterator<Item = &IssueKey> {
        self.0
            .iter()
            .filter(move |(known, _)| *known != title)
            .map(|(_, key)| key)
    }
}

impl Story<'_> {
    async fn play(&self, began: Instant) -> Result<Report, Failure> {
        let refs_before = self.refs().await?;
        let tip_before = self.git(&["rev-parse", "HEAD"]).await?;
        self.says("a small shop in plain sh, seven issues, three places for agents")?;
        let filed = self.setting.file_issues().await?;
        let keys = Keys(work::ALL.iter().map(|w| w.title).zip(filed).collect());

        self.says("the pipeline reads the issues and looks at the repository, read-only")?;
        self.tick(Stage::Triage).await?;
        self.tick(Stage::Check).await?;

        self.says("a person writes, so that issue is checked again")?;
        self.rei
            .writes(keys.of(work::GREETING), work::GREETING_WISH)
            .await?;
        self.tick(Stage::Check).await?;

        let mut refused = vec![self.wrong_start(&keys).await?];

        self.says("gate 1: a person starts the work")?;
        for key in keys.all_but(work::CHECKOUT) {
            self.rei.moves(key, Status::InProgress).await?;
        }
        let approvals = self.rounds(&mut refused).await?;

        self.says("every stage once more: nothing is left to do")?;
        let second_run_changed = self.second_run().await?;
        if let Some(repository) = &self.composed.repository {
            repository
                .git_integrator
                .remove_verification_worktrees()
                .await
                .map_err(failed)?;
        }
        let report = Report {
            dir: self.setting.dir.clone(),
            repo: self.setting.repo.clone(),
            confined_by: self.setting.confined_by,
            issues: self.ends(&keys).await?,
            overlapping: self.overlapping(),
            conflicting: self.conflicting(&keys),
            runs: self.teller.runs(),
            approvals,
            refused,
            commits: self.commits(tip_before.trim()).await?,
            refs_before,
            refs_after: self.refs().await?,
            tree_clean: self.git(&["status", "--porcelain"]).await?.is_empty(),
            moved_forward: self.moved_forward(tip_before.trim()).await?,
            worktrees_left: self
                .git(&["worktree", "list", "--porcelain"])
                .await?
                .matches("worktree ")
                .count()
                - 1,
            second_run_changed,
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.tells(&report)?;
        Ok(report)
    }

    /// Somebody who may not starts an issue: nothing starts.
    async fn wrong_start(&self, keys: &Keys) -> Result<Refusal, Failure> {
        self.says("somebody who may not starts an issue: nothing begins")?;
        let issue = keys.of(work::CHECKOUT);
        self.mika.moves(issue, Status::InProgress).await?;
        let report = self.tick(Stage::Dispatch).await?;
        let answer = answer_on(&report, issue);
        self.mika.moves(issue, Status::SpecReview).await?;
        Ok(Refusal {
            attempt: "a start by somebody who is no starter",
            answer,
        })
    }

    /// Dispatch, integrate, OK, land, until nothing waits.
    async fn rounds(&self, refused: &mut Vec<Refusal>) -> Result<Vec<Approved>, Failure> {
        let mut approvals = Vec::new();
        for _ in 0..MOST_ROUNDS {
            let dry = TickOptions {
                dry_run: true,
                ..TickOptions::default()
            };
            let waiting = stages::tick(&self.composed.pipeline, Stage::Dispatch, &dry).await?;
            let nothing = |line: &IssueReport| matches!(line.outcome, Outcome::Nothing { .. });
            if waiting.issues.iter().all(nothing) {
                break;
            }
            self.says("agents work, each in its own worktree; what conflicts waits")?;
            let worked = self.tick(Stage::Dispatch).await?.changed();
            self.says("patches are merged and verified one by one")?;
            let merged = self.tick(Stage::Integrate).await?.changed();
            let reviews = self.composed.pipeline.review(None).await?;
            for review in &reviews {
                approvals.push(self.approve(review, refused).await?);
            }
            if !worked && !merged && reviews.is_empty() {
                break;
            }
        }
        Ok(approvals)
    }

    /// The person looks at a candidate and gives the OK, first without what it holds.
    async fn approve(
        &self,
        review: &Review,
        refused: &mut Vec<Refusal>,
    ) -> Result<Approved, Failure> {
        self.says("gate 2: a person looks at the merged diff and gives the OK")?;
        let candidate = review.candidate.id();
        let issues: Vec<IssueKey> = review
            .candidate
            .commits
            .iter()
            .map(|c| c.claim.issue.clone())
            .collect();
        for commit in &review.candidate.commits {
            let line = format!(
                "            {candidate}  issue {}: {}",
                commit.claim.issue,
                commit.touched.join(", ")
            );
            self.context.out.line(escape_line(&line))?;
        }
        let thread = issues
            .first()
            .ok_or_else(|| Failure::refused("an empty candidate"))?;
        let whole = pipeline_core::gate::ok_comment(&review.candidate);
        let short = format!("OK {candidate}");
        if whole != short {
            self.says("an OK that does not name what is held lands nothing")?;
            self.rei.writes(thread, &short).await?;
            let report = self.tick(Stage::Integrate).await?;
            let answer = report
                .issues
                .iter()
                .map(|i| i.outcome.text())
                .collect::<Vec<_>>()
                .join("; ");
            refused.push(Refusal {
                attempt: "an OK that leaves a hold",
                answer,
            });
        }
        self.rei.writes(thread, &whole).await?;
        self.tick(Stage::Integrate).await?;
        Ok(Approved {
            candidate: candidate.as_str().to_owned(),
            comment: whole,
            issues,
        })
    }

    /// Runs every stage again and returns what changed.
    async fn second_run(&self) -> Result<Vec<String>, Failure> {
        let before = self.fingerprint().await?;
        let mut changed = Vec::new();
        for stage in [
            Stage::Triage,
            Stage::Check,
            Stage::Dispatch,
            Stage::Integrate,
        ] {
            let report = self.tick(stage).await?;
            let done = report.issues.iter().filter(|i| i.outcome.is_done());
            changed.extend(done.map(|i| format!("{}: {}", stage.name(), i.outcome.text())));
        }
        if self.fingerprint().await? != before {
            changed.push("the tracker, the refs or the tree".to_owned());
        }
        Ok(changed)
    }

    /// Everything a second run must not change.
    async fn fingerprint(&self) -> Result<(Vec<u8>, String, String), Failure> {
        let log = std::fs::read(self.setting.state.path().join("tracker/log.jsonl"))?;
        let refs = self.git(&["for-each-ref"]).await?;
        let tree = self.git(&["status", "--porcelain", "--branch"]).await?;
        Ok((log, refs, tree))
    }

    async fn tick(&self, stage: Stage) -> Result<TickReport, Failure> {
        let report = stages::tick(&self.composed.pipeline, stage, &TickOptions::default()).await?;
        let out = &self.context.out;
        for IssueReport { issue, outcome } in &report.issues {
            let style = match outcome {
                Outcome::Done { .. } => Style::Good,
                Outcome::Failed { .. } => Style::Bad,
                Outcome::Nothing { .. } => continue,
                _ => Style::Plain,
            };
            let issue = issue
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string);
            let line = format!(
                "  {:>9}  {issue:>2}  {}",
                stage.name(),
                escape_line(outcome.text())
            );
            out.line(out.paint(style, &line))?;
        }
        Ok(report)
    }

    fn says(&self, sentence: &str) -> Result<(), Failure> {
        let out = &self.context.out;
        Ok(out.line(out.paint(Style::Bold, &format!("\n{sentence}")))?)
    }

    async fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        git(&self.setting.repo, &self.context.around, arguments).await
    }

    /// Returns the names of branches and tags.
    async fn refs(&self) -> Result<Vec<String>, Failure> {
        let listed = self
            .git(&[
                "for-each-ref",
                "--format=%(refname)",
                "refs/heads",
                "refs/tags",
            ])
            .await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    async fn moved_forward(&self, before: &str) -> Result<bool, Failure> {
        let base = self.git(&["merge-base", before, "HEAD"]).await?;
        let now = self.git(&["rev-parse", "HEAD"]).await?;
        Ok(base.trim() == before && now.trim() != before)
    }

    async fn commits(&self, before: &str) -> Result<Vec<Commit>, Failure> {
        let range = format!("{before}..HEAD");
        let format = "--format=%h%x00%s%x00%an%x00%cn%x00%(trailers:only,unfold)%x1e";
        let listed = self.git(&["log", "--reverse", format, &range]).await?;
        let commits = listed.split('\u{1e}').filter_map(|record| {
            let mut fields = record.trim_start().split('\0').map(str::to_owned);
            Some(Commit {
                id: fields.next().filter(|id| !id.is_empty())?,
                subject: fields.next()?,
                author: fields.next()?,
                committer: fields.next()?,
                trailers: fields.next()?.lines().map(str::to_owned).collect(),
            })
        });
        Ok(commits.collect())
    }

    async fn ends(&self, keys: &Keys) -> Result<Vec<IssueEnd>, Failure> {
        let mut ends = Vec::new();
        let working = self.working();
        for (title, key) in &keys.0 {
            let issue = self.composed.tracker.issue(key).await?.value;
            let thread = self.composed.tracker.comments(key).await?.value;
            let ours = thread.iter().filter(|c| c.author.id == "pipeline");
            ends.push(IssueEnd {
                key: key.clone(),
                title: (*title).to_owned(),
                status: issue.status.name().to_owned(),
                memos: ours.map(|c| memo(&c.body)).collect(),
                attempts: working.iter().filter(|run| run.issue == *key).count(),
            });
        }
        Ok(ends)
    }

    /// Returns the runs that worked, without the reading ones.
    fn working(&self) -> Vec<RunTimes> {
        let table = self.composed.runner.table();
        let works = |run: &RunTimes| {
            let request = table.request(&run.run).ok().flatten();
            request.is_some_and(|r| matches!(r.kind, TaskKind::Implement | TaskKind::Rework))
        };
        self.teller.runs().into_iter().filter(works).collect()
    }

    fn overlapping(&self) -> Vec<(IssueKey, IssueKey)> {
        let runs = self.working();
        let pairs = runs
            .iter()
            .enumerate()
            .flat_map(|(i, a)| runs.iter().skip(i + 1).map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| overlap(a, b))
            .map(|(a, b)| (a.issue.clone(), b.issue.clone()))
            .collect()
    }

    /// Returns whether the pairs that conflict overlapped: the two on the order list, and whatever is beside the shared style
    /// and the migration.
    fn conflicting(&self, keys: &Keys) -> Vec<(IssueKey, IssueKey, bool)> {
        let overlapping = self.overlapping();
        let (style, note) = (keys.of(work::COLOUR), keys.of(work::NOTE));
        let mut pairs = vec![(keys.of(work::TOTAL), keys.of(work::NEWEST))];
        for key in keys.all_but(work::CHECKOUT) {
            pairs.extend(
                [style, note]
                    .into_iter()
                    .filter(|alone| *alone != key)
                    .map(|alone| (alone, key)),
            );
        }
        let met = |a: &IssueKey, b: &IssueKey| {
            overlapping
                .iter()
                .any(|(x, y)| (x == a && y == b) || (x == b && y == a))
        };
        pairs
            .into_iter()
            .map(|(a, b)| (a.clone(), b.clone(), met(a, b)))
            .collect()
    }

    fn tells(&self, report: &Report) -> Result<(), Failure> {
        let out = &self.context.out;
        self.says("commits")?;
        for commit in &report.commits {
            let (author, committer) = (escape_line(&commit.author), escape_line(&commit.committer));
            out.line(format!(
                "  {}  {}  (by {author}, OK of {committer})",
                commit.id,
                escape_line(&commit.subject)
            ))?;
            for trailer in &commit.trailers {
                out.line(out.paint(
                    Style::Faint,
                    &format!("           {}", escape_line(trailer)),
                ))?;
            }
        }
        self.says("threads")?;
        for issue in &report.issues {
            out.line(format!(
                "  {:>2}  {:<16} {}",
                issue.key,
                issue.status,
                escape_line(&issue.title)
            ))?;
            out.line(out.paint(
                Style::Faint,
                &format!("      {}", escape_line(&issue.memos.join(" · "))),
            ))?;
        }
        self.says("runs")?;
        self.timeline()?;
        let held = report
            .confined_by
            .unwrap_or("nothing: no sandbox works on this machine");
        out.line(format!("\nagents were held in by {held}"))?;
        out.line(format!(
            "no branch, no tag, no worktree left; the tree is clean; {:.1} s",
            report.millis as f64 / 1000.0
        ))?;
        out.line(format!("look around: {}", report.dir.display()))?;
        Ok(())
    }

    /// Draws when each working run was at it.
    fn timeline(&self) -> Result<(), Failure> {
        const WIDTH: u128 = 50;
        let runs = self.working();
        let (Some(first), Some(last)) = (
            runs.iter().map(|r| r.began).min(),
            runs.iter().filter_map(|r| r.ended).max(),
        ) else {
            return Ok(());
        };
        let whole = last.since(first).as_millis().max(1);
        for run in &runs {
            let ended = run.ended.unwrap_or(last);
            let column = |at: pipeline_core::clock::Timestamp| {
                usize::try_from(at.since(first).as_millis() * WIDTH / whole).unwrap_or(0)
            };
            let (from, to) = (column(run.began), column(ended));
            let bar = format!("{}{}", " ".repeat(from), "█".repeat((to - from).max(1)));
            let millis = ended.since(run.began).as_millis();
            self.context.out.line(format!(
                "  {:>2} {:<7} {bar:<52} {millis} ms",
                run.issue, run.slot
            ))?;
        }
        Ok(())
    }
}

fn overlap(a: &RunTimes, b: &RunTimes) -> bool {
    match (a.ended, b.ended) {
        (Some(a_end), Some(b_end)) => a.began < b_end && b.began < a_end,
        _ => false,
    }
}

fn answer_on(report: &TickReport, issue: &IssueKey) -> String {
    let found = report
        .issues
        .iter()
        .find(|i| i.issue.as_ref() == Some(issue));
    found.map_or_else(String::new, |i| i.outcome.text().to_owned())
}

/// Returns what a memo is, in a word or two: its marker without the words all have in common, and its kind.
fn memo(body: &str) -> String {
    let marker = body.lines().next().unwrap_or_default();
    let kind = body
        .lines()
        .take(20)
        .find_map(|line| line.strip_prefix("kind: "));
    let short = [
        ("automated AI assessment", "triage"),
        ("local-check", "check"),
        ("re-check", "re-check"),
        ("work-start", "work start"),
        ("work-done", "work done"),
    ];
    let named = short
        .into_iter()
        .find(|(part, _)| marker.contains(part))
        .map(|(_, name)| name);
    named.or(kind).unwrap_or("memo").to_owned()
}

fn failed(error: impl Into<pipeline_core::BoxError>) -> Failure {
    Failure::new(crate::issue_pipeline::Exit::Failed, error)
}
