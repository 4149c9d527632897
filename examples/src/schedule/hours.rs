//! Active hours (`07:00-21:00`) and days of the week (`mon`) as people write them.

use std::borrow::Cow;
use std::fmt;

use jiff::civil::Time;
use jiff::civil::Weekday;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// Between which times of the day; equal times mean the whole day, and it may cross midnight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ActiveHours {
    opens: Time,
    closes: Time,
}

impl ActiveHours {
    /// The whole day.
    pub const ALWAYS: Self = Self {
        opens: Time::constant(0, 0, 0, 0),
        closes: Time::constant(0, 0, 0, 0),
    };

    pub(crate) const fn new(opens: i8, closes: i8) -> Self {
        Self {
            opens: Time::constant(opens, 0, 0, 0),
            closes: Time::constant(closes, 0, 0, 0),
        }
    }

    /// Returns when they begin.
    #[must_use]
    pub const fn opens(self) -> Time {
        self.opens
    }

    /// Returns when they end; not after the beginning means on the next day.
    #[must_use]
    pub const fn closes(self) -> Time {
        self.closes
    }

    /// Reads `07:00-21:00` or `always`.
    ///
    /// # Errors
    /// The sentence that says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` are no active hours: write them like 07:00-21:00, or always");
        if text.trim() == "always" {
            return Ok(Self::ALWAYS);
        }
        let (opens, closes) = text.split_once('-').ok_or_else(wrong)?;
        let time = |s: &str| match s.trim() {
            "24:00" => Some(Time::midnight()),
            s => Time::strptime("%H:%M", s).ok(),
        };
        Ok(Self {
            opens: time(opens).ok_or_else(wrong)?,
            closes: time(closes).ok_or_else(wrong)?,
        })
    }
}

impl Default for ActiveHours {
    fn default() -> Self {
        Self::ALWAYS
    }
}

impl fmt::Display for ActiveHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALWAYS {
            return f.write_str("always");
        }
        write!(
            f,
            "{}-{}",
            self.opens.strftime("%H:%M"),
            self.closes.strftime("%H:%M")
        )
    }
}

impl fmt::Debug for ActiveHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ActiveHours {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ActiveHours {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ActiveHours {
    fn schema_name() -> Cow<'static, str> {
        "ActiveHours".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    pub(crate) const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}
