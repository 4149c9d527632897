//! Where a candidate is kept: in a commit of its own that a ref per target names.
//!
//! The commit's parent is the last commit of the chain, so the ref keeps the whole of it through
//! garbage collection; its tree holds `candidate.json`. Whoever can read the repository can review
//! the candidate, and one conditional move of the ref replaces it in one step.

use pipeline_core::integrate::Candidate;
use pipeline_core::integrate::IntegrateError;
use pipeline_core::workspace::Target;

use crate::error::GitError;
use crate::integrator::failed;
use crate::object::Entry;
use crate::object::Mode;
use crate::object::NewCommit;
use crate::object::Objects;
use crate::object::Signature;
use crate::object::Tree;
use crate::oid::Kind;
use crate::oid::Oid;
use crate::refs;
use crate::refs::Mover;
use crate::refs::Swap;
use crate::repository::Repository;
use crate::workspace::parsed;

const FILE: &[u8] = b"candidate.json";

/// A candidate as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) candidate: Candidate,
    /// The commit that holds it: what the ref must still name when it is replaced.
    pub(crate) record: Oid,
}

fn ref_of(target: &Target) -> String {
    format!("{}{target}", refs::CANDIDATE)
}

/// Reads the candidate of a target; `None` when none waits.
pub(crate) async fn load(
    repository: &Repository,
    objects: &Objects,
    target: &Target,
) -> Result<Option<Kept>, IntegrateError> {
    let found = refs::find(repository, &ref_of(target))
        .await
        .map_err(|error| failed(format!("read the candidate of {target}"), error))?;
    match found {
        None => Ok(None),
        Some(record) => read(objects, target, record).await.map(Some),
    }
}

/// Reads the candidates of every target.
pub(crate) async fn all(
    repository: &Repository,
    objects: &Objects,
) -> Result<Vec<Kept>, IntegrateError> {
    let listed = refs::list(repository, refs::CANDIDATE)
        .await
        .map_err(|error| failed("list the candidates".to_owned(), error))?;
    let mut kept = Vec::new();
    for (name, record) in listed {
        let target = name.strip_prefix(refs::CANDIDATE).unwrap_or_default();
        let target = Target::new(target).map_err(|reason| IntegrateError::Corrupt {
            what: name.clone(),
            reason: reason.to_owned(),
        })?;
        kept.push(read(objects, &target, record).await?);
    }
    Ok(kept)
}

async fn read(objects: &Objects, target: &Target, record: Oid) -> Result<Kept, IntegrateError> {
    let operation = || format!("read the candidate of {target}");
    let damaged = |why: &str| IntegrateError::Corrupt {
        what: format!("the candidate of {target}"),
        reason: format!(
            "{why}; its patches are still stored, so drop it with `git update-ref -d {}` and run `integrate`",
            ref_of(target)
        ),
    };
    let commit = objects
        .commit(&record)
        .await
        .map_err(|error| failed(operation(), error))?;
    let entry = objects
        .entry(&commit.tree, FILE)
        .await
        .map_err(|error| failed(operation(), error))?
        .ok_or_else(|| damaged("its record is missing"))?;
    let json = objects
        .blob(&entry.oid)
        .await
        .map_err(|error| failed(operation(), error))?;
    let candidate: Candidate =
        serde_json::from_slice(&json).map_err(|error| damaged(&error.to_string()))?;
    if candidate.base.target != *target {
        return Err(damaged("it is of another target"));
    }
    // Nothing shown to people may differ from what would be landed.
    let mut parent = parsed(&candidate.base.commit);
    for step in &candidate.commits {
        let oid = parsed(&step.commit);
        let written = objects
            .commit(&oid)
            .await
            .map_err(|error| failed(operation(), error))?;
        if written.tree != parsed(&step.tree) || written.parents != [parent] {
            return Err(damaged(
                "a commit of it is not the one its record describes",
            ));
        }
        parent = oid;
    }
    if candidate.commits.is_empty() || commit.parents != [parent] {
        return Err(damaged("its chain does not end where its record says"));
    }
    Ok(Kept { candidate, record })
}

/// Keeps a candidate in place of a former one and returns its record; everything of it is synced then.
pub(crate) async fn save(
    repository: &Repository,
    objects: &Objects,
    mover: &mut Mover,
    candidate: &Candidate,
    former: Option<&Oid>,
) -> Result<Oid, IntegrateError> {
    let target = candidate.base.target.clone();
    let operation = || format!("keep the candidate of {target}");
    let record = write(objects, candidate).map_err(|error| failed(operation(), error))?;
    let swapped = async {
        objects.keep().await?;
        let name = ref_of(&target);
        mover.swap(repository, &name, former, &record).await
    };
    match swapped.await.map_err(|error| failed(operation(), error))? {
        Swap::Done => {
            objects.named();
            Ok(record)
        }
        Swap::Moved => Err(IntegrateError::Other {
            operation: format!("{}: somebody else replaced it meanwhile", operation()),
            source: None,
        }),
    }
}

fn write(objects: &Objects, candidate: &Candidate) -> Result<Oid, GitError> {
    let mut json = serde_json::to_vec_pretty(candidate).map_err(|error| GitError::BadObject {
        oid: "of the candidate".to_owned(),
        source: error.into(),
    })?;
    json.push(b'\n');
    let blob = objects.write(Kind::Blob, json)?;
    let mut tree = Tree::default();
    tree.set(Entry {
        mode: Mode::FILE,
        name: FILE.to_vec(),
        oid: blob,
    });
    let parents: Vec<Oid> = candidate
        .tip()
        .map(|tip| parsed(&tip.commit))
        .into_iter()
        .collect();
    let by = Signature::pipeline();
    let issues: Vec<_> = candidate
        .commits
        .iter()
        .map(|c| c.claim.issue.as_str())
        .collect();
    let message = format!(
        "candidate {} for {}\n\n{}",
        candidate.id().short(),
        candidate.base.target,
        issues.join("\n")
    );
    let commit = NewCommit {
        tree: objects.write_tree(tree)?,
        parents: &parents,
        author: &by,
        committer: &by,
        message: &message,
    };
    objects.write(Kind::Commit, commit.encode())
}

/// Drops the candidate of a target; its patches stay stored.
pub(crate) async fn remove(repository: &Repository, target: &Target) -> Result<(), IntegrateError> {
    refs::delete(repository, &ref_of(target))
        .await
        .map_err(|error| failed(format!("drop the candidate of {target}"), error))
}
