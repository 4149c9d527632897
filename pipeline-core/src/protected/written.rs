//! Protected operations in what a patch writes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use sha2::Digest as _;
use sha2::Sha256;

use super::compile::ClassPaths;
use super::compile::Comments;
use super::compile::Compiled;
use super::compile::TextPattern;
use super::compile::comparable;
use super::data::When;
use super::find::Accept;
use super::find::Finding;
use super::find::Setting;
use super::hold::Evidence;
use super::hold::Hold;
use super::hold::HoldReason;
use super::hold::ProtectedKind;
use super::hold::bounded;
use super::shell;
use super::sql;
use super::sql::Mode;
use crate::patch::Content;
use crate::patch::FilePatch;
use crate::patch::Hunk;
use crate::patch::LineKind;
use crate::patch::ParsedPatch;
use crate::patch::RepoPath;

type Rules = Compiled<ProtectedKind>;

/// More findings of one rule in one file are held together.
const MAX_LINES: usize = 50;

/// Finds what is held in the content of a patch.
pub(super) fn holds(rules: &Rules, patch: &ParsedPatch<'_>) -> Vec<Hold> {
    patch
        .files()
        .iter()
        .flat_map(|file| in_file(rules, file))
        .collect()
}

/// Returns a digest over several texts, in order.
pub(super) fn digest<'t>(texts: impl Iterator<Item = &'t [u8]>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text);
    }
    hex::encode(digest.finalize())
}

/// One finding in a file: which rule, on which line, in which reading of it.
#[derive(Debug)]
struct Found {
    rule: String,
    reason: HoldReason,
    line: u32,
    text: String,
    reading: Reading,
}

/// Some texts are read in two ways, each of which sees what the other misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    /// As what the file says it is: SQL, a shell script, lines.
    Native,
    /// As a program with statements and commands in its literals.
    Literals,
}

fn in_file(rules: &Rules, file: &FilePatch<'_>) -> Vec<Hold> {
    let path = comparable(file.path().as_bytes());
    let applicable = Applicable {
        comments: rules
            .comments
            .iter()
            .find(|comments| comments.files.contains(&path)),
        classes: rules
            .classes
            .iter()
            .filter(|class| class.lines.is_some() && class.paths.contains(&path))
            .collect(),
        is_sql: rules.in_any(&["sql".to_owned()], &path),
        is_script: rules.in_any(&["scripts".to_owned()], &path),
        is_prose: rules.in_any(&["prose".to_owned()], &path),
        path,
    };
    let mut found = Vec::new();
    match &file.content {
        Content::Unchanged => {}
        Content::Text(hunks) => {
            for hunk in hunks {
                let passage = Passage::of_hunk(hunk, &applicable, rules);
                in_passage(rules, &applicable, &passage, &mut found);
            }
        }
        Content::Binary(change) => {
            // A text file with one zero byte is binary to git, and runs as well as any other.
            for bytes in change.forward.new_bytes() {
                let passage = Passage::of_bytes(bytes);
                in_passage(rules, &applicable, &passage, &mut found);
            }
        }
    }
    found
        .retain(|found| !rules.is_excepted(&found.rule, Some(&applicable.path), Some(&found.text)));
    gathered(found, file.path())
}

/// Which rules look at a file.
struct Applicable<'r> {
    path: String,
    comments: Option<&'r Comments>,
    classes: Vec<&'r ClassPaths>,
    is_sql: bool,
    is_script: bool,
    is_prose: bool,
}

fn in_passage(rules: &Rules, file: &Applicable<'_>, passage: &Passage, found: &mut Vec<Found>) {
    for line in passage.lines.iter().filter(|line| line.is_added) {
        let text = passage.line_text(line);
        let fits = |class: &&&ClassPaths| {
            class
                .lines
                .as_ref()
                .is_some_and(|lines| lines.is_match(text))
        };
        found.extend(file.classes.iter().filter(fits).map(|class| Found {
            rule: class.name.clone(),
            reason: HoldReason::Class(class.class.clone()),
            line: line.number,
            text: bounded(text.trim()),
            reading: Reading::Native,
        }));
    }
    if file.is_prose {
        return;
    }
    statements(rules, file, passage, found);
    lines(rules, file, passage, found);
    commands(rules, file, passage, found);
}

fn applies(rules: &Rules, file: &Applicable<'_>, rule: &TextPattern<ProtectedKind>) -> bool {
    let in_files = rule.files.is_empty() || rules.in_any(&rule.files, &file.path);
    rule.when != When::Executed && in_files
}

fn statements(rules: &Rules, file: &Applicable<'_>, passage: &Passage, found: &mut Vec<Found>) {
    let applicable: Vec<_> = rules
        .statements
        .iter()
        .filter(|rule| applies(rules, file, rule))
        .collect();
    for (mode, reading) in [
        (Mode::Code, Reading::Literals),
        (Mode::Sql, Reading::Native),
    ] {
        if mode == Mode::Sql && !file.is_sql {
            continue;
        }
        for statement in sql::statements(&passage.text, mode) {
            let text = passage
                .text
                .get(statement.start..statement.end)
                .unwrap_or_default();
            let is_open = !text.trim_end().ends_with([';', '"', '\'', '`']);
            let changed = passage.changed_in(statement.start, statement.end, is_open);
            let Some(line) = changed else { continue };
            let rules = applicable
                .iter()
                .filter(|rule| !(rule.may_undo && line.undoes));
            for rule in rules.filter(|rule| rule.is_match(&statement.text)) {
                let words: Vec<&str> = text.split_whitespace().collect();
                found.push(Found {
                    rule: rule.name.clone(),
                    reason: HoldReason::Protected(rule.kind),
                    line: line.number,
                    text: bounded(words.join(" ").trim_end_matches(['"', '\'', '`', ';', ' '])),
                    reading,
                });
            }
        }
    }
}

fn lines(rules: &Rules, file: &Applicable<'_>, passage: &Passage, found: &mut Vec<Found>) {
    let applicable: Vec<_> = rules
        .lines
        .iter()
        .filter(|rule| applies(rules, file, rule))
        .collect();
    for line in passage.lines.iter().filter(|line| line.is_added) {
        let text = passage.line_text(line);
        let rules = applicable
            .iter()
            .filter(|rule| !(rule.may_undo && line.undoes));
        found.extend(rules.filter(|rule| rule.is_match(text)).map(|rule| Found {
            rule: rule.name.clone(),
            reason: HoldReason::Protected(rule.kind),
            line: line.number,
            text: bounded(text.trim()),
            reading: Reading::Native,
        }));
    }
}

fn commands(rules: &Rules, file: &Applicable<'_>, passage: &Passage, found: &mut Vec<Found>) {
    let mut push = |findings: Vec<Finding<ProtectedKind>>, reading| {
        for finding in findings {
            if let Some(line) = passage.changed_in(finding.start, finding.end, false) {
                found.push(Found {
                    rule: finding.rule,
                    reason: HoldReason::Protected(finding.kind),
                    line: line.number,
                    text: bounded(&finding.text),
                    reading,
                });
            }
        }
    };
    let findings = rules.in_literals(&passage.text, Setting::Written, Accept::Positions);
    push(findings, Reading::Literals);
    if file.is_script {
        let reading = shell::read(&passage.text, &rules.wrappers);
        push(
            rules.in_commands(&reading.commands, Setting::Written),
            Reading::Native,
        );
    }
}

/// Makes holds of what was found in one file: each finding once, and very many together.
fn gathered(found: Vec<Found>, path: &RepoPath) -> Vec<Hold> {
    type Texts = BTreeMap<Reading, BTreeSet<String>>;
    let mut by_line: BTreeMap<(HoldReason, String, u32), Texts> = BTreeMap::new();
    for found in found {
        let texts = by_line
            .entry((found.reason, found.rule, found.line))
            .or_default();
        texts.entry(found.reading).or_default().insert(found.text);
    }
    let mut by_rule: BTreeMap<(HoldReason, String), BTreeMap<String, u32>> = BTreeMap::new();
    for ((reason, rule, line), readings) in by_line {
        // One command seen twice in slightly different words is one finding; the reading that tells more
        // apart is taken, the native one where both tell as many.
        let texts = readings
            .into_iter()
            .rev()
            .map(|(_, texts)| texts)
            .max_by_key(BTreeSet::len);
        let lines = by_rule.entry((reason, rule)).or_default();
        for text in texts.into_iter().flatten() {
            lines.entry(text).or_insert(line);
        }
    }
    let mut holds = Vec::new();
    for ((reason, rule), lines) in by_rule {
        if lines.len() > MAX_LINES {
            let evidence = Evidence::Lines {
                path: path.clone(),
                line: lines.values().min().copied().unwrap_or(0),
                count: u64::try_from(lines.len()).unwrap_or(u64::MAX),
                digest: digest(lines.keys().map(String::as_bytes)),
            };
            holds.push(Hold::new(reason, rule, evidence));
            continue;
        }
        for (text, line) in lines {
            let evidence = Evidence::Line {
                path: path.clone(),
                line,
                text,
            };
            holds.push(Hold::new(reason.clone(), rule.clone(), evidence));
        }
    }
    holds
}

/// A run of lines as they stand after the patch.
#[derive(Debug, Default)]
struct Passage {
    text: String,
    lines: Vec<PassageLine>,
}

#[derive(Debug)]
struct PassageLine {
    start: usize,
    end: usize,
    number: u32,
    is_added: bool,
    /// Whether lines were removed right behind this one.
    is_cut: bool,
    /// How many lines before this one are added.
    added_before: usize,
    /// Behind how many lines before this one lines were removed.
    cut_before: usize,
    /// Whether it stands in the part of a migration that undoes it.
    undoes: bool,
}

impl Passage {
    fn of_hunk(hunk: &Hunk<'_>, file: &Applicable<'_>, rules: &Rules) -> Self {
        let mut passage = Self::default();
        let undo = rules
            .undo
            .as_ref()
            .filter(|undo| undo.files.contains(&file.path));
        let heading = String::from_utf8_lossy(hunk.heading);
        let mut undoes = undo.is_some_and(|undo| undo.begins.is_match(&heading));
        let mut in_comment = false;
        for line in hunk.lines() {
            if line.kind == LineKind::Removed {
                if let Some(before) = passage.lines.last_mut() {
                    before.is_cut = true;
                }
                continue;
            }
            let text = String::from_utf8_lossy(line.text);
            if let Some(undo) = undo {
                if undo.begins.is_match(&text) {
                    undoes = true;
                } else if undo.ends.is_match(&text) {
                    undoes = false;
                }
            }
            let is_comment = file
                .comments
                .is_some_and(|comments| is_comment(comments, &text, &mut in_comment));
            // A comment keeps its place as an empty line.
            let text = if is_comment {
                ""
            } else {
                text.trim_end_matches('\r')
            };
            passage.push(text, line.new_line, line.kind == LineKind::Added, undoes);
        }
        passage.count_changes();
        passage
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let mut passage = Self::default();
        // A zero byte ends a word for every reader that stops at it.
        let text = String::from_utf8_lossy(bytes).replace('\0', "\n");
        for (index, line) in text.lines().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            passage.push(line, number, true, false);
        }
        passage.count_changes();
        passage
    }

    fn count_changes(&mut self) {
        let (mut added, mut cut) = (0, 0);
        for line in &mut self.lines {
            (line.added_before, line.cut_before) = (added, cut);
            added += usize::from(line.is_added);
            cut += usize::from(line.is_cut);
        }
    }

    fn push(&mut self, text: &str, number: u32, is_added: bool, undoes: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        let end = self.text.len();
        self.text.push('\n');
        self.lines.push(PassageLine {
            start,
            end,
            number,
            is_added,
            is_cut: false,
            added_before: 0,
            cut_before: 0,
            undoes,
        });
    }

    fn line_text(&self, line: &PassageLine) -> &str {
        self.text.get(line.start..line.end).unwrap_or_default()
    }

    /// Returns the first line between two offsets, if anything between them is the patch's doing.
    ///
    /// Lines taken away inside the span count; behind its last line they count only if it `is_open`, so that
    /// they may have been its rest.
    fn changed_in(&self, start: usize, end: usize, is_open: bool) -> Option<&PassageLine> {
        let first = self.lines.partition_point(|line| line.end < start);
        let last = self
            .lines
            .partition_point(|line| line.start < end.max(start + 1))
            .checked_sub(1)?;
        // Counted, not looked through: many calls may stand in one long span.
        let (line, last_line) = (self.lines.get(first)?, self.lines.get(last)?);
        let added = last_line.added_before + usize::from(last_line.is_added) - line.added_before;
        let cut = last_line.cut_before + usize::from(last_line.is_cut && is_open) - line.cut_before;
        (added + cut > 0).then_some(line)
    }
}

/// Says whether a line is a comment as a whole. Behind code on the same line a comment is read as code.
fn is_comment(comments: &Comments, line: &str, in_block: &mut bool) -> bool {
    let line = line.trim_start();
    if *in_block {
        let Some(end) = line.find("*/") else {
            return true;
        };
        *in_block = false;
        return line.get(end + 2..).unwrap_or_default().trim().is_empty();
    }
    if comments
        .line
        .iter()
        .any(|mark| line.starts_with(mark.as_str()))
        && !line.starts_with("#!")
    {
        return true;
    }
    if comments.block
        && let Some(rest) = line.strip_prefix("/*")
    {
        return match rest.find("*/") {
            Some(end) => rest.get(end + 2..).unwrap_or_default().trim().is_empty(),
            None => {
                *in_block = true;
                true
            }
        };
    }
    false
}
