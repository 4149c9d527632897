//! The laws on the detector of rules, and on ones that break each of them.

use super::*;
use crate::conflict::Area;
use crate::conflict::Areas;
use crate::conflict::ConflictKey;
use crate::conflict::Mode;
use crate::conflict::RuleConflicts;
use crate::conflict::RuleSet;

const PATHS: [&str; 8] = [
    "app/Http/Controllers/PointsController.php",
    "app/Models/Point.php",
    "resources/views/orders/list.blade.php",
    "database/migrations/2026_01_01_a.php",
    "package-lock.json",
    "public/css/app.css",
    "app/Services/PaymentService.php",
    "docs/a.md",
];

/// The detector of the generic rules, or of those a listing of a known stack detects.
struct Rules<const DETECTED: bool>(RuleConflicts);

#[async_trait]
impl<const DETECTED: bool> ConflictHarness for Rules<DETECTED> {
    async fn fresh() -> Result<Self, BoxError> {
        let listing: Vec<RepoPath> = PATHS.iter().map(|path| read(path)).collect();
        let listing = if DETECTED { &listing[..] } else { &[] };
        let rules = RuleSet::detected(listing)?;
        Ok(Self(rules.detector("main")?))
    }

    fn detector(&self) -> &dyn ConflictDetector {
        &self.0
    }

    fn paths(&self) -> Vec<String> {
        PATHS.map(str::to_owned).to_vec()
    }

    fn apart(&self) -> Option<(String, String)> {
        Some(("docs/a.md".to_owned(), "notes/b.md".to_owned()))
    }
}

mod generic {
    crate::conflict_conformance!(super::Rules<false>);
}

mod detected {
    crate::conflict_conformance!(super::Rules<true>);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Whoever came first is in nobody's way.
    FavoursTheFirst,
    /// The same footprint is nothing to worry about.
    TrustsItself,
    /// More than two files are surely apart.
    TiresOfMany,
    /// Nothing known is nothing to meet.
    TrustsTheUnknown,
    /// Conflicts are told, but areas are not claimed.
    ClaimsNothing,
    /// Conflicts have no rule.
    NamesNoRule,
    /// Every other answer is empty.
    Forgets,
    /// Everything meets.
    LetsNothing,
}

/// A detector that breaks one law.
#[derive(Debug)]
struct Liar {
    honest: RuleConflicts,
    lie: Lie,
    asked: std::sync::atomic::AtomicU32,
}

impl ConflictDetector for Liar {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn areas(&self, footprint: &Footprint) -> Areas {
        match self.lie {
            Lie::ClaimsNothing => Areas::new(),
            Lie::NamesNoRule => {
                let mut areas = Areas::new();
                for key in self.honest.areas(footprint).keys() {
                    areas.claim(Area::new(key, Mode::PerKey, ""));
                }
                areas
            }
            Lie::LetsNothing => {
                let mut areas = self.honest.areas(footprint);
                areas.claim(Area::new(ConflictKey::all(), Mode::Exclusive, "fear"));
                areas
            }
            Lie::FavoursTheFirst
            | Lie::TrustsItself
            | Lie::TiresOfMany
            | Lie::TrustsTheUnknown
            | Lie::Forgets => self.honest.areas(footprint),
        }
    }

    fn conflicts(&self, candidate: &Footprint, active: &Footprint) -> Vec<Conflict> {
        let asked = self
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let nothing = match self.lie {
            Lie::FavoursTheFirst => format!("{candidate:?}") < format!("{active:?}"),
            Lie::TrustsItself => candidate == active,
            Lie::TiresOfMany => candidate.files().count() > 2 || active.files().count() > 2,
            Lie::TrustsTheUnknown => !candidate.is_known() || !active.is_known(),
            Lie::Forgets => asked.is_multiple_of(2),
            Lie::ClaimsNothing => return self.honest.conflicts(candidate, active),
            Lie::NamesNoRule | Lie::LetsNothing => false,
        };
        if nothing {
            return Vec::new();
        }
        self.areas(candidate).conflicts_with(&self.areas(active))
    }
}

struct Lying(Liar);

#[async_trait]
impl ConflictHarness for Lying {
    async fn fresh() -> Result<Self, BoxError> {
        Err("a lie is chosen by hand".into())
    }

    fn detector(&self) -> &dyn ConflictDetector {
        &self.0
    }

    fn paths(&self) -> Vec<String> {
        PATHS.map(str::to_owned).to_vec()
    }

    fn apart(&self) -> Option<(String, String)> {
        Some(("docs/a.md".to_owned(), "notes/b.md".to_owned()))
    }
}

fn lying(lie: Lie) -> Lying {
    let rules = RuleSet::detected(&[]).expect("the generic rules");
    Lying(Liar {
        honest: rules.detector("main").expect("a detector"),
        lie,
        asked: std::sync::atomic::AtomicU32::new(0),
    })
}

#[tokio::test]
async fn every_broken_law_is_caught_by_its_case() {
    let caught = [
        conflicts_are_symmetric(&lying(Lie::FavoursTheFirst)).await,
        work_conflicts_with_itself(&lying(Lie::TrustsItself)).await,
        widening_removes_no_conflict(&lying(Lie::TiresOfMany)).await,
        an_unknown_footprint_conflicts_with_everything(&lying(Lie::TrustsTheUnknown)).await,
        areas_and_conflicts_agree(&lying(Lie::ClaimsNothing)).await,
        every_conflict_names_its_rule(&lying(Lie::NamesNoRule)).await,
        the_answer_does_not_depend_on_what_was_asked_before(&lying(Lie::Forgets)).await,
        what_is_apart_may_run_side_by_side(&lying(Lie::LetsNothing)).await,
    ];
    for (at, found) in caught.iter().enumerate() {
        assert!(found.is_err(), "case {at} lets its lie pass");
    }
}
