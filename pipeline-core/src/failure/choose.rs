//! From everything that matched to the one cause, or to none.

use super::clean::Section;
use super::request::LogAnalysisRequest;
use super::result::Blame;
use super::result::FailureCategory;
use super::rule::Pick;
use super::rule::Rule;
use super::rule::Strength;
use super::rule::Subject;
use super::rule::Yields;
use super::ruleset::Compiled;
use super::scan::Findings;
use super::scan::Hit;

/// Below this an answer would be a guess.
const LOWEST_ANSWER: f64 = 0.4;
/// How far before a consequence its infrastructure cause may stand, in lines.
const ROOT_BEFORE: u64 = 400;
/// How far below it, in a chain of causes.
const ROOT_AFTER: u64 = 15;

/// A rule that matched, at the place that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) order: usize,
    pub(crate) rule: &'a Rule,
    pub(crate) hit: &'a Hit,
    pub(crate) count: u64,
    /// The rule's own, or less where the section says that it cannot be the cause.
    strength: Strength,
    /// Whether it stands in the output of the command that failed.
    in_failing: bool,
}

impl Candidate<'_> {
    pub(crate) fn line(&self) -> u64 {
        self.hit.anchor.number
    }

    fn is_infra(&self) -> bool {
        self.rule.blame == Blame::Infra
            || matches!(
                self.rule.category,
                FailureCategory::Resource | FailureCategory::ImageOrArtifact
            )
    }
}

/// What was chosen.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) cause: Option<(Candidate<'a>, f64)>,
    /// The best of the other categories.
    pub(crate) related: Option<Candidate<'a>>,
    pub(crate) symptom: Option<Candidate<'a>>,
}

pub(crate) fn choose<'a>(
    compiled: &'a Compiled,
    findings: &'a Findings,
    request: &LogAnalysisRequest,
) -> Choice<'a> {
    let candidates = candidates(compiled, findings);
    let symptom = candidates
        .iter()
        .filter(|c| c.rule.strength == Strength::Symptom)
        .max_by_key(|c| c.line())
        .copied();
    let cause = best(&candidates, request).map(|found| step_back(found, &candidates));
    let related = cause.and_then(|cause| {
        candidates
            .iter()
            .filter(|c| {
                c.rule.category != cause.rule.category
                    && c.strength >= Strength::Error
                    && c.line() > 0
            })
            .max_by_key(|c| (c.strength, c.in_failing, std::cmp::Reverse(c.line())))
            .copied()
    });
    let cause = cause.and_then(|cause| {
        let confidence = confidence(&cause, related.as_ref(), request);
        (confidence >= LOWEST_ANSWER).then_some((cause, confidence))
    });
    Choice {
        cause,
        related,
        symptom,
    }
}

fn candidates<'a>(compiled: &'a Compiled, findings: &'a Findings) -> Vec<Candidate<'a>> {
    let mut all = Vec::new();
    for (order, (rule, slot)) in compiled.rules.iter().zip(&findings.slots).enumerate() {
        let hits = match rule.pick {
            Pick::First => [slot.first.as_ref(), slot.last.as_ref()],
            Pick::Last => [slot.last.as_ref().or(slot.first.as_ref()), None],
        };
        let inside = |hit: &Hit| {
            hit.anchor.number > findings.failing_from && hit.anchor.number <= findings.failing_to
        };
        let Some(first) = hits[0] else { continue };
        // An early match may have been survived; a later one in the failing command was not.
        let hit = match hits[1] {
            Some(last) if !inside(first) && inside(last) => last,
            _ => first,
        };
        let strength = match (rule.strength, hit.section) {
            (Strength::Fatal | Strength::Error, Section::After) => Strength::Hint,
            (strength, _) => strength,
        };
        all.push(Candidate {
            order,
            rule,
            hit,
            count: slot.count,
            strength,
            in_failing: inside(hit),
        });
    }
    all
}

fn best<'a>(all: &[Candidate<'a>], request: &LogAnalysisRequest) -> Option<Candidate<'a>> {
    let of = |strength: Strength| all.iter().filter(move |c| c.strength == strength);
    let named = |c: &&Candidate<'a>| request.tools.contains(&c.rule.tool);
    if let Some(word) = of(Strength::Final).min_by_key(|c| (c.line() == 0, c.line(), c.order)) {
        // The platform's word is coarse: where the log itself shows the trouble, that says more.
        let finer = (word.is_infra() && word.rule.subject == Subject::Reason)
            .then(|| {
                all.iter()
                    .filter(|c| c.strength >= Strength::Error && c.is_infra() && c.line() > 0)
                    .min_by_key(|c| (std::cmp::Reverse(c.strength), c.line(), c.order))
            })
            .flatten();
        return Some(*finer.unwrap_or(word));
    }
    for in_failing in [true, false] {
        if let Some(found) = of(Strength::Fatal)
            .filter(|c| !in_failing || c.in_failing)
            .min_by_key(|c| (c.line(), !named(c), c.order))
        {
            return Some(*found);
        }
        if let Some(found) = of(Strength::Error)
            .filter(|c| !in_failing || c.in_failing)
            .min_by_key(|c| (!named(c), c.order, c.line()))
        {
            return Some(*found);
        }
    }
    of(Strength::Hint)
        .min_by_key(|c| (!c.in_failing, !named(c), c.order, c.line()))
        .copied()
}

/// What could not be resolved or fetched failed because of the trouble that stands right before it.
fn step_back<'a>(found: Candidate<'a>, all: &[Candidate<'a>]) -> Candidate<'a> {
    let below = match found.rule.yields {
        Yields::Never => return found,
        Yields::Before => 0,
        Yields::Around => ROOT_AFTER,
    };
    all.iter()
        .filter(|c| {
            c.rule.root
                && c.line() > 0
                && found.line().saturating_sub(c.line()) <= ROOT_BEFORE
                && c.line().saturating_sub(found.line()) <= below
                && (c.in_failing || !found.in_failing)
        })
        .min_by_key(|c| {
            (
                c.line() > found.line(),
                std::cmp::Reverse(c.strength),
                c.line(),
            )
        })
        .copied()
        .unwrap_or(found)
}

fn confidence(
    cause: &Candidate<'_>,
    related: Option<&Candidate<'_>>,
    request: &LogAnalysisRequest,
) -> f64 {
    let mut confidence = cause.rule.confidence;
    if cause.line() > 0 && !cause.in_failing && cause.strength < Strength::Final {
        confidence *= 0.85;
    }
    if cause.hit.section == Section::After && cause.strength < Strength::Final {
        confidence *= 0.7;
    }
    if related.is_some_and(|other| other.strength >= cause.strength) {
        confidence *= 0.9;
    }
    if request.incomplete {
        confidence *= 0.9;
    }
    if request.tools.contains(&cause.rule.tool) {
        confidence = (confidence * 1.05).min(1.0);
    }
    (confidence * 100.0).round() / 100.0
}
