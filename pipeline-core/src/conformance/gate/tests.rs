//! The suite on the gates in memory, in a folder and in the tracker, and on ones that open too easily.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use super::*;
use crate::clock::Timestamp;
use crate::gate::FolderGate;
use crate::gate::GateError;
use crate::gate::GatePlace;
use crate::gate::Person;
use crate::gate::TrackerGate;
use crate::gate::ship_comment;
use crate::issue::AccountRef;
use crate::memo::Fields;
use crate::memo::Markers;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::SigningKeys;
use crate::memory::MemoryGate;
use crate::memory::MemoryTracker;
use crate::thread::Protocol;
use crate::tracker::PlainDialect;
use crate::tracker::Tracker as _;

fn evidence(request: &GateRequest, lifted: &Lifted) -> GateEvidence {
    GateEvidence {
        subject: request.subject().to_owned(),
        by: Person::new("Ann", "ann@example.com"),
        at: Timestamp::EPOCH,
        place: GatePlace::Terminal,
        allow: lifted.allow.clone(),
        protected: lifted.protected.clone(),
        rules: match request {
            GateRequest::Ship { rules, .. } => Some(rules.clone()),
            GateRequest::LocalOk { .. } => None,
        },
    }
}

struct InMemory(MemoryGate);

#[async_trait]
impl GateHarness for InMemory {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self(MemoryGate::new()))
    }

    fn gate(&self) -> Arc<dyn Gate> {
        Arc::new(self.0.clone())
    }

    fn issues(&self) -> Vec<IssueKey> {
        Vec::new()
    }

    async fn show(&self, _request: &GateRequest) -> Result<(), BoxError> {
        Ok(())
    }

    async fn give(&self, request: &GateRequest, lifted: &Lifted) -> Result<(), BoxError> {
        self.0.give(evidence(request, lifted));
        Ok(())
    }

    async fn forge(&self, _request: &GateRequest) -> Result<(), BoxError> {
        // Nobody else reaches the memory of this process.
        Ok(())
    }
}

struct InFolder(tempfile::TempDir);

impl InFolder {
    fn folder(&self) -> FolderGate {
        FolderGate::terminal(self.0.path().join("approvals"))
    }
}

#[async_trait]
impl GateHarness for InFolder {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn gate(&self) -> Arc<dyn Gate> {
        Arc::new(self.folder())
    }

    fn issues(&self) -> Vec<IssueKey> {
        Vec::new()
    }

    async fn show(&self, _request: &GateRequest) -> Result<(), BoxError> {
        Ok(())
    }

    async fn give(&self, request: &GateRequest, lifted: &Lifted) -> Result<(), BoxError> {
        Ok(self.folder().give(&evidence(request, lifted))?)
    }

    async fn forge(&self, request: &GateRequest) -> Result<(), BoxError> {
        let folder = self.0.path().join("approvals");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let file = folder.join(format!("{}.json", request.subject()));
        // An answer to something else under the name of this one, copied there.
        let other = GateEvidence {
            subject: "e".repeat(request.subject().len()),
            ..evidence(request, &Lifted::default())
        };
        fs::write(file, serde_json::to_vec(&other)?)?;
        fs::write(folder.join("yes.json"), "{\"subject\": \"everything\"}")?;
        Ok(())
    }
}

struct InTracker {
    tracker: MemoryTracker,
    issue: IssueKey,
    gate: TrackerGate,
}

impl InTracker {
    async fn says(
        &self,
        who: &str,
        request: &GateRequest,
        lifted: &Lifted,
    ) -> Result<(), BoxError> {
        let mut line = match request {
            GateRequest::LocalOk { candidate, .. } => format!("OK {}", candidate.short()),
            GateRequest::Ship { commit, rules, .. } => ship_comment(commit, rules),
        };
        let list = |names: &BTreeSet<String>, by: &str| {
            names
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(by)
        };
        if !lifted.allow.is_empty() {
            line.push_str(&format!(" allow {}", list(&lifted.allow, ",")));
        }
        if !lifted.protected.is_empty() {
            line.push_str(&format!(" protected {}", list(&lifted.protected, " ")));
        }
        if who == "pipeline" {
            self.tracker.add_comment(&self.issue, &line).await?;
        } else {
            self.tracker.as_person(who).comment(&self.issue, &line)?;
        }
        Ok(())
    }
}

#[async_trait]
impl GateHarness for InTracker {
    async fn fresh() -> Result<Self, BoxError> {
        let tracker = MemoryTracker::new();
        let issue = tracker.as_person("eve").new_issue("Title", "Body")?;
        let protocol = Protocol {
            accounts: vec![AccountRef("pipeline".into())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new("t"),
        };
        let approvers = vec![AccountRef("ann".into())];
        let gate = TrackerGate::new(Arc::new(tracker.clone()), Arc::new(protocol), approvers);
        Ok(Self {
            tracker,
            issue,
            gate,
        })
    }

    fn gate(&self) -> Arc<dyn Gate> {
        Arc::new(self.gate.clone())
    }

    fn issues(&self) -> Vec<IssueKey> {
        vec![self.issue.clone()]
    }

    async fn show(&self, request: &GateRequest) -> Result<(), BoxError> {
        let (kind, key) = match request {
            GateRequest::LocalOk { .. } => ("result", "candidate"),
            GateRequest::Ship { .. } => ("landed", "commit"),
        };
        let fields = Fields::new()
            .with("kind", kind)
            .with(key, request.subject());
        let memo = Memo::new(MemoKind::WorkStatus, fields, String::new());
        let keys = SigningKeys::new("t");
        let body = memo.render(&Markers::default(), &PlainDialect, &self.issue, &keys);
        self.tracker.add_comment(&self.issue, &body).await?;
        Ok(())
    }

    async fn give(&self, request: &GateRequest, lifted: &Lifted) -> Result<(), BoxError> {
        self.says("ann", request, lifted).await
    }

    async fn forge(&self, request: &GateRequest) -> Result<(), BoxError> {
        for who in ["eve", "pipeline"] {
            self.says(who, request, &Lifted::default()).await?;
        }
        Ok(())
    }
}

mod in_memory {
    crate::gate_conformance!(super::InMemory);
}

mod in_folder {
    crate::gate_conformance!(super::InFolder);
}

mod in_tracker {
    crate::gate_conformance!(super::InTracker);
}

#[derive(Debug, Clone, Copy)]
enum Lie {
    /// Whatever was said last is the answer to everything.
    OpensForAnything,
    /// Every hold it ever heard of is lifted.
    LiftsMore,
    /// The person is told to have seen the rules that are asked about.
    VouchesForTheRules,
    /// An answer is used up by asking.
    Forgets,
    /// Nobody is told what to do.
    SaysNothing,
    /// The first answer stays.
    KeepsTheFirst,
}

/// A gate that breaks one rule.
#[derive(Debug, Clone)]
struct Liar {
    lie: Lie,
    said: Arc<std::sync::Mutex<Vec<GateEvidence>>>,
}

impl Liar {
    fn new(lie: Lie) -> Self {
        let said = Arc::default();
        Self { lie, said }
    }
}

#[async_trait]
impl Gate for Liar {
    fn place(&self) -> GatePlace {
        GatePlace::Terminal
    }

    async fn decision(&self, request: &GateRequest) -> Result<GateDecision, GateError> {
        let mut said = self
            .said
            .lock()
            .expect("no test panics while it holds this");
        let of_this = |e: &&GateEvidence| e.subject == request.subject();
        let found = match self.lie {
            Lie::OpensForAnything => said.last(),
            Lie::KeepsTheFirst => said.iter().find(of_this),
            Lie::LiftsMore | Lie::VouchesForTheRules | Lie::Forgets | Lie::SaysNothing => {
                said.iter().rfind(of_this)
            }
        };
        let Some(mut evidence) = found.cloned() else {
            let short = request.subject().get(..12).unwrap_or_default();
            let how = match self.lie {
                Lie::SaysNothing => String::new(),
                _ => format!("say yes to {short}"),
            };
            return Ok(GateDecision::Pending {
                how,
                ignored: Vec::new(),
            });
        };
        match (self.lie, request) {
            (Lie::LiftsMore, _) => {
                evidence.allow.insert("migration".to_owned());
            }
            (Lie::VouchesForTheRules, GateRequest::Ship { rules, .. }) => {
                evidence.rules = Some(rules.clone());
            }
            (Lie::OpensForAnything, _) => request.subject().clone_into(&mut evidence.subject),
            (Lie::Forgets, _) => said.clear(),
            _ => {}
        }
        Ok(GateDecision::Given(evidence))
    }
}

#[async_trait]
impl GateHarness for Liar {
    async fn fresh() -> Result<Self, BoxError> {
        Err("a lie is chosen by hand".into())
    }

    fn gate(&self) -> Arc<dyn Gate> {
        Arc::new(self.clone())
    }

    fn issues(&self) -> Vec<IssueKey> {
        Vec::new()
    }

    async fn show(&self, _request: &GateRequest) -> Result<(), BoxError> {
        Ok(())
    }

    async fn give(&self, request: &GateRequest, lifted: &Lifted) -> Result<(), BoxError> {
        let mut said = self
            .said
            .lock()
            .expect("no test panics while it holds this");
        said.push(evidence(request, lifted));
        Ok(())
    }

    async fn forge(&self, request: &GateRequest) -> Result<(), BoxError> {
        // Whoever comes by.
        self.give(request, &Lifted::default()).await
    }
}

#[tokio::test]
async fn every_lie_is_caught_by_its_case() {
    let caught = [
        what_nobody_said_is_pending_and_says_how(&Liar::new(Lie::SaysNothing)).await,
        an_ok_is_for_exactly_its_candidate(&Liar::new(Lie::OpensForAnything)).await,
        an_ok_lifts_what_it_names_and_nothing_more(&Liar::new(Lie::LiftsMore)).await,
        the_latest_ok_stands_alone(&Liar::new(Lie::KeepsTheFirst)).await,
        an_ok_is_no_permission_to_ship(&Liar::new(Lie::OpensForAnything)).await,
        a_permission_is_for_one_commit_under_one_set_of_rules(&Liar::new(Lie::VouchesForTheRules))
            .await,
        asking_changes_nothing(&Liar::new(Lie::Forgets)).await,
        a_forged_answer_opens_nothing(&Liar::new(Lie::KeepsTheFirst)).await,
    ];
    for (at, found) in caught.iter().enumerate() {
        assert!(found.is_err(), "case {at} lets its lie pass");
    }
}
