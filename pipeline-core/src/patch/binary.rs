//! Binary content: git's base 85 around zlib, whole or as a delta.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::DecompressorOxide;
use miniz_oxide::inflate::core::decompress;
use miniz_oxide::inflate::core::inflate_flags;

use super::delta;
use super::lines::Lines;
use super::path::RepoPath;
use super::refusal::PatchRefusal;

/// The change of a binary file: the way there and the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BinaryChange {
    /// Makes the new content.
    pub forward: BinaryPart,
    /// Makes the old content again.
    pub reverse: BinaryPart,
}

/// One direction of a binary change, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BinaryPart {
    /// Whole content or a delta.
    pub payload: BinaryPayload,
    /// The size of the file that it makes, in bytes.
    pub result_size: u64,
}

/// What a binary change carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BinaryPayload {
    /// The whole content.
    Literal(Vec<u8>),
    /// Copy and insert instructions in git's pack format, known to be well formed.
    Delta {
        /// The instructions.
        instructions: Vec<u8>,
        /// The size of the file they start from, in bytes.
        source_size: u64,
    },
}

impl BinaryPart {
    /// Returns the bytes that are new: the whole content, or what a delta inserts.
    #[must_use]
    pub fn new_bytes(&self) -> Vec<&[u8]> {
        match &self.payload {
            BinaryPayload::Literal(content) => vec![content],
            BinaryPayload::Delta { instructions, .. } => delta::inserts(instructions),
        }
    }
}

/// How many more bytes the patch may unpack to.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) left: u64,
    pub(super) limit: u64,
}

impl Budget {
    /// Takes `bytes` from the budget, or refuses the patch at `path`.
    pub(super) fn take(&mut self, bytes: u64, path: &RepoPath) -> Result<(), PatchRefusal> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| PatchRefusal::ExpandsTooFar {
                path: path.clone(),
                limit: self.limit,
            })?;
        Ok(())
    }
}

/// Reads both directions after the line `GIT binary patch`.
pub(super) fn read(
    lines: &mut Lines<'_>,
    path: &RepoPath,
    budget: &mut Budget,
) -> Result<BinaryChange, PatchRefusal> {
    let forward = part(lines, path, budget)?;
    let reverse = part(lines, path, budget)?;
    let source = |part: &BinaryPart| match part.payload {
        BinaryPayload::Literal(_) => None,
        BinaryPayload::Delta { source_size, .. } => Some(source_size),
    };
    if source(&forward).is_some_and(|size| size != reverse.result_size)
        || source(&reverse).is_some_and(|size| size != forward.result_size)
    {
        return Err(lines.malformed("the two directions of this binary change do not fit together"));
    }
    Ok(BinaryChange { forward, reverse })
}

fn part(
    lines: &mut Lines<'_>,
    path: &RepoPath,
    budget: &mut Budget,
) -> Result<BinaryPart, PatchRefusal> {
    let (is_delta, size) = if let Some(size) = lines.take(b"literal ") {
        (false, size)
    } else if let Some(size) = lines.take(b"delta ") {
        (true, size)
    } else {
        return Err(lines.malformed_next("binary content begins with `literal` or `delta`"));
    };
    let size = decimal(size).ok_or_else(|| lines.malformed("this is no size"))?;
    // Before anything is allocated: the announced size is the stranger's word.
    budget.take(size, path)?;

    let mut packed = Vec::new();
    loop {
        let line = lines
            .next()
            .ok_or_else(|| lines.malformed_next("the binary content is cut off"))?;
        if line.is_empty() {
            break;
        }
        decode(line, &mut packed).ok_or_else(|| lines.malformed("this is no base 85 line"))?;
    }
    let unpacked = inflate(&packed, size)
        .ok_or_else(|| lines.malformed("the binary content does not unpack to its size"))?;
    if !is_delta {
        return Ok(BinaryPart {
            payload: BinaryPayload::Literal(unpacked),
            result_size: size,
        });
    }
    let sizes = delta::sizes(&unpacked)
        .ok_or_else(|| lines.malformed("the delta does not say what it makes"))?;
    budget.take(sizes.result, path)?;
    if !delta::is_well_formed(&unpacked) {
        return Err(lines.malformed("the delta does not make what it says"));
    }
    let payload = BinaryPayload::Delta {
        instructions: unpacked,
        source_size: sizes.source,
    };
    Ok(BinaryPart {
        payload,
        result_size: sizes.result,
    })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |value: u64, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + u64::from(digit - b'0')),
        _ => None,
    })
}

/// Appends the bytes of one line: a length letter, then groups of five digits for four bytes.
fn decode(line: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let (length, digits) = line.split_first()?;
    let length = match length {
        b'A'..=b'Z' => usize::from(length - b'A') + 1,
        b'a'..=b'z' => usize::from(length - b'a') + 27,
        _ => return None,
    };
    if digits.len() != length.div_ceil(4) * 5 {
        return None;
    }
    let start = into.len();
    for group in digits.chunks_exact(5) {
        let value = group.iter().try_fold(0_u64, |value, digit| {
            Some(value * 85 + u64::from(digit_value(*digit)?))
        })?;
        into.extend_from_slice(&u32::try_from(value).ok()?.to_be_bytes());
    }
    into.truncate(start + length);
    Some(())
}

const DIGITS: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// The value of each byte as a digit, 85 for those that are none.
const VALUES: [u8; 256] = {
    let mut values = [85; 256];
    let mut digit = 0;
    while digit < 85 {
        values[DIGITS[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

fn digit_value(digit: u8) -> Option<u8> {
    VALUES
        .get(usize::from(digit))
        .copied()
        .filter(|value| *value < 85)
}

/// Unpacks a zlib stream that must be exactly `size` bytes long and have nothing behind it.
fn inflate(packed: &[u8], size: u64) -> Option<Vec<u8>> {
    // No deflate stream grows more than this, so a small one cannot make us allocate much.
    const LARGEST_RATIO: u64 = 1032;
    let packed_size = u64::try_from(packed.len()).ok()?;
    if size > packed_size.saturating_mul(LARGEST_RATIO) {
        return None;
    }
    let mut unpacked = vec![0; usize::try_from(size).ok()?];
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
        | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32;
    let mut state = Box::<DecompressorOxide>::default();
    let (status, read, written) = decompress(&mut state, packed, &mut unpacked, 0, flags);
    let complete = status == TINFLStatus::Done && read == packed.len() && written == unpacked.len();
    complete.then_some(unpacked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::decode;
    use super::inflate;

    #[test]
    fn the_empty_file_of_every_binary_patch_unpacks() {
        let mut packed = Vec::new();
        decode(b"HcmV?d00001", &mut packed).unwrap();
        assert_eq!(inflate(&packed, 0), Some(Vec::new()));
        assert_eq!(inflate(&packed, 1), None);
    }

    #[test]
    fn lines_of_the_wrong_length_or_alphabet_are_refused() {
        for wrong in [
            "", "A", "A0000", "A000000", "B\"0000", "A~~~~~", "100000", "Z00000",
        ] {
            assert!(
                decode(wrong.as_bytes(), &mut Vec::new()).is_none(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_stream_with_a_tail_is_refused() {
        let mut packed = miniz_oxide::deflate::compress_to_vec_zlib(b"hello", 6);
        assert_eq!(inflate(&packed, 5).unwrap(), b"hello");
        packed.push(0);
        assert_eq!(inflate(&packed, 5), None);
    }

    proptest! {
        #[test]
        fn arbitrary_streams_never_panic(packed in proptest::collection::vec(any::<u8>(), 0..200), size in 0_u64..10_000) {
            let fits = inflate(&packed, size).is_none_or(|unpacked| unpacked.len() as u64 == size);
            prop_assert!(fits);
        }
    }
}
