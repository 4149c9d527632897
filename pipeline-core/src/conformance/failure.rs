//! The conformance suite of [`FailureAnalyzer`].
//!
//! An implementation's tests implement [`AnalyzerHarness`] and call
//! [`failure_conformance!`](crate::failure_conformance).

use async_trait::async_trait;

use super::Violation;
use super::case::Succeeds as _;
use super::case::ensure;
use super::case::same;
use crate::BoxError;
use crate::failure::AnalysisStatus;
use crate::failure::AnalyzeError;
use crate::failure::FailureAnalyzer;
use crate::failure::FailureCategory;
use crate::failure::LogAnalysisRequest;
use crate::failure::LogAnalysisResult;

/// Makes the analyser under test.
#[async_trait]
pub trait AnalyzerHarness: Send + Sync + Sized {
    /// Makes a new harness.
    ///
    /// # Errors
    /// Why it could not be made; the case then fails with it.
    async fn fresh() -> Result<Self, BoxError>;

    /// Returns the analyser.
    fn analyzer(&self) -> &dyn FailureAnalyzer;
}

const LOG: &str = "$ cargo build\nerror[E0308]: mismatched types\n --> src/lib.rs:3:5\n\
    ERROR: Job failed: exit code 101\n";

async fn ask<H: AnalyzerHarness>(
    h: &H,
    log: impl Into<Vec<u8>>,
) -> Result<LogAnalysisResult, Violation> {
    h.analyzer()
        .analyze(&LogAnalysisRequest::from_text(log.into()))
        .await
        .succeeds("the analysis of a log")
}

/// An empty log is an answer, not an error, and explains nothing.
///
/// # Errors
/// The violation.
pub async fn an_empty_log_is_an_answer<H: AnalyzerHarness>(h: &H) -> Result<(), Violation> {
    let result = ask(h, "").await?;
    same("the status", &result.status, &AnalysisStatus::NoLog)?;
    same("the category", &result.category, &FailureCategory::Unknown)
}

/// What nobody can know from the log is left unexplained.
///
/// # Errors
/// The violation.
pub async fn a_log_that_says_nothing_is_left_unexplained<H: AnalyzerHarness>(
    h: &H,
) -> Result<(), Violation> {
    let result = ask(h, "$ ./run\nworking\nERROR: Job failed: exit code 3\n").await?;
    same("the category", &result.category, &FailureCategory::Unknown)?;
    ensure(!result.spares_the_change(), || {
        "an unexplained failure is not counted against the change".to_owned()
    })
}

/// Every quoted line number lies in the log, and the confidence between 0 and 1.
///
/// # Errors
/// The violation.
pub async fn evidence_lies_in_the_log<H: AnalyzerHarness>(h: &H) -> Result<(), Violation> {
    let result = ask(h, LOG).await?;
    ensure((0.0..=1.0).contains(&result.confidence), || {
        format!("the confidence is {}", result.confidence)
    })?;
    for evidence in &result.evidence {
        ensure(
            (1..=4).contains(&evidence.anchor)
                && evidence.first_line <= evidence.anchor
                && evidence.anchor <= evidence.last_line
                && evidence.last_line <= 4,
            || format!("{evidence:?} does not lie in a log of four lines"),
        )?;
    }
    Ok(())
}

/// What is shown holds no escape sequence and no credential of the log.
///
/// # Errors
/// The violation.
pub async fn what_is_shown_is_safe_to_show<H: AnalyzerHarness>(h: &H) -> Result<(), Violation> {
    let secret = "glpat-conformanceconformance";
    let log =
        format!("$ x\nsrc/a.c:1:1: error: \u{1b}[31m{secret}\u{202e} in a name\nend {secret}\n");
    let result = ask(h, log).await?;
    let texts = [&result.summary, &result.suggested_fix];
    for text in texts
        .into_iter()
        .chain(result.evidence.iter().flat_map(|e| &e.text))
    {
        ensure(!text.contains(secret), || {
            format!("{text:?} holds a credential")
        })?;
        ensure(
            !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
            || format!("{text:?} steers a terminal"),
        )?;
    }
    Ok(())
}

/// Bytes that are no text, and lines without end, are a log like any other.
///
/// # Errors
/// The violation.
pub async fn no_bytes_are_too_odd<H: AnalyzerHarness>(h: &H) -> Result<(), Violation> {
    let odd: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    ask(h, odd).await?;
    ask(h, vec![b'x'; 1 << 20]).await?;
    ask(h, vec![b'\n'; 100_000]).await.map(drop)
}

/// A file that is not there is an error that names it.
///
/// # Errors
/// The violation.
pub async fn a_missing_file_is_named<H: AnalyzerHarness>(h: &H) -> Result<(), Violation> {
    let request = LogAnalysisRequest::from_file("/nowhere/at/all/job.log");
    let answer = h.analyzer().analyze(&request).await;
    ensure(
        matches!(&answer, Err(AnalyzeError::ReadLog { path, .. }) if path.ends_with("job.log")),
        || format!("the answer is {answer:?}"),
    )
}

/// The same log twice is the same failure.
///
/// # Errors
/// The violation.
pub async fn the_same_log_is_the_same_failure<H: AnalyzerHarness>(h: &H) -> Result<(), Violation> {
    let (first, second) = (ask(h, LOG).await?, ask(h, LOG).await?);
    same("the second signature", &second.signature, &first.signature)?;
    same("the second category", &second.category, &first.category)
}

/// Expands to one test per behaviour of a [`FailureAnalyzer`], for a type that implements [`AnalyzerHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::failure_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! failure_conformance {
    ($harness:ty) => {
        $crate::__failure_cases!([$crate::__conformance_tests], $harness);
    };
}

/// Hands the list of cases to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __failure_cases {
    ([$($with:tt)*], $harness:ty) => {
        $($with)*!(
            $harness,
            $crate::conformance::failure::AnalyzerHarness,
            $crate::conformance::failure,
            [
                a_log_that_says_nothing_is_left_unexplained,
                a_missing_file_is_named,
                an_empty_log_is_an_answer,
                evidence_lies_in_the_log,
                no_bytes_are_too_odd,
                the_same_log_is_the_same_failure,
                what_is_shown_is_safe_to_show,
            ]
        );
    };
}
