//! Who acts on the local tracker.

use std::fmt;
use std::str::FromStr;

use pipeline_core::issue::Account;
use serde::Deserialize;
use serde::Serialize;

const PIPELINE: &str = "pipeline";
const PERSON: &str = "person:";

/// Who acts: the pipeline itself or a person, by the word of whoever opens the folder.
///
/// Written `pipeline` and `person:<login>`. A login is 1 to 64 of `A–Z a–z 0–9 _ . @ + -`, begins with a letter,
/// a digit or `_`, and is not `pipeline` in any case.
///
/// # Examples
/// ```
/// use pipeline_trackers::local::Actor;
///
/// let alice = Actor::person("alice")?;
/// assert_eq!(alice.to_string(), "person:alice");
/// assert_eq!(alice, "person:alice".parse()?);
/// assert!(Actor::person("Pipeline").is_err());
/// # Ok::<(), pipeline_trackers::local::InvalidActor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Actor(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Pipeline,
    Person(String),
}

/// The text names no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an actor: expected `pipeline` or `person:<login>` with a login of 1 to 64 letters, digits, `_`, `.`, `@`, `+` or `-`"
)]
#[non_exhaustive]
pub struct InvalidActor;

impl Actor {
    /// Returns the actor the stages write as.
    #[must_use]
    pub const fn pipeline() -> Self {
        Self(Kind::Pipeline)
    }

    /// Returns a person.
    ///
    /// # Errors
    /// [`InvalidActor`] if the login is not of the form above.
    pub fn person(login: impl Into<String>) -> Result<Self, InvalidActor> {
        let login = login.into();
        let head = login
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest = login
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.@+-".contains(&b));
        // A person called `pipeline` would be ours to everybody who compares logins.
        let ours = login.eq_ignore_ascii_case(PIPELINE);
        if head && rest && !ours && login.len() <= 64 {
            Ok(Self(Kind::Person(login)))
        } else {
            Err(InvalidActor)
        }
    }

    /// Returns whether this is a person.
    #[must_use]
    pub const fn is_person(&self) -> bool {
        matches!(self.0, Kind::Person(_))
    }

    /// Returns the account the tracker records.
    #[must_use]
    pub fn account(&self) -> Account {
        let login = match &self.0 {
            Kind::Pipeline => PIPELINE,
            Kind::Person(login) => login,
        };
        Account::new(self.to_string(), Some(login.to_owned()), login)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Pipeline => f.write_str(PIPELINE),
            Kind::Person(login) => write!(f, "{PERSON}{login}"),
        }
    }
}

impl FromStr for Actor {
    type Err = InvalidActor;

    fn from_str(text: &str) -> Result<Self, InvalidActor> {
        match text.strip_prefix(PERSON) {
            Some(login) => Self::person(login),
            None if text == PIPELINE => Ok(Self::pipeline()),
            None => Err(InvalidActor),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = InvalidActor;

    fn try_from(text: String) -> Result<Self, InvalidActor> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use pipeline_core::issue::AccountRef;

    use super::*;

    #[test]
    fn no_person_passes_for_the_pipeline() {
        for login in [
            "pipeline",
            "PIPELINE",
            "",
            "-x",
            "@x",
            "a b",
            "a\nb",
            "person:x",
            "é",
            &"x".repeat(65),
        ] {
            assert_eq!(Actor::person(login), Err(InvalidActor), "{login}");
        }
        let pipeline = Actor::pipeline().account();
        let person = Actor::person("alice").unwrap().account();
        assert!(AccountRef("@alice".into()).names(&person));
        assert!(AccountRef("person:alice".into()).names(&person));
        assert!(!AccountRef("pipeline".into()).names(&person));
        assert!(!AccountRef("@alice".into()).names(&pipeline));
    }

    #[test]
    fn text_and_actor_round_trip() {
        for text in ["pipeline", "person:alice", "person:a.b+c@example.test"] {
            assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
        }
        for text in ["alice", "person:", "Pipeline", "person:pipeline", ""] {
            assert_eq!(text.parse::<Actor>(), Err(InvalidActor), "{text}");
        }
    }
}
