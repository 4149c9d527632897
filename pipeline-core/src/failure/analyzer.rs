//! The analyser that needs rules and nothing else.

use std::collections::HashSet;
use std::io;
use std::io::BufReader;

use async_trait::async_trait;

use super::AnalyzeError;
use super::FailureAnalyzer;
use super::answer::fill;
use super::answer::quoted;
use super::answer::summary;
use super::answer::unexplained;
use super::choose::choose;
use super::lines::READ_BUFFER;
use super::lines::feed;
use super::lines::split;
use super::passing::Passing;
use super::request::LogAnalysisRequest;
use super::request::LogSource;
use super::result::AnalysisStatus;
use super::result::Evidence;
use super::result::EvidenceRole;
use super::result::LogAnalysisResult;
use super::rule::Subject;
use super::ruleset::RuleSet;
use super::scan::Findings;
use super::scan::Scan;
use super::scan::look_at_fact;
use super::signature::signature;
use super::text::quote;

/// Above this a log is analysed on a blocking thread, so that others' futures go on.
const BLOCKING_BYTES: usize = 128 << 10;

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
        Ok(self.analyze_with_tail(request)?.0)
    }

    /// Also returns the last lines of the log, cleaned and with their numbers.
    pub(crate) fn analyze_with_tail(
        &self,
        request: &LogAnalysisRequest,
    ) -> Result<(LogAnalysisResult, Vec<(u64, String)>), AnalyzeError> {
        let passing = self.passing(request)?;
        let mut scan = Scan::new(self.rules.compiled(), passing.as_ref(), request);
        feed(&request.log, &mut |line| scan.line(line))?;
        let findings = scan.finish();
        let tail = findings
            .tail
            .iter()
            .map(|line| (line.number, quote(&line.text)))
            .collect();
        Ok((self.conclude(request, findings), tail))
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

#[cfg(test)]
mod tests;
