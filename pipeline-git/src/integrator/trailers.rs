//! The search for commits that land a claim.

use pipeline_core::integrate::TrailerHit;
use pipeline_core::trailers::Trailers;

use crate::error::GitError;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::workspace::commit_id;

/// Finds every commit with our trailers that is reachable from `tip`, back to the oldest of the
/// bases.
///
/// A base that is no ancestor of the tip says nothing about where to stop, so then the whole history
/// is searched; what is left out is only what every base already contained.
pub(crate) async fn search(
    repository: &Repository,
    tip: &Oid,
    oldest: &[Oid],
) -> Result<Vec<TrailerHit>, GitError> {
    let stop = common_ancestor(repository, tip, oldest).await?;
    let mut log = repository
        .real()
        .args([
            "log",
            "-z",
            "--format=%H%n%B",
            "--encoding=UTF-8",
            "--no-show-signature",
        ])
        .args(["--no-color", "--no-notes", "--no-mailmap"])
        .args(["--grep=^Agent-Claim: ", "--grep=^Agent-Round: ", &tip.hex()]);
    if let Some(stop) = stop {
        log = log.args([format!("^{stop}")]);
    }
    let listed = log.args(["--"]).run().await?;
    let unexpected = || GitError::Unexpected {
        command: "log".to_owned(),
        what: "no commit in it",
    };
    let mut hits = Vec::new();
    for record in listed
        .split(|b| *b == 0)
        .filter(|record| !record.is_empty())
    {
        let end = record
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(record.len());
        let (hex, message) = record.split_at(end);
        let commit = Oid::from_hex(hex).ok_or_else(unexpected)?;
        let Trailers { claims, rounds } = Trailers::of(&String::from_utf8_lossy(message));
        if !claims.is_empty() || !rounds.is_empty() {
            hits.push(TrailerHit {
                commit: commit_id(&commit),
                claims,
                rounds,
            });
        }
    }
    Ok(hits)
}

/// Finds a commit that every base contains; `None` when the whole history has to be searched.
async fn common_ancestor(
    repository: &Repository,
    tip: &Oid,
    oldest: &[Oid],
) -> Result<Option<Oid>, GitError> {
    if oldest.is_empty() {
        return Ok(None);
    }
    for base in oldest {
        if !is_ancestor(repository, base, tip).await? {
            return Ok(None);
        }
    }
    let answer = repository
        .real()
        .args(["merge-base", "--octopus"])
        .args(oldest.iter().map(Oid::hex))
        .finish()
        .await?;
    match answer.code {
        Some(0) => Ok(Oid::from_hex(answer.stdout.trim_ascii())),
        Some(1) => Ok(None),
        _ => Err(answer.failure("merge-base --octopus")),
    }
}

/// Tells whether a commit contains another one; one that does not exist contains nothing.
pub(crate) async fn is_ancestor(
    repository: &Repository,
    ancestor: &Oid,
    of: &Oid,
) -> Result<bool, GitError> {
    if repository.resolve(&ancestor.hex()).await?.is_none() {
        return Ok(false);
    }
    let answer = repository
        .real()
        .args(["merge-base", "--is-ancestor"])
        .args([ancestor.hex(), of.hex()])
        .finish()
        .await?;
    match answer.code {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(answer.failure("merge-base --is-ancestor")),
    }
}

#[cfg(test)]
mod tests {
    use pipeline_core::integrate::ClaimRef;
    use pipeline_core::issue::CommentId;
    use pipeline_core::issue::EventId;
    use pipeline_core::issue::IssueKey;
    use pipeline_core::trailers::with_trailers;

    use super::*;
    use crate::testing::Fixture;

    fn claim(round: u64) -> ClaimRef {
        ClaimRef {
            issue: IssueKey::new("SHOP-7").expect("a key"),
            comment: CommentId(41),
            nonce: "0123456789abcdef0123456789abcdef".to_owned(),
            round: EventId(round),
        }
    }

    #[tokio::test]
    async fn the_search_goes_back_to_the_oldest_base_and_follows_merges() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let landed = |round| with_trailers("Land it", &claim(round), None);
        let first = fixture.oid("HEAD");
        fixture.commit(&landed(1));
        let second = fixture.oid("HEAD");
        fixture.git(&["checkout", "-q", "-b", "side"]);
        fixture.commit(&landed(2));
        fixture.git(&["checkout", "-q", "main"]);
        fixture.commit("between");
        let third = fixture.oid("HEAD");
        fixture.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
        let tip = fixture.oid("HEAD");
        let rounds = async |oldest: &[Oid]| {
            let hits = search(&fixture.repository, &tip, oldest)
                .await
                .expect("searched");
            let mut rounds: Vec<_> = hits
                .iter()
                .flat_map(|hit| &hit.rounds)
                .map(|(_, round)| round.0)
                .collect();
            rounds.sort_unstable();
            rounds
        };
        assert_eq!(rounds(&[second]).await, [2]);
        assert_eq!(
            rounds(&[third]).await,
            [2],
            "a merged branch is reachable too"
        );
        assert_eq!(
            rounds(&[third, first]).await,
            [1, 2],
            "the oldest base decides"
        );
        assert_eq!(rounds(&[]).await, [1, 2]);
        assert_eq!(rounds(&[tip]).await, [0; 0]);
        let unknown = Oid::from_bytes(&[9; 20]).expect("twenty bytes");
        assert_eq!(
            rounds(&[tip, unknown]).await,
            [1, 2],
            "a base that is gone stops nothing"
        );
    }
}
