//! A length of time as people write it in the configuration: `15m`, `1h 30m`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// A length of time; reads and prints as `15m`, `1h 30m`, `90s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(Duration);

impl Period {
    /// Makes a period of whole seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Makes a period of whole minutes.
    #[must_use]
    pub const fn mins(mins: u64) -> Self {
        Self(Duration::from_secs(mins * 60))
    }

    /// Returns it as the standard library's type.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads `15m`, `1h 30m`, `90s`, `2 days`.
    ///
    /// # Errors
    /// The sentence that says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a length of time: write it like 15m, 1h 30m or 90s");
        let span: jiff::SignedDuration = match text.trim().parse() {
            Ok(d) => d,
            // A day is no fixed length in general, so jiff wants it named; here it is 24 hours.
            Err(_) => {
                let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
                span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
                    .map_err(|_| wrong())?
            }
        };
        Duration::try_from(span).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(d) => write!(f, "{d:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_and_prints_it_back() {
        for (text, secs, shown) in [
            ("15m", 900, "15m"),
            ("1h 30m", 5400, "1h 30m"),
            ("90s", 90, "1m 30s"),
            ("2 days", 172_800, "48h"),
            ("0s", 0, "0s"),
        ] {
            let p = Period::parse(text).expect(text);
            assert_eq!(p.get(), Duration::from_secs(secs), "{text}");
            assert_eq!(p.to_string(), shown);
            assert_eq!(Period::parse(shown), Ok(p));
        }
    }

    #[test]
    fn refuses_everything_else_with_a_sentence() {
        for text in ["", "soon", "-5m", "15", "1 month"] {
            let said = Period::parse(text).expect_err(text);
            assert!(said.contains("write it like 15m"), "{said}");
        }
    }
}
