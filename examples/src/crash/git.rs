//! Workspaces and integrator with a crash point before each effect.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::clock::Timestamp;
use pipeline_core::gate::Approval;
use pipeline_core::gate::LocalDiff;
use pipeline_core::integrate::ApplyOutcome;
use pipeline_core::integrate::Candidate;
use pipeline_core::integrate::CandidateId;
use pipeline_core::integrate::Checkout;
use pipeline_core::integrate::ClaimRef;
use pipeline_core::integrate::IntegrateError;
use pipeline_core::integrate::Integration;
use pipeline_core::integrate::LandBy;
use pipeline_core::integrate::LandOutcome;
use pipeline_core::integrate::LandingPlan;
use pipeline_core::integrate::OpenOutcome;
use pipeline_core::integrate::PatchIntegrator;
use pipeline_core::integrate::PushOutcome;
use pipeline_core::integrate::Submission;
use pipeline_core::integrate::TrailerHit;
use pipeline_core::integrate::TrailerSearch;
use pipeline_core::integrate::VerificationRecord;
use pipeline_core::workspace::BaseRevision;
use pipeline_core::workspace::Captured;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::Patch;
use pipeline_core::workspace::PatchId;
use pipeline_core::workspace::RemovalReason;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::Workspace;
use pipeline_core::workspace::WorkspaceError;
use pipeline_core::workspace::WorkspaceProvider;
use pipeline_core::workspace::WorkspaceRequest;

use super::Points;

/// Workspaces with a crash point before each effect.
#[derive(Debug)]
pub struct CrashingWorkspaces {
    inner: Arc<dyn WorkspaceProvider>,
    points: Points,
}

impl CrashingWorkspaces {
    /// Wraps a provider.
    #[must_use]
    pub const fn new(inner: Arc<dyn WorkspaceProvider>, points: Points) -> Self {
        Self { inner, points }
    }
}

#[async_trait]
impl WorkspaceProvider for CrashingWorkspaces {
    async fn base(&self, target: &Target) -> Result<BaseRevision, WorkspaceError> {
        self.inner.base(target).await
    }

    async fn files(&self, base: &BaseRevision) -> Result<Vec<String>, WorkspaceError> {
        self.inner.files(base).await
    }

    async fn file(
        &self,
        base: &BaseRevision,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, WorkspaceError> {
        self.inner.file(base, path, limit).await
    }

    async fn create(&self, request: &WorkspaceRequest) -> Result<Workspace, WorkspaceError> {
        let effect = self.inner.create(request);
        self.points.before("workspace", effect).await
    }

    async fn digest(&self, workspace: &Workspace) -> Result<String, WorkspaceError> {
        self.inner.digest(workspace).await
    }

    async fn capture(
        &self,
        workspace: &Workspace,
        litter: &[String],
    ) -> Result<Captured, WorkspaceError> {
        let effect = self.inner.capture(workspace, litter);
        self.points.before("capture", effect).await
    }

    async fn peek(&self, workspace: &Workspace) -> Result<Captured, WorkspaceError> {
        self.inner.peek(workspace).await
    }

    async fn salvage(&self, workspace: &Workspace) -> Result<Option<String>, WorkspaceError> {
        let effect = self.inner.salvage(workspace);
        self.points.before("salvage", effect).await
    }

    async fn remove(
        &self,
        workspace: Workspace,
        reason: &RemovalReason,
    ) -> Result<(), WorkspaceError> {
        let effect = self.inner.remove(workspace, reason);
        self.points.before("remove workspace", effect).await
    }

    async fn list(&self) -> Result<Vec<Workspace>, WorkspaceError> {
        self.inner.list().await
    }
}

/// An integrator with a crash point before each effect.
#[derive(Debug)]
pub struct CrashingIntegrator {
    inner: Arc<dyn PatchIntegrator>,
    points: Points,
}

impl CrashingIntegrator {
    /// Wraps an integrator.
    #[must_use]
    pub const fn new(inner: Arc<dyn PatchIntegrator>, points: Points) -> Self {
        Self { inner, points }
    }

    fn wrapped(&self, opened: OpenOutcome) -> OpenOutcome {
        match opened {
            OpenOutcome::Opened(inner) => OpenOutcome::Opened(Box::new(CrashingSession {
                inner,
                points: self.points.clone(),
            })),
            other => other,
        }
    }
}

#[async_trait]
impl PatchIntegrator for CrashingIntegrator {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn id(&self) -> &str {
        self.inner.id()
    }

    async fn store(&self, patch: &Patch) -> Result<(), IntegrateError> {
        self.points.before("store", self.inner.store(patch)).await
    }

    async fn stored(&self, id: &PatchId) -> Result<Option<Patch>, IntegrateError> {
        self.inner.stored(id).await
    }

    async fn open(&self, target: &Target) -> Result<OpenOutcome, IntegrateError> {
        Ok(self.wrapped(self.inner.open(target).await?))
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, IntegrateError> {
        self.inner.candidates().await
    }

    async fn diff(&self, candidate: &Candidate) -> Result<Vec<u8>, IntegrateError> {
        self.inner.diff(candidate).await
    }

    async fn resume(&self, candidate: &CandidateId) -> Result<OpenOutcome, IntegrateError> {
        Ok(self.wrapped(self.inner.resume(candidate).await?))
    }
}

#[derive(Debug)]
struct CrashingSession {
    inner: Box<dyn Integration>,
    points: Points,
}

#[async_trait]
impl Integration for CrashingSession {
    fn target(&self) -> &Target {
        self.inner.target()
    }

    fn candidate(&self) -> Option<&Candidate> {
        self.inner.candidate()
    }

    async fn tip(&self) -> Result<CommitId, IntegrateError> {
        self.inner.tip().await
    }

    async fn trailers(&self, search: &TrailerSearch) -> Result<Vec<TrailerHit>, IntegrateError> {
        self.inner.trailers(search).await
    }

    async fn apply(
        &mut self,
        submission: &Submission,
        declared: &[String],
    ) -> Result<ApplyOutcome, IntegrateError> {
        let effect = self.inner.apply(submission, declared);
        self.points.before("apply", effect).await
    }

    async fn rebuild(
        &mut self,
        base: &CommitId,
        submissions: &[(Submission, Vec<String>)],
    ) -> Result<Vec<(ClaimRef, ApplyOutcome)>, IntegrateError> {
        let effect = self.inner.rebuild(base, submissions);
        self.points.before("rebuild", effect).await
    }

    async fn checkout(&mut self, which: Checkout) -> Result<PathBuf, IntegrateError> {
        self.points
            .before("checkout", self.inner.checkout(which))
            .await
    }

    async fn set_verified(&mut self, record: VerificationRecord) -> Result<(), IntegrateError> {
        let effect = self.inner.set_verified(record);
        self.points.before("set verified", effect).await
    }

    async fn seal(&mut self, at: Timestamp) -> Result<CandidateId, IntegrateError> {
        self.points.before("seal", self.inner.seal(at)).await
    }

    async fn discard(&mut self) -> Result<(), IntegrateError> {
        self.points.before("discard", self.inner.discard()).await
    }

    async fn prepare(&self, approval: &Approval<LocalDiff>) -> Result<LandingPlan, IntegrateError> {
        let effect = self.inner.prepare(approval);
        self.points.before("prepare", effect).await
    }

    async fn land(
        &mut self,
        plan: &LandingPlan,
        approval: &Approval<LocalDiff>,
        by: &LandBy,
    ) -> Result<LandOutcome, IntegrateError> {
        let effect = self.inner.land(plan, approval, by);
        self.points.before("land", effect).await
    }

    async fn roll_forward(&mut self, plan: &LandingPlan) -> Result<LandOutcome, IntegrateError> {
        let effect = self.inner.roll_forward(plan);
        self.points.before("roll forward", effect).await
    }

    async fn push(&mut self, commit: &CommitId) -> Result<PushOutcome, IntegrateError> {
        self.points.before("push", self.inner.push(commit)).await
    }
}
