//! The collision watch: what runs touch is compared while they run, so that the younger one wastes no more.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::run::Ended;
use crate::agent::RunId;
use crate::conflict::ConflictKey;
use crate::conflict::watch;
use crate::conflict::watch::Collision;
use crate::conflict::watch::CollisionKind;
use crate::conflict::watch::TouchedLines;
use crate::conflict::watch::WatchAction;
use crate::conflict::watch::WatchedRun;
use crate::event::Event;
use crate::footprint::Footprint;
use crate::footprint::RepoPath;
use crate::lock::LockState;
use crate::lock::WorkLock;
use crate::lock::fold;
use crate::mirror::View;
use crate::patch;
use crate::patch::PatchLimits;
use crate::pipeline::Pipeline;
use crate::report::chain;
use crate::runner::RunRequest;

/// What the runs of this process have touched so far, and which collisions were told.
#[derive(Debug, Default)]
pub(crate) struct Collisions(Mutex<BTreeMap<RunId, Watched>>);

#[derive(Debug)]
struct Watched {
    run: WatchedRun,
    told: BTreeSet<Collision>,
}

impl Collisions {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a run into the comparison for as long as what is returned lives.
    pub(super) fn enter(self: &Arc<Self>, lock: &WorkLock) -> Entered {
        let claim = lock.claim();
        let run = WatchedRun::new(lock.run().as_str(), lock.issue().as_str(), lock.id().0)
            .from_base(claim.base.target.as_str(), claim.base.commit.as_str())
            .declaring(
                Footprint::from_candidates(&claim.files),
                claim.resources.keys().cloned().collect(),
            );
        let told = BTreeSet::new();
        self.runs()
            .insert(lock.run().clone(), Watched { run, told });
        Entered {
            all: Arc::clone(self),
            run: lock.run().clone(),
        }
    }

    /// Notes what a run has touched by now and returns all that are compared.
    fn touched(&self, run: &RunId, touched: BTreeMap<RepoPath, TouchedLines>) -> Vec<WatchedRun> {
        let mut runs = self.runs();
        if let Some(watched) = runs.get_mut(run) {
            watched.run.touched = touched;
        }
        runs.values().map(|watched| watched.run.clone()).collect()
    }

    /// Returns those of a run's collisions that were not told yet, and counts them as told.
    fn untold(&self, run: &RunId, seen: &[Collision]) -> Vec<Collision> {
        let mut runs = self.runs();
        let Some(watched) = runs.get_mut(run) else {
            return Vec::new();
        };
        let own = seen.iter().filter(|c| c.run == run.as_str());
        own.filter(|c| watched.told.insert((*c).clone()))
            .cloned()
            .collect()
    }
}

/// A run that is compared; dropping this ends that.
pub(super) struct Entered {
    all: Arc<Collisions>,
    run: RunId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.runs().remove(&self.run);
    }
}

impl Pipeline {
    /// Looks at what a run has touched; answers how it has to end, if it has to.
    ///
    /// Each run looks after itself: of two that meet, the one that the policy means finds out at its own next look.
    pub(super) async fn collides(
        &self,
        lock: &WorkLock,
        request: &RunRequest,
        view: &View,
    ) -> Option<Ended> {
        let touched = self.touched_by(request).await?;
        let mut runs = self.collisions.touched(&request.run, touched);
        runs.extend(self.held_elsewhere(view, &runs));
        let sighting = watch::look(&runs, &self.conflicts.watch(), |target| {
            self.conflicts.of_name(target).map(|detector| &**detector)
        });
        for collision in self.collisions.untold(&request.run, &sighting.collisions) {
            tracing::info!(issue = %lock.issue(), run = %lock.run(), %collision, "collision");
            if collision.kind > CollisionKind::Drift {
                self.observer.observe(&Event::Note {
                    issue: Some(lock.issue().clone()),
                    what: collision.to_string(),
                });
            }
        }
        match sighting.actions.get(request.run.as_str())? {
            WatchAction::Report => None,
            WatchAction::Pause => Some(Ended::Paused),
            WatchAction::Stop => Some(Ended::Stopped),
        }
    }

    /// Returns what a run has touched by now; `None` where that cannot be told at the moment.
    async fn touched_by(&self, request: &RunRequest) -> Option<BTreeMap<RepoPath, TouchedLines>> {
        let workspaces = self.workspaces.as_ref()?;
        let listed = workspaces.list().await;
        let workspace = listed
            .inspect_err(|error| tracing::debug!(error = chain(error), "no workspaces are listed"))
            .ok()?
            .into_iter()
            .find(|w| w.run == request.run)?;
        // An agent writes meanwhile: what cannot be read now is read at the next look.
        let captured = workspaces.peek(&workspace).await;
        let captured = captured
            .inspect_err(|error| {
                tracing::debug!(run = %request.run, error = chain(error), "the work cannot be looked at now");
            })
            .ok()?;
        let parsed = patch::parse(captured.patch.bytes(), &PatchLimits::default()).ok()?;
        Some(watch::of_patch(&parsed))
    }

    /// Returns what others hold whose files cannot be seen from here: other machines, other processes.
    fn held_elsewhere(&self, view: &View, here: &[WatchedRun]) -> Vec<WatchedRun> {
        let memos = view
            .issues
            .values()
            .flat_map(|m| m.locks(&self.protocol).0)
            .collect::<Vec<_>>();
        let state: LockState = fold(&memos, view.date);
        state
            .blocking(view.date)
            .filter(|h| h.claim.resources.scope().repo == self.settings.repo)
            .filter(|h| here.iter().all(|run| run.claim != h.id.0))
            .map(|h| {
                let keys: Vec<ConflictKey> = h.claim.resources.keys().cloned().collect();
                WatchedRun::new(h.claim.run.as_str(), h.issue.as_str(), h.id.0)
                    .from_base(h.claim.base.target.as_str(), h.claim.base.commit.as_str())
                    .declaring(Footprint::from_candidates(&h.claim.files), keys)
            })
            .collect()
    }

    /// Returns the files that earlier runs of a round really touched, as far as this machine made them.
    pub(super) async fn touched_before(
        &self,
        state: &LockState,
        issue: &crate::issue::IssueKey,
        round: crate::issue::EventId,
    ) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        let Some(runner) = &self.runner else {
            return touched;
        };
        for ended in state.ended_of(issue, round) {
            if ended.claim.integrator.id != self.settings.integrator.id {
                continue;
            }
            match runner.finished(&ended.claim.run).await {
                Ok(Some(result)) => touched.extend(result.touched),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(run = %ended.claim.run, error = chain(&error), "what a run touched is not known");
                }
            }
        }
        touched
    }
}
