//! The chain of a candidate, written anew for landing, and compared with what was approved.

use pipeline_core::footprint::encode_readable;
use pipeline_core::gate::Approval;
use pipeline_core::gate::LocalDiff;
use pipeline_core::integrate::Candidate;
use pipeline_core::integrate::CandidateCommit;
use pipeline_core::integrate::ClaimRef;
use pipeline_core::integrate::LandingPlan;
use pipeline_core::trailers::with_trailers;
use pipeline_core::workspace::CommitId;

use crate::error::GitError;
use crate::integrator::build::author;
use crate::integrator::options::IntegratorOptions;
use crate::integrator::options::Signing;
use crate::object::NewCommit;
use crate::object::Objects;
use crate::object::Signature;
use crate::oid::Kind;
use crate::oid::Oid;
use crate::workspace::commit_id;
use crate::workspace::parsed;

/// What of an approval a landing is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalOk {
    /// The full id of the candidate.
    pub(crate) subject: String,
    /// Who gave it, and when: the committer of everything that lands.
    pub(crate) committer: Signature,
}

impl From<&Approval<LocalDiff>> for LocalOk {
    fn from(approval: &Approval<LocalDiff>) -> Self {
        let evidence = approval.evidence();
        Self {
            subject: approval.subject().to_owned(),
            committer: author(&evidence.by, evidence.at.as_secs()),
        }
    }
}

fn message(step: &CandidateCommit, by: &Signature, options: &IntegratorOptions) -> String {
    let signed_off = options
        .sign_off
        .then(|| format!("{} <{}>", by.name, by.email));
    with_trailers(&step.message, &step.claim, signed_off.as_deref())
}

/// Writes the chain anew; equal candidates and approvals give equal commits, unless they are signed.
pub(crate) async fn rewrite(
    objects: &Objects,
    options: &IntegratorOptions,
    candidate: &Candidate,
    ok: &LocalOk,
) -> Result<LandingPlan, GitError> {
    let by = &ok.committer;
    let old = parsed(&candidate.base.commit);
    let mut parent = old;
    let mut commits: Vec<(ClaimRef, CommitId)> = Vec::new();
    for step in &candidate.commits {
        let whole = message(step, by, options);
        let commit = NewCommit {
            tree: parsed(&step.tree),
            parents: &[parent],
            author: &author(&step.author, step.authored.as_secs()),
            committer: by,
            message: &whole,
        };
        parent = match &options.signing {
            None => objects.write(Kind::Commit, commit.encode())?,
            Some(signing) => sign(objects, signing, &commit).await?,
        };
        commits.push((step.claim.clone(), commit_id(&parent)));
    }
    // It may be a while until the branch names them.
    objects.stage_apart().await?;
    objects.keep().await?;
    let old_tree = objects.commit(&old).await?.tree;
    let new_tree = objects.commit(&parent).await?.tree;
    let touched = objects.changed_paths(&old_tree, &new_tree).await?;
    Ok(LandingPlan {
        candidate: candidate.id(),
        target: candidate.base.target.clone(),
        old: candidate.base.commit.clone(),
        new: commit_id(&parent),
        commits,
        touched: touched.iter().map(|path| encode_readable(path)).collect(),
    })
}

/// Writes one commit through git, which asks the signing program.
async fn sign(
    objects: &Objects,
    signing: &Signing,
    commit: &NewCommit<'_>,
) -> Result<Oid, GitError> {
    objects.stage().await?;
    let mut command = objects
        .plumbing()
        .config(format!("gpg.format={}", signing.format))
        .config(format!("user.signingKey={}", signing.key))
        .config("i18n.commitEncoding=UTF-8")
        .deadline(signing.deadline)
        .args(["commit-tree", "-S", "-F", "-"]);
    if let Some(program) = &signing.program {
        let key = match signing.format.as_str() {
            "openpgp" => "gpg.program".to_owned(),
            format => format!("gpg.{format}.program"),
        };
        command = command.config(format!("{key}={program}"));
    }
    for (role, who) in [("AUTHOR", commit.author), ("COMMITTER", commit.committer)] {
        command = command
            .env(format!("GIT_{role}_NAME"), &who.name)
            .env(format!("GIT_{role}_EMAIL"), &who.email)
            .env(
                format!("GIT_{role}_DATE"),
                format!("@{} +0000", who.seconds),
            );
    }
    for (name, value) in &signing.env {
        command = command.env(name, value);
    }
    for parent in commit.parents {
        command = command.args(["-p", &parent.hex()]);
    }
    let mut message = commit.message.trim_end_matches('\n').to_owned();
    message.push('\n');
    let written = command
        .args([commit.tree.hex()])
        .stdin(message)
        .run()
        .await?;
    Oid::from_hex(written.trim_ascii()).ok_or(GitError::Unexpected {
        command: "commit-tree".to_owned(),
        what: "no object name in it",
    })
}

/// Compares what a plan would land with the candidate that was approved; the sentence says what
/// differs.
///
/// Trees, authors, messages and order must be the candidate's, and the committer who gave the OK.
pub(crate) async fn check(
    objects: &Objects,
    options: &IntegratorOptions,
    candidate: &Candidate,
    ok: &LocalOk,
    plan: &LandingPlan,
) -> Result<Result<(), String>, GitError> {
    let by = &ok.committer;
    if plan.target != candidate.base.target || plan.old != candidate.base.commit {
        return Ok(Err("it is on another base".to_owned()));
    }
    if plan.commits.len() != candidate.commits.len() {
        return Ok(Err("it has another number of commits".to_owned()));
    }
    let mut parent = parsed(&plan.old);
    for (step, (claim, landed)) in candidate.commits.iter().zip(&plan.commits) {
        let oid = parsed(landed);
        let found = objects.commit(&oid).await?;
        let expected = NewCommit {
            tree: parsed(&step.tree),
            parents: &[parent],
            author: &author(&step.author, step.authored.as_secs()),
            committer: by,
            message: &message(step, by, options),
        };
        let same = *claim == step.claim
            && found.tree == expected.tree
            && found.parents == expected.parents
            && found.author == expected.author.line().into_bytes()
            && found.committer == expected.committer.line().into_bytes()
            && found.message.trim_ascii_end() == expected.message.trim_end().as_bytes();
        if !same {
            let issue = &step.claim.issue;
            return Ok(Err(format!(
                "the commit for {issue} is not the one that was approved"
            )));
        }
        parent = oid;
    }
    if parent != parsed(&plan.new) {
        return Ok(Err("it does not end where it says".to_owned()));
    }
    Ok(Ok(()))
}
