//! What holds for every input, arbitrary or made from a real patch.

use proptest::prelude::*;

use super::super::Accepted;
use super::super::ChangeKind;
use super::super::Content;
use super::super::ExistingNames as _;
use super::super::FileMode;
use super::super::LineKind;
use super::super::NameSet;
use super::super::PatchLimits;
use super::super::PatchPolicy;
use super::super::parse;
use super::super::parse_written;
use super::BASE;
use super::EVERYTHING;
use super::EVERYTHING_RAW;
use super::adding;
use super::base;
use super::judge;

/// Pieces that steer a mutation to where the rules are.
const PIECES: [&[u8]; 26] = [
    b"../",
    b"/",
    b".git",
    b".GIT/",
    b"git~1",
    b"120000",
    b"160000",
    b"100755",
    b"\\",
    b"\"",
    b"\n",
    b"\t",
    b" ",
    b"\xe2\x80\xae",
    b"\x00",
    b"a/",
    b"b/",
    b"/dev/null",
    b"rename to ",
    b"new file mode ",
    b"@@ -1 +1 @@\n",
    b"diff --git ",
    b"literal 99999999\n",
    b"delta 9\n",
    b"\\ No newline at end of file\n",
    b"con.txt",
];

#[derive(Debug, Clone)]
enum Mutation {
    Insert(usize, usize),
    Remove(usize, usize),
    Set(usize, u8),
    CopyTo(usize, usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), 0..PIECES.len()).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<usize>(), any::<usize>(), 1..80_usize)
            .prop_map(|(from, to, length)| Mutation::CopyTo(from, to, length)),
    ]
}

fn mutate(bytes: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for mutation in mutations {
        let size = bytes.len();
        let within = |index: usize| index % (size + 1);
        let until = |from: usize, length: usize| (from + length).min(size);
        match *mutation {
            Mutation::Insert(index, piece) => {
                let at = within(index);
                bytes.splice(at..at, PIECES[piece].iter().copied());
            }
            Mutation::Remove(index, length) => {
                let at = within(index);
                bytes.drain(at..until(at, length));
            }
            Mutation::Set(index, byte) => {
                if let Some(place) = bytes.get_mut(within(index)) {
                    *place = byte;
                }
            }
            Mutation::CopyTo(from, to, length) => {
                let (from, to) = (within(from), within(to));
                let piece = bytes[from..until(from, length)].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// What must hold for whatever was accepted, said in other words than the policy says it.
fn assert_harmless(accepted: &Accepted, existing: &NameSet) {
    for file in accepted.touched() {
        for path in std::iter::once(&file.path).chain(&file.previous) {
            let text = String::from_utf8_lossy(path.as_bytes()).to_lowercase();
            assert!(!text.starts_with('/') && !text.contains('\0'), "{path}");
            for part in text.split('/') {
                assert!(
                    !matches!(part, "" | "." | ".." | ".git" | "git~1"),
                    "{path}"
                );
            }
        }
        let shown = file.path.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown}");
        let folder = file.path.directories().last().unwrap();
        let name = file.path.file_name();
        // What goes away adds no name, whatever it was called.
        let added = file.kind != ChangeKind::Deleted;
        if added && !existing.names_in(folder).any(|(known, _)| known == name) {
            let name = std::str::from_utf8(name).unwrap();
            let bad = |c: char| c.is_control() || matches!(c, '\\' | ':' | '\u{202a}'..='\u{202e}');
            assert!(!name.chars().any(bad), "{shown}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let limits = PatchLimits::default();
        prop_assert!(bytes.is_empty() || parse(&bytes, &limits).is_err());
        prop_assert!(bytes.is_empty() || parse_written(&bytes, &limits).is_err());
    }

    #[test]
    fn a_mutated_patch_is_harmless_or_refused(
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let bytes = mutate(EVERYTHING, &mutations);
        let Ok(parsed) = parse(&bytes, &PatchLimits::default()) else { return Ok(()) };
        for file in parsed.files() {
            let Content::Text(hunks) = &file.content else { continue };
            for hunk in hunks {
                let count = |not: LineKind| hunk.lines().filter(|line| line.kind != not).count();
                prop_assert_eq!(count(LineKind::Added), hunk.old.count as usize);
                prop_assert_eq!(count(LineKind::Removed), hunk.new.count as usize);
            }
        }
        let Ok(accepted) = PatchPolicy::default().check(&parsed, &base()) else { return Ok(()) };
        assert_harmless(&accepted, &base());
        for mode in parsed.files().iter().flat_map(|file| [file.old_mode, file.new_mode]).flatten() {
            prop_assert!(matches!(mode, FileMode::Regular | FileMode::Executable));
        }
    }

    #[test]
    fn a_mutated_listing_is_harmless_or_refused(
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let bytes = mutate(EVERYTHING_RAW, &mutations);
        if let Ok(changes) = parse_written(&bytes, &PatchLimits::default())
            && let Ok(accepted) = PatchPolicy::default().check_written(&changes, &base())
        {
            assert_harmless(&accepted, &base());
        }
    }

    #[test]
    fn a_cut_patch_is_read_only_if_cut_between_files(at in 0..EVERYTHING.len()) {
        // Without its mark, a file that ends in no line feed is one that does.
        let rest = &EVERYTHING[at..];
        let whole = at == 0 || rest.starts_with(b"diff --git ") || rest.starts_with(b"\\ No newline");
        prop_assert!(whole || parse(&EVERYTHING[..at], &PatchLimits::default()).is_err());
    }

    #[test]
    fn any_added_name_is_harmless_or_refused(name in "[ -~\u{200b}-\u{202f}äÄ/]{1,12}") {
        if let Ok(accepted) = judge(adding(&name, "100644").as_bytes(), &BASE) {
            prop_assert_eq!(accepted.touched()[0].path.as_str(), Some(name.as_str()));
            assert_harmless(&accepted, &base());
        }
    }
}
