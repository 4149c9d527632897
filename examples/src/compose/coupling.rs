//! Files that change together: learned from the history of a branch, remembered in the state directory.

use pipeline_core::conflict::coupling::CommitFiles;
use pipeline_core::conflict::coupling::Coupling;
use pipeline_core::conflict::coupling::CouplingRules;
use pipeline_core::conflict::coupling::History;
use pipeline_core::report::chain;
use pipeline_git::HistoryError;
use pipeline_git::Repository;
use pipeline_git::Walk;
use sha2::Digest as _;
use sha2::Sha256;

use crate::surroundings::StateDir;

/// Returns what the history of a revision says, reading only the commits that were not read before.
///
/// What was read is remembered by the commit it went up to; it can be deleted at any time, and costs one reading then.
///
/// # Errors
/// If the history cannot be read.
pub(crate) async fn learn(
    git: &Repository,
    state: &StateDir,
    revision: &str,
    rules: &CouplingRules,
) -> Result<Coupling, HistoryError> {
    let name = format!(
        "coupling-{}.json",
        &hex::encode(Sha256::digest(revision))[..16]
    );
    let tip = git.commit(revision).await?;
    let mut history = match remembered(state, &name).filter(|history| history.fits(rules)) {
        Some(known) => match known.tip() {
            // A branch that was rewritten is read anew, as is one whose remembered commit is gone.
            Some(old) if git.is_ancestor(old, &tip).await.unwrap_or(false) => known,
            _ => History::new(rules),
        },
        None => History::new(rules),
    };
    if history.tip() != Some(&tip) {
        let after = history.tip().map(ToOwned::to_owned);
        // Merges and bulk commits take no place in the window, so more than its size has to be read.
        let at_most = rules.max_commits.saturating_mul(3);
        let commits: Vec<CommitFiles> = git
            .commits(&tip, after.as_deref(), Walk::Every, at_most)
            .await?;
        history.read(commits);
        if let Err(error) = state.write_json(&name, &history) {
            tracing::warn!(
                error = chain(&error),
                "the coupling is learned anew next time"
            );
        }
    }
    Ok(history.coupling(rules))
}

fn remembered(state: &StateDir, name: &str) -> Option<History> {
    let bytes = state.read(name).ok()??;
    serde_json::from_slice(&bytes).ok()
}
