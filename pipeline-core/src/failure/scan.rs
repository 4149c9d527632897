//! The one pass over a log: which rules match, where, amid which lines.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;

use super::clean::Cleaner;
use super::clean::Section;
use super::passing::fingerprint;
use super::request::LogAnalysisRequest;
use super::rule::Pick;
use super::rule::Rule;
use super::rule::Strength;
use super::rule::Subject;
use super::ruleset::Compiled;

/// How many lines before the current one are remembered.
const REMEMBERED: usize = 32;
/// How many bytes of a remembered or quoted line are kept.
const KEPT_BYTES: usize = 1024;
const QUOTED_BEFORE: usize = 2;
const QUOTED_AFTER: usize = 8;
/// How many matches may wait for their following lines at once.
const MOST_OPEN: usize = 16;
/// What the regex of one rule may read: at the start, and per byte of the log on top of it. Real logs
/// stay far below; a log made to be slow gets no further.
const FIRST_CREDIT: u64 = 32 << 10;
const CREDIT_SHIFT: u32 = 10;
/// How many of the lines skipped for lack of credit are kept, so that the end of a log is always read.
const MOST_SKIPPED: usize = 512;

/// A line that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) text: Vec<u8>,
}

/// A match.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// The line that names the cause.
    pub(crate) anchor: Line,
    /// The line the pattern matched, which may stand below the anchor.
    pub(crate) matched: Line,
    pub(crate) before: Vec<Line>,
    pub(crate) after: Vec<Line>,
    pub(crate) section: Section,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Slot {
    pub(crate) count: u64,
    pub(crate) first: Option<Hit>,
    pub(crate) last: Option<Hit>,
}

/// What a rule has cost so far, kept apart from what it found: every line looks at many of these.
#[derive(Debug, Default, Clone, Copy)]
struct Purse {
    /// The last line that holds a literal of the rule.
    stamp: u64,
    /// How many bytes its regex has read.
    spent: u64,
}

/// What the pass found.
#[derive(Debug)]
pub(crate) struct Findings {
    /// One slot per rule, in the order of the rules.
    pub(crate) slots: Vec<Slot>,
    /// The last lines that are not blank.
    pub(crate) tail: Vec<Line>,
    /// Where the command began that made the job fail, as far as the log shows it.
    pub(crate) failing_from: u64,
    /// Where it ended.
    pub(crate) failing_to: u64,
}

/// A line that some rules had no credit to look at.
#[derive(Debug, Default)]
struct Skipped {
    line: Line,
    section: Section,
    context: Arc<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    rule: usize,
    last: bool,
    missing: usize,
}

pub(crate) struct Scan<'a> {
    compiled: &'a Compiled,
    passing: Option<&'a HashSet<u64>>,
    cleaner: Cleaner,
    slots: Vec<Slot>,
    recent: VecDeque<Line>,
    open: Vec<Open>,
    /// The rules whose literal the current line holds and that can pay for reading it.
    asked: Vec<u16>,
    purses: Vec<Purse>,
    /// The job and the stage, then the current command.
    context: Arc<[u8]>,
    job_context: usize,
    line: u64,
    bytes: u64,
    command_from: u64,
    failing: Option<(u64, u64)>,
    script_end: Option<u64>,
    skipped: VecDeque<Skipped>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        compiled: &'a Compiled,
        passing: Option<&'a HashSet<u64>>,
        request: &LogAnalysisRequest,
    ) -> Self {
        let mut context = Vec::new();
        for name in [&request.job, &request.stage].into_iter().flatten() {
            context.extend_from_slice(&name.as_bytes()[..name.len().min(KEPT_BYTES)]);
            context.push(b'\n');
        }
        Self {
            compiled,
            passing,
            job_context: context.len(),
            context: context.into(),
            cleaner: Cleaner::default(),
            slots: vec![Slot::default(); compiled.rules.len()],
            recent: VecDeque::with_capacity(REMEMBERED),
            open: Vec::new(),
            asked: Vec::new(),
            purses: vec![Purse::default(); compiled.rules.len()],
            line: 0,
            bytes: 0,
            command_from: 0,
            failing: None,
            script_end: None,
            skipped: VecDeque::new(),
        }
    }

    /// Takes the next line, without its `\n`.
    pub(crate) fn line(&mut self, raw: &[u8]) {
        self.line += 1;
        self.bytes += raw.len() as u64 + 1;
        if raw.is_empty() {
            return;
        }
        let mut cleaner = std::mem::take(&mut self.cleaner);
        let before = cleaner.section();
        let (text, marks) = cleaner.clean(raw);
        let text = text.trim_ascii_end();
        if marks.command && before != Section::After {
            self.command_from = self.line;
            let job = self.context.get(..self.job_context).unwrap_or_default();
            self.context = [job, &text[..text.len().min(KEPT_BYTES)]].concat().into();
        }
        if !text.is_empty() {
            self.continue_open(text);
            self.look(text, before);
            self.remember(text);
        }
        if marks.error && self.failing.is_none() {
            // Steps that run after a failed one bring their own commands and errors.
            self.failing = Some((self.command_from, self.line));
        }
        let after = cleaner.section();
        if after != before && (before == Section::Script || after == Section::After) {
            self.script_end.get_or_insert(self.line);
        }
        self.cleaner = cleaner;
    }

    pub(crate) fn finish(mut self) -> Findings {
        self.look_at_skipped();
        let (failing_from, failing_to) = self
            .failing
            .unwrap_or((self.command_from, self.script_end.unwrap_or(u64::MAX)));
        Findings {
            slots: self.slots,
            tail: self.recent.into_iter().collect(),
            failing_from,
            failing_to,
        }
    }

    fn look(&mut self, text: &[u8], section: Section) {
        let credit = FIRST_CREDIT + (self.bytes >> CREDIT_SHIFT);
        let skipped = self.collect(text, credit);
        let asked = std::mem::take(&mut self.asked);
        for number in &asked {
            if let Some(purse) = self.purses.get_mut(usize::from(*number)) {
                purse.spent += text.len() as u64;
            }
            if self.ask(*number, text, section) {
                break;
            }
        }
        self.asked = asked;
        if skipped {
            self.skip(text, section);
        }
    }

    /// Collects in `asked`, in their order, the rules whose literal the line holds; answers whether one
    /// of them has no credit left and was passed over.
    fn collect(&mut self, text: &[u8], credit: u64) -> bool {
        let mut skipped = false;
        self.asked.clear();
        let (line, length) = (self.line, text.len() as u64);
        let (purses, asked) = (&mut self.purses, &mut self.asked);
        self.compiled.for_each_asked(text, |rule| {
            if let Some(purse) = purses.get_mut(usize::from(rule))
                && purse.stamp != line
            {
                purse.stamp = line;
                if purse.spent + length > credit {
                    skipped = true;
                } else {
                    asked.push(rule);
                }
            }
        });
        self.asked.sort_unstable();
        skipped
    }

    /// Answers whether a rule takes the line.
    fn ask(&mut self, number: u16, text: &[u8], section: Section) -> bool {
        let number = usize::from(number);
        let Some(rule) = self.compiled.rules.get(number) else {
            return false;
        };
        rule.command
            .as_ref()
            .is_none_or(|command| command.is_match(&self.context))
            && rule.matches(text)
            && self.note(number, rule, text, section)
    }

    fn skip(&mut self, text: &[u8], section: Section) {
        let mut skipped = if self.skipped.len() == MOST_SKIPPED {
            self.skipped.pop_front().unwrap_or_default()
        } else {
            Skipped::default()
        };
        skipped.line.keep(self.line, text);
        skipped.section = section;
        if !Arc::ptr_eq(&skipped.context, &self.context) {
            skipped.context = Arc::clone(&self.context);
        }
        self.skipped.push_back(skipped);
    }

    /// Reads the last of the skipped lines after all.
    fn look_at_skipped(&mut self) {
        let (line, recent) = (self.line, std::mem::take(&mut self.recent));
        for skipped in std::mem::take(&mut self.skipped) {
            self.line = skipped.line.number;
            self.context = skipped.context;
            self.purses.fill(Purse::default());
            self.collect(&skipped.line.text, u64::MAX);
            for number in std::mem::take(&mut self.asked) {
                if self.ask(number, &skipped.line.text, skipped.section) {
                    break;
                }
            }
            self.open.clear();
        }
        self.line = line;
        self.recent = recent;
    }

    /// Notes a match; answers whether the line is taken.
    fn note(&mut self, number: usize, rule: &Rule, text: &[u8], section: Section) -> bool {
        if let Some(passing) = self.passing
            && rule.strength != Strength::Final
            && passing.contains(&fingerprint(text))
        {
            return true;
        }
        let Some(slot) = self.slots.get_mut(number) else {
            return false;
        };
        let keeps_last = rule.pick == Pick::Last;
        if let Some(first) = &slot.first
            && !keeps_last
            && !rule.requires_above
            && first.matched.number > self.command_from
        {
            // The first match in a command is the one that counts; more of them only add up.
            slot.count += 1;
            return true;
        }
        let matched = kept(self.line, text);
        let mut anchor = matched.clone();
        let mut before: Vec<Line> = Vec::new();
        if let Some((above, within)) = &rule.above
            && let Some(at) = self
                .recent
                .iter()
                .rev()
                .take(*within)
                .position(|line| above.is_match(&line.text))
        {
            let at = self.recent.len() - 1 - at;
            anchor = self.recent.get(at).cloned().unwrap_or_default();
            before.extend(
                self.recent
                    .iter()
                    .skip(at.saturating_sub(QUOTED_BEFORE))
                    .cloned(),
            );
            before.retain(|line| line.number != anchor.number);
            before.truncate(QUOTED_AFTER);
        } else if rule.requires_above {
            return false;
        } else {
            let skip = self.recent.len().saturating_sub(QUOTED_BEFORE);
            before.extend(self.recent.iter().skip(skip).cloned());
        }
        let hit = Hit {
            anchor,
            matched,
            before,
            after: Vec::new(),
            section,
        };
        let Some(slot) = self.slots.get_mut(number) else {
            return false;
        };
        slot.count += 1;
        let last = slot.first.is_some();
        if last {
            slot.last = Some(hit);
        } else {
            slot.first = Some(hit);
        }
        self.open
            .retain(|open| open.rule != number || open.last != last);
        if self.open.len() == MOST_OPEN {
            self.open.remove(0);
        }
        self.open.push(Open {
            rule: number,
            last,
            missing: QUOTED_AFTER,
        });
        true
    }

    fn continue_open(&mut self, text: &[u8]) {
        if self.open.is_empty() {
            return;
        }
        let line = kept(self.line, text);
        for open in &mut self.open {
            open.missing -= 1;
            if let Some(slot) = self.slots.get_mut(open.rule)
                && let Some(hit) = if open.last {
                    slot.last.as_mut()
                } else {
                    slot.first.as_mut()
                }
            {
                hit.after.push(line.clone());
            }
        }
        self.open.retain(|open| open.missing > 0);
    }

    fn remember(&mut self, text: &[u8]) {
        let mut line = if self.recent.len() == REMEMBERED {
            self.recent.pop_front().unwrap_or_default()
        } else {
            Line::default()
        };
        line.number = self.line;
        line.text.clear();
        line.text
            .extend_from_slice(&text[..text.len().min(KEPT_BYTES)]);
        self.recent.push_back(line);
    }
}

impl Line {
    /// Becomes another line, in the same memory.
    fn keep(&mut self, number: u64, text: &[u8]) {
        self.number = number;
        self.text.clear();
        self.text
            .extend_from_slice(&text[..text.len().min(KEPT_BYTES)]);
    }
}

fn kept(number: u64, text: &[u8]) -> Line {
    let mut line = Line::default();
    line.keep(number, text);
    line
}

/// Returns the hit of each rule that looks at a fact instead of a line.
pub(crate) fn look_at_fact(
    compiled: &Compiled,
    findings: &mut Findings,
    subject: Subject,
    fact: &str,
) {
    let taker = compiled
        .rules
        .iter()
        .position(|rule| rule.subject == subject && rule.matches(fact.as_bytes()));
    if let Some(slot) = taker.and_then(|number| findings.slots.get_mut(number)) {
        let line = kept(0, fact.as_bytes());
        slot.count += 1;
        slot.first = Some(Hit {
            anchor: line.clone(),
            matched: line,
            before: Vec::new(),
            after: Vec::new(),
            section: Section::Unmarked,
        });
    }
}
