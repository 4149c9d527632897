//! The laws of [`ConflictDetector`].
//!
//! A detector's tests implement [`ConflictHarness`], which names paths the detector's rules speak of, and call
//! [`conflict_conformance!`](crate::conflict_conformance). The cases make footprints of those paths, of paths no rule
//! knows and of directories, and hold every law for every pair of them.

use async_trait::async_trait;

use super::Violation;
use super::case::ensure;
use super::case::same;
use crate::BoxError;
use crate::conflict::Conflict;
use crate::conflict::ConflictClass;
use crate::conflict::ConflictDetector;
use crate::footprint::Footprint;
use crate::footprint::RepoPath;

/// Makes the detector under test.
#[async_trait]
pub trait ConflictHarness: Send + Sync {
    /// Makes a new harness.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns the detector.
    fn detector(&self) -> &dyn ConflictDetector;

    /// Returns paths that the rules tell apart: of every class they know, and two of one key where they have keys.
    fn paths(&self) -> Vec<String>;

    /// Returns two paths that may be worked on side by side; `None` where the detector lets nothing.
    fn apart(&self) -> Option<(String, String)>;
}

/// Expands to one test per law of a [`ConflictDetector`], for a type that implements [`ConflictHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::conflict_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! conflict_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::conflict::ConflictHarness,
            $crate::conformance::conflict,
            [
                an_unknown_footprint_conflicts_with_everything,
                areas_and_conflicts_agree,
                conflicts_are_symmetric,
                every_conflict_names_its_rule,
                the_answer_does_not_depend_on_what_was_asked_before,
                what_is_apart_may_run_side_by_side,
                widening_removes_no_conflict,
                work_conflicts_with_itself,
            ]
        );
    };
}

/// Paths that no team's rules know: another alphabet, a deep one, one in the root.
const STRANGE: [&str; 4] = [
    "zz/未知/ファイル.txt",
    "a/b/c/d/e/f/g.zzz",
    "ZZ-READ.ME",
    "zz/x",
];

/// Footprints of one path each, of pairs, of a directory, of touched files, of nothing, and of what is refused.
fn footprints(harness: &dyn ConflictHarness) -> Vec<Footprint> {
    let mut paths = harness.paths();
    paths.extend(STRANGE.map(str::to_owned));
    let mut all: Vec<Footprint> = paths
        .iter()
        .map(|path| Footprint::from_candidates([path.as_str()]))
        .collect();
    all.extend(
        paths
            .windows(2)
            .map(|pair| Footprint::from_candidates(pair.iter().map(String::as_str))),
    );
    all.extend(paths.iter().filter_map(|path| {
        let (dir, _) = path.rsplit_once('/')?;
        Some(Footprint::from_candidates([format!("{dir}/").as_str()]))
    }));
    all.extend(paths.iter().map(|path| Footprint::of_patch([read(path)])));
    all.push(Footprint::unknown());
    all.push(Footprint::from_candidates(["../outside"]));
    all
}

/// Returns conflicts as they read with the two sides swapped back, in one order.
fn sorted(conflicts: &[Conflict], swapped: bool) -> Vec<Conflict> {
    let turned = conflicts.iter().map(|conflict| {
        if swapped {
            conflict.clone().flipped()
        } else {
            conflict.clone()
        }
    });
    let mut turned: Vec<Conflict> = turned.collect();
    turned.sort_by_key(|conflict| format!("{conflict:?}"));
    turned
}

/// Swapping the two swaps the sides of the same conflicts.
///
/// # Errors
/// The law and two footprints for which it does not hold.
pub async fn conflicts_are_symmetric(harness: &dyn ConflictHarness) -> Result<(), Violation> {
    let detector = harness.detector();
    for (a, b) in pairs(&footprints(harness)) {
        let there = sorted(&detector.conflicts(a, b), false);
        let back = sorted(&detector.conflicts(b, a), true);
        ensure(there == back, || {
            format!("{a:?} meets {b:?} by {there:?}, and the other way round by {back:?}")
        })?;
    }
    Ok(())
}

/// Whatever the work is, it may not run beside itself.
///
/// # Errors
/// A footprint for which the law does not hold.
pub async fn work_conflicts_with_itself(harness: &dyn ConflictHarness) -> Result<(), Violation> {
    for footprint in &footprints(harness) {
        let conflicts = harness.detector().conflicts(footprint, footprint);
        ensure(!conflicts.is_empty(), || {
            format!("{footprint:?} may run beside itself")
        })?;
    }
    Ok(())
}

/// Declaring or touching more never makes two pieces of work meet less.
///
/// # Errors
/// The footprints for which the law does not hold.
pub async fn widening_removes_no_conflict(harness: &dyn ConflictHarness) -> Result<(), Violation> {
    let detector = harness.detector();
    // A part of them, of every shape: each pair is widened by several paths.
    let all: Vec<Footprint> = footprints(harness).into_iter().step_by(3).collect();
    let more: Vec<String> = harness.paths().into_iter().step_by(3).collect();
    for (a, b) in pairs(&all) {
        let before = !detector.conflicts(a, b).is_empty();
        // An unknown footprint that becomes known is the one thing that may become less.
        if !before || !a.is_known() {
            continue;
        }
        for path in &more {
            let mut wider = a.clone();
            wider.declare(path);
            ensure(!detector.conflicts(&wider, b).is_empty(), || {
                format!("{a:?} meets {b:?}, but not with {path} in addition")
            })?;
            let touched = a.clone().with_touched([read(path)]);
            ensure(!detector.conflicts(&touched, b).is_empty(), || {
                format!("{a:?} meets {b:?}, but not once it has touched {path}")
            })?;
        }
    }
    Ok(())
}

/// Of what nobody knows nothing can be said to be apart.
///
/// # Errors
/// A footprint beside which the unknown may run.
pub async fn an_unknown_footprint_conflicts_with_everything(
    harness: &dyn ConflictHarness,
) -> Result<(), Violation> {
    let unknown = [
        Footprint::unknown(),
        Footprint::from_candidates(Vec::<&str>::new()),
        Footprint::from_candidates(["/etc/passwd"]),
    ];
    for footprint in &footprints(harness) {
        for unknown in &unknown {
            let conflicts = harness.detector().conflicts(unknown, footprint);
            ensure(!conflicts.is_empty(), || {
                format!("{unknown:?} may run beside {footprint:?}")
            })?;
        }
    }
    Ok(())
}

/// Work conflicts exactly if its areas meet: locks post areas, so what they keep apart is what is told.
///
/// # Errors
/// Two footprints for which the two methods disagree.
pub async fn areas_and_conflicts_agree(harness: &dyn ConflictHarness) -> Result<(), Violation> {
    let detector = harness.detector();
    for (a, b) in pairs(&footprints(harness)) {
        let by_areas = !detector
            .areas(a)
            .conflicts_with(&detector.areas(b))
            .is_empty();
        let told = !detector.conflicts(a, b).is_empty();
        ensure(by_areas == told, || {
            format!("{a:?} and {b:?}: their areas meet: {by_areas}, they conflict: {told}")
        })?;
    }
    Ok(())
}

/// Every conflict says which rule of either side found it.
///
/// # Errors
/// A conflict without a reason.
pub async fn every_conflict_names_its_rule(harness: &dyn ConflictHarness) -> Result<(), Violation> {
    let detector = harness.detector();
    ensure(!detector.name().is_empty(), || "it has no name".to_owned())?;
    for (a, b) in pairs(&footprints(harness)) {
        for conflict in detector.conflicts(a, b) {
            let told = conflict.to_string();
            ensure(
                !told.trim().is_empty() && !conflict.rule().trim().is_empty(),
                || format!("{conflict:?} does not say by which rule"),
            )?;
        }
    }
    Ok(())
}

/// The same question has the same answer, in whatever order questions are asked.
///
/// # Errors
/// The footprints whose answer changed.
pub async fn the_answer_does_not_depend_on_what_was_asked_before(
    harness: &dyn ConflictHarness,
) -> Result<(), Violation> {
    let detector = harness.detector();
    let all = footprints(harness);
    let first: Vec<_> = pairs(&all).map(|(a, b)| detector.conflicts(a, b)).collect();
    let mut backwards: Vec<_> = pairs(&all).collect();
    backwards.reverse();
    for ((a, b), expected) in backwards.into_iter().zip(first.iter().rev()) {
        same(
            &format!("the second answer on {a:?} and {b:?}"),
            &detector.conflicts(a, b),
            expected,
        )?;
    }
    Ok(())
}

/// A detector is not right by keeping everything apart: what it calls apart may run, and is unknown to nobody.
///
/// # Errors
/// What keeps the two apart.
pub async fn what_is_apart_may_run_side_by_side(
    harness: &dyn ConflictHarness,
) -> Result<(), Violation> {
    let Some((one, other)) = harness.apart() else {
        return Ok(());
    };
    let [one, other] = [one, other].map(|path| Footprint::from_candidates([path.as_str()]));
    let found = harness.detector().conflicts(&one, &other);
    same("what keeps the two apart", &found, &Vec::new())?;
    let unknown = harness.detector().areas(&one);
    ensure(
        !unknown
            .iter()
            .any(|area| area.class == ConflictClass::Unknown),
        || format!("{one:?} is known and claims {unknown:?}"),
    )
}

fn read(path: &str) -> RepoPath {
    RepoPath::parse(path).expect("the harness names paths of a repository")
}

fn pairs(all: &[Footprint]) -> impl Iterator<Item = (&Footprint, &Footprint)> {
    all.iter().flat_map(|a| all.iter().map(move |b| (a, b)))
}

#[cfg(test)]
mod tests;
