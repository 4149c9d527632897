use super::*;
use crate::failure::Blame;
use crate::failure::FailureCategory;
use crate::failure::LogText;

fn analyze(log: impl Into<LogText>) -> LogAnalysisResult {
    RuleAnalyzer::builtin()
        .analyze_log(&LogAnalysisRequest::from_text(log))
        .unwrap()
}

#[test]
fn the_first_cause_wins_over_later_symptoms() {
    let result = analyze(
        "$ make\n\
         src/a.c:3:5: error: expected ';' before 'return'\n\
         make: *** [Makefile:3: all] Error 1\n\
         ERROR: Job failed: exit code 1\n",
    );
    assert_eq!(result.category, FailureCategory::Compile);
    assert_eq!(result.blame, Blame::Code);
    assert!(!result.retryable);
    assert_eq!(result.evidence[0].anchor, 2);
    assert_eq!(result.evidence.last().unwrap().role, EvidenceRole::Symptom);
}

#[test]
fn trouble_of_the_network_counts_only_where_it_precedes() {
    let before =
        analyze("$ npm ci\nnpm warn retry ECONNRESET socket hang up\nnpm error code E404\n");
    assert_eq!(before.category, FailureCategory::Network);
    assert!(before.retryable);
    let after = analyze("$ npm ci\nnpm error code E404\nupload of the log: Connection refused\n");
    assert_eq!(after.category, FailureCategory::Dependency);
}

#[test]
fn what_an_earlier_command_survived_does_not_explain() {
    let result = analyze(
        "$ ./probe || true\n\
         src/gen.c:1:1: error: probe\n\
         $ pytest\n\
         FAILED tests/test_a.py::test_x - assert 1 == 2\n",
    );
    assert_eq!(result.category, FailureCategory::Test);
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let result = analyze("$ ./run\nsomething odd\nERROR: Job failed: exit code 3\n");
    assert_eq!(result.status, AnalysisStatus::NoMatch);
    assert_eq!(result.category, FailureCategory::Unknown);
    assert_eq!(result.confidence, 0.0);
    assert_eq!(result.evidence.last().unwrap().role, EvidenceRole::Tail);
}

#[test]
fn an_empty_log_is_an_answer() {
    assert_eq!(analyze("").status, AnalysisStatus::NoLog);
    assert_eq!(analyze("\n \n\r\n").status, AnalysisStatus::NoLog);
    let timed_out = RuleAnalyzer::builtin()
        .analyze_log(
            &LogAnalysisRequest::from_text("").with_failure_reason("job_execution_timeout"),
        )
        .unwrap();
    assert_eq!(timed_out.status, AnalysisStatus::NoLog);
    assert_eq!(timed_out.category, FailureCategory::Timeout);
}

#[test]
fn the_platforms_reason_is_refined_by_the_log() {
    let analyzer = RuleAnalyzer::builtin();
    let request =
        |log: &str| LogAnalysisRequest::from_text(log).with_failure_reason("runner_system_failure");
    let coarse = analyzer.analyze_log(&request("nothing of use\n")).unwrap();
    assert_eq!(coarse.category, FailureCategory::Runner);
    let fine = analyzer
        .analyze_log(&request("mkdir: cannot create: No space left on device\n"))
        .unwrap();
    assert_eq!(fine.category, FailureCategory::Resource);
}

#[test]
fn what_a_passing_run_says_too_explains_nothing() {
    let log = "curl: (7) Failed to connect to proxy port 3128\nFAILED t/test_a.py::x - assert 0\n";
    let passing = "curl: (7) Failed to connect to proxy port 3129\nok\n";
    let request = LogAnalysisRequest::from_text("curl: (7) Failed to connect to proxy port 3128\n");
    let analyzer = RuleAnalyzer::builtin();
    assert!(analyzer.analyze_log(&request).unwrap().is_explained());
    let request = request.with_passing_log(LogSource::Text(passing.into()));
    assert!(!analyzer.analyze_log(&request).unwrap().is_explained());
    let request =
        LogAnalysisRequest::from_text(log).with_passing_log(LogSource::Text(passing.into()));
    assert_eq!(
        analyzer.analyze_log(&request).unwrap().category,
        FailureCategory::Test
    );
}

#[test]
fn a_lint_is_anchored_at_the_line_that_names_it() {
    let result = analyze(
        "error: unneeded `return` statement\n --> src/lib.rs:2:5\n  |\n2 |     return 1;\n  |\n  = note: `-D clippy::needless-return` implied by `-D warnings`\n",
    );
    assert_eq!(result.category, FailureCategory::LintPolicy);
    assert_eq!(result.evidence[0].anchor, 1);
    assert_eq!(
        result.summary,
        "A Rust lint refused the code: unneeded `return` statement"
    );
}

#[test]
fn text_json_lines_file_and_stream_answer_the_same() {
    let plain = "start\nsrc/a.c:3:5: error: no\nend\n";
    let json = "{\"time\":1,\"log\":\"start\\n\"}\n{\"log\":\"src/a.c:3:5: error: no\\n\"}\nend\n";
    let analyzer = RuleAnalyzer::builtin();
    let expected = analyze(plain);
    let lines = LogAnalysisRequest::new(LogSource::JsonLines(json.into()));
    assert_eq!(analyzer.analyze_log(&lines).unwrap(), expected);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.log");
    std::fs::write(&path, plain).unwrap();
    let file = LogAnalysisRequest::from_file(&path);
    assert_eq!(analyzer.analyze_log(&file).unwrap(), expected);
    let stream = analyzer
        .analyze_stream(&LogAnalysisRequest::default(), plain.as_bytes())
        .unwrap();
    assert_eq!(stream, expected);
}

#[test]
fn a_missing_file_says_which() {
    let error = RuleAnalyzer::builtin()
        .analyze_log(&LogAnalysisRequest::from_file("/nowhere/job.log"))
        .unwrap_err();
    insta::assert_snapshot!(error, @"cannot read the log /nowhere/job.log; check that the file exists and may be read");
}

#[test]
fn the_same_failure_has_the_same_signature() {
    let a = analyze("/builds/1/src/a.c:3:5: error: no `x`\n");
    let b = analyze("noise\n/builds/22/src/a.c:30:7: error: no `x`\n");
    assert_eq!(a.signature, b.signature);
    assert_ne!(
        a.signature,
        analyze("src/a.c:3:5: error: no `y`\n").signature
    );
}

#[tokio::test]
async fn a_large_log_goes_to_a_blocking_thread_and_comes_back() {
    let mut log = "progress line\n".repeat(40_000);
    log.push_str("src/a.c:3:5: error: no\n");
    let request = LogAnalysisRequest::from_text(log);
    let analyzer: Box<dyn FailureAnalyzer> = Box::new(RuleAnalyzer::builtin());
    let result = analyzer.analyze(&request).await.unwrap();
    assert_eq!(result.evidence[0].anchor, 40_001);
}

#[derive(Debug)]
struct Rules(RuleAnalyzer);

#[async_trait]
impl crate::conformance::failure::AnalyzerHarness for Rules {
    async fn fresh() -> Result<Self, crate::BoxError> {
        Ok(Self(RuleAnalyzer::builtin()))
    }

    fn analyzer(&self) -> &dyn FailureAnalyzer {
        &self.0
    }
}

mod conformance {
    crate::failure_conformance!(super::Rules);
}
