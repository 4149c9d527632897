//! Counters in Prometheus' text form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pipeline_core::failure::LogAnalysisResult;

/// Upper bounds of the time buckets, in milliseconds.
const BUCKETS: [u64; 7] = [1, 5, 25, 100, 500, 2_500, 10_000];

/// What the service did so far.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    responses: Mutex<BTreeMap<u16, u64>>,
    answers: Mutex<BTreeMap<&'static str, u64>>,
    bytes: AtomicU64,
    micros: AtomicU64,
    analyses: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
}

impl Metrics {
    pub(crate) fn responded(&self, status: u16) {
        let mut responses = self
            .responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *responses.entry(status).or_default() += 1;
    }

    pub(crate) fn answered(&self, result: &LogAnalysisResult, bytes: usize, took: Duration) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.analyses.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            if micros <= bound * 1000 {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(result.category.as_str()).or_default() += 1;
    }

    pub(crate) fn render(&self, held: u64) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            out.write_fmt(text)
                .expect("writing to a string cannot fail");
            out.push('\n');
        };
        line(format_args!(
            "# HELP failure_analysis_responses_total Responses by status code."
        ));
        line(format_args!(
            "# TYPE failure_analysis_responses_total counter"
        ));
        for (code, count) in self
            .responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            line(format_args!(
                "failure_analysis_responses_total{{code=\"{code}\"}} {count}"
            ));
        }
        line(format_args!(
            "# HELP failure_analysis_answers_total Analyses by category."
        ));
        line(format_args!(
            "# TYPE failure_analysis_answers_total counter"
        ));
        for (category, count) in self
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            line(format_args!(
                "failure_analysis_answers_total{{category=\"{category}\"}} {count}"
            ));
        }
        line(format_args!(
            "# HELP failure_analysis_log_bytes_total Bytes of all analysed requests."
        ));
        line(format_args!(
            "# TYPE failure_analysis_log_bytes_total counter"
        ));
        line(format_args!(
            "failure_analysis_log_bytes_total {}",
            self.bytes.load(Ordering::Relaxed)
        ));
        line(format_args!(
            "# HELP failure_analysis_held_bytes Memory that requests hold now."
        ));
        line(format_args!("# TYPE failure_analysis_held_bytes gauge"));
        line(format_args!("failure_analysis_held_bytes {held}"));
        line(format_args!(
            "# HELP failure_analysis_seconds Time from the received request to the answer."
        ));
        line(format_args!("# TYPE failure_analysis_seconds histogram"));
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            line(format_args!(
                "failure_analysis_seconds_bucket{{le=\"{}\"}} {}",
                *bound as f64 / 1000.0,
                bucket.load(Ordering::Relaxed)
            ));
        }
        let analyses = self.analyses.load(Ordering::Relaxed);
        line(format_args!(
            "failure_analysis_seconds_bucket{{le=\"+Inf\"}} {analyses}"
        ));
        line(format_args!(
            "failure_analysis_seconds_sum {}",
            self.micros.load(Ordering::Relaxed) as f64 / 1e6
        ));
        line(format_args!("failure_analysis_seconds_count {analyses}"));
        out
    }
}
