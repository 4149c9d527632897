//! The analyser that needs rules and nothing else.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;

use async_trait::async_trait;
use memchr::memchr;

use super::AnalyzeError;
use super::FailureAnalyzer;
use super::choose::Candidate;
use super::choose::choose;
use super::clean::LINE_CAP;
use super::request::LogAnalysisRequest;
use super::request::LogSource;
use super::result::AnalysisStatus;
use super::result::Evidence;
use super::result::EvidenceRole;
use super::result::LogAnalysisResult;
use super::rule::Strength;
use super::rule::Subject;
use super::ruleset::RuleSet;
use super::scan::Findings;
use super::scan::Passing;
use super::scan::Scan;
use super::scan::look_at_fact;
use super::signature::signature;
use super::text::quote;
use super::text::shorten;

/// Above this a log is analysed on a blocking thread, so that others' futures go on.
const BLOCKING_BYTES: usize = 128 << 10;
const READ_BUFFER: usize = 256 << 10;
const SUMMARY_CAP: usize = 600;

/// Explains failures by rules, in one pass and bounded memory.
///
/// Reads at some hundred megabytes per second on one core. Beside the log itself (a file is read in
/// pieces) it keeps at most two matches per rule with ten lines of 1 kB each.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuleAnalyzer {
    rules: RuleSet,
}

impl RuleAnalyzer {
    /// Makes an analyser of `rules`.
    #[must_use]
    pub fn new(rules: RuleSet) -> Self {
        Self { rules }
    }

    /// Makes an analyser of the rules that ship with the crate.
    #[must_use]
    pub fn builtin() -> Self {
        Self::new(RuleSet::builtin())
    }

    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Explains the failure that `request` describes, on this thread.
    ///
    /// # Errors
    /// [`AnalyzeError::ReadLog`], when the log is a file that cannot be read.
    pub fn analyze_log(
        &self,
        request: &LogAnalysisRequest,
    ) -> Result<LogAnalysisResult, AnalyzeError> {
        let passing = self.passing(request)?;
        let mut scan = Scan::new(self.rules.compiled(), passing.as_ref(), request);
        feed(&request.log, &mut |line| scan.line(line))?;
        Ok(self.conclude(request, scan.finish()))
    }

    /// Explains a failure whose log arrives as a stream; the log in `request` is not looked at.
    ///
    /// # Errors
    /// [`AnalyzeError::ReadStream`], when the stream breaks.
    pub fn analyze_stream(
        &self,
        request: &LogAnalysisRequest,
        log: impl io::Read,
    ) -> Result<LogAnalysisResult, AnalyzeError> {
        let passing = self.passing(request)?;
        let mut scan = Scan::new(self.rules.compiled(), passing.as_ref(), request);
        let mut bytes = 0;
        let mut log = BufReader::with_capacity(READ_BUFFER, log);
        split(&mut log, &mut bytes, &mut |line| scan.line(line))
            .map_err(|source| AnalyzeError::ReadStream { bytes, source })?;
        Ok(self.conclude(request, scan.finish()))
    }

    fn passing(&self, request: &LogAnalysisRequest) -> Result<Option<HashSet<u64>>, AnalyzeError> {
        let Some(log) = &request.passing_log else {
            return Ok(None);
        };
        let mut passing = Passing::new(self.rules.compiled());
        feed(log, &mut |line| passing.line(line))?;
        Ok(Some(passing.finish()))
    }

    fn conclude(&self, request: &LogAnalysisRequest, mut findings: Findings) -> LogAnalysisResult {
        let compiled = self.rules.compiled();
        if let Some(code) = request.exit_code {
            look_at_fact(
                compiled,
                &mut findings,
                Subject::ExitCode,
                &code.to_string(),
            );
        }
        if let Some(reason) = &request.failure_reason {
            look_at_fact(compiled, &mut findings, Subject::Reason, reason);
        }
        let choice = choose(compiled, &findings, request);
        let empty = findings.tail.is_empty();
        let cut = request.incomplete
            || findings
                .slots
                .iter()
                .zip(&compiled.rules)
                .any(|(slot, rule)| slot.count > 0 && rule.id == TRUNCATION_RULE);
        let Some((cause, confidence)) = choice.cause else {
            return unexplained(&findings, choice.symptom.as_ref(), empty, cut);
        };
        let anchor = quote(&cause.hit.anchor.text);
        let mut evidence = Vec::new();
        if cause.line() > 0 {
            evidence.push(quoted(EvidenceRole::Cause, &cause));
        }
        if let Some(related) = &choice.related {
            evidence.push(quoted(EvidenceRole::Related, related));
        }
        if let Some(symptom) = &choice.symptom {
            evidence.push(Evidence::of_line(
                EvidenceRole::Symptom,
                symptom.line(),
                quote(&symptom.hit.anchor.text),
            ));
        }
        LogAnalysisResult {
            status: match (empty, cut) {
                (true, _) => AnalysisStatus::NoLog,
                (_, true) => AnalysisStatus::Truncated,
                _ => AnalysisStatus::Ok,
            },
            category: cause.rule.category,
            blame: cause.rule.blame,
            retryable: cause.rule.retryable,
            confidence,
            summary: summary(&cause),
            suggested_fix: fill(&cause.rule.fix, &cause),
            evidence,
            signature: Some(signature(&cause.rule.id, &anchor)),
            rule: Some(cause.rule.id.clone()),
            tool: Some(cause.rule.tool.clone()),
        }
    }
}

/// The rule by which a runner says that it stopped writing the log.
const TRUNCATION_RULE: &str = "runner/log-limit";

#[async_trait]
impl FailureAnalyzer for RuleAnalyzer {
    fn name(&self) -> &'static str {
        "rules"
    }

    async fn analyze(
        &self,
        request: &LogAnalysisRequest,
    ) -> Result<LogAnalysisResult, AnalyzeError> {
        let small = |log: &LogSource| match log {
            LogSource::Text(text) | LogSource::JsonLines(text) => {
                text.as_bytes().len() <= BLOCKING_BYTES
            }
            LogSource::File(_) => false,
        };
        if small(&request.log) && request.passing_log.as_ref().is_none_or(small) {
            return self.analyze_log(request);
        }
        let (analyzer, request) = (self.clone(), request.clone());
        tokio::task::spawn_blocking(move || analyzer.analyze_log(&request))
            .await
            .map_err(|_| AnalyzeError::Interrupted)?
    }
}

fn feed(log: &LogSource, take: &mut dyn FnMut(&[u8])) -> Result<(), AnalyzeError> {
    match log {
        LogSource::Text(text) => {
            each_line(text.as_bytes(), take);
            Ok(())
        }
        LogSource::JsonLines(text) => {
            each_line(text.as_bytes(), &mut |line| {
                match json_text(line) {
                    // A collector may join lines; the record stays one line of the log.
                    Some(text) => take(text.trim_end().replace('\n', " ").as_bytes()),
                    None => take(line),
                }
            });
            Ok(())
        }
        LogSource::File(path) => read_file(path, take).map_err(|source| AnalyzeError::ReadLog {
            path: path.clone(),
            source,
        }),
    }
}

fn json_text(line: &[u8]) -> Option<String> {
    let record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    ["log", "message", "msg", "line", "text"]
        .iter()
        .find_map(|key| record.get(*key)?.as_str())
        .map(str::to_owned)
}

fn each_line(text: &[u8], take: &mut dyn FnMut(&[u8])) {
    let mut rest = text;
    while let Some(at) = memchr(b'\n', rest) {
        take(&rest[..at]);
        rest = &rest[at + 1..];
    }
    if !rest.is_empty() {
        take(rest);
    }
}

fn read_file(path: &Path, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::with_capacity(READ_BUFFER, File::open(path)?);
    split(&mut file, &mut 0, take)
}

/// Splits a stream into lines; of a line longer than twice the cap only head and tail are kept.
fn split(stream: &mut dyn BufRead, bytes: &mut u64, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut begun: Vec<u8> = Vec::new();
    loop {
        let chunk = match stream.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut rest = chunk;
        while let Some(at) = memchr(b'\n', rest) {
            if begun.is_empty() {
                take(&rest[..at]);
            } else {
                extend_capped(&mut begun, &rest[..at]);
                take(&begun);
                begun.clear();
            }
            rest = &rest[at + 1..];
        }
        extend_capped(&mut begun, rest);
        let used = chunk.len();
        *bytes += used as u64;
        stream.consume(used);
    }
    if !begun.is_empty() {
        take(&begun);
    }
    Ok(())
}

fn extend_capped(line: &mut Vec<u8>, more: &[u8]) {
    line.extend_from_slice(more);
    if line.len() > 16 * LINE_CAP {
        let tail = line.len() - LINE_CAP;
        line.copy_within(tail.., LINE_CAP);
        line.truncate(2 * LINE_CAP);
    }
}

fn quoted(role: EvidenceRole, candidate: &Candidate<'_>) -> Evidence {
    let hit = candidate.hit;
    let mut lines: Vec<_> = hit
        .before
        .iter()
        .chain([&hit.anchor])
        .chain((hit.matched != hit.anchor).then_some(&hit.matched))
        .chain(&hit.after)
        .collect();
    lines.sort_by_key(|line| line.number);
    lines.dedup_by_key(|line| line.number);
    Evidence {
        role,
        anchor: hit.anchor.number,
        first_line: lines.first().map_or(hit.anchor.number, |line| line.number),
        last_line: lines.last().map_or(hit.anchor.number, |line| line.number),
        text: lines.iter().map(|line| quote(&line.text)).collect(),
    }
}

fn summary(cause: &Candidate<'_>) -> String {
    let mut text = fill(&cause.rule.summary, cause);
    if cause.count > 1 && cause.rule.strength >= Strength::Error {
        text.push_str(&format!(" ({} such lines in all.)", cause.count));
    }
    shorten(&text, SUMMARY_CAP)
}

/// Puts what the pattern captured into a template; `{line}` is the whole anchor.
fn fill(template: &str, cause: &Candidate<'_>) -> String {
    let matched = cause.rule.pattern.captures(&cause.hit.matched.text);
    let above = cause
        .rule
        .above
        .as_ref()
        .and_then(|(above, _)| above.captures(&cause.hit.anchor.text));
    let mut out = String::with_capacity(template.len() + 80);
    let mut rest = template;
    while let Some((text, (name, after))) = rest
        .split_once('{')
        .and_then(|(text, after)| Some((text, after.split_once('}')?)))
    {
        out.push_str(text);
        let value = matched
            .as_ref()
            .and_then(|found| found.name(name))
            .or_else(|| above.as_ref().and_then(|found| found.name(name)))
            .map(|found| found.as_bytes());
        match (value, name) {
            (Some(value), _) => out.push_str(quote(value).trim()),
            (None, "line") => out.push_str(quote(&cause.hit.anchor.text).trim()),
            (None, _) => out.push('…'),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn unexplained(
    findings: &Findings,
    symptom: Option<&Candidate<'_>>,
    empty: bool,
    cut: bool,
) -> LogAnalysisResult {
    if empty {
        let mut result =
            LogAnalysisResult::unexplained(AnalysisStatus::NoLog, "The job left no log.");
        result.suggested_fix =
            "Look at the job itself: it may have ended before it could write anything.".to_owned();
        return result;
    }
    let status = if cut {
        AnalysisStatus::Truncated
    } else {
        AnalysisStatus::NoMatch
    };
    let mut result = LogAnalysisResult::unexplained(
        status,
        match symptom {
            Some(symptom) => format!(
                "The log does not say why it failed in words that are known; it ends with: {}",
                quote(&symptom.hit.anchor.text)
            ),
            None => "The log does not say why it failed in words that are known.".to_owned(),
        },
    );
    result.suggested_fix =
        "Read the quoted end of the log; if the cause recurs, add a rule for it.".to_owned();
    if let Some(symptom) = symptom {
        result.evidence.push(Evidence::of_line(
            EvidenceRole::Symptom,
            symptom.line(),
            quote(&symptom.hit.anchor.text),
        ));
    }
    let skip = findings.tail.len().saturating_sub(12);
    let tail: Vec<_> = findings.tail.iter().skip(skip).collect();
    if let (Some(first), Some(last)) = (tail.first(), tail.last()) {
        result.evidence.push(Evidence {
            role: EvidenceRole::Tail,
            anchor: last.number,
            first_line: first.number,
            last_line: last.number,
            text: tail.iter().map(|line| quote(&line.text)).collect(),
        });
        result.signature = Some(signature("none", &quote(&last.text)));
    }
    result
}

#[cfg(test)]
mod tests;
