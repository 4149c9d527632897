//! How well the answers fit the labels.

use std::collections::BTreeMap;
use std::fmt;

use pipeline_core::failure::EvidenceRole;
use pipeline_core::failure::FailureCategory;
use pipeline_core::failure::LogAnalysisResult;

use crate::corpus::LabelledLog;

#[derive(Debug)]
struct Answer {
    name: String,
    expected: FailureCategory,
    found: FailureCategory,
    retryable: (bool, bool),
    /// How far the quoted line is from the labelled one, where both exist.
    distance: Option<u64>,
    rule: Option<String>,
    confidence: f64,
}

/// The answers to a set of logs.
#[derive(Debug, Default)]
pub(crate) struct Score {
    answers: Vec<Answer>,
}

impl Score {
    pub(crate) fn add(&mut self, log: &LabelledLog, result: LogAnalysisResult) {
        let anchor = result
            .evidence
            .iter()
            .find(|evidence| evidence.role == EvidenceRole::Cause)
            .map(|evidence| evidence.anchor);
        self.answers.push(Answer {
            name: log.name.clone(),
            expected: log.label.category,
            found: result.category,
            retryable: (log.label.retryable, result.retryable),
            distance: anchor.zip(log.label.anchor).map(|(a, b)| a.abs_diff(b)),
            rule: result.rule,
            confidence: result.confidence,
        });
    }

    fn answered(&self) -> impl Iterator<Item = &Answer> {
        self.answers
            .iter()
            .filter(|answer| answer.found != FailureCategory::Unknown)
    }

    /// Of the answers given, the share that is right.
    pub(crate) fn accuracy(&self) -> f64 {
        share(
            self.answered().filter(|a| a.found == a.expected).count(),
            self.answered().count(),
        )
    }

    /// Of the logs that show a cause, the share that is answered.
    pub(crate) fn coverage(&self) -> f64 {
        let known = |a: &&Answer| a.expected != FailureCategory::Unknown;
        share(
            self.answered().filter(known).count(),
            self.answers.iter().filter(known).count(),
        )
    }

    /// Of the answers "worth a retry", the share that is right.
    pub(crate) fn retryable_precision(&self) -> f64 {
        let said: Vec<_> = self.answered().filter(|a| a.retryable.1).collect();
        share(said.iter().filter(|a| a.retryable.0).count(), said.len())
    }

    fn retryable_recall(&self) -> f64 {
        let are: Vec<_> = self.answers.iter().filter(|a| a.retryable.0).collect();
        share(
            are.iter()
                .filter(|a| a.retryable.1 && a.found != FailureCategory::Unknown)
                .count(),
            are.len(),
        )
    }

    /// The mean of the categories' F1, over the categories that occur in the labels.
    pub(crate) fn macro_f1(&self) -> f64 {
        let categories: Vec<_> = FailureCategory::ALL
            .into_iter()
            .filter(|c| self.answers.iter().any(|a| a.expected == *c))
            .collect();
        let sum: f64 = categories
            .iter()
            .map(|c| {
                let hit = self
                    .answers
                    .iter()
                    .filter(|a| a.expected == *c && a.found == *c)
                    .count();
                let all = self.answers.iter().filter(|a| a.expected == *c).count()
                    + self.answers.iter().filter(|a| a.found == *c).count();
                share(2 * hit, all)
            })
            .sum();
        if categories.is_empty() {
            0.0
        } else {
            sum / categories.len() as f64
        }
    }

    fn within(&self, lines: u64) -> f64 {
        let distances: Vec<_> = self.answers.iter().filter_map(|a| a.distance).collect();
        share(
            distances.iter().filter(|d| **d <= lines).count(),
            distances.len(),
        )
    }

    fn mean_distance(&self) -> f64 {
        let distances: Vec<_> = self.answers.iter().filter_map(|a| a.distance).collect();
        if distances.is_empty() {
            0.0
        } else {
            distances.iter().sum::<u64>() as f64 / distances.len() as f64
        }
    }

    /// The short form, for tables.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:3} logs, right when answered {:5.1} %, coverage {:5.1} %",
            self.answers.len(),
            100.0 * self.accuracy(),
            100.0 * self.coverage()
        )
    }

    /// What was not answered right, a line each.
    pub(crate) fn misses(&self) -> String {
        let mut out = String::new();
        for a in &self.answers {
            let wrong = a.found != a.expected;
            let far = a.distance.is_some_and(|d| d > 3);
            let retry = !wrong && a.retryable.0 != a.retryable.1;
            if wrong || far || retry {
                out.push_str(&format!(
                    "  {:28} expected {:18} found {:18} distance {:>4} retry {:?} {:.2} {}\n",
                    a.name,
                    a.expected.as_str(),
                    a.found.as_str(),
                    a.distance.map_or("-".to_owned(), |d| d.to_string()),
                    a.retryable,
                    a.confidence,
                    a.rule.as_deref().unwrap_or("-")
                ));
            }
        }
        out
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  right when answered {:.1} %   coverage {:.1} %   macro-F1 {:.3}",
            100.0 * self.accuracy(),
            100.0 * self.coverage(),
            self.macro_f1()
        )?;
        writeln!(
            f,
            "  retryable: precision {:.1} %, recall {:.1} %",
            100.0 * self.retryable_precision(),
            100.0 * self.retryable_recall()
        )?;
        writeln!(
            f,
            "  anchor: the very line {:.1} %, within 3 lines {:.1} %, mean distance {:.1} lines",
            100.0 * self.within(0),
            100.0 * self.within(3),
            self.mean_distance()
        )?;
        let mut table: BTreeMap<FailureCategory, BTreeMap<FailureCategory, usize>> =
            BTreeMap::new();
        for a in &self.answers {
            *table
                .entry(a.expected)
                .or_default()
                .entry(a.found)
                .or_default() += 1;
        }
        for (expected, found) in table {
            let row: Vec<_> = found.iter().map(|(c, n)| format!("{c} {n}")).collect();
            writeln!(f, "    {:18} -> {}", expected.as_str(), row.join(", "))?;
        }
        Ok(())
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
