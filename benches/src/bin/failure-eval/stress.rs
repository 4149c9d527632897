//! Logs nobody would write: broken ones, and ones made to be slow.

use pipeline_core::failure::LogAnalysisRequest;
use pipeline_core::failure::LogAnalysisResult;
use pipeline_core::failure::RuleAnalyzer;
use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::corpus::LabelledLog;

/// A small generator; the same seed gives the same logs on every machine.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }
}

/// The processor time this thread has used, in seconds: what others run at the same time does not count.
pub(crate) fn own_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Returns a broken copy of one log, with pieces of another.
pub(crate) fn mutate(log: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const POISON: [&[u8]; 12] = [
        b"\x1b[",
        b"\x1b]8;;",
        b"\r\r\r",
        b"section_start:99999999999999999999:step_script\r",
        b"section_end:",
        b"##[error]",
        b"##[group]Run ",
        b"\xff\xfe\x00",
        "\u{202e}".as_bytes(),
        b"2026-01-01T00:00:00.000000Z 00O+",
        b"error[E0308]: ",
        b"$ ",
    ];
    let mut log = log.to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(log.len() + 1);
        match dice.below(7) {
            0 => log.truncate(at),
            1 => log
                .splice(at..at, POISON[dice.below(POISON.len())].iter().copied())
                .for_each(drop),
            2 => {
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(400)).min(other.len());
                log.splice(at..at, other[from..to].iter().copied())
                    .for_each(drop);
            }
            3 => {
                for _ in 0..8 {
                    let at = dice.below(log.len().max(1));
                    if let Some(byte) = log.get_mut(at) {
                        *byte = dice.next().to_le_bytes()[0];
                    }
                }
            }
            4 => log
                .drain(at..(at + dice.below(200)).min(log.len()))
                .for_each(drop),
            5 => {
                let byte = POISON[dice.below(POISON.len())][0];
                let run = vec![byte; dice.below(20_000)];
                log.splice(at..at, run).for_each(drop);
            }
            _ => log.retain(|byte| *byte != b'\n' || at.is_multiple_of(2)),
        }
    }
    log
}

/// Says what is wrong with an answer, whatever the log was.
pub(crate) fn broken(log: &[u8], result: &LogAnalysisResult) -> Option<String> {
    let lines = log.split(|byte| *byte == b'\n').count() as u64;
    if !(0.0..=1.0).contains(&result.confidence) {
        return Some(format!("the confidence is {}", result.confidence));
    }
    if result.summary.len() > 4096 || result.suggested_fix.len() > 8192 {
        return Some("the text is not bounded".to_owned());
    }
    for evidence in &result.evidence {
        if evidence.anchor > lines
            || evidence.first_line > evidence.anchor
            || evidence.last_line < evidence.anchor
            || evidence.text.len() > 20
        {
            return Some(format!(
                "the evidence {evidence:?} does not lie in {lines} lines"
            ));
        }
    }
    let shown =
        std::iter::once(&result.summary).chain(result.evidence.iter().flat_map(|e| &e.text));
    for text in shown {
        if text
            .chars()
            .any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
        {
            return Some(format!("the text {text:?} steers a terminal"));
        }
    }
    None
}

/// Analyses `count` broken logs; returns what was wrong, and the slowest in seconds per megabyte.
pub(crate) fn mutations(
    analyzer: &RuleAnalyzer,
    logs: &[&LabelledLog],
    count: usize,
) -> (Vec<String>, f64) {
    let mut dice = Dice::new(7);
    let mut problems = Vec::new();
    let mut slowest: f64 = 0.0;
    for number in 0..count {
        let log = logs[dice.below(logs.len())];
        let other = logs[dice.below(logs.len())];
        let text = mutate(&log.text, &other.text, &mut dice);
        let begun = own_seconds();
        let result = analyzer.analyze_log(&LogAnalysisRequest::from_text(text.clone()));
        let megabytes = (text.len() as f64 / 1e6).max(0.1);
        slowest = slowest.max((own_seconds() - begun) / megabytes);
        match result {
            Ok(result) => {
                problems.extend(broken(&text, &result).map(|what| format!("{number}: {what}")));
            }
            Err(error) => problems.push(format!("{number}: {error}")),
        }
    }
    (problems, slowest)
}

/// Logs that are made to cost: every one of `size` bytes.
pub(crate) fn hostile(logs: &[&LabelledLog], size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let filled = |piece: &[u8]| {
        piece
            .iter()
            .copied()
            .cycle()
            .take(size)
            .collect::<Vec<u8>>()
    };
    let anchors: Vec<u8> = logs
        .iter()
        .filter_map(|log| {
            let number = usize::try_from(log.label.anchor?).ok()?;
            log.text.split(|b| *b == b'\n').nth(number.checked_sub(1)?)
        })
        .flat_map(|line| [line, b"\n"].concat())
        .collect();
    let broken_anchors: Vec<u8> = anchors
        .split(|b| *b == b'\n')
        .flat_map(|line| [b"~", line, b"\n"].concat())
        .collect();
    let one_line: Vec<u8> = broken_anchors
        .iter()
        .map(|b| if *b == b'\n' { b' ' } else { *b })
        .collect();
    vec![
        ("plain progress lines", filled(b"[ 42%] Building CXX object src/CMakeFiles/shop.dir/price_list.cpp.o\n")),
        ("every anchor, again and again", filled(&anchors)),
        ("every anchor, never matching", filled(&broken_anchors)),
        ("every anchor in one line without end", filled(&one_line)),
        ("every anchor in lines of 4 kB", {
            let mut text = filled(&one_line);
            text.iter_mut().skip(4000).step_by(4001).for_each(|b| *b = b'\n');
            text
        }),
        ("one line of spaces", filled(b" ")),
        ("nested quantifier food", filled(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa error error: error: : : : failed failed\n")),
        ("escape sequences only", filled(b"\x1b[31m\x1b[0m\x1b]8;;x\x07")),
        ("carriage returns only", filled(b"10%\r")),
        ("empty lines", filled(b"\n")),
        ("bytes that are no text", filled(&(0..=255).collect::<Vec<u8>>())),
    ]
}

/// Measures each hostile log against the first one.
pub(crate) fn hostile_report(
    analyzer: &RuleAnalyzer,
    logs: &[&LabelledLog],
    size: usize,
) -> String {
    let mut out = String::new();
    let mut plain = None;
    for (name, text) in hostile(logs, size) {
        let request = LogAnalysisRequest::from_text(text);
        let took = (0..3)
            .map(|_| {
                let begun = own_seconds();
                drop(analyzer.analyze_log(&request));
                own_seconds() - begun
            })
            .fold(f64::INFINITY, f64::min);
        let plain = *plain.get_or_insert(took);
        out.push_str(&format!(
            "  {name:40} {:6.0} MB/s, {:.2} times the plain one\n",
            size as f64 / 1e6 / took,
            took / plain
        ));
    }
    out
}
