//! Making a landing visible: the ref by compare-and-swap, then every checkout of the target.

mod checkouts;
mod compare;
mod index_lock;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use pipeline_core::footprint::encode_readable;
use pipeline_core::integrate::LandOutcome;
use pipeline_core::integrate::LandingPlan;

use crate::error::GitError;
use crate::integrator::landing::checkouts::Checkout;
use crate::integrator::landing::checkouts::Filters;
use crate::integrator::landing::checkouts::Found;
use crate::integrator::landing::compare::Content;
use crate::integrator::landing::compare::InIndex;
use crate::integrator::landing::compare::OnDisk;
use crate::integrator::landing::compare::State;
use crate::integrator::landing::compare::contents;
use crate::integrator::landing::compare::look;
use crate::integrator::landing::index_lock::Held;
use crate::integrator::landing::index_lock::HeldIndex;
pub(crate) use crate::integrator::landing::index_lock::clear;
use crate::integrator::landing::index_lock::hold;
use crate::integrator::trailers::is_ancestor;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::refs;
use crate::refs::Swap;
use crate::repository::Repository;
use crate::workspace::parsed;
use crate::workspace::remove_any;

/// How many paths a sentence names.
const NAMED: usize = 5;

/// Everything a landing needs to know.
pub(crate) struct Landing<'a> {
    repository: &'a Repository,
    plan: &'a LandingPlan,
    filters: Filters,
    old: Oid,
    new: Oid,
    old_tree: Oid,
    new_tree: Oid,
    paths: Vec<Vec<u8>>,
    before: Vec<Content>,
    after: Vec<Content>,
}

impl<'a> Landing<'a> {
    pub(crate) async fn of(
        repository: &'a Repository,
        objects: &Objects,
        plan: &'a LandingPlan,
        named_filters: &[String],
    ) -> Result<Self, GitError> {
        let (old, new) = (parsed(&plan.old), parsed(&plan.new));
        let old_tree = objects.commit(&old).await?.tree;
        let new_tree = objects.commit(&new).await?.tree;
        // From the trees and not from the plan: they are what is going to be moved.
        let paths = objects.changed_paths(&old_tree, &new_tree).await?;
        let before = contents(objects, &old_tree, &paths).await?;
        let after = contents(objects, &new_tree, &paths).await?;
        let filters = Filters::of(repository, named_filters).await?;
        Ok(Self {
            repository,
            plan,
            filters,
            old,
            new,
            old_tree,
            new_tree,
            paths,
            before,
            after,
        })
    }

    fn branch(&self) -> String {
        format!("refs/heads/{}", self.plan.target)
    }

    /// Lands, or says why not now. `in_time` is asked when nothing is left but to move the ref.
    pub(crate) async fn land(
        &self,
        in_time: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<LandOutcome, GitError> {
        match refs::find(self.repository, &self.branch()).await? {
            Some(tip) if tip == self.old => {}
            Some(tip) if tip == self.new => return self.complete_now().await,
            _ => return Ok(LandOutcome::BaseMoved),
        }
        let checkouts = match checkouts::find(self.repository, &self.plan.target).await? {
            Found::Checkouts(checkouts) => checkouts,
            Found::Waits(reason) => return Ok(LandOutcome::Waits { reason }),
        };
        let held = match hold(self.repository, &checkouts).await? {
            Held::All(held) => held,
            Held::Busy(path) => {
                return Ok(LandOutcome::Waits {
                    reason: busy(&path),
                });
            }
        };
        for index in &held {
            if let Some(reason) = self.obstacle(index).await? {
                return Ok(LandOutcome::Waits { reason });
            }
        }
        if !in_time() {
            return Ok(LandOutcome::TooLate);
        }
        let why = format!(
            "issue pipeline: land candidate {}",
            self.plan.candidate.short()
        );
        let swapped = refs::swap(
            self.repository,
            &self.branch(),
            Some(&self.old),
            &self.new,
            &why,
        )
        .await?;
        if swapped == Swap::Moved {
            return Ok(LandOutcome::BaseMoved);
        }
        for index in held {
            match self.move_tree(&index, false).await? {
                Ok(()) => index.commit().await?,
                // A file was changed in the moment between; what can be done is done path by path.
                Err(_refused) => {
                    drop(index);
                    return self.complete_now().await;
                }
            }
        }
        clear(self.repository).await?;
        Ok(LandOutcome::Landed)
    }

    /// Finds what a checkout has that is not the base, as a sentence for the person.
    async fn obstacle(&self, index: &HeldIndex) -> Result<Option<String>, GitError> {
        let checkout = index.checkout();
        let states = look(
            self.repository,
            checkout,
            &self.filters,
            index.index(),
            &self.paths,
        )
        .await?;
        let differing: Vec<&[u8]> = self
            .paths
            .iter()
            .zip(states.iter().zip(&self.before))
            .filter(|(_, (state, before))| !state.holds(**before))
            .map(|(path, _)| path.as_slice())
            .collect();
        let place = checkout.path.display();
        if !differing.is_empty() {
            return Ok(Some(format!(
                "{} in {place} {} from the base: commit, stash or revert, then land again",
                named(&differing),
                if differing.len() == 1 {
                    "differs"
                } else {
                    "differ"
                },
            )));
        }
        self.refresh(index, &states).await?;
        Ok(match self.move_tree(index, true).await? {
            Ok(()) => None,
            Err(refused) => Some(format!("git cannot move {place} forward: {refused}")),
        })
    }

    /// Tells the private index that the touched files are what it says, so that git need not refuse
    /// them for a changed time alone.
    async fn refresh(&self, index: &HeldIndex, states: &[State]) -> Result<(), GitError> {
        let there: Vec<&[u8]> = self
            .paths
            .iter()
            .zip(states)
            .filter(|(_, state)| matches!(state.disk, OnDisk::File(..)))
            .map(|(path, _)| path.as_slice())
            .collect();
        self.update_index(index, &["--stdin"], there.into_iter().map(<[u8]>::to_vec))
            .await
    }

    /// Moves the files of a checkout and its private index from the old tree to the new one.
    async fn move_tree(
        &self,
        index: &HeldIndex,
        dry: bool,
    ) -> Result<Result<(), String>, GitError> {
        let mut command = self.on(index).args(["read-tree", "-m", "-u"]);
        if dry {
            command = command.args(["--dry-run"]);
        }
        let done = command
            .args([self.old_tree.hex(), self.new_tree.hex()])
            .finish()
            .await?;
        Ok(match done.code {
            Some(0) => Ok(()),
            Some(_) => {
                let said = String::from_utf8_lossy(&done.stderr);
                let lines: Vec<_> = said
                    .lines()
                    .map(|line| line.trim().trim_start_matches("error: "))
                    .filter(|line| !line.is_empty())
                    .take(NAMED)
                    .collect();
                Err(lines.join("; "))
            }
            None => return Err(done.failure("read-tree -m -u")),
        })
    }

    fn on(&self, index: &HeldIndex) -> crate::git::GitCommand {
        index
            .checkout()
            .command(self.repository, &self.filters)
            .index(index.index())
    }

    async fn update_index(
        &self,
        index: &HeldIndex,
        flags: &[&str],
        records: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), GitError> {
        let mut input = Vec::new();
        for record in records {
            input.extend(record);
            input.push(0);
        }
        if input.is_empty() {
            return Ok(());
        }
        self.on(index)
            .args(["update-index", "-z"])
            .args(flags)
            .stdin(input)
            .run()
            .await
            .map(|_| ())
    }

    /// Completes a landing from within: to wait would say that no ref has moved.
    async fn complete_now(&self) -> Result<LandOutcome, GitError> {
        Ok(match self.roll_forward().await? {
            LandOutcome::Waits { reason } => LandOutcome::EditedMeanwhile { detail: reason },
            outcome => outcome,
        })
    }

    /// Completes a landing whose ref has moved: only if every touched path is what it was before,
    /// what it is to become, or missing.
    pub(crate) async fn roll_forward(&self) -> Result<LandOutcome, GitError> {
        let tip = refs::find(self.repository, &self.branch()).await?;
        let Some(tip) = tip else {
            return Ok(LandOutcome::BaseMoved);
        };
        if tip != self.new && !is_ancestor(self.repository, &self.new, &tip).await? {
            return Ok(LandOutcome::BaseMoved);
        }
        clear(self.repository).await?;
        let checkouts = match checkouts::find(self.repository, &self.plan.target).await? {
            Found::Checkouts(checkouts) => checkouts,
            Found::Waits(reason) => {
                return Ok(LandOutcome::Waits {
                    reason: moved(&reason),
                });
            }
        };
        let held = match hold(self.repository, &checkouts).await? {
            Held::All(held) => held,
            Held::Busy(path) => {
                return Ok(LandOutcome::Waits {
                    reason: moved(&busy(&path)),
                });
            }
        };
        // A person who has committed since then has settled what the files are to be.
        let settled = tip != self.new;
        for index in held {
            let states = look(
                self.repository,
                index.checkout(),
                &self.filters,
                index.index(),
                &self.paths,
            )
            .await?;
            let steps = states.iter().zip(self.before.iter().zip(&self.after));
            let strange: Vec<&[u8]> = self
                .paths
                .iter()
                .zip(steps)
                .filter(|(_, (state, (before, after)))| !is_known(state, **before, **after))
                .map(|(path, _)| path.as_slice())
                .collect();
            let done = states
                .iter()
                .zip(&self.after)
                .all(|(state, after)| state.holds(*after));
            // A person who has committed on top of it has settled what the files are to be.
            if done || settled {
                drop(index);
            } else if !strange.is_empty() {
                let what = if strange.is_empty() {
                    &[][..]
                } else {
                    &strange
                };
                let checkout = index.checkout();
                return Ok(LandOutcome::EditedMeanwhile {
                    detail: self.edited(checkout, what),
                });
            } else {
                self.complete(&index, &states).await?;
                index.commit().await?;
            }
        }
        clear(self.repository).await?;
        Ok(LandOutcome::Landed)
    }

    fn edited(&self, checkout: &Checkout, paths: &[&[u8]]) -> String {
        let what = if paths.is_empty() {
            "the checkout".to_owned()
        } else {
            named(paths)
        };
        moved(&format!(
            "{what} in {} was changed meanwhile and is kept as it is: compare with `git diff HEAD`, take what landed with `git checkout HEAD -- <path>`",
            checkout.path.display()
        ))
    }

    /// Brings each touched path that is not there yet to the new tree, in the private index and on
    /// disk.
    async fn complete(&self, index: &HeldIndex, states: &[State]) -> Result<(), GitError> {
        let root = index.checkout().path.clone();
        let (mut gone, mut written, mut skipped, mut entries) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((path, state), after) in self.paths.iter().zip(states).zip(&self.after) {
            let left_out = matches!(state.index, InIndex::Entry { skipped: true, .. });
            match after {
                None => gone.push(path.clone()),
                Some(_) if left_out && state.disk == OnDisk::Nothing => skipped.push(path.clone()),
                Some(_) => written.push(path.clone()),
            }
            let (mode, oid) = after.map_or((0, self.repository.format().null()), |(m, o)| (m.0, o));
            let mut entry = format!("{mode:o} {oid}\t").into_bytes();
            entry.extend_from_slice(path);
            entries.push(entry);
        }
        // Files that go make room for directories, and the other way round.
        blocking("remove files in", &root.clone(), move || {
            for path in gone {
                let file = root.join(OsStr::from_bytes(&path));
                if std::fs::symlink_metadata(&file).is_ok_and(|found| !found.is_dir()) {
                    remove_any(&file)?;
                }
                let above = file.ancestors().skip(1).take_while(|dir| *dir != root);
                for dir in above {
                    // Ends at the first one that still holds something.
                    if std::fs::remove_dir(dir).is_err() {
                        break;
                    }
                }
            }
            Ok(())
        })
        .await?;
        self.update_index(index, &["--index-info"], entries.into_iter())
            .await?;
        self.update_index(index, &["--skip-worktree", "--stdin"], skipped.into_iter())
            .await?;
        if written.is_empty() {
            return Ok(());
        }
        let mut input = written.join(&0);
        input.push(0);
        self.on(index)
            .args(["checkout-index", "--force", "--index", "-z", "--stdin"])
            .stdin(input)
            .run()
            .await
            .map(|_| ())
    }
}

/// Tells whether a landing alone explains what is at a path.
fn is_known(state: &State, before: Content, after: Content) -> bool {
    let index = match state.index {
        InIndex::Nothing => true,
        InIndex::Entry { content, .. } => Some(content) == before || Some(content) == after,
        InIndex::Other => false,
    };
    let disk = match state.disk {
        OnDisk::Nothing => true,
        OnDisk::File(..) => state.disk_holds(before) || state.disk_holds(after),
        OnDisk::Other => false,
    };
    index && disk
}

fn busy(path: &std::path::Path) -> String {
    format!(
        "the index of {} is locked: wait for the git that runs there, or remove its index.lock if none does",
        path.display()
    )
}

fn moved(reason: &str) -> String {
    format!("the branch has moved, but {reason}")
}

fn named(paths: &[&[u8]]) -> String {
    let mut text = paths
        .iter()
        .take(NAMED)
        .map(|path| encode_readable(path))
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > NAMED {
        text.push_str(&format!(" and {} more", paths.len() - NAMED));
    }
    text
}

/// Names a checkout as git lists it, for the tests of the whole integrator.
#[cfg(test)]
pub(crate) fn testing_checkout(repo: &std::path::Path) -> Checkout {
    Checkout {
        path: repo.to_path_buf(),
        git_dir: repo.join(".git"),
    }
}

/// Holds an index as a landing does, for the tests of the whole integrator.
#[cfg(test)]
pub(crate) async fn testing_hold(repository: &Repository, checkout: Checkout) -> impl Sized {
    hold(repository, &[checkout]).await.expect("asked")
}
