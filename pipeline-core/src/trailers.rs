//! The trailers that say in a commit itself which claim it lands.

use crate::integrate::ClaimRef;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;

const CLAIM: &str = "Agent-Claim: ";
const ROUND: &str = "Agent-Round: ";

/// What the trailers of one commit name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers {
    /// The claims (`Agent-Claim: <issue> <comment id> <nonce>`).
    pub claims: Vec<(IssueKey, CommentId, String)>,
    /// The rounds (`Agent-Round: <issue> <id>`).
    pub rounds: Vec<(IssueKey, EventId)>,
}

impl Trailers {
    /// Reads the trailers of a whole message.
    ///
    /// Only its last paragraph counts, so a text that is quoted in a message lands nothing; a line that is
    /// not exactly of the form is none.
    #[must_use]
    pub fn of(message: &str) -> Self {
        let mut found = Self::default();
        let last = message.trim_end().rsplit_once("\n\n");
        for line in last.map_or("", |(_, paragraph)| paragraph).lines() {
            if let Some(value) = line.strip_prefix(CLAIM) {
                let words: Vec<_> = value.split(' ').collect();
                if let [issue, comment, nonce] = words[..]
                    && let (Ok(issue), Ok(comment)) = (IssueKey::new(issue), comment.parse())
                {
                    let nonce = nonce.to_owned();
                    found.claims.push((issue, CommentId(comment), nonce));
                }
            } else if let Some(value) = line.strip_prefix(ROUND)
                && let Some((issue, round)) = value.split_once(' ')
                && let (Ok(issue), Ok(round)) = (IssueKey::new(issue), round.parse())
            {
                found.rounds.push((issue, EventId(round)));
            }
        }
        found
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.rounds.is_empty()
    }
}

/// Returns a message with the trailers of its claim as the last paragraph.
///
/// `sign_off` is who gave the OK, where a team wants a `Signed-off-by`.
///
/// # Examples
/// ```
/// use pipeline_core::integrate::ClaimRef;
/// use pipeline_core::issue::{CommentId, EventId, IssueKey};
/// use pipeline_core::trailers::{Trailers, with_trailers};
///
/// let claim = ClaimRef {
///     issue: IssueKey::new("SHOP-7")?,
///     comment: CommentId(41),
///     nonce: "0123456789abcdef0123456789abcdef".to_owned(),
///     round: EventId(9),
/// };
/// let whole = with_trailers("Fix it\n", &claim, None);
/// assert_eq!(whole.lines().last(), Some("Agent-Round: SHOP-7 9"));
/// assert_eq!(Trailers::of(&whole).rounds, [(claim.issue, EventId(9))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn with_trailers(message: &str, claim: &ClaimRef, sign_off: Option<&str>) -> String {
    let ClaimRef {
        issue,
        comment,
        nonce,
        round,
    } = claim;
    let mut whole = message.trim_end().to_owned();
    whole.push_str(&format!(
        "\n\n{CLAIM}{issue} {comment} {nonce}\n{ROUND}{issue} {round}\n"
    ));
    if let Some(by) = sign_off {
        whole.push_str(&format!("Signed-off-by: {by}\n"));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> ClaimRef {
        ClaimRef {
            issue: IssueKey::new("SHOP-7").expect("a key"),
            comment: CommentId(41),
            nonce: "0123456789abcdef0123456789abcdef".to_owned(),
            round: EventId(9),
        }
    }

    #[test]
    fn trailers_are_the_last_paragraph_and_read_back() {
        let whole = with_trailers("Fix it\n\nBecause.\n\n\n", &claim(), Some("Ada <a@b>"));
        insta::assert_snapshot!(whole, @r"
        Fix it

        Because.

        Agent-Claim: SHOP-7 41 0123456789abcdef0123456789abcdef
        Agent-Round: SHOP-7 9
        Signed-off-by: Ada <a@b>
        ");
        let found = Trailers::of(&whole);
        assert_eq!(
            found.claims,
            [(claim().issue, CommentId(41), claim().nonce)]
        );
        assert_eq!(found.rounds, [(claim().issue, EventId(9))]);
    }

    #[test]
    fn a_quoted_or_malformed_trailer_is_none() {
        for message in [
            "Agent-Round: SHOP-7 9",
            "Title\n\nAgent-Round: SHOP-7 9\n\nMore text",
            "Title\n\n    Agent-Round: SHOP-7 9",
            "Title\n\nAgent-Round: SHOP-7 nine\nAgent-Claim: SHOP-7 41\nAgent-Round: ../x 1",
        ] {
            assert!(Trailers::of(message).is_empty(), "{message}");
        }
    }
}
