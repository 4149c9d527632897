//! A gate in memory: what a test's person has said.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;

use crate::gate::Gate;
use crate::gate::GateDecision;
use crate::gate::GateError;
use crate::gate::GateEvidence;
use crate::gate::GatePlace;
use crate::gate::GateRequest;

/// A gate that answers what it was given.
#[derive(Debug, Clone, Default)]
pub struct MemoryGate {
    given: Arc<Mutex<Vec<GateEvidence>>>,
}

impl MemoryGate {
    /// Makes a gate at which nobody has said anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says yes, as a person would.
    pub fn give(&self, evidence: GateEvidence) {
        self.given
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(evidence);
    }
}

#[async_trait]
impl Gate for MemoryGate {
    fn place(&self) -> GatePlace {
        GatePlace::Terminal
    }

    async fn decision(&self, request: &GateRequest) -> Result<GateDecision, GateError> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(
            match given.iter().rfind(|e| e.subject == request.subject()) {
                Some(evidence) => GateDecision::Given(evidence.clone()),
                None => GateDecision::Pending {
                    how: format!("call MemoryGate::give for {}", request.subject()),
                    ignored: given
                        .iter()
                        .map(|e| format!("the OK names {}", e.subject))
                        .collect(),
                },
            },
        )
    }
}
