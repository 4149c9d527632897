//! From a submitted claim to what the integrator applies.

use super::integrate_error;
use crate::gate::Person;
use crate::integrate::Submission;
use crate::lock::Claim;
use crate::lock::LiveClaim;
use crate::lock::LockView;
use crate::pipeline::Pipeline;
use crate::pipeline::PipelineError;
use crate::workspace::PatchId;

impl Pipeline {
    /// Builds what the integrator needs of a submitted claim.
    pub(in crate::stages) async fn submission(
        &self,
        locks: &LockView,
        h: &LiveClaim,
        patch: &PatchId,
    ) -> Result<Option<Submission>, PipelineError> {
        let Some(integrator) = &self.integrator else {
            return Ok(None);
        };
        let Some(patch) = integrator.stored(patch).await.map_err(integrate_error)? else {
            return Ok(None);
        };
        let issue = locks.view.issues.get(&h.issue).map(|m| &m.issue);
        let title = one_line(issue.map_or("", |i| i.title.as_str()));
        let url = issue.and_then(|i| i.url.clone()).unwrap_or_default();
        let message = self
            .settings
            .message
            .replace("{issue}", h.issue.as_str())
            .replace("{url}", &url)
            .replace("{title}", &title);
        Ok(Some(Submission {
            claim: h.claim_ref(),
            base: h.claim.base.commit.clone(),
            patch,
            title,
            author: self.author(&h.claim),
            authored: h.submitted_at.unwrap_or(h.posted),
            message,
            holds: h.holds.clone(),
        }))
    }

    /// Returns whose work a claim's patch is: the agent that made its run, which need not be the first of its slot.
    fn author(&self, claim: &Claim) -> Person {
        let made_by = self.ledger.agent_of(&claim.run).ok().flatten();
        let slot = &claim.agent;
        let agent = made_by.unwrap_or_else(|| {
            let slots = &self.settings.slots;
            let known = slots.iter().find(|s| s.name == *slot);
            known.map_or_else(|| slot.clone(), |s| s.agent.clone())
        });
        let author = self.settings.authors.get(&agent).cloned();
        author.unwrap_or_else(|| Person::new(&agent, &format!("{agent}@agents.invalid")))
    }

    /// Returns why a patch has to wait: it touched files outside the declared ones that other live work holds.
    pub(super) fn drift_meets(
        &self,
        locks: &LockView,
        h: &LiveClaim,
        s: &Submission,
    ) -> Option<String> {
        let touched = touched_paths(s.patch.bytes());
        let drift: Vec<&String> = touched
            .iter()
            .filter(|p| !h.claim.files.contains(p))
            .collect();
        if drift.is_empty() {
            return None;
        }
        let footprint = crate::footprint::Footprint::from_candidates(&drift);
        let resources = self.resources(&h.issue, &h.claim.base.target, &footprint);
        let other = locks.state.live(locks.date).find(|o| {
            // Two that meet each other: the lower claim goes first.
            let goes_first = o.submitted.is_none() || o.id < h.id;
            o.id != h.id && goes_first && o.claim.resources.meets(&resources)
        })?;
        Some(format!(
            "its patch touches files outside the declared ones ({}) that {} holds: it waits for the end of claim {}",
            drift
                .iter()
                .take(3)
                .map(|s| s.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            other.issue,
            other.id
        ))
    }
}

/// Returns the paths a patch touches; none if it does not parse, which the integrator then refuses.
fn touched_paths(bytes: &[u8]) -> Vec<String> {
    let Ok(parsed) = crate::patch::parse(bytes, &crate::patch::PatchLimits::default()) else {
        return Vec::new();
    };
    let mut paths: Vec<String> = parsed
        .touched()
        .iter()
        .flat_map(|t| {
            t.changed_paths()
                .map(|p| String::from_utf8_lossy(p.as_bytes()).into_owned())
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Returns a title as one harmless line of a commit message: no trailer can be smuggled in.
fn one_line(title: &str) -> String {
    let clean: String = title
        .chars()
        .map(|c| {
            if c.is_control() || c.is_whitespace() {
                ' '
            } else {
                c
            }
        })
        .collect();
    clean
        .split(' ')
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}
