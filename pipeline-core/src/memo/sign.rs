//! Signatures over memos: an edit by anybody without the key is noticed.

use std::fmt;

use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use sha2::Sha256;

use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::secret::Secret;

/// One signing key with the id that stands in the memo.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    secret: Secret,
}

impl SigningKey {
    /// Makes a key. The id is reduced to letters, digits, `_` and `-`.
    #[must_use]
    pub fn new(id: &str, secret: Secret) -> Self {
        let id = id
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
            .take(40)
            .collect();
        Self { id, secret }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// The keys a pipeline signs and checks with. Without any, everything works and nothing is signed.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    tracker: String,
    current: Option<SigningKey>,
    old: Vec<SigningKey>,
    signed_since: Option<CommentId>,
}

impl SigningKeys {
    /// Makes an empty set for one tracker, whose identity goes into every signature.
    #[must_use]
    pub fn new(tracker: impl Into<String>) -> Self {
        Self {
            tracker: tracker.into(),
            current: None,
            old: Vec::new(),
            signed_since: None,
        }
    }

    /// Sets the key that signs.
    #[must_use]
    pub fn with_current(mut self, key: SigningKey) -> Self {
        self.current = Some(key);
        self
    }

    /// Adds a key that is only read, after a rotation.
    #[must_use]
    pub fn with_old(mut self, key: SigningKey) -> Self {
        self.old.push(key);
        self
    }

    /// Accepts unsigned memos older than this comment.
    #[must_use]
    pub const fn with_signed_since(mut self, comment: CommentId) -> Self {
        self.signed_since = Some(comment);
        self
    }

    /// Returns whether memos are signed.
    #[must_use]
    pub const fn is_signing(&self) -> bool {
        self.current.is_some()
    }

    /// Returns whether an unsigned memo with this comment id is accepted.
    #[must_use]
    pub fn accepts_unsigned(&self, comment: CommentId) -> bool {
        self.signed_since.is_some_and(|since| comment < since)
    }

    pub(super) fn sign(&self, issue: &IssueKey, canonical: &str) -> Option<String> {
        let key = self.current.as_ref()?;
        let tag = self.mac(key, issue, canonical).finalize().into_bytes();
        Some(format!("{} {}", key.id, hex::encode(tag)))
    }

    pub(super) fn check(
        &self,
        issue: &IssueKey,
        canonical: &str,
        sig: Option<&str>,
        unsigned_ok: bool,
    ) -> Result<(), String> {
        if self.current.is_none() && self.old.is_empty() {
            return Ok(());
        }
        let Some(sig) = sig else {
            return if unsigned_ok {
                Ok(())
            } else {
                Err("it is not signed".into())
            };
        };
        let (id, tag) = sig
            .split_once(' ')
            .ok_or("its `sig:` line is not `key-id hex`")?;
        let tag = hex::decode(tag.trim()).map_err(|_| "its `sig:` line is not `key-id hex`")?;
        let key = self
            .current
            .iter()
            .chain(&self.old)
            .find(|k| k.id == id)
            .ok_or_else(|| format!("its signing key `{id}` is not known here"))?;
        // `verify_slice` compares in constant time.
        self.mac(key, issue, canonical)
            .verify_slice(&tag)
            .map_err(|_| {
                "its signature does not fit: it was edited or copied from elsewhere".into()
            })
    }

    fn mac(&self, key: &SigningKey, issue: &IssueKey, canonical: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.expose().as_bytes())
            .expect("HMAC takes keys of any length");
        for part in [self.tracker.as_str(), issue.as_str(), canonical] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}
