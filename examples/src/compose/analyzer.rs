//! The analyser of failures, made when the first failure needs it: its rules take a moment, and most commands need none.

use std::sync::OnceLock;

use async_trait::async_trait;
use pipeline_core::failure::AnalyzeError;
use pipeline_core::failure::FailureAnalyzer;
use pipeline_core::failure::LogAnalysisRequest;
use pipeline_core::failure::LogAnalysisResult;
use pipeline_core::failure::RuleAnalyzer;

#[derive(Debug, Default)]
pub(super) struct LazyAnalyzer(OnceLock<RuleAnalyzer>);

#[async_trait]
impl FailureAnalyzer for LazyAnalyzer {
    fn name(&self) -> &str {
        "rules"
    }

    async fn analyze(
        &self,
        request: &LogAnalysisRequest,
    ) -> Result<LogAnalysisResult, AnalyzeError> {
        self.0
            .get_or_init(RuleAnalyzer::builtin)
            .analyze(request)
            .await
    }
}
