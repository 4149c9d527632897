//! Percent-encoding of path-bearing values.

use std::borrow::Cow;

use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::percent_decode_str;
use percent_encoding::percent_encode;

// What a tracker could read as a mention, reference, label, command or markup, and the escape itself.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b'%')
    .add(b'@')
    .add(b'#')
    .add(b'!')
    .add(b'~')
    .add(b'$')
    .add(b'&')
    .add(b'`')
    .add(b'<')
    .add(b'>');

/// Encodes a path-bearing value: bytes outside printable ASCII, `%` and what trackers give a meaning to.
///
/// A leading or trailing space is encoded too, because trackers trim lines.
///
/// # Examples
/// ```
/// use pipeline_core::memo::{decode_value, encode_value};
/// assert_eq!(encode_value("docs/日本.md"), "docs/%E6%97%A5%E6%9C%AC.md");
/// assert_eq!(decode_value("docs/%E6%97%A5%E6%9C%AC.md"), "docs/日本.md");
/// ```
#[must_use]
pub fn encode_value(value: &str) -> String {
    let mut out = percent_encode(value.as_bytes(), UNSAFE).to_string();
    if out.starts_with(' ') {
        out.replace_range(..1, "%20");
    }
    if out.ends_with(' ') {
        out.replace_range(out.len() - 1.., "%20");
    }
    out
}

/// Reverses [`encode_value`]; bytes that are not UTF-8 stay encoded.
#[must_use]
pub fn decode_value(value: &str) -> Cow<'_, str> {
    percent_decode_str(value)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_value_survives_and_is_one_plain_line(value in any::<String>()) {
            let encoded = encode_value(&value);
            prop_assert!(encoded.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(encoded.trim(), &encoded);
            prop_assert_eq!(decode_value(&encoded), value);
        }
    }
}
