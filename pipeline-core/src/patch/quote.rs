//! The C-style quoting that git uses for unusual file names.

/// Reads a quoted name at the start of `text` and returns it with the bytes that follow its closing quote.
///
/// Only the escapes that git writes are read; anything else is `None`.
pub(super) fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((name, rest)),
            b'\\' => {
                let (escape, after) = rest.split_first()?;
                rest = after;
                name.push(match escape {
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'r' => b'\r',
                    b'"' => b'"',
                    b'\\' => b'\\',
                    high @ b'0'..=b'3' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        digits
                            .iter()
                            .try_fold(high - b'0', |value, digit| match digit {
                                b'0'..=b'7' => Some(value * 8 + (digit - b'0')),
                                _ => None,
                            })?
                    }
                    _ => return None,
                });
            }
            // git escapes every one of these, so a raw one was not written by it.
            0..=0x1f | 0x7f => return None,
            _ => name.push(*byte),
        }
    }
}

/// Writes a name in git's quoted form, every byte outside printable ASCII escaped.
pub(super) fn quote(name: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for byte in name {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            b' '..=b'~' => quoted.push(char::from(*byte)),
            _ => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

/// Says whether git would have quoted this name, so that it may not stand unquoted.
pub(super) fn needs_quotes(name: &[u8]) -> bool {
    name.iter()
        .any(|byte| matches!(byte, 0..=0x1f | 0x7f | b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::quote;
    use super::unquote;

    #[test]
    fn the_escapes_git_writes_are_read() {
        let (name, rest) = unquote(b"\"a\\t\\n\\303\\274\\\"\\\\\" tail").unwrap();
        assert_eq!(name, "a\t\nü\"\\".as_bytes());
        assert_eq!(rest, b" tail");
    }

    #[test]
    fn what_git_does_not_write_is_not_read() {
        for wrong in [
            "\"open",
            "\"\\x41\"",
            "\"\\400\"",
            "\"\\38\"",
            "\"\\1\"",
            "\"a\tb\"",
            "plain",
            "\"\\",
        ] {
            assert_eq!(unquote(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn quoting_round_trips(name in proptest::collection::vec(any::<u8>(), 0..60)) {
            let quoted = quote(&name);
            let (back, rest) = unquote(quoted.as_bytes()).unwrap();
            prop_assert_eq!(back, name);
            prop_assert!(rest.is_empty());
        }
    }
}
