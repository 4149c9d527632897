//! Reading JSON of services that change: numbers as text, null in place of a list.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Value;

/// Reads a number, also one that is written as text.
pub(crate) fn number<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(d)?;
    as_number(&value).ok_or_else(|| D::Error::custom("expected a whole number"))
}

/// Reads a number where there may be none; anything else is none.
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(d)?;
    Ok(value.as_ref().and_then(as_number))
}

/// Reads null as what is missing.
pub(crate) fn or_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

fn as_number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}
