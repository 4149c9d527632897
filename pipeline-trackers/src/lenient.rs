//! Reading JSON of services that change: numbers as text, null in place of a list, values of another form.

use pipeline_core::clock::Timestamp;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::Error as _;
use serde_json::Value;

/// Reads a number, also one that is written as text.
pub(crate) fn number<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(d)?;
    as_number(&value).ok_or_else(|| D::Error::custom("expected a whole number"))
}

/// Reads a number where there may be none; anything else is none.
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(as_number(&Value::deserialize(d)?))
}

/// Reads text: null is empty, and a number is its digits.
pub(crate) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(optional_text(d)?.unwrap_or_default())
}

/// Reads text where there may be none.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// Reads a time, which must be one.
pub(crate) fn time<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
    optional_time(d)?.ok_or_else(|| D::Error::custom("expected a time"))
}

/// Reads a time where there may be none; what is none is no time and no failure.
pub(crate) fn optional_time<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(d)?;
    Ok(value.as_str().and_then(Timestamp::parse))
}

/// Reads null as what is missing. An element of a list that makes no sense makes the whole list make none.
pub(crate) fn or_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// Reads something that may be absent, or be of another form in a version that is not known.
pub(crate) fn optional<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    d: D,
) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(d)?).ok())
}

fn as_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
