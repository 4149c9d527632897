//! Which names a patch may use.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::is_nfc;

use super::escape;
use super::path::RepoPath;
use super::refusal::PatchRefusal;

/// What is wrong with a name that a patch adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NameFault {
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// Text whose accents are not in composed form (NFC).
    NotComposed,
    /// A control character.
    Control,
    /// A character that turns the writing direction.
    Bidi,
    /// A character that cannot be seen.
    Invisible,
    /// A backslash, which is a separator on Windows.
    Backslash,
    /// A colon, which names a drive or a stream on Windows.
    Colon,
    /// A device name of Windows, such as `con` or `aux.txt`.
    Reserved,
    /// A dot or a space at the end of a part, which Windows drops.
    TrailingDotOrSpace,
    /// A part of more bytes than file systems hold.
    LongPart,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "is not UTF-8",
            Self::NotComposed => "is not in composed Unicode form (NFC)",
            Self::Control => "contains a control character",
            Self::Bidi => "contains a character that turns the writing direction",
            Self::Invisible => "contains a character that cannot be seen",
            Self::Backslash => "contains a backslash",
            Self::Colon => "contains a colon",
            Self::Reserved => "is a device name on Windows",
            Self::TrailingDotOrSpace => "has a part that ends in a dot or a space",
            Self::LongPart => "has a part of more than 255 bytes",
        })
    }
}

/// Longer and deeper than any system that checks the tree out accepts, and short enough that every folder
/// above every path may be looked at.
const MAX_PATH_BYTES: usize = 1024;
const MAX_PATH_PARTS: usize = 64;

/// Refuses a path that is too long, leaves the tree or reaches git's own folder, whoever made it.
pub(super) fn check_structure(path: &RepoPath) -> Result<(), PatchRefusal> {
    check_length(path)?;
    for part in path.components() {
        if matches!(part, b"" | b"." | b"..") || part.contains(&0) {
            return Err(PatchRefusal::OutsideTree { path: path.clone() });
        }
        // Windows takes a backslash for a separator, so `a\..\.git` has parts too.
        for piece in part.split(|byte| *byte == b'\\') {
            if piece == b".." {
                return Err(PatchRefusal::OutsideTree { path: path.clone() });
            }
            if is_git_folder(piece) {
                return Err(PatchRefusal::GitFolder { path: path.clone() });
            }
        }
    }
    Ok(())
}

/// Refuses a path no system could hold.
pub(super) fn check_length(path: &RepoPath) -> Result<(), PatchRefusal> {
    if path.as_bytes().len() > MAX_PATH_BYTES || path.components().count() > MAX_PATH_PARTS {
        return Err(PatchRefusal::PathTooLong { path: path.clone() });
    }
    Ok(())
}

/// Says what is wrong with one part of an added path, if anything is.
pub(super) fn fault(part: &[u8]) -> Option<NameFault> {
    let Ok(name) = std::str::from_utf8(part) else {
        return Some(NameFault::NotUtf8);
    };
    let first = |test: fn(char) -> bool| name.chars().any(test);
    let base = name.split('.').next().unwrap_or_default();
    let faults = [
        (part.len() > 255, NameFault::LongPart),
        (first(char::is_control), NameFault::Control),
        (first(escape::is_bidi), NameFault::Bidi),
        (first(escape::is_invisible), NameFault::Invisible),
        (!is_nfc(name), NameFault::NotComposed),
        (part.contains(&b'\\'), NameFault::Backslash),
        (part.contains(&b':'), NameFault::Colon),
        (is_device(base), NameFault::Reserved),
        (name.ends_with(['.', ' ']), NameFault::TrailingDotOrSpace),
    ];
    faults
        .into_iter()
        .find_map(|(found, fault)| found.then_some(fault))
}

/// Maps a name to what a file system that tells neither case nor accents apart makes of it.
pub(crate) fn fold(part: &[u8]) -> Vec<u8> {
    let Ok(name) = std::str::from_utf8(part) else {
        return part.to_ascii_lowercase();
    };
    if name.is_ascii() {
        return name.to_ascii_lowercase().into_bytes();
    }
    // Upper case first, then lower: `ß` meets `ss`, final and other sigma meet, whichever a system folds.
    let upper: String = name
        .nfd()
        .filter(|c| !is_ignored_by_hfs(*c))
        .flat_map(char::to_uppercase)
        .collect();
    let lower: String = upper.nfd().flat_map(char::to_lowercase).collect();
    lower.nfc().collect::<String>().into_bytes()
}

/// Says whether some file system takes this name for `.git` or for one of git's own files' short names.
fn is_git_folder(piece: &[u8]) -> bool {
    let text: String = String::from_utf8_lossy(piece)
        .chars()
        .filter(|c| !is_ignored_by_hfs(*c))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let name = text
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches(['.', ' ']);
    name == ".git" || is_short_name(name)
}

/// The 8.3 names NTFS gives to `.git`, `.gitmodules`, `.gitattributes` and `.gitignore`.
fn is_short_name(name: &str) -> bool {
    const STEMS: [&str; 7] = [
        "git", "gitmod", "gitatt", "gitign", "gi7eba", "gi7d29", "gi250a",
    ];
    name.split_once('~').is_some_and(|(stem, number)| {
        STEMS.contains(&stem) && !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit())
    })
}

/// The code points HFS+ leaves out when it compares names (git's `next_hfs_char`).
fn is_ignored_by_hfs(character: char) -> bool {
    matches!(
        character,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}

fn is_device(base: &str) -> bool {
    let base = base.trim_end_matches(' ').to_ascii_lowercase();
    if matches!(
        base.as_str(),
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$"
    ) {
        return true;
    }
    let digit = base
        .strip_prefix("com")
        .or_else(|| base.strip_prefix("lpt"));
    digit.is_some_and(|digit| {
        let mut characters = digit.chars();
        let one = characters.next();
        characters.next().is_none() && matches!(one, Some('0'..='9' | '¹' | '²' | '³'))
    })
}

#[cfg(test)]
mod tests {
    use super::NameFault;
    use super::check_structure;
    use super::fault;
    use super::fold;
    use crate::patch::RepoPath;

    #[test]
    fn gits_own_folder_is_found_under_every_spelling() {
        for name in [
            ".git",
            ".GIT",
            ".Git/config",
            "a/.git/b",
            ".git ",
            ".git.",
            ".git . .",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            "git~1",
            "GIT~1/config",
            "git~2",
            "a\\.git\\config",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{200d}t/x",
            "gitmod~1",
            "GI7EBA~1",
            "gitatt~4",
            "gi250a~12",
        ] {
            let refusal = check_structure(&RepoPath::from(name)).unwrap_err();
            assert!(
                refusal
                    .to_string()
                    .ends_with("reaches into git's own folder"),
                "{name}: {refusal}"
            );
        }
        for name in [
            ".github/x",
            ".gitignore",
            "git",
            "a.git",
            ".gitx",
            "git~",
            "git~x",
            "digit~1",
        ] {
            assert!(check_structure(&RepoPath::from(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn paths_stay_inside_the_tree() {
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a/.",
            "a\0b",
            "a\\..\\b",
            "..\\x",
        ] {
            assert!(check_structure(&RepoPath::from(name)).is_err(), "{name}");
        }
        assert!(check_structure(&RepoPath::from("a/...b/..c")).is_ok());
        assert!(check_structure(&RepoPath::new(vec![b'a'; 1025])).is_err());
        assert!(check_structure(&RepoPath::from("a/".repeat(70).as_str())).is_err());
    }

    #[test]
    fn every_fault_is_named() {
        let cases: [(&[u8], Option<NameFault>); 21] = [
            (b"a\xff", Some(NameFault::NotUtf8)),
            ("u\u{308}".as_bytes(), Some(NameFault::NotComposed)),
            (b"a\nb", Some(NameFault::Control)),
            ("a\u{85}".as_bytes(), Some(NameFault::Control)),
            ("a\u{202e}txt.exe".as_bytes(), Some(NameFault::Bidi)),
            ("a\u{200b}b".as_bytes(), Some(NameFault::Invisible)),
            (b"a\\b", Some(NameFault::Backslash)),
            (b"a:b", Some(NameFault::Colon)),
            (b"CON", Some(NameFault::Reserved)),
            (b"aux.h", Some(NameFault::Reserved)),
            (b"nul .txt", Some(NameFault::Reserved)),
            (b"com7.log", Some(NameFault::Reserved)),
            ("lpt\u{b2}".as_bytes(), Some(NameFault::Reserved)),
            (b"a.", Some(NameFault::TrailingDotOrSpace)),
            (b"a ", Some(NameFault::TrailingDotOrSpace)),
            (&[b'a'; 256], Some(NameFault::LongPart)),
            (b"console", None),
            (b"com10", None),
            ("größe.txt".as_bytes(), None),
            ("می\u{200c}خواهم".as_bytes(), None),
            (b"a b.txt", None),
        ];
        for (name, expected) in cases {
            assert_eq!(fault(name), expected, "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn folding_meets_what_file_systems_fold() {
        for (one, other) in [
            ("README.md", "readme.MD"),
            ("Straße", "STRASSE"),
            ("größe", "gro\u{308}\u{df}e"),
            ("ΣΑΣ", "σας"),
            ("\u{212a}", "k"),
            ("ﬁle", "FILE"),
            ("a\u{200c}ü", "aÜ"),
        ] {
            assert_eq!(
                fold(one.as_bytes()),
                fold(other.as_bytes()),
                "{one} {other}"
            );
        }
        assert_ne!(fold(b"a"), fold("ä".as_bytes()));
    }
}
