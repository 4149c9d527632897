//! What really happened: windows of changes, and which of them git can not merge.

use std::collections::{BTreeMap, BTreeSet};

use pipeline_core::conflict::coupling::CommitFiles;
use pipeline_core::conflict::watch::{self, TouchedLines};
use pipeline_core::footprint::RepoPath;
use pipeline_core::patch::{self, PatchLimits};
use pipeline_git::{Replay, Repository, Walk};

use super::{Failure, Settings};

/// Changes that are taken as started together.
#[derive(Debug)]
pub(super) struct Window {
    /// The commit before the first of them.
    pub(super) base: String,
    pub(super) changes: Vec<Change>,
    /// The pairs, the earlier one first, that git can not merge.
    pub(super) conflicts: BTreeSet<(usize, usize)>,
    /// How many changes need an earlier one of their window to make sense at all.
    pub(super) dependent: usize,
}

/// A change that landed, carried over to the base of its window.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) id: String,
    /// The part of its files that is declared beforehand.
    pub(super) declared: Vec<RepoPath>,
    /// How many files it has.
    pub(super) files: usize,
    /// What it touches, in lines of the base.
    pub(super) touched: BTreeMap<RepoPath, TouchedLines>,
}

/// Cuts the newest changes into windows; answers too how many changes were left out as bulk.
pub(super) async fn windows(
    repository: &Repository,
    replay: &Replay,
    tip: &str,
    settings: &Settings,
) -> Result<(Vec<Window>, usize), Failure> {
    let wanted = settings.windows.saturating_mul(settings.size);
    // Some will be left out, so more are read than are needed.
    let landed = repository
        .commits(
            tip,
            None,
            Walk::Landed,
            wanted.saturating_mul(2).saturating_add(1),
        )
        .await?;
    let all = landed.len();
    let usable: Vec<CommitFiles> = landed
        .into_iter()
        .filter(|change| {
            change.parents > 0
                && !change.files.is_empty()
                && change.files.len() <= settings.max_files
        })
        .collect();
    let left_out = all - usable.len();
    let newest = usable
        .get(usable.len().saturating_sub(wanted)..)
        .unwrap_or_default();
    let mut windows = Vec::new();
    // Cut from the newest end, so that an incomplete window is the oldest.
    for changes in newest
        .rchunks(settings.size.max(1))
        .filter(|changes| changes.len() == settings.size)
    {
        windows.push(window(repository, replay, changes, settings).await?);
    }
    windows.reverse();
    Ok((windows, left_out))
}

async fn window(
    repository: &Repository,
    replay: &Replay,
    changes: &[CommitFiles],
    settings: &Settings,
) -> Result<Window, Failure> {
    let mut window = Window {
        base: String::new(),
        changes: Vec::new(),
        conflicts: BTreeSet::new(),
        dependent: 0,
    };
    let mut carried: Vec<Option<String>> = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let parent = repository.commit(&format!("{}^1", change.id)).await?;
        if at == 0 {
            window.base.clone_from(&parent);
        }
        let merged = replay.merge(&parent, &window.base, &change.id).await?;
        let touched = if merged.clean {
            let diff = replay.patch_between(&window.base, &merged.commit).await?;
            touched(&diff)
        } else {
            None
        };
        // What cannot be carried over rests on an earlier change: its lines are not lines of the base.
        let touched = touched.unwrap_or_else(|| {
            change
                .files
                .iter()
                .map(|file| (file.clone(), TouchedLines::Whole))
                .collect()
        });
        window.changes.push(Change {
            id: change.id.clone(),
            declared: declared(change, settings),
            files: change.files.len(),
            touched,
        });
        if merged.clean {
            for (earlier, other) in carried.iter().enumerate() {
                let Some(other) = other else { continue };
                if shares_a_file(&window, earlier, at)
                    && !replay
                        .merge(&window.base, other, &merged.commit)
                        .await?
                        .clean
                {
                    window.conflicts.insert((earlier, at));
                }
            }
            carried.push(Some(merged.commit));
        } else {
            window.dependent += 1;
            depends_on(replay, &mut window, &carried, &parent, change, at).await?;
            carried.push(None);
        }
    }
    Ok(window)
}

/// Finds the earlier changes that a change rests on: the one that lets it be carried over, else all that share
/// a file with it.
async fn depends_on(
    replay: &Replay,
    window: &mut Window,
    carried: &[Option<String>],
    parent: &str,
    change: &CommitFiles,
    at: usize,
) -> Result<(), Failure> {
    let mut found = false;
    for (earlier, other) in carried.iter().enumerate() {
        let Some(other) = other else { continue };
        if shares_a_file(window, earlier, at)
            && replay.merge(parent, other, &change.id).await?.clean
        {
            window.conflicts.insert((earlier, at));
            found = true;
        }
    }
    if !found {
        let sharing: Vec<usize> = (0..at)
            .filter(|earlier| shares_a_file(window, *earlier, at))
            .collect();
        window
            .conflicts
            .extend(sharing.into_iter().map(|earlier| (earlier, at)));
    }
    Ok(())
}

fn shares_a_file(window: &Window, a: usize, b: usize) -> bool {
    match (window.changes.get(a), window.changes.get(b)) {
        (Some(a), Some(b)) => a.touched.keys().any(|file| b.touched.contains_key(file)),
        _ => false,
    }
}

/// Returns what a patch touches, or nothing if it is larger than we read.
fn touched(diff: &[u8]) -> Option<BTreeMap<RepoPath, TouchedLines>> {
    let patch = patch::parse(diff, &PatchLimits::default()).ok()?;
    Some(watch::of_patch(&patch))
}

/// Picks the declared part of the files of a change, at least one: the same for the same seed.
fn declared(change: &CommitFiles, settings: &Settings) -> Vec<RepoPath> {
    let mut files: Vec<(u64, &RepoPath)> = change
        .files
        .iter()
        .map(|file| (mixed(settings.seed, &change.id, file), file))
        .collect();
    files.sort();
    let share = usize::try_from(settings.declared).unwrap_or(100);
    let count =
        (files.len().saturating_mul(share).saturating_add(50) / 100).clamp(1, files.len().max(1));
    files
        .into_iter()
        .take(count)
        .map(|(_, file)| file.clone())
        .collect()
}

/// Returns a number that looks random and depends on nothing else (FNV-1a, then a splitmix64 step).
fn mixed(seed: u64, id: &str, file: &RepoPath) -> u64 {
    let bytes = seed
        .to_le_bytes()
        .into_iter()
        .chain(id.bytes())
        .chain(file.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 31)
}
