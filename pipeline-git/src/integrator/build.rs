//! One patch becomes one commit, without any checkout.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use pipeline_core::footprint::encode_readable;
use pipeline_core::integrate::ApplyOutcome;
use pipeline_core::integrate::CandidateCommit;
use pipeline_core::integrate::Submission;
use pipeline_core::patch;
use pipeline_core::patch::EntryKind;
use pipeline_core::patch::ExistingNames;
use pipeline_core::patch::PatchPolicy;
use pipeline_core::patch::PatchRefusal;
use pipeline_core::patch::RepoPath;
use pipeline_core::trailers::with_trailers;

use crate::error::GitError;
use crate::integrator::filters;
use crate::integrator::fit::Fit;
use crate::integrator::fit::fit;
use crate::integrator::options::IntegratorOptions;
use crate::object::NewCommit;
use crate::object::Objects;
use crate::object::Signature;
use crate::object::SpliceError;
use crate::object::Tree;
use crate::object::splice;
use crate::oid::Kind;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::workspace::commit_id;

/// What became of one patch.
#[derive(Debug)]
pub(crate) enum Built {
    Commit(Box<CandidateCommit>),
    /// Anything but `Applied`.
    Not(ApplyOutcome),
}

/// Writes the commit of one submission on top of `parent`, whose tree is `tree`.
///
/// The policy is asked twice: about the patch, before git sees it, and about the difference that git
/// reads back from the tree that was written.
pub(crate) async fn build(
    repository: &Repository,
    objects: &Objects,
    options: &IntegratorOptions,
    parent: &Oid,
    tree: &Oid,
    submission: &Submission,
    declared: &[String],
) -> Result<Built, GitError> {
    let bytes = submission.patch.bytes();
    let parsed = match patch::parse(bytes, &options.limits) {
        Ok(parsed) => parsed,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    if parsed.is_empty() {
        return Ok(Built::Not(ApplyOutcome::Empty));
    }
    let names = names_in(objects, tree, &parsed.folders()).await?;
    let policy = PatchPolicy::default();
    let accepted = match policy.check(&parsed, &names) {
        Ok(accepted) => accepted,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let changes = match fit(objects, tree, &parsed, bytes, options.three_way).await? {
        Fit::Changes(changes) => changes,
        Fit::No(detail) => return Ok(Built::Not(ApplyOutcome::DoesNotApply { detail })),
    };
    let new = match splice(objects, tree, &changes).await {
        Ok(new) => new,
        Err(SpliceError::Git(error)) => return Err(error),
        Err(clash @ SpliceError::Clash { .. }) => {
            return Ok(Built::Not(ApplyOutcome::DoesNotApply {
                detail: clash.to_string(),
            }));
        }
    };
    if new == *tree {
        return Ok(Built::Not(ApplyOutcome::Empty));
    }
    let raw = objects.raw_diff(tree, &new).await?;
    let written = match patch::parse_written(&raw, &options.limits) {
        Ok(written) => written,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let names = names_in(objects, tree, &patch::written_folders(&written)).await?;
    let checked = policy
        .check_written(&written, &names)
        .and_then(|read_back| {
            // A three-way merge may find that a part of the patch is there already.
            if options.three_way {
                Ok(())
            } else {
                accepted.agrees_with(&read_back)
            }
        });
    if let Err(refusal) = checked {
        return Ok(refused(&refusal));
    }
    let paths: Vec<&RepoPath> = written
        .iter()
        .flat_map(|change| [&change.old_path, &change.new_path])
        .flatten()
        .collect();
    let mut holds = submission.holds.clone();
    holds.extend(options.holds.iter().flat_map(|find| find(&parsed)));
    holds.extend(filters::holds(repository, objects, options, [tree, &new], &paths).await?);
    let mut seen = BTreeSet::new();
    holds.retain(|hold| seen.insert(hold.id));
    let mut touched: Vec<String> = paths
        .iter()
        .map(|path| encode_readable(path.as_bytes()))
        .collect();
    touched.dedup();
    let drift = touched
        .iter()
        .filter(|path| !declared.contains(path))
        .cloned()
        .collect();
    let commit = write_commit(objects, parent, &new, submission)?;
    Ok(Built::Commit(Box::new(CandidateCommit {
        claim: submission.claim.clone(),
        patch: submission.patch.id().clone(),
        commit: commit_id(&commit),
        tree: commit_id(&new),
        author: submission.author.clone(),
        authored: submission.authored,
        message: submission.message.clone(),
        touched,
        drift,
        holds,
    })))
}

fn refused(refusal: &PatchRefusal) -> Built {
    Built::Not(ApplyOutcome::Refused {
        reason: refusal.to_string(),
    })
}

/// The author of a commit, as both the candidate and the landing write it.
pub(crate) fn author(person: &pipeline_core::gate::Person, seconds: i64) -> Signature {
    Signature {
        name: person.name.clone(),
        email: person.email.clone(),
        seconds,
    }
}

fn write_commit(
    objects: &Objects,
    parent: &Oid,
    tree: &Oid,
    submission: &Submission,
) -> Result<Oid, GitError> {
    let seconds = submission.authored.as_secs();
    let commit = NewCommit {
        tree: *tree,
        parents: &[*parent],
        author: &author(&submission.author, seconds),
        // Nobody has approved it yet.
        committer: &Signature {
            seconds,
            ..Signature::pipeline()
        },
        message: &with_trailers(&submission.message, &submission.claim, None),
    };
    objects.write(Kind::Commit, commit.encode())
}

/// The names in the folders that the policy asks about, where the trees already hold them.
#[derive(Debug, Default)]
struct TreeNames(BTreeMap<Vec<u8>, Arc<Tree>>);

impl ExistingNames for TreeNames {
    fn names_in<'a>(
        &'a self,
        folder: &[u8],
    ) -> Box<dyn Iterator<Item = (&'a [u8], EntryKind)> + 'a> {
        let entries = self
            .0
            .get(folder)
            .into_iter()
            .flat_map(|tree| tree.entries());
        Box::new(entries.map(|entry| {
            let kind = if entry.mode.is_tree() {
                EntryKind::Folder
            } else {
                EntryKind::File
            };
            (entry.name.as_slice(), kind)
        }))
    }
}

async fn names_in(
    objects: &Objects,
    tree: &Oid,
    folders: &[RepoPath],
) -> Result<TreeNames, GitError> {
    let mut names = TreeNames::default();
    for folder in folders {
        let oid = match folder.as_bytes() {
            b"" => *tree,
            path => match objects.entry(tree, path).await? {
                Some(entry) if entry.mode.is_tree() => entry.oid,
                _ => continue,
            },
        };
        let listed = objects.tree(&oid).await?;
        names.0.insert(folder.as_bytes().to_vec(), listed);
    }
    Ok(names)
}
