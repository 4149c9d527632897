//! How long it takes to plan a batch, and to derive the keys it is planned from.
//!
//! `cargo bench -p pipeline-benches --bench conflicts` prints a table of the growth from 1,000 to 10,000
//! to 100,000 issues of 20 files each, with the memory used, and then measures 10,000 with criterion.
#![allow(
    missing_docs,
    reason = "criterion's macros make items without documentation"
)]
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use peak_alloc::PeakAlloc;
use pipeline_core::conflict::planner::{self, Candidate, Held, PlanOptions};
use pipeline_core::conflict::{ConflictDetector as _, RuleConflicts, RuleSet};
use pipeline_core::footprint::Footprint;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const FILES: u64 = 20;

/// A splitmix64 generator: the same issues in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// An issue of 20 files: most in one feature, some in a neighbour, one in a hundred needs the database.
fn files(issue: u64, issues: u64, random: &mut Seeded) -> Vec<String> {
    let feature = random.below(issues);
    (0..FILES)
        .map(|file| {
            let feature = if random.below(20) == 0 {
                random.below(issues)
            } else {
                feature
            };
            match file {
                0 => format!("app/Http/Controllers/Api/Feature{feature}Controller.php"),
                1 => format!("app/Services/Feature{feature}Service.php"),
                2 => format!("resources/views/feature{feature}/index.blade.php"),
                3 if random.below(100) == 0 => format!("database/migrations/2026_01_{issue}.php"),
                _ => format!(
                    "packages/area{}/feature{feature}/part{}/File{file}.php",
                    feature % 97,
                    file % 5
                ),
            }
        })
        .collect()
}

fn footprints(issues: u64) -> Vec<Footprint> {
    let mut random = Seeded(issues);
    (0..issues)
        .map(|issue| Footprint::from_candidates(files(issue, issues, &mut random)))
        .collect()
}

fn detector() -> RuleConflicts {
    RuleSet::from_toml("presets = ['generic']")
        .and_then(|rules| rules.detector("main"))
        .expect("the preset is good")
}

fn derive(detector: &RuleConflicts, footprints: &[Footprint]) -> Vec<Candidate> {
    footprints
        .iter()
        .enumerate()
        .map(|(at, footprint)| {
            let priority = i64::try_from(at % 3).ok().filter(|priority| *priority > 0);
            Candidate::new(format!("A-{at}"), detector.areas(footprint).keys())
                .with_priority(priority)
        })
        .collect()
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort();
    runs[runs.len() / 2]
}

fn growth() {
    let detector = detector();
    println!(
        "| issues | keys | derive keys | plan | plan per issue | all batches | picked | batches | keys hold | plan adds |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for issues in [1_000, 10_000, 100_000] {
        let footprints = footprints(issues);
        let before = MEMORY.current_usage();
        let started = Instant::now();
        let waiting = derive(&detector, &footprints);
        let derived = started.elapsed();
        let keys_hold = MEMORY.current_usage().saturating_sub(before);
        let keys: usize = waiting
            .iter()
            .map(|candidate| candidate.claims.keys().len())
            .sum();
        let options = PlanOptions::default();
        let repeat = if issues > 10_000 { 5 } else { 15 };
        let mut runs = Vec::new();
        MEMORY.reset_peak_usage();
        let resting = MEMORY.current_usage();
        let mut picked = 0;
        for _ in 0..repeat {
            let started = Instant::now();
            picked = black_box(planner::plan(black_box(&waiting), &[], &options))
                .picked
                .len();
            runs.push(started.elapsed());
        }
        let plan_adds = MEMORY.peak_usage().saturating_sub(resting);
        let planned = median(runs);
        let started = Instant::now();
        let batches = black_box(planner::batches(black_box(&waiting)));
        let batched = started.elapsed();
        println!(
            "| {issues} | {keys} | {derived:.1?} | {planned:.1?} | {:.2?} | {batched:.1?} | {picked} | {} | {} MiB | {} MiB |",
            planned / u32::try_from(issues).expect("a small number"),
            batches.len(),
            keys_hold >> 20,
            plan_adds >> 20,
        );
    }
}

fn conflicts(criterion: &mut Criterion) {
    growth();
    let detector = detector();
    let footprints = footprints(10_000);
    let waiting = derive(&detector, &footprints);
    let held: Vec<Held> = waiting
        .iter()
        .take(20)
        .map(|it| Held::new(it.id.clone(), "", it.claims.keys().to_vec()))
        .collect();
    let mut group = criterion.benchmark_group("conflicts");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(4));
    group.bench_function("plan 10,000 issues of 20 files", |bench| {
        bench.iter(|| planner::plan(black_box(&waiting), &[], &PlanOptions::default()));
    });
    group.bench_function(
        "plan 10,000 issues beside 20 live claims, 10 slots",
        |bench| {
            let options = PlanOptions::default().with_slots(10);
            bench.iter(|| planner::plan(black_box(&waiting), &held, &options));
        },
    );
    group.bench_function("derive keys of 10,000 issues of 20 files", |bench| {
        bench.iter(|| derive(&detector, black_box(&footprints)));
    });
    group.finish();
}

criterion_group!(benches, conflicts);
criterion_main!(benches);
