//! What git answers, read from bytes.

use std::collections::BTreeMap;

use crate::object::Mode;
use crate::oid::Oid;

/// Reads `git ls-files --stage -z`; `None` when a line is malformed or a path is unmerged.
pub(crate) fn staged(listed: &[u8]) -> Option<BTreeMap<Vec<u8>, (Mode, Oid)>> {
    let mut entries = BTreeMap::new();
    for record in listed
        .split(|b| *b == 0)
        .filter(|record| !record.is_empty())
    {
        let tab = record.iter().position(|b| *b == b'\t')?;
        let (head, path) = record.split_at(tab);
        let mut words = head.split(|b| *b == b' ');
        let mode = Mode::parse(words.next()?)?;
        let oid = Oid::from_hex(words.next()?)?;
        if words.next() != Some(b"0") || words.next().is_some() {
            return None;
        }
        entries.insert(path.get(1..)?.to_vec(), (mode, oid));
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_entries_are_read_and_unmerged_ones_refused() {
        let line = b"100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 0\ta\tb\n\0";
        let read = staged(line).expect("well formed");
        assert_eq!(read.keys().collect::<Vec<_>>(), [b"a\tb\n"]);
        let unmerged = b"100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 2\ta\0";
        assert_eq!(staged(unmerged), None);
        for cut in 1..line.len() - 5 {
            assert_eq!(staged(&line[..cut]), None, "{cut}");
        }
    }
}
