//! Conflict rules of one's own: what the same team owns is not worked on at the same time.
//!
//! `cargo run -p pipeline-examples --example custom_conflicts`

use std::error::Error;
use std::sync::Arc;

use pipeline_core::conflict::Area;
use pipeline_core::conflict::AreaClass;
use pipeline_core::conflict::Areas;
use pipeline_core::conflict::Conflict;
use pipeline_core::conflict::ConflictDetector;
use pipeline_core::conflict::ConflictKey;
use pipeline_core::conflict::Mode;
use pipeline_core::footprint::Footprint;
use pipeline_core::footprint::RepoPath;
use pipeline_core::pipeline::Conflicts;

/// Which team owns which folder, as a `CODEOWNERS` file says it; the last line that fits decides.
#[derive(Debug)]
pub struct Owners {
    lines: Vec<(String, String)>,
}

impl Owners {
    /// Reads lines of a folder and its team.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let words = |line: &str| {
            let mut words = line.split_whitespace();
            let folder = words.next()?.trim_matches('/').to_owned();
            Some((folder, words.next()?.trim_start_matches('@').to_owned()))
        };
        Self {
            lines: text.lines().filter_map(words).collect(),
        }
    }

    fn team(&self, path: &RepoPath) -> Option<&str> {
        let path = path.to_string();
        let owns = |folder: &str| {
            let below = path.strip_prefix(folder);
            folder == "*" || below.is_some_and(|rest| rest.starts_with('/'))
        };
        let found = self.lines.iter().rev().find(|(folder, _)| owns(folder));
        found.map(|(_, team)| team.as_str())
    }
}

impl ConflictDetector for Owners {
    fn name(&self) -> &'static str {
        "owners"
    }

    fn areas(&self, footprint: &Footprint) -> Areas {
        let mut areas = Areas::new();
        // Parallel needs proof: without files, nothing else may run.
        if !footprint.is_known() {
            areas.claim(Area::new(ConflictKey::all(), Mode::Exclusive, "unknown"));
        }
        for path in footprint.files() {
            let area = match self.team(path) {
                Some(team) => {
                    let key = ConflictKey::area(AreaClass::Domain, team);
                    Area::new(key, Mode::PerKey, format!("owned by {team}"))
                }
                None => Area::new(ConflictKey::all(), Mode::Exclusive, "owned by nobody"),
            };
            areas.claim(area.because_of([path.clone()]));
        }
        areas
    }

    fn conflicts(&self, candidate: &Footprint, active: &Footprint) -> Vec<Conflict> {
        self.areas(candidate).conflicts_with(&self.areas(active))
    }
}

/// Shows what may run beside what.
///
/// # Errors
/// If the output cannot be written.
pub fn run(out: &mut dyn std::io::Write) -> Result<(), Box<dyn Error>> {
    let owners = Owners::parse("web/ @shop\nweb/pay/ @billing\napi/ @platform\n");
    let of = |file: &str| Footprint::from_candidates([file]);
    for (one, other) in [
        ("web/list.ts", "web/cart.ts"),
        ("web/list.ts", "web/pay/card.ts"),
        ("api/a.rs", "README.md"),
    ] {
        let conflicts = owners.conflicts(&of(one), &of(other));
        let verdict = match conflicts.first() {
            Some(conflict) => format!("one after the other, for {}", conflict.key),
            None => "side by side".to_owned(),
        };
        writeln!(out, "{one} and {other}: {verdict}")?;
    }
    // This is how a pipeline gets them: `Pipeline::builder(…).with_conflicts(rules)`.
    let rules = Conflicts::one(Arc::new(owners), "owners-1");
    writeln!(out, "the rules are named {} in lock memos", rules.digest())?;
    Ok(())
}

#[allow(dead_code, reason = "a test includes this file for `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout().lock())
}
