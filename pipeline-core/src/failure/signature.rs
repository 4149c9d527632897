//! The same failure, the same signature: numbers, paths and times do not count.

use std::sync::LazyLock;

use regex::Captures;
use regex::Regex;
use sha2::Digest as _;
use sha2::Sha256;

/// Returns the signature of a failure that `rule` found in the line `anchor`.
pub(crate) fn signature(rule: &str, anchor: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(rule.as_bytes());
    hash.update([0]);
    hash.update(normalise(anchor).as_bytes());
    hex::encode(&hash.finalize()[..8])
}

/// Returns `line` without what differs between two runs of the same failure.
pub(crate) fn normalise(line: &str) -> String {
    static UUID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
            .expect("the pattern is checked by a test")
    });
    static FOLDER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:\b[A-Za-z]:)?(?:[\w.@+~\-]*[/\\])+")
            .expect("the pattern is checked by a test")
    });
    static HEX: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(?:0x[0-9a-fA-F]+|[0-9a-fA-F]{7,})\b")
            .expect("the pattern is checked by a test")
    });
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\d+(?:[.,:]\d+)*").expect("the pattern is checked by a test")
    });
    let line = UUID.replace_all(line, "<id>");
    let line = FOLDER.replace_all(&line, "");
    let line = HEX.replace_all(&line, |found: &Captures<'_>| {
        let word = &found[0];
        if word.bytes().any(|b| b.is_ascii_digit()) {
            "<id>".to_owned()
        } else {
            word.to_owned()
        }
    });
    let line = NUMBER.replace_all(&line, "<n>");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_one_failure_look_the_same() {
        for (a, b) in [
            (
                "/builds/a1/src/lib.rs:12:5: error: no field `x` (0.31s)",
                "C:\\ci\\b2\\src\\lib.rs:99:1: error: no field `x` (12.5s)",
            ),
            ("commit 3f2a9c1d4e not found", "commit 9b8a7c6d5e not found"),
            (
                "run 0b5e3c1e-1111-2222-3333-444455556666 died",
                "run ffffffff-1111-2222-3333-000055556666 died",
            ),
        ] {
            assert_eq!(normalise(a), normalise(b));
        }
    }

    #[test]
    fn different_failures_stay_apart() {
        assert_ne!(
            signature("r", "no field `x`"),
            signature("r", "no field `y`")
        );
        assert_ne!(
            signature("a", "no field `x`"),
            signature("b", "no field `x`")
        );
        assert_eq!(normalise("facade defaced"), "facade defaced");
    }
}
