//! Git's delta instructions: copy from the old content, insert new bytes.

/// The sizes a delta announces, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) source: u64,
    pub(super) result: u64,
}

#[derive(Debug)]
enum Instruction<'a> {
    Copy { offset: u64, length: u64 },
    Insert(&'a [u8]),
}

/// Reads the two announced sizes.
pub(super) fn sizes(delta: &[u8]) -> Option<Sizes> {
    let (source, rest) = size(delta)?;
    let (result, _) = size(rest)?;
    Some(Sizes { source, result })
}

/// Says whether every copy lies inside the source and the result has exactly the announced size.
pub(super) fn is_well_formed(delta: &[u8]) -> bool {
    let Some((sizes, mut rest)) = header(delta) else {
        return false;
    };
    let mut made = 0_u64;
    while !rest.is_empty() {
        let Some((instruction, after)) = instruction(rest) else {
            return false;
        };
        rest = after;
        made = made.saturating_add(match instruction {
            Instruction::Copy { offset, length } if offset + length <= sizes.source => length,
            Instruction::Copy { .. } => return false,
            Instruction::Insert(bytes) => bytes.len() as u64,
        });
        if made > sizes.result {
            return false;
        }
    }
    made == sizes.result
}

/// Returns what a well-formed delta inserts.
pub(super) fn inserts(delta: &[u8]) -> Vec<&[u8]> {
    let mut inserted = Vec::new();
    let Some((_, mut rest)) = header(delta) else {
        return inserted;
    };
    while let Some((instruction, after)) = instruction(rest) {
        rest = after;
        if let Instruction::Insert(bytes) = instruction {
            inserted.push(bytes);
        }
    }
    inserted
}

/// Returns what a delta makes of its source; `None` where the two do not fit together.
pub(super) fn applied(source: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let (sizes, mut rest) = header(delta)?;
    if !is_well_formed(delta) || usize::try_from(sizes.source) != Ok(source.len()) {
        return None;
    }
    let mut made = Vec::new();
    while let Some((instruction, after)) = instruction(rest) {
        rest = after;
        match instruction {
            Instruction::Insert(bytes) => made.extend_from_slice(bytes),
            Instruction::Copy { offset, length } => {
                let start = usize::try_from(offset).ok()?;
                let end = start.checked_add(usize::try_from(length).ok()?)?;
                made.extend_from_slice(source.get(start..end)?);
            }
        }
    }
    Some(made)
}

fn header(delta: &[u8]) -> Option<(Sizes, &[u8])> {
    let (source, rest) = size(delta)?;
    let (result, rest) = size(rest)?;
    Some((Sizes { source, result }, rest))
}

fn size(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut rest = bytes;
    // Seven bits at a time, the lowest first; five bytes hold more than any accepted file has.
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

fn instruction(bytes: &[u8]) -> Option<(Instruction<'_>, &[u8])> {
    let (op, mut rest) = bytes.split_first()?;
    if *op == 0 {
        return None;
    }
    if op & 0x80 == 0 {
        let (inserted, rest) = rest.split_at_checked(usize::from(*op))?;
        return Some((Instruction::Insert(inserted), rest));
    }
    let mut field = |first_bit: u8, bytes: u8| {
        let mut value = 0_u64;
        for index in 0..bytes {
            if op & (1 << (first_bit + index)) != 0 {
                let (byte, after) = rest.split_first()?;
                rest = after;
                value |= u64::from(*byte) << (8 * index);
            }
        }
        Some(value)
    };
    let offset = field(0, 4)?;
    let length = match field(4, 3)? {
        0 => 0x1_0000,
        length => length,
    };
    Some((Instruction::Copy { offset, length }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::applied;
    use super::inserts;
    use super::is_well_formed;
    use super::sizes;

    #[test]
    fn a_delta_is_applied_to_the_source_it_names_only() {
        let copy_two_insert_one = [4, 3, 0b1001_0001, 1, 2, 1, b'x'];
        assert_eq!(
            applied(b"abcd", &copy_two_insert_one).as_deref(),
            Some(&b"bcx"[..])
        );
        assert_eq!(applied(b"abcde", &copy_two_insert_one), None);
        assert_eq!(applied(b"abcd", &[4, 9, 0b1001_0000, 2]), None);
    }

    #[test]
    fn a_delta_must_make_exactly_what_it_says() {
        let copy_two_insert_one = [4, 3, 0b1001_0000, 2, 1, b'x'];
        assert!(is_well_formed(&copy_two_insert_one));
        assert_eq!(inserts(&copy_two_insert_one), [b"x"]);
        assert_eq!(sizes(&copy_two_insert_one).unwrap().result, 3);

        let says_more = [4, 4, 0b1001_0000, 2, 1, b'x'];
        assert!(!is_well_formed(&says_more));
        let copies_past_the_end = [4, 3, 0b1001_0001, 3, 2, 1, b'x'];
        assert!(!is_well_formed(&copies_past_the_end));
        let cut_off = [4, 3, 0b1001_0000, 2, 2, b'x'];
        assert!(!is_well_formed(&cut_off));
        let reserved = [4, 0, 0];
        assert!(!is_well_formed(&reserved));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(delta in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (sizes(&delta).is_some(), is_well_formed(&delta), inserts(&delta).len());
        }
    }
}
