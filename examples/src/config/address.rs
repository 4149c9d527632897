//! An address, or the variable that holds it.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::MapAccess;
use serde::de::Visitor;

use super::secret::variable;

/// Where an address is: written down, or in a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// In a variable.
    Env(String),
    /// The address itself.
    #[serde(untagged)]
    Plain(String),
}

impl<'de> Deserialize<'de> for AddressSource {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AddressVisitor)
    }
}

impl JsonSchema for AddressSource {
    fn schema_name() -> Cow<'static, str> {
        "AddressSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

struct AddressVisitor;

impl<'de> Visitor<'de> for AddressVisitor {
    type Value = AddressSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address like \"https://…\", or { env = \"NAME\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        // It is not repeated: a credential in it would be, too.
        let bad = |why| Err(E::custom(format!("the address {why}")));
        match text.split_once("://") {
            Some(("https" | "http", rest)) if !rest.is_empty() => {
                let host = rest.split('/').next().unwrap_or_default();
                if host.contains('@') || text.contains(['?', '#']) {
                    return bad("holds more than a place: no user, no query and no fragment");
                }
                Ok(AddressSource::Plain(text.to_owned()))
            }
            _ => bad("begins with https://"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let one = "an address is written down, or { env = \"NAME\" }";
        let Some("env") = map.next_key::<String>()?.as_deref() else {
            return Err(A::Error::custom(one));
        };
        let name = variable(&map.next_value::<String>()?).map_err(A::Error::custom)?;
        match map.next_key::<String>()? {
            None => Ok(AddressSource::Env(name)),
            Some(_) => Err(A::Error::custom(one)),
        }
    }
}

impl fmt::Display for AddressSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Env(name) => write!(f, "variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AddressSource, String> {
        #[derive(Debug, Deserialize)]
        struct Doc {
            project: AddressSource,
        }
        toml::from_str::<Doc>(text)
            .map(|d| d.project)
            .map_err(|e| e.message().to_owned())
    }

    #[test]
    fn an_address_is_written_down_or_named_by_its_variable() {
        let written = read("project = \"https://git.example/a/b\"");
        assert_eq!(
            written,
            Ok(AddressSource::Plain("https://git.example/a/b".to_owned()))
        );
        let named = read("project = { env = \"PROJECT_URL\" }");
        assert_eq!(named, Ok(AddressSource::Env("PROJECT_URL".to_owned())));
    }

    #[test]
    fn an_address_with_a_credential_is_refused_and_not_repeated() {
        for text in [
            "project = \"https://oauth2:canary@git.example/a\"",
            "project = \"https://git.example/a?private_token=canary\"",
            "project = \"canary\"",
            "project = { env = \"https://canary\" }",
            "project = { file = \"canary\" }",
        ] {
            let said = read(text).expect_err(text);
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
