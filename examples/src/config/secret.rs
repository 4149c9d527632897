//! Where a secret is, never the secret itself.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::MapAccess;
use serde::de::Visitor;

/// Where a secret is to be found when it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// In a variable of the environment (or of the file given as `--env-file`).
    Env(String),
    /// In a file; a final line break is dropped.
    File(PathBuf),
    /// On the standard output of a command; a final line break is dropped.
    Command(Vec<String>),
}

const CURE: &str = "a secret is never written into this file: say where it is, as { env = \"NAME\" }, \
                    { file = \"/path\" } or { command = [\"program\", \"argument\"] }, and replace the \
                    one that stood here, because it may have been read or copied";

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(SourceVisitor)
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "SecretSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "env": { "type": "string" },
                "file": { "type": "string" },
                "command": { "type": "array" },
            },
        })
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env = \"NAME\" }, { file = \"/path\" } or { command = [\"program\"] }")
    }

    // The value is not repeated in the message: it may be the secret.
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom(CURE))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(E::custom(CURE))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let one = "name exactly one place of the secret: env, file or command";
        let source = match map.next_key::<String>()?.as_deref() {
            Some("env") => {
                SecretSource::Env(variable(&map.next_value::<String>()?).map_err(A::Error::custom)?)
            }
            Some("file") => SecretSource::File(map.next_value()?),
            Some("command") => {
                let words: Vec<String> = map.next_value()?;
                if words.first().is_none_or(String::is_empty) {
                    return Err(A::Error::custom(
                        "the command that prints the secret is empty",
                    ));
                }
                SecretSource::Command(words)
            }
            _ => return Err(A::Error::custom(one)),
        };
        match map.next_key::<String>()? {
            None => Ok(source),
            Some(_) => Err(A::Error::custom(one)),
        }
    }
}

/// Checks a variable's name; whoever pastes a token there gets the cure, not the token back.
pub(super) fn variable(name: &str) -> Result<String, &'static str> {
    let ok = !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if ok {
        Ok(name.to_owned())
    } else {
        Err(
            "the name of a variable has letters, digits and `_` only; if this is the secret itself, \
             take it out of the file and replace it",
        )
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(words) => {
                write!(f, "command {}", words.first().map_or("", String::as_str))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Doc {
        token: SecretSource,
    }

    fn read(text: &str) -> Result<SecretSource, String> {
        toml::from_str::<Doc>(text)
            .map(|d| d.token)
            .map_err(|e| e.message().to_owned())
    }

    #[test]
    fn the_three_places() {
        assert_eq!(
            read("token = { env = \"T\" }"),
            Ok(SecretSource::Env("T".into()))
        );
        assert_eq!(
            read("token = { file = \"/run/t\" }"),
            Ok(SecretSource::File("/run/t".into()))
        );
        assert_eq!(
            read("token = { command = [\"pass\", \"t\"] }"),
            Ok(SecretSource::Command(vec!["pass".into(), "t".into()]))
        );
    }

    #[test]
    fn a_literal_is_refused_with_the_cure_and_not_repeated() {
        for text in [
            "token = \"glpat-canary\"",
            "token = { env = \"glpat-canary\" }",
            "token = 5",
        ] {
            let said = read(text).expect_err(text);
            assert!(!said.contains("canary"), "{said}");
            assert!(said.contains("replace"), "{said}");
        }
    }

    #[test]
    fn exactly_one_place() {
        assert!(read("token = { env = \"A\", file = \"b\" }").is_err());
        assert!(read("token = {}").is_err());
        assert!(read("token = { command = [] }").is_err());
    }
}
