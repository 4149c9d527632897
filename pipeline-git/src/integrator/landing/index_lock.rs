//! Holding the index of a checkout, with a private copy that takes its place at the end.
//!
//! A crash may leave `index.lock` behind, and nobody can tell from the file alone whether it is
//! ours or belongs to a git of the person that runs right now. So what is about to be created is
//! noted first, with words that will stand in no other file, and the next session removes exactly that.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::random::nonce;
use serde::Deserialize;
use serde::Serialize;

use crate::error::GitError;
use crate::integrator::landing::checkouts::Checkout;
use crate::object::blocking;
use crate::object::sync_dir;
use crate::repository::Repository;
use crate::store::replace;

/// What a landing created inside of git directories.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Note {
    locks: Vec<Noted>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    lock: PathBuf,
    /// The private copy of the index.
    copy: PathBuf,
    /// The lock under a name of its own, from which it is linked.
    placeholder: PathBuf,
    /// What stands in the lock.
    token: String,
}

/// The index of one checkout, held.
///
/// Dropping it without [`HeldIndex::commit`] leaves the index as it was.
#[derive(Debug)]
pub(crate) struct HeldIndex {
    checkout: Checkout,
    lock: PathBuf,
    copy: PathBuf,
}

/// The outcome of asking for the indexes.
#[derive(Debug)]
pub(crate) enum Held {
    All(Vec<HeldIndex>),
    /// The checkout whose index somebody else holds.
    Busy(PathBuf),
}

fn note_file(repository: &Repository) -> PathBuf {
    repository.state_dir().join("landing-locks.json")
}

/// Holds the index of every checkout, or of none.
pub(crate) async fn hold(
    repository: &Repository,
    checkouts: &[Checkout],
) -> Result<Held, GitError> {
    let (note, checkouts) = (note_file(repository), checkouts.to_vec());
    let state_dir = repository.state_dir().to_path_buf();
    blocking("lock the index of", repository.common_dir(), move || {
        let mut noted = Note::default();
        let mut held = Vec::new();
        for checkout in checkouts {
            let lock = checkout.git_dir.join("index.lock");
            let placeholder = checkout.git_dir.join(format!("agents-{}.lock", nonce()));
            let copy = checkout.git_dir.join(format!("agents-{}.index", nonce()));
            let token = nonce();
            noted.locks.push(Noted {
                lock: lock.clone(),
                copy: copy.clone(),
                placeholder: placeholder.clone(),
                token: token.clone(),
            });
            replace(&state_dir, &note, &serde_json::to_vec(&noted)?)?;
            fs::File::create_new(&placeholder)?.write_all(token.as_bytes())?;
            // Linking fails if the lock is there, as git's own way of creating it does.
            let linked = fs::hard_link(&placeholder, &lock);
            fs::remove_file(&placeholder)?;
            match linked {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    drop(held);
                    return Ok(Held::Busy(checkout.path));
                }
                linked => linked?,
            }
            let index = checkout.index();
            held.push(HeldIndex {
                checkout,
                lock,
                copy: copy.clone(),
            });
            match crate::index::copy(&index, &copy) {
                // A checkout without any file has no index.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => {
                    copied?;
                }
            }
        }
        Ok(Held::All(held))
    })
    .await
}

impl HeldIndex {
    pub(crate) fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// Returns the private copy, to be used as the index of every command.
    pub(crate) fn index(&self) -> &Path {
        &self.copy
    }

    /// Puts the private copy in the place of the index and lets go.
    pub(crate) async fn commit(self) -> Result<(), GitError> {
        let (copy, index) = (self.copy.clone(), self.checkout.index());
        blocking("replace", &index.clone(), move || {
            fs::File::open(&copy)?.sync_all()?;
            fs::rename(&copy, &index)?;
            index.parent().map_or(Ok(()), sync_dir)
        })
        .await
    }
}

impl Drop for HeldIndex {
    fn drop(&mut self) {
        for file in [&self.copy, &self.lock] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %file.display(), "left behind");
                }
                _ => {}
            }
        }
    }
}

/// Removes what a landing that was killed left, and nothing else.
///
/// Only for the holder of the integrator's lock: then whoever made the note is dead.
pub(crate) async fn clear(repository: &Repository) -> Result<(), GitError> {
    let note = note_file(repository);
    blocking("clear away after a landing", &note.clone(), move || {
        let json = match fs::read(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            json => json?,
        };
        let noted: Note = serde_json::from_slice(&json)?;
        for Noted {
            lock,
            copy,
            placeholder,
            token,
        } in noted.locks
        {
            if !token.is_empty() && fs::read(&lock).is_ok_and(|said| said == token.as_bytes()) {
                fs::remove_file(&lock)?;
            }
            for file in [copy.with_extension("index.lock"), copy, placeholder] {
                match fs::remove_file(&file) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
        }
        fs::remove_file(&note)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn checkout(fixture: &Fixture) -> Checkout {
        Checkout {
            path: fixture.repo(),
            git_dir: fixture.repo().join(".git"),
        }
    }

    fn leftovers(fixture: &Fixture) -> Vec<String> {
        let names = std::fs::read_dir(fixture.repo().join(".git")).expect("readable");
        names
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| name.contains("lock") || name.starts_with("agents-"))
            .collect()
    }

    #[tokio::test]
    async fn the_index_is_held_against_git_itself_and_free_again() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let held = match hold(&fixture.repository, &[checkout(&fixture)])
            .await
            .expect("asked")
        {
            Held::All(held) => held,
            Held::Busy(path) => panic!("{path:?} is busy"),
        };
        fixture.write("b", "b\n");
        assert!(!crate::testing::try_git(&fixture.repo(), &["add", "b"]));
        assert!(matches!(
            hold(&fixture.repository, &[checkout(&fixture)])
                .await
                .expect("asked"),
            Held::Busy(_)
        ));
        drop(held);
        fixture.git(&["add", "b"]);
        assert_eq!(leftovers(&fixture), [""; 0]);
    }

    #[tokio::test]
    async fn a_killed_landing_is_cleared_away_and_a_persons_lock_is_not() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let held = hold(&fixture.repository, &[checkout(&fixture)])
            .await
            .expect("asked");
        // As after a kill: nobody runs the drop.
        std::mem::forget(held);
        assert_eq!(leftovers(&fixture).len(), 2);
        clear(&fixture.repository).await.expect("cleared");
        assert_eq!(leftovers(&fixture), [""; 0]);
        let held = hold(&fixture.repository, &[checkout(&fixture)])
            .await
            .expect("asked");
        std::mem::forget(held);
        let lock = fixture.repo().join(".git/index.lock");
        std::fs::remove_file(&lock).expect("removed");
        std::fs::write(&lock, "a person's git").expect("written");
        clear(&fixture.repository).await.expect("cleared");
        assert!(lock.exists(), "it is not the file that was noted");
    }

    #[tokio::test]
    async fn a_landing_killed_between_its_note_and_its_lock_leaves_nothing() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let held = hold(&fixture.repository, &[checkout(&fixture)])
            .await
            .expect("asked");
        let json = std::fs::read(note_file(&fixture.repository)).expect("noted");
        let noted: Note = serde_json::from_slice(&json).expect("a note");
        drop(held);
        // As after a kill right before the link, and one while a note was written.
        std::fs::write(&noted.locks[0].placeholder, &noted.locks[0].token).expect("written");
        let writing = fixture.repository.state_dir().join("writing");
        std::fs::write(writing.join("left"), "half a no").expect("written");
        clear(&fixture.repository).await.expect("cleared");
        assert_eq!(leftovers(&fixture), [""; 0]);
        drop(hold(&fixture.repository, &[checkout(&fixture)]).await);
        let left = std::fs::read_dir(writing).expect("there").count();
        assert_eq!(left, 0);
    }
}
