//! What conflict rules would have been worth on the history of a repository.
//!
//! The changes that landed on the branch, one after the other (a merge is one change), are cut into windows.
//! The changes of a window are taken as issues started together on the commit before the first of them. Each is
//! carried over to that commit, and git says which two of them it can not merge. Against this truth the policies
//! are held, which see only the declared part of the files. See `docs/conflicts.md`.

mod report;
mod truth;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use pipeline_core::conflict::coupling::{CouplingRules, History};
use pipeline_core::conflict::planner::{self, Candidate};
use pipeline_core::conflict::watch::{self, CollisionKind, WatchPolicy, WatchedRun};
use pipeline_core::conflict::{Areas, ConflictDetector, RuleConflicts, RuleFile, RuleSet};
use pipeline_core::footprint::{Footprint, RepoPath};
use pipeline_git::{GitOptions, Replay, Repository, Walk};

pub use report::{Evaluation, PolicyFigures};
use truth::{Change, Window};

/// What goes wrong is only ever shown.
type Failure = Box<dyn Error + Send + Sync>;

/// What is evaluated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The revision whose history is taken.
    pub revision: String,
    /// How many windows, the newest ones.
    pub windows: usize,
    /// How many changes a window has.
    pub size: usize,
    /// How much of the files of a change is declared beforehand, in percent.
    pub declared: u32,
    /// What decides which files are declared.
    pub seed: u64,
    /// A change with more files is left out.
    pub max_files: usize,
    /// A rules file, instead of the presets that fit the repository.
    pub rules: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            revision: "HEAD".to_owned(),
            windows: 40,
            size: 6,
            declared: 60,
            seed: 1,
            max_files: 100,
            rules: None,
        }
    }
}

/// Evaluates the policies on the history of a repository, which is only read.
///
/// # Errors
/// If the repository or the rules cannot be read, or the history is too short for one window.
pub async fn evaluate(repo: &Path, settings: &Settings) -> Result<Evaluation, Failure> {
    let scratch = tempfile::tempdir()?;
    let repository =
        Repository::open(GitOptions::default(), repo, scratch.path().join("state")).await?;
    let replay = Replay::new(&repository, scratch.path()).await?;
    let tip = repository.commit(&settings.revision).await?;
    let (windows, left_out) = truth::windows(&repository, &replay, &tip, settings).await?;
    let Some(first) = windows.first() else {
        return Err(format!(
            "the history is too short: there is no window of {} changes",
            settings.size
        )
        .into());
    };
    let listing = repository.files_at(&first.base).await?;
    let rules = match &settings.rules {
        Some(text) => RuleSet::new(&RuleFile::parse(text, "the rules file")?, &listing)?,
        None => RuleSet::detected(&listing)?,
    };
    let files_only = RuleSet::from_toml("unclassified = 'file'")?;

    let mut evaluation = Evaluation::new(settings, &rules, &windows, left_out);
    evaluation.policies = vec![
        judge("same file only", &windows, |_| {
            Ok(files_only.detector("main")?)
        })?,
        judge("rules", &windows, |_| Ok(rules.detector("main")?))?,
    ];
    let learned = learn(&repository, &windows).await?;
    let learned = &learned;
    evaluation
        .policies
        .push(judge("same file + coupling", &windows, |at| {
            Ok(files_only
                .detector("main")?
                .with_coupling(coupling(learned, at)))
        })?);
    evaluation
        .policies
        .push(judge("rules + coupling", &windows, |at| {
            Ok(rules.detector("main")?.with_coupling(coupling(learned, at)))
        })?);
    evaluation
        .policies
        .sort_by_key(|policy| policy.name.starts_with("rules"));
    Ok(evaluation)
}

fn enabled() -> CouplingRules {
    let mut rules = CouplingRules::default();
    rules.enabled = true;
    rules
}

fn coupling(learned: &[History], window: usize) -> pipeline_core::conflict::coupling::Coupling {
    learned
        .get(window)
        .map(|history| history.coupling(&enabled()))
        .unwrap_or_default()
}

/// Learns for every window from the commits before it, each time only the new ones.
async fn learn(repository: &Repository, windows: &[Window]) -> Result<Vec<History>, Failure> {
    let rules = enabled();
    let mut history = History::new(&rules);
    let mut learned = Vec::new();
    for window in windows {
        let after = history.tip().map(str::to_owned);
        let commits = repository
            .commits(
                &window.base,
                after.as_deref(),
                Walk::Every,
                rules.max_commits,
            )
            .await?;
        history.read(commits);
        learned.push(history.clone());
    }
    Ok(learned)
}

/// Holds one policy against what really happened.
fn judge<F>(name: &str, windows: &[Window], detector: F) -> Result<PolicyFigures, Failure>
where
    F: Fn(usize) -> Result<RuleConflicts, Failure>,
{
    let mut figures = PolicyFigures::new(name);
    for (at, window) in windows.iter().enumerate() {
        judge_window(&mut figures, window, &detector(at)?);
    }
    Ok(figures)
}

fn judge_window(figures: &mut PolicyFigures, window: &Window, detector: &RuleConflicts) {
    let declared: Vec<Footprint> = window
        .changes
        .iter()
        .map(|change| footprint(&change.declared))
        .collect();
    let areas: Vec<Areas> = declared
        .iter()
        .map(|footprint| detector.areas(footprint))
        .collect();
    let candidates: Vec<Candidate> = areas
        .iter()
        .zip(&window.changes)
        .map(|(areas, change)| Candidate::new(&change.id, areas.keys()))
        .collect();
    figures.batches += planner::batches(&candidates).len();
    let runs: Vec<WatchedRun> = window
        .changes
        .iter()
        .zip(&declared)
        .zip(&areas)
        .enumerate()
        .map(|(at, ((change, declared), areas))| run(at, window, change, declared, areas))
        .collect();
    for (a, one) in runs.iter().enumerate() {
        for (b, two) in runs.iter().enumerate().skip(a + 1) {
            let truth = window.conflicts.contains(&(a, b));
            let apart = match (areas.get(a), areas.get(b)) {
                (Some(one), Some(two)) => !one.conflicts_with(two).is_empty(),
                _ => true,
            };
            let seen = (!apart).then(|| {
                let pair = [one.clone(), two.clone()];
                watch::look(&pair, &WatchPolicy::default(), |_| {
                    Some(detector as &dyn ConflictDetector)
                })
            });
            let kinds: BTreeSet<CollisionKind> = seen
                .iter()
                .flat_map(|seen| &seen.collisions)
                .map(|it| it.kind)
                .collect();
            figures.pair(truth, apart, &kinds);
        }
    }
}

fn run(
    at: usize,
    window: &Window,
    change: &Change,
    declared: &Footprint,
    areas: &Areas,
) -> WatchedRun {
    WatchedRun::new(
        &change.id,
        &change.id,
        u64::try_from(at).unwrap_or(u64::MAX),
    )
    .from_base("main", &window.base)
    .declaring(declared.clone(), areas.keys())
    .touching(change.touched.clone())
}

fn footprint(files: &[RepoPath]) -> Footprint {
    Footprint::declaring(files.iter().cloned())
}

#[cfg(test)]
mod tests;
