//! What was chosen, in words and quoted lines.

use std::fmt::Write as _;

use super::choose::Candidate;
use super::result::AnalysisStatus;
use super::result::Evidence;
use super::result::EvidenceRole;
use super::result::LogAnalysisResult;
use super::rule::Strength;
use super::scan::Findings;
use super::signature::signature;
use super::text::quote;
use super::text::shorten;

const SUMMARY_CAP: usize = 600;

pub(super) fn quoted(role: EvidenceRole, candidate: &Candidate<'_>) -> Evidence {
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

pub(super) fn summary(cause: &Candidate<'_>) -> String {
    let mut text = fill(&cause.rule.summary, cause);
    if cause.count > 1 && cause.rule.strength >= Strength::Error {
        write!(text, " ({} such lines in all.)", cause.count)
            .expect("writing to a string cannot fail");
    }
    shorten(&text, SUMMARY_CAP)
}

/// Puts what the pattern captured into a template; `{line}` is the whole anchor.
pub(super) fn fill(template: &str, cause: &Candidate<'_>) -> String {
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

pub(super) fn unexplained(
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
