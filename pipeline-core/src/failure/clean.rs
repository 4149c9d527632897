//! One raw line to the text a person would have seen, and the section it stands in.

use memchr::memchr2;
use memchr::memmem;
use memchr::memrchr;

/// How much of a line is looked at, in bytes; of a longer one, its head and its tail.
pub(crate) const LINE_CAP: usize = 4096;
const TAIL_OF_LONG_LINE: usize = 1024;
const ESC: u8 = 0x1b;

/// The part of a job a line belongs to, as far as the runner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Section {
    /// The runner said nothing.
    #[default]
    Unmarked,
    /// Machine, container or pod are being made ready.
    Prepare,
    /// Sources, caches and artifacts are being fetched.
    Sources,
    /// The job's own commands.
    Script,
    /// What runs after the verdict: clean-up, uploads.
    After,
}

impl Section {
    fn of_name(name: &[u8]) -> Self {
        match name {
            b"prepare_executor" | b"prepare_script" | b"resolve_secrets" => Self::Prepare,
            b"get_sources" | b"restore_cache" | b"download_artifacts" => Self::Sources,
            b"step_script" | b"build_script" | b"release" => Self::Script,
            _ if [
                b"after_script".as_slice(),
                b"archive_cache",
                b"upload_artifacts",
                b"cleanup",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix)) =>
            {
                Self::After
            }
            _ => Self::Unmarked,
        }
    }
}

/// What the marks of a line say beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks {
    /// The runner itself calls this line an error.
    pub(crate) error: bool,
    /// A new command begins here.
    pub(crate) command: bool,
}

/// Cleans line after line, with one buffer.
#[derive(Debug, Default)]
pub(crate) struct Cleaner {
    buffer: Vec<u8>,
    section: Section,
}

impl Cleaner {
    pub(crate) fn section(&self) -> Section {
        self.section
    }

    /// Returns the visible text of `raw` (one line without its `\n`).
    pub(crate) fn clean<'a>(&'a mut self, raw: &'a [u8]) -> (&'a [u8], Marks) {
        let mut line = strip_timestamp(raw);
        if line.len() > LINE_CAP || memchr2(ESC, b'\r', line).is_some() {
            line = self.rewrite(line);
        }
        let mut marks = Marks::default();
        let line = strip_prefixes(line, &mut marks);
        (line, marks)
    }

    fn rewrite(&mut self, raw: &[u8]) -> &[u8] {
        self.buffer.clear();
        let mut line = raw;
        while let Some((b'\r', rest)) = line.split_last() {
            line = rest;
        }
        if let Some(at) = memmem::find(&line[..line.len().min(LINE_CAP)], b"section_") {
            self.note_sections(&line[at..line.len().min(at + LINE_CAP)]);
        }
        if let Some(at) = memrchr(b'\r', line) {
            // What a carriage return overwrote was progress; only the last state stayed visible.
            line = &line[at + 1..];
        }
        if line.len() > LINE_CAP {
            let (head, tail) = (
                &line[..LINE_CAP - TAIL_OF_LONG_LINE],
                &line[line.len() - TAIL_OF_LONG_LINE..],
            );
            push_visible(&mut self.buffer, head);
            self.buffer.extend_from_slice(" … ".as_bytes());
            push_visible(&mut self.buffer, tail);
        } else {
            push_visible(&mut self.buffer, line);
        }
        strip_timestamp(&self.buffer)
    }

    /// GitLab: `section_start:1716381826:step_script\r` and `section_end:…`.
    fn note_sections(&mut self, mut line: &[u8]) {
        while let Some(at) = memmem::find(line, b"section_") {
            line = &line[at + b"section_".len()..];
            let (starts, rest) = if let Some(rest) = line.strip_prefix(b"start:") {
                (true, rest)
            } else if let Some(rest) = line.strip_prefix(b"end:") {
                (false, rest)
            } else {
                continue;
            };
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let Some(name) = rest.get(digits..).and_then(|r| r.strip_prefix(b":")) else {
                continue;
            };
            let end = name
                .iter()
                .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')))
                .unwrap_or(name.len());
            let section = Section::of_name(&name[..end]);
            // A script may open own sections; those say nothing about the part of the job.
            if section != Section::Unmarked {
                self.section = if starts { section } else { Section::Unmarked };
            }
        }
    }
}

/// Appends `text` without escape sequences, backspaces and zero bytes.
fn push_visible(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr2(ESC, 0x08, text) {
        out.extend_from_slice(&text[..at]);
        if text[at] == 0x08 {
            text = &text[at + 1..];
            continue;
        }
        text = skip_escape(&text[at + 1..]);
    }
    out.extend_from_slice(text);
}

/// Skips the rest of an escape sequence whose `ESC` is already gone.
fn skip_escape(text: &[u8]) -> &[u8] {
    match text.first() {
        Some(b'[') => {
            let end = text[1..]
                .iter()
                .position(|b| (0x40..=0x7e).contains(b))
                .map_or(text.len(), |at| at + 2);
            &text[end..]
        }
        // Operating system commands (titles, links) end with BEL or with ESC \.
        Some(b']') => match memchr2(0x07, ESC, text) {
            Some(at) if text[at] == 0x07 => &text[at + 1..],
            Some(at) if text.get(at + 1) == Some(&b'\\') => &text[at + 2..],
            Some(at) => &text[at..],
            None => &[],
        },
        Some(b'(' | b')' | b'#' | b'%') => text.get(2..).unwrap_or(&[]),
        Some(_) => &text[1..],
        None => text,
    }
}

fn strip_prefixes<'a>(line: &'a [u8], marks: &mut Marks) -> &'a [u8] {
    let mut line = line;
    while let Some((b'\r' | b' ' | b'\t', rest)) = line.split_last() {
        line = rest;
    }
    match line.first() {
        Some(b'#') => strip_hash(line, marks),
        Some(b':') => strip_workflow_command(line, marks),
        Some(b'$') => {
            marks.command = line.get(1) == Some(&b' ');
            line
        }
        _ => line,
    }
}

/// GitHub writes `##[error]text`, BuildKit `#12 3.456 text`.
fn strip_hash<'a>(line: &'a [u8], marks: &mut Marks) -> &'a [u8] {
    if let Some(rest) = line.strip_prefix(b"##[") {
        let Some(end) = rest.iter().take(16).position(|b| *b == b']') else {
            return line;
        };
        let (word, text) = (&rest[..end], &rest[end + 1..]);
        marks.error = word == b"error";
        marks.command = word == b"group" && text.starts_with(b"Run ");
        return text;
    }
    let digits = line[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let Some((b' ', mut text)) = line[1 + digits..].split_first().map(|(b, t)| (*b, t)) else {
        return line;
    };
    if digits == 0 || digits > 4 {
        return line;
    }
    let seconds = text
        .iter()
        .take_while(|b| b.is_ascii_digit() || **b == b'.')
        .count();
    if seconds > 2 && text.get(seconds) == Some(&b' ') && text[..seconds].contains(&b'.') {
        text = &text[seconds + 1..];
    }
    text
}

/// GitHub: `::error file=a,line=1::text`.
fn strip_workflow_command<'a>(line: &'a [u8], marks: &mut Marks) -> &'a [u8] {
    for word in [b"::error".as_slice(), b"::warning", b"::notice"] {
        let Some(rest) = line.strip_prefix(word) else {
            continue;
        };
        if let Some(at) = memmem::find(rest, b"::") {
            marks.error = word == b"::error";
            return &rest[at + 2..];
        }
    }
    line
}

/// Drops a leading time: RFC 3339 with or without brackets, `[12:30:01]`, and GitLab's stream mark.
fn strip_timestamp(line: &[u8]) -> &[u8] {
    match line.first() {
        Some(b) if b.is_ascii_digit() || *b == b'[' => {}
        // A byte order mark in front of the first line.
        Some(0xef) => {
            return line
                .strip_prefix(b"\xef\xbb\xbf")
                .map_or(line, strip_timestamp);
        }
        _ => return line,
    }
    let (bracket, text) = match line.strip_prefix(b"[") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let mut at = if shaped(text, b"dddd-dd-dd?dd:dd:dd") {
        19
    } else if bracket && shaped(text, b"dd:dd:dd") {
        8
    } else {
        return line;
    };
    if matches!(text.get(at), Some(b'.' | b',')) {
        at += 1 + digits_at(text, at + 1);
    }
    match text.get(at) {
        Some(b'Z') => at += 1,
        Some(b'+' | b'-') if digits_at(text, at + 1) >= 2 => {
            at += 3;
            at += usize::from(text.get(at) == Some(&b':'));
            at += digits_at(text, at);
        }
        _ => {}
    }
    if bracket {
        if text.get(at) != Some(&b']') {
            return line;
        }
        at += 1;
    }
    let rest = match text.get(at) {
        None => return &[],
        Some(b' ') => &text[at + 1..],
        Some(_) => return line,
    };
    strip_stream_mark(rest)
}

/// GitLab: `00O text`, or `00O+text` where the line goes on.
fn strip_stream_mark(text: &[u8]) -> &[u8] {
    match text {
        [a, b, b'O' | b'E', b' ' | b'+', rest @ ..]
            if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() =>
        {
            rest
        }
        _ => text,
    }
}

fn digits_at(text: &[u8], at: usize) -> usize {
    text.get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count()
}

/// Compares with a shape in which `d` is a digit and `?` is `T` or a space.
fn shaped(text: &[u8], shape: &[u8]) -> bool {
    text.len() >= shape.len()
        && text.iter().zip(shape).all(|(b, s)| match s {
            b'd' => b.is_ascii_digit(),
            b'?' => matches!(b, b'T' | b' '),
            s => b == s,
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(raw: &str) -> String {
        let mut cleaner = Cleaner::default();
        let (text, _) = cleaner.clean(raw.as_bytes());
        String::from_utf8_lossy(text).into_owned()
    }

    #[test]
    fn what_the_runner_added_goes_and_what_the_tool_said_stays() {
        for (raw, text) in [
            ("plain", "plain"),
            (
                "2024-05-22T12:43:46.962646Z 00O npm ERR! code E404",
                "npm ERR! code E404",
            ),
            (
                "2024-05-22T12:43:46.962646Z 01E+rest of a line",
                "rest of a line",
            ),
            ("2026-07-29T10:43:34.9052070Z ##[error]boom", "boom"),
            ("[2024-05-22 12:43:46,123] ERROR x", "ERROR x"),
            ("[12:43:46] Starting", "Starting"),
            ("2024-05-22T12:43:46+02:00 x", "x"),
            ("\u{1b}[31;1merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{7} end", "link end"),
            ("10%\r50%\r100%\r", "100%"),
            ("#12 3.456 cc1: fatal error", "cc1: fatal error"),
            ("#12 ERROR: process", "ERROR: process"),
            ("# 12 heading", "# 12 heading"),
            (
                "::error file=a.rs,line=3::mismatched types",
                "mismatched types",
            ),
            (
                "section_start:1716381826:step_script\r\u{1b}[0K\u{1b}[36;1mExecuting\u{1b}[0;m",
                "Executing",
            ),
            ("\u{feff}first", "first"),
            ("2024-05-22", "2024-05-22"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(cleaned(raw), text, "of {raw:?}");
        }
    }

    #[test]
    fn sections_follow_the_runners_marks() {
        let mut cleaner = Cleaner::default();
        cleaner.clean(b"section_start:1:get_sources\r\x1b[0KGetting source");
        assert_eq!(cleaner.section(), Section::Sources);
        cleaner.clean(b"section_start:2:my_own_fold\r\x1b[0Kmine");
        assert_eq!(cleaner.section(), Section::Sources);
        cleaner.clean(
            b"section_end:3:get_sources\r\x1b[0Ksection_start:3:step_script\r\x1b[0KExecuting",
        );
        assert_eq!(cleaner.section(), Section::Script);
        cleaner.clean(b"section_end:4:step_script\r\x1b[0K");
        assert_eq!(cleaner.section(), Section::Unmarked);
        cleaner.clean(b"section_start:5:upload_artifacts_on_failure\r\x1b[0KUploading");
        assert_eq!(cleaner.section(), Section::After);
    }

    #[test]
    fn a_long_line_keeps_its_head_and_its_tail() {
        let raw = format!("head {} tail", "x".repeat(100_000));
        let text = cleaned(&raw);
        assert!(text.len() <= LINE_CAP + 16);
        assert!(text.starts_with("head ") && text.ends_with(" tail"));
    }

    #[test]
    fn a_command_and_a_marked_error_are_seen() {
        let mut cleaner = Cleaner::default();
        assert!(cleaner.clean(b"\x1b[32;1m$ npm ci\x1b[0;m").1.command);
        assert!(cleaner.clean(b"##[group]Run cargo test").1.command);
        assert!(cleaner.clean(b"##[error]Process completed").1.error);
        assert!(!cleaner.clean(b"$HOME is set").1.command);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(raw in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let mut cleaner = Cleaner::default();
            let (text, _) = cleaner.clean(&raw);
            prop_assert!(text.len() <= LINE_CAP + 16);
        }

        #[test]
        fn no_mix_of_marks_makes_it_panic(raw in "(\\x1b\\[|\\r|section_start:|section_end:|1:|##\\[|::error|2024-05-22T12:43:46|Z |#1|[a-z\\[\\]:#. ]){0,40}") {
            Cleaner::default().clean(raw.as_bytes());
        }
    }
}
