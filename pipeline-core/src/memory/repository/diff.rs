//! The difference of two trees, in the words of `git diff --binary --full-index`.
//!
//! Nothing is compared line by line: each changed file is replaced as a whole, which every reader of
//! patches understands as well.

use super::files::File;
use super::files::Files;
use crate::patch::FileMode;

const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Writes the patch that makes `new` of `old`.
pub(super) fn diff(old: &Files, new: &Files) -> Vec<u8> {
    let mut patch = Vec::new();
    for path in old.differing(new) {
        match (old.get(&path), new.get(&path)) {
            // A file cannot become a link: one goes, the other comes.
            (Some(before), Some(after)) if is_link(before) != is_link(after) => {
                file(&mut patch, &path, Some(before), None);
                file(&mut patch, &path, None, Some(after));
            }
            (before, after) => file(&mut patch, &path, before, after),
        }
    }
    patch
}

fn is_link(file: &File) -> bool {
    file.mode == FileMode::Symlink
}

fn file(patch: &mut Vec<u8>, path: &[u8], old: Option<&File>, new: Option<&File>) {
    let line = |patch: &mut Vec<u8>, text: String| {
        patch.extend_from_slice(text.as_bytes());
        patch.push(b'\n');
    };
    let (a, b) = (name(b"a/", path), name(b"b/", path));
    patch.extend_from_slice(b"diff --git ");
    patch.extend([a.as_slice(), b" ", &b, b"\n"].concat());
    let mode = |file: &File| format!("{:06o}", file.mode.number());
    let mut kept_mode = String::new();
    match (old, new) {
        (Some(old), Some(new)) if old.mode != new.mode => {
            line(patch, format!("old mode {}", mode(old)));
            line(patch, format!("new mode {}", mode(new)));
        }
        (Some(old), Some(_)) => kept_mode = format!(" {}", mode(old)),
        (None, Some(new)) => line(patch, format!("new file mode {}", mode(new))),
        (Some(old), None) => line(patch, format!("deleted file mode {}", mode(old))),
        (None, None) => {}
    }
    let blob = |file: Option<&File>| file.map_or_else(|| NOTHING.to_owned(), File::blob);
    let (before, after) = (blob(old), blob(new));
    if before == after {
        return;
    }
    line(patch, format!("index {before}..{after}{kept_mode}"));
    let content = |file: Option<&File>| file.map(|file| file.content.to_vec()).unwrap_or_default();
    let (before, after) = (content(old), content(new));
    if before.is_empty() && after.is_empty() {
        return;
    }
    if before.contains(&0) || after.contains(&0) {
        line(patch, "GIT binary patch".to_owned());
        literal(patch, &after);
        literal(patch, &before);
        return;
    }
    let side = |name: &[u8], there: bool| {
        if !there {
            return b"/dev/null".to_vec();
        }
        // A name with a space is ended by a tab, so that readers see where.
        let end: &[u8] = if name.contains(&b' ') { b"\t" } else { b"" };
        [name, end].concat()
    };
    patch.extend([b"--- ", side(&a, old.is_some()).as_slice(), b"\n"].concat());
    patch.extend([b"+++ ", side(&b, new.is_some()).as_slice(), b"\n"].concat());
    let (from, to) = (lines(&before), lines(&after));
    line(
        patch,
        format!("@@ -{} +{} @@", range(from.len()), range(to.len())),
    );
    side_of_hunk(patch, b'-', &from);
    side_of_hunk(patch, b'+', &to);
}

fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

fn range(count: usize) -> String {
    match count {
        0 => "0,0".to_owned(),
        1 => "1".to_owned(),
        count => format!("1,{count}"),
    }
}

fn side_of_hunk(patch: &mut Vec<u8>, sign: u8, lines: &[&[u8]]) {
    for line in lines {
        patch.push(sign);
        patch.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            patch.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    }
}

/// Quotes a name as git does with `core.quotePath=false`.
fn name(prefix: &[u8], path: &[u8]) -> Vec<u8> {
    let whole = [prefix, path].concat();
    if !whole
        .iter()
        .any(|byte| matches!(byte, 0..=31 | 127 | b'"' | b'\\'))
    {
        return whole;
    }
    let mut quoted = vec![b'"'];
    for byte in whole {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\t' => quoted.extend(b"\\t"),
            0..=31 | 127 => quoted.extend(format!("\\{byte:03o}").into_bytes()),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

/// Writes one direction of a binary change: deflated, in git's base 85.
fn literal(patch: &mut Vec<u8>, content: &[u8]) {
    patch.extend_from_slice(format!("literal {}\n", content.len()).as_bytes());
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(content, 6);
    for line in packed.chunks(52) {
        let length = u8::try_from(line.len()).unwrap_or(52);
        patch.push(if length <= 26 {
            b'A' + length - 1
        } else {
            b'a' + length - 27
        });
        for group in line.chunks(4) {
            let mut padded = [0_u8; 4];
            padded
                .iter_mut()
                .zip(group)
                .for_each(|(to, from)| *to = *from);
            let mut value = u32::from_be_bytes(padded);
            let mut digits = [0_u8; 5];
            for digit in digits.iter_mut().rev() {
                let index = usize::try_from(value % 85).unwrap_or(0);
                *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
                value /= 85;
            }
            patch.extend_from_slice(&digits);
        }
        patch.push(b'\n');
    }
    patch.push(b'\n');
}

const ALPHABET: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::patch::PatchLimits;
    use crate::patch::parse;

    fn content() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'\r')], 0..12),
            proptest::collection::vec(any::<u8>(), 0..120),
        ]
    }

    fn tree() -> impl Strategy<Value = Files> {
        let file = (content(), any::<bool>());
        proptest::collection::btree_map("[a-c é\"\t]{1,3}", file, 0..4).prop_map(|files| {
            let mut tree = Files::default();
            for (path, (content, executable)) in files {
                let mode = if executable {
                    FileMode::Executable
                } else {
                    FileMode::Regular
                };
                tree.put(path.as_bytes(), mode, &content);
            }
            tree
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_makes_the_new_tree(old in tree(), new in tree()) {
            let patch = diff(&old, &new);
            let parsed = parse(&patch, &PatchLimits::default());
            let parsed = parsed.map_err(|refusal| {
                TestCaseError::fail(format!("{refusal}: {}", String::from_utf8_lossy(&patch)))
            })?;
            let made = crate::memory::repository::session::applied(&old, &parsed);
            prop_assert_eq!(made.expect("it was made on this tree"), new);
        }
    }
}
