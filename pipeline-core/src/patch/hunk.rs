//! The changed regions of a text file.

use super::lines::Lines;
use super::refusal::PatchRefusal;

/// A run of lines on one side of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LineRange {
    /// The first line, counted from 1; where `count` is 0, the line before the gap (0 at the top).
    pub start: u32,
    /// The number of lines.
    pub count: u32,
}

impl LineRange {
    /// Returns the line at which the range begins, or before which it would begin were it not empty.
    fn position(self) -> u64 {
        u64::from(self.start) + u64::from(self.count == 0)
    }

    /// Returns the line after the range.
    fn end(self) -> u64 {
        self.position() + u64::from(self.count)
    }
}

/// What a line of a hunk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// Stands on both sides.
    Context,
    /// Stands on the new side only.
    Added,
    /// Stands on the old side only.
    Removed,
}

/// One line of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// What the line does.
    pub kind: LineKind,
    /// Its number on the old side; for an added line, that of the line it stands before.
    pub old_line: u32,
    /// Its number on the new side; for a removed line, that of the line it stood before.
    pub new_line: u32,
    /// The text without its line feed; a carriage return stays.
    pub text: &'a [u8],
}

/// One changed region of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hunk<'a> {
    /// The lines before the change.
    pub old: LineRange,
    /// The lines after the change.
    pub new: LineRange,
    /// What git found to be the heading of the region; text from the file, perhaps empty.
    pub heading: &'a [u8],
    body: &'a [u8],
}

impl<'a> Hunk<'a> {
    /// Returns the lines in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let mut lines = Lines::new(self.body);
        let mut old_line = u32::try_from(self.old.position()).unwrap_or(u32::MAX);
        let mut new_line = u32::try_from(self.new.position()).unwrap_or(u32::MAX);
        std::iter::from_fn(move || {
            loop {
                let (sign, text) = lines.next()?.split_first()?;
                let kind = match sign {
                    b'+' => LineKind::Added,
                    b'-' => LineKind::Removed,
                    b' ' => LineKind::Context,
                    _ => continue,
                };
                let line = Line {
                    kind,
                    old_line,
                    new_line,
                    text,
                };
                if kind != LineKind::Added {
                    old_line = old_line.saturating_add(1);
                }
                if kind != LineKind::Removed {
                    new_line = new_line.saturating_add(1);
                }
                return Some(line);
            }
        })
    }

    /// Returns the added lines.
    pub fn added(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.lines().filter(|line| line.kind == LineKind::Added)
    }

    /// Returns the removed lines.
    pub fn removed(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.lines().filter(|line| line.kind == LineKind::Removed)
    }
}

const NO_NEWLINE: &[u8] = b"\\ No newline at end of file";

/// Reads hunks until a line that starts none.
///
/// Their counts, their order and the place of the "no newline" marks must be consistent, as git would else
/// be free to read something different.
pub(super) fn read<'a>(lines: &mut Lines<'a>) -> Result<Vec<Hunk<'a>>, PatchRefusal> {
    let mut hunks: Vec<Hunk<'a>> = Vec::new();
    let mut at_end = EndOfFile::default();
    while let Some(rest) = lines.take(b"@@ ") {
        let (old, new, heading) =
            ranges(rest).ok_or_else(|| lines.malformed("this is no hunk header"))?;
        if old.count == 0 && new.count == 0 {
            return Err(lines.malformed("this hunk is empty"));
        }
        let (old_end, new_end) = hunks
            .last()
            .map_or((1, 1), |before| (before.old.end(), before.new.end()));
        let gap = old.position().checked_sub(old_end);
        if gap.is_none() || gap != new.position().checked_sub(new_end) {
            return Err(lines.malformed("this hunk is out of place"));
        }
        let start = lines.offset();
        body(lines, old.count, new.count, &mut at_end)?;
        hunks.push(Hunk {
            old,
            new,
            heading,
            body: lines.since(start),
        });
    }
    Ok(hunks)
}

/// Which sides have shown their last line.
#[derive(Debug, Default)]
struct EndOfFile {
    old: bool,
    new: bool,
}

fn body(
    lines: &mut Lines<'_>,
    mut old_left: u32,
    mut new_left: u32,
    at_end: &mut EndOfFile,
) -> Result<(), PatchRefusal> {
    const OVERFULL: &str = "the hunk has more lines than its header says";
    const BEHIND_END: &str = "a line follows the end of the file";
    let mut last = None;
    while old_left > 0 || new_left > 0 || lines.peek().is_some_and(|line| line.starts_with(b"\\")) {
        let line = lines
            .next()
            .ok_or_else(|| lines.malformed_next("the hunk is cut off"))?;
        let sign = line.first().copied();
        let (in_old, in_new) = match sign {
            Some(b' ') => (true, true),
            Some(b'-') => (true, false),
            Some(b'+') => (false, true),
            Some(b'\\') => {
                let (old, new) = match last.take() {
                    Some(b' ') => (true, true),
                    Some(b'-') => (true, false),
                    Some(b'+') => (false, true),
                    _ => return Err(lines.malformed("this mark follows no line")),
                };
                if line != NO_NEWLINE || (old && old_left > 0) || (new && new_left > 0) {
                    return Err(lines.malformed("this is no end-of-file mark"));
                }
                at_end.old |= old;
                at_end.new |= new;
                continue;
            }
            _ => return Err(lines.malformed("this is no line of a hunk")),
        };
        if (in_old && at_end.old) || (in_new && at_end.new) {
            return Err(lines.malformed(BEHIND_END));
        }
        if in_old {
            old_left = old_left
                .checked_sub(1)
                .ok_or_else(|| lines.malformed(OVERFULL))?;
        }
        if in_new {
            new_left = new_left
                .checked_sub(1)
                .ok_or_else(|| lines.malformed(OVERFULL))?;
        }
        last = sign;
    }
    Ok(())
}

fn ranges(header: &[u8]) -> Option<(LineRange, LineRange, &[u8])> {
    let (old, rest) = range(header.strip_prefix(b"-")?)?;
    let (new, rest) = range(rest.strip_prefix(b" +")?)?;
    let heading = rest.strip_prefix(b" @@")?;
    if heading.is_empty() {
        return Some((old, new, heading));
    }
    Some((old, new, heading.strip_prefix(b" ")?))
}

fn range(text: &[u8]) -> Option<(LineRange, &[u8])> {
    let (start, rest) = number(text)?;
    let (count, rest) = match rest.strip_prefix(b",") {
        Some(rest) => number(rest)?,
        None => (1, rest),
    };
    if start == 0 && count > 0 {
        return None;
    }
    Some((LineRange { start, count }, rest))
}

fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    // Every number git writes for a file within the limits has fewer digits than would overflow.
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let value = digits
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some((value, rest))
}
