//! A base without some of its paths, and an object directory that never held them.
//!
//! A checkout that merely lacks the files would not do: `git show HEAD:logs/x` reads them from the
//! object directory. So the workspace starts from a commit of its own, without parents, whose tree
//! omits the paths, and its objects come from a directory that only what is left was copied to.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use globset::GlobBuilder;
use globset::GlobSet;
use globset::GlobSetBuilder;
use pipeline_core::random::nonce;
use sha2::Digest as _;
use sha2::Sha256;

use crate::error::GitError;
use crate::object::Change;
use crate::object::NewCommit;
use crate::object::Objects;
use crate::object::Signature;
use crate::object::SpliceError;
use crate::object::blocking;
use crate::object::splice;
use crate::oid::Kind;
use crate::oid::Oid;
use crate::repository::Repository;

/// What is left of a base.
pub(super) struct Rest {
    /// A commit without parents that holds only what is left.
    pub(super) commit: Oid,
    pub(super) tree: Oid,
    /// The object directory that holds nothing else.
    pub(super) store: PathBuf,
}

/// A set of path patterns that does not compile.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no path pattern")]
pub(super) struct BadPattern {
    pattern: String,
    #[source]
    source: globset::Error,
}

/// Compiles patterns; one that matches a directory covers everything below it.
pub(super) fn compile(patterns: &[String]) -> Result<GlobSet, BadPattern> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let bad = |source| BadPattern {
            pattern: pattern.clone(),
            source,
        };
        let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
        let glob = GlobBuilder::new(trimmed)
            .literal_separator(true)
            .build()
            .map_err(bad)?;
        set.add(glob);
    }
    set.build().map_err(|source| BadPattern {
        pattern: patterns.join(", "),
        source,
    })
}

fn covers(set: &GlobSet, path: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    path.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .any(|part| set.is_match(part))
}

/// Makes what is left of a base, or finds what an earlier run made of the same.
pub(super) async fn without(
    repository: &Repository,
    base: &Oid,
    patterns: &[String],
    set: &GlobSet,
) -> Result<Rest, SpliceError> {
    let store = store_of(repository, patterns);
    repository.make_bare(&store).await?;
    let objects = Objects::open_with(repository, Some(store.join("objects")))?;
    let origin = objects.commit(base).await?;
    let listed = objects
        .plumbing()
        .args([
            "ls-tree",
            "-r",
            "-z",
            "--name-only",
            "--full-tree",
            &origin.tree.hex(),
        ])
        .run()
        .await?;
    let gone: BTreeMap<Vec<u8>, Change> = listed
        .split(|b| *b == 0)
        .filter(|path| !path.is_empty() && covers(set, path))
        .map(|path| (path.to_vec(), Change::Delete))
        .collect();
    let tree = splice(&objects, &origin.tree, &gone).await?;
    let by = Signature::pipeline();
    let content = NewCommit {
        tree,
        parents: &[],
        author: &by,
        committer: &by,
        message: &format!("{base} without the excluded paths"),
    }
    .encode();
    let commit = objects.write(Kind::Commit, content)?;
    objects.stage().await?;
    fill_store(repository, &objects, &store, &commit).await?;
    Ok(Rest {
        commit,
        tree,
        store: store.join("objects"),
    })
}

/// One store per set of patterns: what one base left out never enters it through another base.
fn store_of(repository: &Repository, patterns: &[String]) -> PathBuf {
    let mut sorted = patterns.to_vec();
    sorted.sort();
    let digest = Sha256::digest(sorted.join("\n"));
    let name: String = hex::encode(digest).chars().take(16).collect();
    repository
        .state_dir()
        .join("excluded")
        .join(format!("{name}.git"))
}

/// Copies what the commit needs and the store lacks.
async fn fill_store(
    repository: &Repository,
    objects: &Objects,
    store: &Path,
    commit: &Oid,
) -> Result<(), GitError> {
    let at_store = || repository.git().at(store);
    let refs = at_store()
        .args(["for-each-ref", "--format=%(objectname)", "refs/base/"])
        .run()
        .await?;
    let there: Vec<Oid> = refs
        .split(|b| *b == b'\n')
        .filter_map(Oid::from_hex)
        .collect();
    if there.contains(commit) {
        return Ok(());
    }
    let mut wanted = format!("{commit}\n");
    for oid in &there {
        // What a former base brought is there already; one that was pruned by hand is no help.
        if objects.find(oid).await?.is_some() {
            wanted.push_str(&format!("^{oid}\n"));
        }
    }
    let temporary = store.join(format!("tmp-{}", nonce()));
    let prefix = temporary.join("pack");
    let folder = temporary.clone();
    blocking("create", &temporary, move || {
        std::fs::create_dir_all(folder)
    })
    .await?;
    objects
        .plumbing()
        .args(["pack-objects", "--quiet", "--revs", "--window=0"])
        .args([prefix.as_os_str()])
        .stdin(wanted)
        .run()
        .await?;
    let (from, to) = (temporary.clone(), store.join("objects").join("pack"));
    blocking("fill", store, move || {
        std::fs::create_dir_all(&to)?;
        // An index makes its pack visible, so it comes last.
        let mut files: Vec<_> = std::fs::read_dir(&from)?.collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(|file| file.path().extension().is_some_and(|ext| ext == "idx"));
        for file in files {
            std::fs::rename(file.path(), to.join(file.file_name()))?;
        }
        std::fs::remove_dir_all(&from)
    })
    .await?;
    at_store()
        .args(["update-ref", &format!("refs/base/{commit}"), &commit.hex()])
        .run()
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_matches_a_directory_covers_what_is_below() {
        let set = compile(&[
            "logs/".to_owned(),
            "**/*.zip".to_owned(),
            "data/*/old".to_owned(),
        ])
        .expect("patterns");
        for covered in [
            "logs/a.log",
            "logs",
            "x/y.zip",
            "y.zip",
            "data/1/old/deep/file",
        ] {
            assert!(covers(&set, covered.as_bytes()), "{covered}");
        }
        for kept in [
            "src/logs/a.log",
            "logs.txt",
            "data/1/new/file",
            "data/1/2/old/x",
        ] {
            assert!(!covers(&set, kept.as_bytes()), "{kept}");
        }
        assert!(compile(&["a[".to_owned()]).is_err());
    }
}
